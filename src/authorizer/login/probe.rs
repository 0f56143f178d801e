//! The first request of a login: what does the endpoint demand, or what does it say to the token
//! that is stored?
//!
//! It is the `initialize` that any host would send. Without a token, a server answers it with the
//! challenge that starts discovery (MCP authorization, "Protected Resource Metadata Discovery"). Redirects
//! are followed as a bridge follows them.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;

use crate::authorizer::authorization::Authorization;
use crate::challenge::Challenge;
use crate::http::{Client, HttpError, Redirect, Response, challenge, secrets_sent};
use crate::oauth::OauthError;
use crate::redact::{Secret, with_causes};
use crate::server_uri::ServerUri;
use crate::wire::{EVENTS, JSON, JSON_OR_EVENTS, LATEST_WITH_INITIALIZE, SESSION_ID};

/// How long the endpoint may take to answer.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// How long it may take where its answer is only looked at: a person waits for nothing else.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of a session that was opened by the way may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);

/// What the endpoint said to a request without a token.
#[derive(Debug)]
pub(super) enum Demand {
    /// It wants a login.
    Login(Challenge),
    /// It answered.
    Nothing,
    /// Neither; metadata may tell more. The sentence is what to say if it does not.
    Unclear(Challenge, String),
}

/// Asks the endpoint, with `headers` of the user's; returns what it said, and the address that said so.
///
/// # Errors
/// [`OauthError::Unreachable`].
pub(super) async fn ask(
    http: &Client,
    server: &ServerUri,
    headers: &HeaderMap,
) -> Result<(Demand, Option<IpAddr>), OauthError> {
    let answer = initialize(http, server, headers, TIME_LIMIT).await?;
    let unreachable = |reason: String| unreachable(server, reason);
    let peer = http.peer(&answer).await;
    let status = answer.status();
    let challenge = challenge(answer.headers(), headers, server);
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED => Ok((Demand::Login(challenge), peer)),
        StatusCode::FORBIDDEN if challenge.raw.is_some() => Ok((Demand::Login(challenge), peer)),
        status if status.is_success() => {
            let session = answer.headers().get(SESSION_ID).cloned();
            drop(answer);
            leave(http, server, headers, session).await;
            Ok((Demand::Nothing, peer))
        }
        status if status.is_redirection() => {
            let told = Redirect::of(&answer).map(|redirect| redirect.told(&secrets_sent(&[headers], server)));
            Err(unreachable(told.unwrap_or_else(|| format!("it answered with HTTP status {code}"))))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(unreachable(format!("it answered with HTTP status {code}")))
        }
        _ => {
            let why = format!("it answered with HTTP status {code}: is this the address of an MCP endpoint?");
            Ok((Demand::Unclear(challenge, why), peer))
        }
    }
}

/// What the endpoint said to a token.
pub(super) enum Verdict {
    /// It answered.
    Taken,
    /// It does not take the token.
    Refused,
    /// Neither: the sentence says what happened.
    Unclear(String),
}

/// Shows the endpoint a token, and no more than that.
pub(super) async fn show(http: &Client, server: &ServerUri, token: &Secret) -> Verdict {
    let Some(authorization) = Authorization::bearer(token) else {
        return Verdict::Refused;
    };
    let headers = authorization.headers();
    let answer = match initialize(http, server, &headers, CHECK_LIMIT).await {
        Ok(answer) => answer,
        Err(error) => return Verdict::Unclear(with_causes(&error)),
    };
    match answer.status() {
        StatusCode::UNAUTHORIZED => Verdict::Refused,
        status if status.is_success() => {
            let session = answer.headers().get(SESSION_ID).cloned();
            drop(answer);
            leave(http, server, &headers, session).await;
            Verdict::Taken
        }
        status => Verdict::Unclear(format!("it answered with HTTP status {}", status.as_u16())),
    }
}

/// Sends `initialize`, with `carried` among its headers, and waits for the head of the answer.
async fn initialize(
    http: &Client,
    server: &ServerUri,
    carried: &HeaderMap,
    limit: Duration,
) -> Result<Response, OauthError> {
    let mut headers = carried.clone();
    headers.insert(ACCEPT, JSON_OR_EVENTS);
    headers.insert(CONTENT_TYPE, JSON);
    let sent = http.follow(Method::POST, server.as_url().clone(), headers, message());
    let answer = tokio::time::timeout(limit, sent).await;
    let late = |_| HttpError::Timeout { host: server.authority().to_owned() };
    let answer = answer.map_err(late).flatten().map_err(|error| unreachable(server, error))?;
    match answer.status() {
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            let opened = tokio::time::timeout(limit, open(http, server, carried)).await;
            Ok(opened.ok().flatten().unwrap_or(answer))
        }
        _ => Ok(answer),
    }
}

/// What the endpoint says where it may speak HTTP+SSE and takes no POST (2024-11-05, "HTTP with
/// SSE"); `None` where it does not say what it demands either.
async fn open(http: &Client, server: &ServerUri, carried: &HeaderMap) -> Option<Response> {
    let mut headers = carried.clone();
    headers.insert(ACCEPT, EVENTS);
    let answer = http.follow(Method::GET, server.as_url().clone(), headers, Bytes::new()).await.ok()?;
    let is_stream =
        answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENTS.as_bytes()));
    let tells = match answer.status() {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => Challenge::from_headers(answer.headers()).raw.is_some(),
        status => status.is_success() && is_stream,
    };
    tells.then_some(answer)
}

fn unreachable(
    server: &ServerUri,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> OauthError {
    OauthError::Unreachable { what: server.authority().to_owned(), source: source.into() }
}

fn message() -> Bytes {
    let message = json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": LATEST_WITH_INITIALIZE,
            "capabilities": {},
            "clientInfo": { "name": "mcp-front", "version": env!("CARGO_PKG_VERSION") },
        },
    });
    message.to_string().into()
}

/// Ends a session that the probe opened. Nothing depends on it.
async fn leave(http: &Client, server: &ServerUri, carried: &HeaderMap, session: Option<HeaderValue>) {
    let Some(session) = session else { return };
    let mut headers = carried.clone();
    headers.insert(SESSION_ID, session);
    let sent = http.follow(Method::DELETE, server.as_url().clone(), headers, Bytes::new());
    if !matches!(tokio::time::timeout(GOODBYE_LIMIT, sent).await, Ok(Ok(_))) {
        tracing::debug!("the probe's session was not ended");
    }
}
