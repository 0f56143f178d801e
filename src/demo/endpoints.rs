//! The demo's HTTP face: the MCP endpoint behind a bearer check, and its authorization server.
//!
//! One loopback listener serves both, as a small hosted server would: protected resource metadata
//! (RFC 9728), authorization server metadata (RFC 8414), registration, the consent page and the
//! token endpoint. A request that names another host (DNS rebinding) or comes from another origin
//! is refused; an MCP request without a good access token is answered 401 with a challenge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::consent;
use super::grants::{Grants, SCOPE};
use super::protocol::{
    AuthorizationError, AuthorizationParameters, Registration, RegistrationError, TokenForm,
};
use super::tools::Tools;

/// What every handler sees.
pub(super) struct Shared {
    /// The listener's `host:port`, the only one that requests may name.
    pub(super) authority: String,
    /// The issuer, which is the origin too.
    pub(super) issuer: String,
    /// The MCP endpoint, which is the resource that tokens are for.
    pub(super) resource: String,
    grants: Mutex<Grants>,
}

impl Shared {
    /// The state of a server that listens at `authority`.
    pub(super) fn new(authority: String, access_life: std::time::Duration) -> Self {
        let issuer = format!("http://{authority}");
        let resource = format!("{issuer}/mcp");
        let grants = Mutex::new(Grants::new(issuer.clone(), resource.clone(), access_life));
        Self { authority, issuer, resource, grants }
    }

    /// The authorization server's memory.
    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The challenge of a 401 (RFC 6750 §3, RFC 9728 §5.1); a request that carried a token is told
    /// that it is not good.
    fn challenge(&self, carried_token: bool) -> String {
        let error = if carried_token { "error=\"invalid_token\", " } else { "" };
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", self.issuer);
        format!("Bearer {error}resource_metadata=\"{metadata}\", scope=\"{SCOPE}\"")
    }
}

/// The whole face; MCP sessions end when `ending` is cancelled.
pub(super) fn router(shared: Arc<Shared>, ending: CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts([shared.authority.clone()])
        .enforce_origin_validation()
        .with_cancellation_token(ending);
    let mcp = StreamableHttpService::new(|| Ok(Tools), Arc::<LocalSessionManager>::default(), config);
    let protected = Router::new()
        .route_service("/mcp", mcp)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), require_bearer));
    Router::new()
        .route("/.well-known/oauth-protected-resource/mcp", get(protected_resource_metadata))
        .route("/.well-known/oauth-authorization-server", get(authorization_server_metadata))
        .route("/register", post(register))
        .route("/authorize", get(authorize))
        .route("/consent", post(decide))
        .route("/token", post(token))
        .merge(protected)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), require_own_host))
        .with_state(shared)
}

async fn require_own_host(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let origin = request.headers().get(ORIGIN).map(HeaderValue::as_bytes);
    if host != Some(shared.authority.as_bytes()) || origin.is_some_and(|own| own != shared.issuer.as_bytes())
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}

async fn require_bearer(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("Bearer").then_some(token));
    let bearer = shared.grants().admit(token, Instant::now());
    let Some(bearer) = bearer else {
        let challenge = shared.challenge(token.is_some());
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response();
    };
    request.extensions_mut().insert(bearer);
    next.run(request).await
}

async fn protected_resource_metadata(State(shared): State<Arc<Shared>>) -> Response {
    let metadata = json!({
        "resource": shared.resource,
        "resource_name": "mcp-front demo",
        "authorization_servers": [shared.issuer],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
    });
    json_response(StatusCode::OK, &metadata)
}

async fn authorization_server_metadata(State(shared): State<Arc<Shared>>) -> Response {
    let issuer = &shared.issuer;
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [SCOPE],
        "authorization_response_iss_parameter_supported": true,
    });
    json_response(StatusCode::OK, &metadata)
}

async fn register(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let Ok(registration) = serde_json::from_slice::<Registration>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_client_metadata", None);
    };
    let mut answer = json!({
        "redirect_uris": registration.redirect_uris,
        "client_name": registration.client_name,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    });
    let registered = shared.grants().register(registration);
    match registered {
        Ok(id) => {
            answer["client_id"] = Value::String(id);
            json_response(StatusCode::CREATED, &answer)
        }
        Err(RegistrationError::RedirectUri) => {
            refusal(StatusCode::BAD_REQUEST, "invalid_redirect_uri", Some("only http on loopback is taken"))
        }
        Err(RegistrationError::AuthenticationMethod) => {
            refusal(StatusCode::BAD_REQUEST, "invalid_client_metadata", Some("only public clients are taken"))
        }
        Err(RegistrationError::Entropy) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None),
    }
}

async fn authorize(
    State(shared): State<Arc<Shared>>,
    parameters: Result<Query<AuthorizationParameters>, QueryRejection>,
) -> Response {
    let Ok(Query(parameters)) = parameters else {
        return consent::refused("the request repeats a parameter or cannot be read");
    };
    let begun = shared.grants().begin(parameters, Instant::now());
    match begun {
        Ok(question) => consent::page(&question, &shared.resource),
        Err(AuthorizationError::Untrusted(problem)) => consent::refused(problem),
        Err(AuthorizationError::Redirect(target)) => Redirect::to(target.as_str()).into_response(),
    }
}

/// The consent page's form.
#[derive(Deserialize)]
struct Decision {
    ticket: String,
    decision: String,
}

async fn decide(State(shared): State<Arc<Shared>>, form: Result<Form<Decision>, FormRejection>) -> Response {
    let Ok(Form(Decision { ticket, decision })) = form else {
        return consent::refused("the form cannot be read");
    };
    let target = shared.grants().decide(&ticket, decision == "allow", Instant::now());
    match target {
        Some(target) => Redirect::to(target.as_str()).into_response(),
        None => consent::refused("this question was answered before, or too late"),
    }
}

async fn token(State(shared): State<Arc<Shared>>, form: Result<Form<TokenForm>, FormRejection>) -> Response {
    let Ok(Form(form)) = form else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request", None);
    };
    let outcome = shared.grants().token(&form, Instant::now());
    match outcome {
        Ok(issued) => {
            let answer = json!({
                "access_token": issued.access_token,
                "token_type": "Bearer",
                "expires_in": issued.expires_in.as_secs(),
                "refresh_token": issued.refresh_token,
                "scope": SCOPE,
            });
            json_response(StatusCode::OK, &answer)
        }
        Err(error) => {
            let (code, description) = error.code();
            let status = match code {
                "invalid_client" => StatusCode::UNAUTHORIZED,
                "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            refusal(status, code, description)
        }
    }
}

fn refusal(status: StatusCode, error: &str, description: Option<&str>) -> Response {
    let mut body = json!({ "error": error });
    if let Some(description) = description {
        body["error_description"] = Value::from(description);
    }
    json_response(status, &body)
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, Body::from(body.to_string())).into_response()
}
