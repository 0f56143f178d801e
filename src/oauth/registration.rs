//! How a client comes by its id (MCP authorization, "Client Registration Approaches"): created by
//! hand, else a client ID metadata document where the server takes one, else dynamic registration
//! (RFC 7591).
//!
//! A dynamic registration is made anew for each login. It holds one redirect URI, whose port was
//! drawn for that login, and a server may have forgotten it since: a login that failed in the
//! browser for that reason could not even be repeated.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use zeroize::Zeroize;

use super::transport::TIME_LIMIT;
use super::{Discovery, Lacking, OauthError, Source};
use crate::credential::{Client, ClientAuthentication, Registration, optional_secret};
use crate::http as client;
use crate::redact::{Secret, Wiped, printable, with_causes};
use crate::server_uri::authority;

/// The name that consent pages show.
const CLIENT_NAME: &str = "mcp-front";

/// A client that was created by hand at the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreRegistered {
    /// `client_id`.
    pub id: String,
    /// `client_secret` of a confidential client; it is serialised for a helper's stdin alone.
    #[serde(with = "optional_secret", default)]
    pub secret: Option<Secret>,
    /// How it authenticates, where that is known beforehand.
    pub authentication: Option<ClientAuthentication>,
}

/// Who asks for a login, and with what in hand.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// A client created by hand; it goes before everything else.
    pub pre_registered: Option<PreRegistered>,
    /// A client ID metadata document, used where the authorization server takes one.
    pub metadata_document: Option<Url>,
    /// Where the browser comes back to.
    pub redirect_uri: Url,
}

/// Finds or registers the client for a login.
///
/// # Errors
/// [`OauthError::ClientRequired`] where there is no way to an id,
/// [`OauthError::NoAuthorizationSupport`] where the guess at one leads nowhere, [`OauthError::Refused`] where a
/// secret would go to a server that proves nothing about itself,
/// [`OauthError::RegistrationRefused`] and [`OauthError::Unreachable`] from the registration.
///
/// # Cancel safety
/// Dropping the future may leave a registration at the server that nobody uses.
pub async fn obtain_client(
    http: &client::Client,
    discovery: &Discovery,
    applicant: &Applicant,
    scopes: &[String],
) -> Result<Client, OauthError> {
    let redirect_uri = applicant.redirect_uri.to_string();
    if let Some(known) = &applicant.pre_registered {
        if known.secret.is_some() && discovery.source == Source::Defaults {
            return Err(OauthError::Refused {
                reason: "there is none, and a client secret does not go to a guessed address".to_owned(),
            });
        }
        return Ok(Client {
            id: known.id.clone(),
            secret: known.secret.clone(),
            authentication: match (&known.secret, known.authentication) {
                (None, _) => ClientAuthentication::None,
                (Some(_), Some(method)) => method,
                (Some(_), None) => secret_method(discovery.authentication_methods.as_deref()),
            },
            registration: Registration::PreRegistered,
            redirect_uri,
        });
    }
    if let Some(document) =
        applicant.metadata_document.as_ref().filter(|_| discovery.supports_metadata_document)
    {
        return Ok(Client {
            id: document.to_string(),
            secret: None,
            authentication: ClientAuthentication::None,
            registration: Registration::MetadataDocument,
            redirect_uri,
        });
    }
    let Some(endpoint) = &discovery.registration_endpoint else {
        return Err(OauthError::ClientRequired(Lacking::Id));
    };
    let request = request(endpoint, discovery, &redirect_uri, scopes)?;
    let host = authority(endpoint);
    let mut answer = http
        .exchange(request, &discovery.policy, TIME_LIMIT)
        .await
        .map_err(|error| OauthError::unreachable(host, error))?;
    let registered = registered(&answer, discovery, redirect_uri);
    answer.body_mut().zeroize();
    registered
}

/// How a client that has a secret authenticates, as far as metadata tells: Basic is the default of
/// RFC 8414 §2.
fn secret_method(supported: Option<&[String]>) -> ClientAuthentication {
    let lists = |method: &str| supported.is_some_and(|methods| methods.iter().any(|known| known == method));
    if lists("client_secret_post") && !lists("client_secret_basic") {
        ClientAuthentication::Post
    } else {
        ClientAuthentication::Basic
    }
}

/// What to register as: a public client where the server takes one, for a native program cannot
/// keep a secret from its user (RFC 8252 §8.4).
fn wanted_method(supported: Option<&[String]>) -> ClientAuthentication {
    let lists = |method: &str| supported.is_none_or(|methods| methods.iter().any(|known| known == method));
    if lists("none") { ClientAuthentication::None } else { secret_method(supported) }
}

fn request(
    endpoint: &Url,
    discovery: &Discovery,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<Request<Vec<u8>>, OauthError> {
    let mut body = json!({
        "client_name": CLIENT_NAME,
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": wanted_method(discovery.authentication_methods.as_deref()),
    });
    if !scopes.is_empty() {
        body["scope"] = scopes.join(" ").into();
    }
    Request::builder()
        .method(Method::POST)
        .uri(endpoint.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| OauthError::Metadata { reason: with_causes(&error) })
}

fn registered(
    answer: &Response<Vec<u8>>,
    discovery: &Discovery,
    redirect_uri: String,
) -> Result<Client, OauthError> {
    let status = answer.status();
    let body = Wiped::new(serde_json::from_slice(client::unmarked(answer.body())).unwrap_or_default());
    let text = |name: &str| body.get(name)?.as_str().filter(|text| !text.is_empty());
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let source = format!("it answered the registration with HTTP status {}", status.as_u16()).into();
        return Err(OauthError::Unreachable { what: "the registration endpoint".to_owned(), source });
    }
    // A guess, where no registration endpoint answers.
    let is_nowhere = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if is_nowhere && discovery.source == Source::Defaults {
        return Err(OauthError::NoAuthorizationSupport);
    }
    let refused = |reason: String| OauthError::RegistrationRefused { reason };
    if !status.is_success() {
        let code = text("error").map(printable);
        let code = code.unwrap_or_else(|| format!("HTTP status {}", status.as_u16()));
        let description = text("error_description").map(|text| format!(": {}", printable(text)));
        return Err(refused(code + &description.unwrap_or_default()));
    }
    let Some(id) = text("client_id") else {
        return Err(refused("its answer holds no client id".to_owned()));
    };
    // An empty secret is how some servers say that there is none.
    let secret = text("client_secret").map(Secret::from);
    let supported = discovery.authentication_methods.as_deref();
    let authentication = match (text("token_endpoint_auth_method"), &secret) {
        (Some("none"), _) | (None | Some("client_secret_basic" | "client_secret_post"), None) => {
            ClientAuthentication::None
        }
        (Some("client_secret_basic"), Some(_)) => ClientAuthentication::Basic,
        (Some("client_secret_post"), Some(_)) => ClientAuthentication::Post,
        (None, Some(_)) => secret_method(supported),
        (Some(other), _) => {
            return Err(refused(format!("it chose the unsupported method `{}`", printable(other))));
        }
    };
    Ok(Client {
        id: id.to_owned(),
        secret,
        authentication,
        registration: Registration::Dynamic,
        redirect_uri,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::AddressPolicy;
    use crate::redact::ExposeSecret;
    use ClientAuthentication::{Basic, None as Public, Post};

    fn discovery(methods: Option<&[&str]>) -> Discovery {
        Discovery {
            source: Source::Metadata,
            issuer: None,
            authorization_endpoint: Url::parse("https://as.example/authorize").unwrap(),
            token_endpoint: Url::parse("https://as.example/token").unwrap(),
            registration_endpoint: None,
            revocation_endpoint: None,
            resource: "https://mcp.example".to_owned(),
            scopes: Vec::new(),
            authentication_methods: methods.map(|list| list.iter().map(|&name| name.to_owned()).collect()),
            requires_issuer: false,
            supports_metadata_document: true,
            policy: AddressPolicy::bound(),
        }
    }

    fn http() -> client::Client {
        let server = crate::server_uri::ServerUri::parse("https://mcp.example", false).unwrap();
        client::Client::new(client::Config::default(), &server)
    }

    fn applicant(secret: Option<&str>) -> Applicant {
        Applicant {
            pre_registered: Some(PreRegistered {
                id: "id".to_owned(),
                secret: secret.map(Secret::from),
                authentication: None,
            }),
            metadata_document: Some(Url::parse("https://client.example/metadata.json").unwrap()),
            redirect_uri: Url::parse("http://127.0.0.1:1/callback").unwrap(),
        }
    }

    #[test]
    fn the_registered_method_wins_over_metadata() {
        type Row<'a> = (Value, Option<&'a [&'a str]>, Option<ClientAuthentication>);
        let table: &[Row<'_>] = &[
            (json!({"client_id": "i"}), None, Some(Public)),
            (json!({"client_id": "i", "client_secret": ""}), None, Some(Public)),
            (json!({"client_id": "i", "client_secret": "s"}), None, Some(Basic)),
            (json!({"client_id": "i", "client_secret": "s"}), Some(&["client_secret_post"]), Some(Post)),
            (
                json!({"client_id": "i", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}),
                Some(&["client_secret_basic"]),
                Some(Post),
            ),
            (
                json!({"client_id": "i", "client_secret": "s", "token_endpoint_auth_method": "none"}),
                None,
                Some(Public),
            ),
            (
                json!({"client_id": "i", "token_endpoint_auth_method": "client_secret_basic"}),
                None,
                Some(Public),
            ),
            (
                json!({"client_id": "i", "client_secret": "s", "token_endpoint_auth_method": "private_key_jwt"}),
                None,
                None,
            ),
            (json!({"client_id": ""}), None, None),
            (json!([]), None, None),
        ];
        for (number, (body, methods, expected)) in table.iter().enumerate() {
            let mark = if number % 2 == 0 { "\u{feff}" } else { "" };
            let answer = Response::new(format!("{mark}{body}").into_bytes());
            let client = registered(&answer, &discovery(*methods), String::new());
            assert_eq!(client.as_ref().ok().map(|client| client.authentication), *expected, "{body}");
            if let (Ok(client), Some(secret)) = (client, body["client_secret"].as_str()) {
                assert_eq!(client.secret.as_ref().map(ExposeSecret::expose_secret).unwrap_or(""), secret);
            }
        }
    }

    #[test]
    fn a_public_client_is_asked_for_where_one_is_taken() {
        for (methods, expected) in [
            (None, Public),
            (Some(["client_secret_basic", "none"].as_slice()), Public),
            (Some(["client_secret_post", "client_secret_basic"].as_slice()), Basic),
            (Some(["client_secret_post"].as_slice()), Post),
        ] {
            assert_eq!(wanted_method(discovery(methods).authentication_methods.as_deref()), expected);
        }
    }

    #[test]
    fn a_refusal_is_shown_without_its_escapes() {
        let body = json!({"error": "invalid_redirect_uri", "error_description": "no\u{1b}[0m"});
        let mut answer = Response::new(body.to_string().into_bytes());
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        let error = registered(&answer, &discovery(None), String::new()).unwrap_err();
        assert!(error.to_string().ends_with("invalid_redirect_uri: no\\u{1b}[0m"), "{error}");
    }

    #[tokio::test]
    async fn clients_are_found_in_the_order_of_the_specification() {
        let http = http();
        let mut discovery = discovery(Some(&["client_secret_post"]));
        let found = obtain_client(&http, &discovery, &applicant(Some("s")), &[]).await.unwrap();
        assert_eq!((found.registration, found.authentication), (Registration::PreRegistered, Post));
        let found = obtain_client(&http, &discovery, &applicant(None), &[]).await.unwrap();
        assert_eq!(found.authentication, Public);

        let unknown = Applicant { pre_registered: None, ..applicant(None) };
        let found = obtain_client(&http, &discovery, &unknown, &[]).await.unwrap();
        assert_eq!(found.id, "https://client.example/metadata.json");
        discovery.supports_metadata_document = false;
        let nothing = obtain_client(&http, &discovery, &unknown, &[]).await;
        assert!(matches!(nothing, Err(OauthError::ClientRequired(Lacking::Id))));
    }

    #[tokio::test]
    async fn a_secret_does_not_go_to_a_guessed_address() {
        let http = http();
        let guessed = Discovery { source: Source::Defaults, ..discovery(None) };
        let answer = obtain_client(&http, &guessed, &applicant(Some("s")), &[]).await;
        assert!(matches!(answer, Err(OauthError::Refused { .. })));
        assert!(obtain_client(&http, &guessed, &applicant(None), &[]).await.is_ok());
    }
}
