//! Discovery where servers publish all, some or nothing of what they should; what must be refused is
//! among the attacks.

use mcp_front::challenge::Challenge;
use mcp_front::http::{AddressPolicy, Client, Config};
use mcp_front::oauth::{Discovery, OauthError, Pinned, Source, discover};
use mcp_front::server_uri::ServerUri;
use serde_json::{Value, json};

use crate::support::http_server::{Reply, Server};

/// Answers nothing of use.
fn silent() -> Server {
    Server::start(|_, responder| responder.reply(&Reply::status(404)))
}

const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource/mcp";
const ROOT_RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
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

/// Serves its documents, `resource` and `server`, at these paths, and redirects others.
fn leading(answers: &[(&str, &str)]) -> Server {
    let answers: Vec<_> =
        answers.iter().map(|&(path, answer)| (path.to_owned(), answer.to_owned())).collect();
    Server::start(move |request, responder| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        let (resource, server) = documents(&origin, json!({}), json!({}));
        let answer = answers.iter().find(|(path, _)| path == request.path()).map(|(_, answer)| &**answer);
        responder.reply(&match answer {
            Some("resource") => Reply::json(200, resource.to_string()),
            Some("server") => Reply::json(200, server.to_string()),
            Some(target) => Reply::status(302).header("Location", target),
            None => Reply::status(404),
        });
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

/// The endpoint need not serve GET: where it fails at that in any way, the documents are read all the same.
#[test]
fn how_the_endpoint_answers_get_does_not_matter() {
    let elsewhere = silent();
    let away = format!("{}/docs", elsewhere.origin());
    let replies = [408, 425, 429, 500, 501, 503].map(Reply::status).map(Some);
    let redirects = [302, 307].map(|status| Some(Reply::status(status).header("Location", away.as_str())));
    // Without a reply, it is silent once, and breaks the connection once.
    for (number, reply) in replies.into_iter().chain(redirects).chain([None, None]).enumerate() {
        let server = Server::start(move |request, responder| {
            let origin = format!("http://{}", request.header("host").unwrap_or_default());
            let (resource, metadata) = documents(&origin, json!({}), json!({}));
            match (request.path(), &reply) {
                ("/mcp", Some(reply)) => responder.reply(reply),
                ("/mcp", None) if number % 2 == 0 => responder.wait_for_close(),
                ("/mcp", None) => responder.reset(),
                (RESOURCE_METADATA, _) => responder.reply(&Reply::json(200, resource.to_string())),
                (SERVER_METADATA, _) => responder.reply(&Reply::json(200, metadata.to_string())),
                _ => responder.reply(&Reply::status(404)),
            }
        });
        let found = find(&server, &Challenge::default(), None);
        assert_eq!(found.map(|found| found.source).ok(), Some(Source::Metadata), "reply {number}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// What stands in a parameter is no parameter.
#[test]
fn a_parameter_within_another_ones_text_is_not_read() {
    let place = "/documents";
    let server = Server::start(move |request, responder| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        let (resource, metadata) = documents(&origin, json!({}), json!({}));
        responder.reply(&match (request.path(), &*request.target) {
            (path, target) if path == place && target.ends_with("?scope=no") => {
                Reply::json(200, resource.to_string())
            }
            (SERVER_METADATA, _) => Reply::json(200, metadata.to_string()),
            _ => Reply::status(404),
        });
    });
    let named = format!("{}{place}?scope=no", server.origin());
    for (scope, expected) in [
        (Some("real"), &["real"][..]),
        (Some("resource_metadata=/x scope=y"), &["resource_metadata=/x", "scope=y"]),
        (None, &["one", "two"]),
    ] {
        let challenge = Challenge {
            raw: Some("Bearer".to_owned()),
            scope: scope.map(str::to_owned),
            resource_metadata: Some(named.clone()),
            ..Challenge::default()
        };
        assert_eq!(find(&server, &challenge, None).unwrap().scopes, expected, "{scope:?}");
    }
}

/// A byte order mark hides no document, and no member that is named twice.
#[test]
fn documents_may_start_with_a_byte_order_mark() {
    let marked = |twice: &'static str| {
        Server::start(move |request, responder| {
            let origin = format!("http://{}", request.header("host").unwrap_or_default());
            let (resource, server) = documents(&origin, json!({}), json!({}));
            let server = server.to_string().replacen('{', &format!("{{{twice}"), 1);
            responder.reply(&match request.path() {
                RESOURCE_METADATA => Reply::json(200, format!("\u{feff}{resource}")),
                SERVER_METADATA => Reply::json(200, format!("\u{feff}{server}")),
                _ => Reply::status(404),
            });
        })
    };
    let found = find(&marked(""), &Challenge::default(), None).unwrap();
    assert_eq!((found.source, &*found.scopes), (Source::Metadata, &["one".to_owned(), "two".to_owned()][..]));
    let error = find(&marked(r#""issuer":"x","#), &Challenge::default(), None).unwrap_err();
    assert!(matches!(error, OauthError::Refused { .. }), "{error:?}");
}

/// A site may lead strangers to its start page or its single sign-on: a guessed place that does so is one
/// without a document, at once or on the way.
#[test]
fn a_guessed_place_that_leads_away_is_passed_over() {
    let elsewhere = silent();
    let away = &*elsewhere.origin();
    let openid = "/.well-known/openid-configuration";
    for (answers, source) in [
        (
            &[(RESOURCE_METADATA, away), (ROOT_RESOURCE_METADATA, "resource"), (SERVER_METADATA, "server")][..],
            Source::Metadata,
        ),
        (&[(RESOURCE_METADATA, "resource"), (SERVER_METADATA, away), (openid, "server")], Source::Metadata),
        (&[(RESOURCE_METADATA, "/start"), ("/start", away), (SERVER_METADATA, "server")], Source::Metadata),
        (
            &[(RESOURCE_METADATA, "/here"), ("/here", "resource"), (SERVER_METADATA, "server")],
            Source::Metadata,
        ),
        (&[(RESOURCE_METADATA, away), (SERVER_METADATA, away)], Source::Pinned),
        (&[(RESOURCE_METADATA, "resource"), (SERVER_METADATA, "mailto:a@b.example")], Source::Pinned),
    ] {
        let server = leading(answers);
        let found = find(&server, &Challenge::default(), Some(&pinned_at(&server.origin())));
        assert_eq!(found.map(|found| found.source).ok(), Some(source), "{answers:?}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// What the challenge names is there or wrong.
#[test]
fn a_named_place_that_leads_away_is_told() {
    let elsewhere = silent();
    let away = &*elsewhere.origin();
    for answers in [
        &[(RESOURCE_METADATA, away), (ROOT_RESOURCE_METADATA, "resource"), (SERVER_METADATA, "server")][..],
        &[(RESOURCE_METADATA, "/start"), ("/start", away), (SERVER_METADATA, "server")],
    ] {
        let server = leading(answers);
        for named in [RESOURCE_METADATA.to_owned(), format!("{}{RESOURCE_METADATA}", server.origin())] {
            let challenge = Challenge {
                raw: Some("Bearer".to_owned()),
                resource_metadata: Some(named),
                ..Challenge::default()
            };
            let error = find(&server, &challenge, None).unwrap_err();
            assert!(matches!(error, OauthError::Unreachable { .. }), "{answers:?}: {error:?}");
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// Pinned endpoints stand in where nothing is published, and where the authorization server that
/// they belong to publishes nothing; they never stand in for another one.
#[test]
fn pinned_endpoints_are_a_fallback_for_their_own_server_alone() {
    let silent = silent();
    let pinned = pinned_at(&silent.origin());
    let found = find(&silent, &Challenge::default(), Some(&pinned)).unwrap();
    assert_eq!((found.source, found.token_endpoint.path()), (Source::Pinned, "/pinned/token"));
    assert_eq!((found.issuer, found.scopes.len()), (None, 0));

    let origin = silent.origin();
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

    let stranger = self::silent();
    let server = naming(stranger.origin());
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
