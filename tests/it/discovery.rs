//! Discovery against servers that lie, stall or flood: what must be refused is refused, and nobody
//! is asked who must not be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_front::challenge::Challenge;
use mcp_front::http::{AddressPolicy, Client, Config};
use mcp_front::oauth::{Discovery, OauthError, Pinned, Source, discover};
use mcp_front::server_uri::ServerUri;
use serde_json::{Value, json};

use crate::support::http_server::{Reply, Request, Responder, Server};

/// Counts requests and answers nothing of use.
struct Bystander {
    server: Server,
    requests: Arc<AtomicUsize>,
}

impl Bystander {
    fn start() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let server = Server::start(move |_, responder| {
            counter.fetch_add(1, Ordering::SeqCst);
            responder.reply(&Reply::status(404));
        });
        Self { server, requests }
    }

    fn asked(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource/mcp";
const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";

/// Protected resource metadata and authorization server metadata of one origin; null removes a
/// member.
fn documents(origin: &str, resource: Value, server: Value) -> (Value, Value) {
    let merged = |mut document: Value, members: Value| {
        for (name, member) in members.as_object().cloned().unwrap_or_default() {
            document[name] = member;
        }
        document.as_object_mut().unwrap().retain(|_, member| !member.is_null());
        document
    };
    let resource_document = json!({
        "resource": format!("{origin}/mcp"),
        "authorization_servers": [origin],
        "scopes_supported": ["one", "two"],
    });
    let server_document = json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "code_challenge_methods_supported": ["S256"],
    });
    (merged(resource_document, resource), merged(server_document, server))
}

/// An endpoint at `/mcp` that is its own authorization server and publishes `documents`.
fn publishing(resource: Value, server: Value) -> Server {
    Server::start(move |request, responder| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        let (resource, server) = documents(&origin, resource.clone(), server.clone());
        match request.path() {
            RESOURCE_METADATA => responder.reply(&Reply::json(200, resource.to_string())),
            SERVER_METADATA => responder.reply(&Reply::json(200, server.to_string())),
            _ => responder.reply(&Reply::status(404)),
        }
    })
}

fn find(server: &Server, challenge: &Challenge, pinned: Option<&Pinned>) -> Result<Discovery, OauthError> {
    let endpoint = ServerUri::parse(&format!("{}/mcp", server.origin()), false).unwrap();
    let policy = AddressPolicy::for_endpoint(&endpoint, None);
    find_with(&endpoint, policy, challenge, pinned)
}

fn find_with(
    endpoint: &ServerUri,
    policy: AddressPolicy,
    challenge: &Challenge,
    pinned: Option<&Pinned>,
) -> Result<Discovery, OauthError> {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::new(Config::default(), endpoint);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(discover(&http, endpoint, policy, challenge, pinned))
}

fn pinned_at(origin: &str) -> Pinned {
    Pinned {
        authorization_endpoint: format!("{origin}/pinned/authorize").parse().unwrap(),
        token_endpoint: format!("{origin}/pinned/token").parse().unwrap(),
    }
}

#[test]
fn what_is_published_is_found() {
    let server = publishing(
        json!({}),
        json!({
            "scopes_supported": ["other", "offline_access"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
            "revocation_endpoint": "javascript:alert(1)",
        }),
    );
    let found = find(&server, &Challenge::default(), Some(&pinned_at("https://elsewhere.example"))).unwrap();
    assert_eq!((found.source, found.issuer.as_deref()), (Source::Metadata, Some(server.origin().as_str())));
    assert_eq!(found.resource, format!("{}/mcp", server.origin()));
    assert_eq!(found.scopes, ["one", "two", "offline_access"]);
    assert!(found.requires_issuer && found.revocation_endpoint.is_none());
    let challenge =
        Challenge { raw: Some("Bearer".to_owned()), scope: Some("three".to_owned()), ..Challenge::default() };
    assert_eq!(find(&server, &challenge, None).unwrap().scopes, ["three", "offline_access"]);
}

/// A02, A03, A08, A09, A13, A15, B15: documents that must not be used.
#[test]
fn what_must_not_be_used_is_refused() {
    let refused = |error: &OauthError| matches!(error, OauthError::Refused { .. });
    let without_pkce = |error: &OauthError| matches!(error, OauthError::PkceUnsupported);
    type Verdict<'a> = &'a dyn Fn(&OauthError) -> bool;
    let table: &[(&str, Value, Value, Verdict<'_>)] = &[
        ("another resource", json!({"resource": "https://mcp.example/mcp"}), json!({}), &refused),
        ("a longer host", json!({"resource": "http://127.0.0.1.evil.example/mcp"}), json!({}), &refused),
        ("a user name", json!({"resource": "http://127.0.0.1@evil.example/mcp"}), json!({}), &refused),
        ("another issuer", json!({}), json!({"issuer": "https://as.example"}), &refused),
        ("no issuer", json!({}), json!({"issuer": null}), &refused),
        (
            "an issuer in capitals",
            json!({}),
            json!({"issuer": null, "ISSUER": "https://as.example"}),
            &refused,
        ),
        ("no PKCE", json!({}), json!({"code_challenge_methods_supported": null}), &without_pkce),
        ("plain PKCE", json!({}), json!({"code_challenge_methods_supported": ["plain"]}), &without_pkce),
        ("a script", json!({}), json!({"authorization_endpoint": "javascript:alert(1)"}), &refused),
        ("a custom scheme", json!({}), json!({"authorization_endpoint": "ms-msdt:/id"}), &refused),
        ("plain http", json!({}), json!({"authorization_endpoint": "http://as.example/"}), &refused),
        ("a plain token endpoint", json!({}), json!({"token_endpoint": "http://as.example/token"}), &refused),
        (
            "a plain registration",
            json!({}),
            json!({"registration_endpoint": "http://as.example/r"}),
            &refused,
        ),
        ("instance metadata", json!({}), json!({"token_endpoint": "https://169.254.169.254/"}), &refused),
    ];
    for (what, resource, metadata, verdict) in table {
        let server = publishing(resource.clone(), metadata.clone());
        let error = find(&server, &Challenge::default(), None).expect_err(what);
        assert!(verdict(&error), "{what}: {error:?}");
    }
}

/// A04, A05: a public endpoint's metadata cannot make this machine connect to its own network.
#[test]
fn a_public_endpoint_s_metadata_reaches_no_private_address() {
    let bystander = Bystander::start();
    let neighbour = Bystander::start();
    let endpoint = ServerUri::parse(&format!("{}/mcp", neighbour.server.origin()), false).unwrap();
    let public = ServerUri::parse("https://mcp.example/mcp", false).unwrap();
    let policy = AddressPolicy::for_endpoint(&public, None);
    let challenge = Challenge {
        raw: Some("Bearer".to_owned()),
        resource_metadata: Some(format!("{}/metadata", bystander.server.origin())),
        ..Challenge::default()
    };
    let error = find_with(&endpoint, policy, &challenge, None).unwrap_err();
    assert!(matches!(error, OauthError::Refused { .. }), "{error:?}");
    assert_eq!((bystander.asked(), neighbour.asked()), (0, 0));
}

/// A05: link-local addresses are never asked, whoever names them.
#[test]
fn reserved_addresses_are_refused() {
    for named in ["http://169.254.169.254/latest", "https://[fe80::1]/", "https://0.0.0.0/"] {
        let server = publishing(json!({ "authorization_servers": [named] }), json!({}));
        assert!(find(&server, &Challenge::default(), None).is_err(), "{named}");
    }
}

/// A06: redirects stay within their origin, and end.
#[test]
fn redirects_are_followed_within_one_origin_and_not_for_ever() {
    let bystander = Bystander::start();
    let elsewhere = format!("{}/metadata", bystander.server.origin());
    for target in [elsewhere.as_str(), RESOURCE_METADATA] {
        let location = target.to_owned();
        let server = Server::start(move |request, responder| match request.path() {
            RESOURCE_METADATA => responder.reply(&Reply::status(302).header("Location", location.as_str())),
            _ => responder.reply(&Reply::status(404)),
        });
        assert!(find(&server, &Challenge::default(), None).is_err(), "{target}");
    }
    assert_eq!(bystander.asked(), 0);
}

/// A14: floods, depth and garbage end in an error, soon and in bounds.
#[test]
fn floods_and_garbage_end_in_an_error() {
    type Flood = fn(&Request, &mut Responder);
    let floods: [(&str, Flood); 4] = [
        ("a document that never ends", |_, responder| {
            responder.start(200, &[("Content-Type", "application/json")]);
            let chunk = vec![b' '; 64 * 1024];
            while responder.chunk(&chunk) {}
        }),
        ("a length of 50 MB", |_, responder| {
            responder.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n");
            responder.wait_for_close();
        }),
        ("depth", |_, responder| {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            responder.reply(&Reply::json(200, deep));
        }),
        ("no UTF-8", |_, responder| responder.reply(&Reply::json(200, b"{\"resource\":\"\xff\"}".to_vec()))),
    ];
    for (what, flood) in floods {
        let server = Server::start(move |request, responder| match request.path() {
            RESOURCE_METADATA | SERVER_METADATA => flood(request, responder),
            _ => responder.reply(&Reply::status(404)),
        });
        let found = find(&server, &Challenge::default(), None);
        assert!(found.as_ref().map_or(true, |found| found.source == Source::Defaults), "{what}: {found:?}");
    }
}

/// An endpoint whose GET is an event stream that never ends does not hold discovery up.
#[test]
fn an_event_stream_does_not_hold_discovery_up() {
    let server = Server::start(|request, responder| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        let (resource, metadata) = documents(&origin, json!({}), json!({}));
        match request.path() {
            "/mcp" => {
                responder.start_events();
                responder.wait_for_close();
            }
            RESOURCE_METADATA => responder.reply(&Reply::json(200, resource.to_string())),
            SERVER_METADATA => responder.reply(&Reply::json(200, metadata.to_string())),
            _ => responder.reply(&Reply::status(404)),
        }
    });
    assert_eq!(find(&server, &Challenge::default(), None).unwrap().source, Source::Metadata);
}

/// Pinned endpoints stand in where nothing is published, and where the authorization server that
/// they belong to publishes nothing; they never stand in for another one.
#[test]
fn pinned_endpoints_are_a_fallback_for_their_own_server_alone() {
    let silent = Bystander::start();
    let pinned = pinned_at(&silent.server.origin());
    let found = find(&silent.server, &Challenge::default(), Some(&pinned)).unwrap();
    assert_eq!((found.source, found.token_endpoint.path()), (Source::Pinned, "/pinned/token"));
    assert_eq!((found.issuer, found.scopes.len()), (None, 0));

    let origin = silent.server.origin();
    let naming = |authorization_server: String| {
        Server::start(move |request, responder| {
            let own = format!("http://{}", request.header("host").unwrap_or_default());
            let resource = json!({
                "resource": own,
                "authorization_servers": [authorization_server],
                "scopes_supported": ["feature:mcp"],
            });
            match request.path() {
                RESOURCE_METADATA => responder.reply(&Reply::json(200, resource.to_string())),
                _ => responder.reply(&Reply::status(404)),
            }
        })
    };
    let server = naming(origin);
    let found = find(&server, &Challenge::default(), Some(&pinned)).unwrap();
    assert_eq!((found.source, found.resource), (Source::Pinned, server.origin()));
    assert_eq!(found.scopes, ["feature:mcp"]);

    let stranger = Bystander::start();
    let server = naming(stranger.server.origin());
    let error = find(&server, &Challenge::default(), Some(&pinned)).unwrap_err();
    assert!(matches!(error, OauthError::Metadata { .. }), "{error:?}");
}

/// A server that fails for the moment is not taken for one that publishes nothing.
#[test]
fn a_failing_server_is_unreachable() {
    for status in [500, 503, 429] {
        let server = Server::start(move |_, responder| responder.reply(&Reply::status(status)));
        let error = find(&server, &Challenge::default(), Some(&pinned_at(&server.origin()))).unwrap_err();
        assert!(matches!(error, OauthError::Unreachable { .. }), "{status}: {error:?}");
    }
}
