//! What an HTTP response means to whoever sent the message.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::{Answer, EventStream, MESSAGE_LIMIT, SESSION_ID};
use crate::challenge::Challenge;
use crate::http::{HttpError, Response, read_bounded};

/// The largest body of a refusal that is read, in bytes.
const REJECTION_LIMIT: usize = 1024 * 1024;

/// What came back for one message.
#[derive(Debug)]
pub enum Reply {
    /// The server took the message and says nothing to it.
    Accepted,
    /// One JSON body.
    Message(Bytes),
    /// An event stream.
    Events(EventStream),
    /// 401: what the request carried does not open this door.
    Unauthorized(Challenge),
    /// 403 that asks for more scope (RFC 6750 §3.1, `insufficient_scope`).
    Forbidden(Challenge),
    /// The server does not know the session, and has not acted on the message.
    SessionGone,
    /// Any other refusal.
    Rejected(Rejection),
}

/// A refusal.
#[derive(Debug)]
pub struct Rejection {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, where it is JSON.
    pub body: Option<Bytes>,
    /// When to try again, where the server said so.
    pub retry_after: Option<Duration>,
    /// What is wrong with the response, where it is not the status.
    pub reason: Option<&'static str>,
}

impl Rejection {
    /// Too many redirects.
    pub(super) fn redirects() -> Self {
        Self {
            status: StatusCode::PERMANENT_REDIRECT,
            body: None,
            retry_after: None,
            reason: Some("it redirects in circles"),
        }
    }
}

/// Reads a response as far as it takes to know what it means.
pub(super) async fn read(response: Response, had_session: bool) -> Result<Answer, HttpError> {
    let session_id = response.headers().get(SESSION_ID).cloned().map(|mut id| {
        id.set_sensitive(true);
        id
    });
    let status = response.status();
    let reply = if status.is_success() {
        accepted(response).await?
    } else if status == StatusCode::UNAUTHORIZED {
        Reply::Unauthorized(Challenge::from_headers(response.headers()))
    } else {
        rejected(response, had_session).await?
    };
    Ok(Answer { reply, session_id })
}

async fn accepted(response: Response) -> Result<Reply, HttpError> {
    let status = response.status();
    if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        return Ok(Reply::Accepted);
    }
    match media_type(response.headers()).as_deref() {
        Some("text/event-stream") => Ok(Reply::Events(EventStream::new(response))),
        // A body without a type is taken for what it should be; it still has to parse.
        Some("application/json") | None => {
            let body = read_bounded(response, MESSAGE_LIMIT).await?;
            Ok(if body.trim_ascii().is_empty() { Reply::Accepted } else { Reply::Message(body) })
        }
        Some(_) => Ok(Reply::Rejected(Rejection {
            status,
            body: None,
            retry_after: None,
            reason: Some("its content type is neither application/json nor text/event-stream"),
        })),
    }
}

async fn rejected(response: Response, had_session: bool) -> Result<Reply, HttpError> {
    let status = response.status();
    let challenge = Challenge::from_headers(response.headers());
    if status == StatusCode::FORBIDDEN && challenge.error.as_deref() == Some("insufficient_scope") {
        return Ok(Reply::Forbidden(challenge));
    }
    let retry_after = retry_after(response.headers());
    // A refusal whose body is cut or too long is a refusal all the same.
    let body = read_bounded(response, REJECTION_LIMIT).await.ok().filter(is_object);
    let gone = match status {
        StatusCode::NOT_FOUND => had_session,
        StatusCode::BAD_REQUEST => body.as_deref().is_some_and(names_unknown_session),
        _ => false,
    };
    if gone {
        return Ok(Reply::SessionGone);
    }
    Ok(Reply::Rejected(Rejection { status, body, retry_after, reason: None }))
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_object(body: &Bytes) -> bool {
    body.trim_ascii().first() == Some(&b'{')
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); the date form is left to whoever waits for a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Whether the body of a 400 says that the session is unknown, in the words that servers use:
/// there is no code for it.
fn names_unknown_session(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Body {
        error: Refusal,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Refusal {
        JsonRpc { message: String },
        Text(String),
    }
    let Ok(Body { error: Refusal::JsonRpc { message } | Refusal::Text(message) }) =
        serde_json::from_slice(body)
    else {
        return false;
    };
    let message = message.to_ascii_lowercase();
    let about_session = message.contains("session") || message.contains("mcp-session-id");
    let unknown =
        ["not found", "unknown", "invalid", "expired", "no valid", "does not exist", "terminated", "closed"];
    (about_session && unknown.iter().any(|word| message.contains(word)))
        || message.contains("server not initialized")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_400_that_names_the_session_means_that_it_is_gone() {
        for (body, gone) in [
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#,
                true,
            ),
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#,
                true,
            ),
            (r#"{"error":"Session not found"}"#, true),
            (r#"{"error":{"code":-32602,"message":"Invalid params"}}"#, false),
            (r#"{"error":{"code":-32602,"message":"the session starts at noon"}}"#, false),
            ("nonsense", false),
        ] {
            assert_eq!(names_unknown_session(body.as_bytes()), gone, "{body}");
        }
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "Text/Event-Stream; charset=utf-8".parse().unwrap());
        assert_eq!(media_type(&headers).as_deref(), Some("text/event-stream"));
    }
}
