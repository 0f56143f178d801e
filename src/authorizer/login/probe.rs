//! The first request of a login: what does the endpoint demand?
//!
//! It is the `initialize` that any host would send, without a token; a server answers it with the
//! challenge that starts discovery (MCP authorization, "Protected Resource Metadata Discovery").

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use serde_json::json;

use crate::challenge::Challenge;
use crate::http::{Client, HttpError};
use crate::oauth::OauthError;
use crate::redact::printable;
use crate::server_uri::ServerUri;
use crate::wire::{JSON, JSON_OR_EVENTS, LATEST_WITH_INITIALIZE, SESSION_ID};

/// How long the endpoint may take to answer.
const TIME_LIMIT: Duration = Duration::from_secs(15);
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

/// Asks the endpoint; returns what it said, and the address that said so.
///
/// # Errors
/// [`OauthError::Unreachable`].
pub(super) async fn ask(http: &Client, server: &ServerUri) -> Result<(Demand, Option<IpAddr>), OauthError> {
    let host = || server.host().to_owned();
    let unreachable =
        |source: Box<dyn std::error::Error + Send + Sync>| OauthError::Unreachable { what: host(), source };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, JSON_OR_EVENTS);
    headers.insert(CONTENT_TYPE, JSON);
    let sent = http.send(Method::POST, server.as_url().clone(), headers, initialize());
    let answer = match tokio::time::timeout(TIME_LIMIT, sent).await {
        Ok(answer) => answer.map_err(|error| unreachable(error.into()))?,
        Err(_) => return Err(unreachable(HttpError::Timeout { host: host() }.into())),
    };
    let peer = http.peer(&answer).await;
    let status = answer.status();
    let challenge = Challenge::from_headers(answer.headers());
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED => Ok((Demand::Login(challenge), peer)),
        StatusCode::FORBIDDEN if challenge.raw.is_some() => Ok((Demand::Login(challenge), peer)),
        status if status.is_success() => {
            let session = answer.headers().get(SESSION_ID).cloned();
            drop(answer);
            leave(http, server, session).await;
            Ok((Demand::Nothing, peer))
        }
        status if status.is_redirection() => {
            let target = answer.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            let target = target.map(|target| format!(" to {}", printable(target))).unwrap_or_default();
            Err(unreachable(format!("it redirects{target}: log in to the address it moved to").into()))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(unreachable(format!("it answered with HTTP status {code}").into()))
        }
        _ => {
            let why = format!("it answered with HTTP status {code}: is this the address of an MCP endpoint?");
            Ok((Demand::Unclear(challenge, why), peer))
        }
    }
}

fn initialize() -> Bytes {
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
async fn leave(http: &Client, server: &ServerUri, session: Option<HeaderValue>) {
    let Some(session) = session else { return };
    let headers = HeaderMap::from_iter([(SESSION_ID, session)]);
    let sent = http.send(Method::DELETE, server.as_url().clone(), headers, Bytes::new());
    if !matches!(tokio::time::timeout(GOODBYE_LIMIT, sent).await, Ok(Ok(_))) {
        tracing::debug!("the probe's session was not ended");
    }
}
