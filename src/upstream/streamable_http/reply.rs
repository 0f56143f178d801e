//! What an HTTP response means to whoever sent the message.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};

use super::{Answer, EventStream, MESSAGE_LIMIT};
use crate::challenge::Challenge;
use crate::clock;
use crate::http::{
    HttpError, Redirect, Response, challenge, content_coding, read_bounded, retry_after, secrets_sent,
    unmarked,
};
use crate::jsonrpc::{Head, Message, code};
use crate::server_uri::ServerUri;
use crate::wire::{METHOD, SESSION_ID};

/// The largest body of a refusal that is read, in bytes.
const REJECTION_LIMIT: usize = 1024 * 1024;
/// How long the rest of an acceptance may take.
const ACCEPTED_TIME: Duration = Duration::from_millis(200);
/// How long the body of a refusal may take.
const REJECTION_TIME: Duration = Duration::from_secs(5);

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
    /// The server does not know the session, or wants one where the message belongs to none; it has not acted
    /// on the message.
    SessionGone(Rejection),
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
    pub reason: Option<Cow<'static, str>>,
}

impl Rejection {
    /// Whether the same request may do later: an overload, an outage, or a conflict with a
    /// connection whose end the server has not noticed.
    pub fn may_pass(&self) -> bool {
        Self::passes(self.status)
    }

    /// The same of a refusal with this status.
    pub fn passes(status: StatusCode) -> bool {
        status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429)
    }
}

impl Reply {
    /// Whether the server took the message.
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Accepted | Self::Message(_) | Self::Events(_))
    }

    /// Whether it is such an answer as nobody but a server of MCP gives.
    pub(super) fn is_mcp(&self) -> bool {
        match self {
            Self::Message(body) => Message::parse(body.clone()).is_ok(),
            Self::Events(_) => true,
            _ => false,
        }
    }
}

/// What a response answers.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) server: &'a ServerUri,
    pub(super) headers: &'a HeaderMap,
    /// The frame; empty where none was sent.
    pub(super) message: &'a Bytes,
    /// Whether its address names a session.
    pub(super) is_secret_address: bool,
}

impl Sent<'_> {
    fn had_session(&self) -> bool {
        self.is_secret_address || self.headers.contains_key(SESSION_ID)
    }

    /// Whether it is of the era without sessions: only the era before has something to say of one.
    fn is_without_sessions(&self) -> bool {
        self.headers.get(METHOD).is_some_and(|method| method != "initialize")
    }

    /// Whether the body of a refusal says that a session is missing, and is no error of the call itself, nor
    /// one that only a server of the era without sessions has.
    fn lacks_session(&self, body: &Bytes) -> bool {
        let is_modern = self.is_without_sessions();
        names_unknown_session(body, self.had_session() || is_modern)
            && !self.is_answered_by(body)
            && !(is_modern && code::of(body).is_some_and(code::is_modern))
    }

    /// Whether an error is the answer to the very request that was sent, and no word of the transport's on
    /// its session: it has the request's id, and a code that JSON-RPC or the server has for calls.
    fn is_answered_by(&self, body: &Bytes) -> bool {
        let sent = Message::parse(self.message.clone()).ok();
        let Some(id) = sent.as_ref().and_then(|sent| sent.head().request_id()) else { return false };
        let Ok(answer) = Message::parse(body.clone()) else { return false };
        let is_own = matches!(answer.head(), Head::Response { id: answered, .. } if answered == id);
        is_own && code::of(body).is_some_and(is_code_of_calls)
    }

    /// What is wrong with a response that redirects.
    fn redirected(&self, response: &Response) -> Option<String> {
        let redirect = Redirect::of(response)?;
        let redirect = if self.is_secret_address { redirect.with_origin_alone() } else { redirect };
        Some(redirect.told(&secrets_sent(&[self.headers], self.server)))
    }

    /// The challenge that refuses it.
    fn challenge(&self, response: &Response) -> Challenge {
        challenge(response.headers(), self.headers, self.server)
    }
}

/// Reads a response as far as it takes to know what it means.
pub(super) async fn read(response: Response, sent: Sent<'_>) -> Result<Answer, HttpError> {
    let session_id = response.headers().get(SESSION_ID).cloned().map(|mut id| {
        id.set_sensitive(true);
        id
    });
    let status = response.status();
    let reply = if status.is_success() {
        accepted(response).await?
    } else if status == StatusCode::UNAUTHORIZED {
        Reply::Unauthorized(sent.challenge(&response))
    } else {
        rejected(response, sent).await?
    };
    Ok(Answer { reply, session_id })
}

async fn accepted(response: Response) -> Result<Reply, HttpError> {
    let status = response.status();
    if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        // Some say "Accepted" in so many words: unread, they would cost the connection.
        let rest = read_bounded(response, REJECTION_LIMIT);
        let _whatever = tokio::time::timeout(ACCEPTED_TIME, rest).await;
        return Ok(Reply::Accepted);
    }
    if let Some(coding) = content_coding(response.headers()) {
        tracing::warn!(coding, "the server used a content coding that it was not offered");
        let reason = format!("it is encoded ({coding}), which was not asked for");
        let reason = Some(reason.into());
        return Ok(Reply::Rejected(Rejection { status, body: None, retry_after: None, reason }));
    }
    match media_type(response.headers()).as_deref() {
        Some("text/event-stream") => Ok(Reply::Events(EventStream::new(response))),
        // A body without a type is taken for what it should be; it still has to parse.
        Some("application/json") | None => {
            let body = read_bounded(response, MESSAGE_LIMIT).await?;
            let body = body.slice_ref(unmarked(&body));
            Ok(if body.trim_ascii().is_empty() { Reply::Accepted } else { Reply::Message(body) })
        }
        Some(_) => Ok(Reply::Rejected(Rejection {
            status,
            body: None,
            retry_after: None,
            reason: Some("its content type is neither application/json nor text/event-stream".into()),
        })),
    }
}

async fn rejected(response: Response, sent: Sent<'_>) -> Result<Reply, HttpError> {
    let status = response.status();
    let challenge = sent.challenge(&response);
    if status == StatusCode::FORBIDDEN && challenge.error.as_deref() == Some("insufficient_scope") {
        return Ok(Reply::Forbidden(challenge));
    }
    let mut rejection = Rejection {
        status,
        body: None,
        retry_after: retry_after(response.headers(), clock::now()),
        reason: sent.redirected(&response).map(Cow::Owned),
    };
    // A refusal whose body is cut, too long or never comes is a refusal all the same.
    let body = tokio::time::timeout(REJECTION_TIME, read_bounded(response, REJECTION_LIMIT)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let gone = match status {
        StatusCode::NOT_FOUND => {
            sent.had_session() || (sent.is_without_sessions() && sent.lacks_session(&body))
        }
        StatusCode::BAD_REQUEST => sent.lacks_session(&body),
        _ => false,
    };
    rejection.body = Some(body).filter(is_object);
    Ok(if gone { Reply::SessionGone(rejection) } else { Reply::Rejected(rejection) })
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_object(body: &Bytes) -> bool {
    body.trim_ascii().first() == Some(&b'{')
}

/// Whether an error with this code is about a call. That a request is invalid, and what servers have codes of
/// their own for (JSON-RPC 2.0 §5.1), SDKs say of sessions too.
fn is_code_of_calls(code: i64) -> bool {
    code != code::INVALID_REQUEST && !(-32099..=-32000).contains(&code)
}

/// Whether the body of a refusal says that the session is unknown, or missing, in the words that the SDKs'
/// servers use: there is no code for it. What a tool says about sessions of its own is no such
/// word, for the call would be sent again.
fn names_unknown_session(body: &[u8], is_about_session: bool) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    if text.contains("server not initialized") {
        return true;
    }
    let of_mcp = ["session id", "mcp-session-id", "mcp session", "sessionid"];
    let unknown = [
        "no valid",
        "invalid",
        "missing",
        "unknown",
        "expired",
        "not found",
        "does not exist",
        "terminated",
        "required",
        "no transport",
    ];
    let named =
        of_mcp.iter().any(|word| text.contains(word)) && unknown.iter().any(|word| text.contains(word));
    is_about_session && (named || text.contains("session not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerUri {
        ServerUri::parse("https://mcp.example/mcp", false).unwrap()
    }

    #[test]
    fn a_400_that_names_the_session_means_that_it_is_gone() {
        for (body, gone) in [
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#,
                true,
            ),
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Mcp-Session-Id header is required"},"id":4}"#,
                true,
            ),
            ("Bad Request: No valid session ID provided", true),
            ("No transport found for sessionId", true),
            (r#"{"error":"Session not found"}"#, true),
            (r#"{"error":{"code":-32602,"message":"Invalid params"}}"#, false),
            (r#"{"error":{"code":-32602,"message":"The browser session is closed"}}"#, false),
            (r#"{"error":{"code":-32602,"message":"Invalid session options"}}"#, false),
            ("nonsense", false),
        ] {
            assert_eq!(names_unknown_session(body.as_bytes(), true), gone, "{body}");
            assert!(!names_unknown_session(body.as_bytes(), false), "{body}");
        }
        assert!(names_unknown_session(b"Bad Request: Server not initialized", false));
    }

    #[test]
    fn an_error_of_the_call_itself_is_no_word_on_the_session() {
        let text = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#;
        for (message, id, code, answered) in [
            (text, "7", -32602, true),
            (text, "7", -32601, true),
            (text, "7", -32603, true),
            (text, "7", 1, true),
            (text, "7", -32600, false),
            (text, "7", -32000, false),
            (text, "7", -32001, false),
            (text, "8", -32602, false),
            (text, r#""7""#, -32602, false),
            (text, "null", -32602, false),
            (text, r#""server-error""#, -32602, false),
            (r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "7", -32602, false),
            ("", "7", -32602, false),
        ] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"sessionId required"}}}}"#
            );
            let message = Bytes::from(message);
            let (server, headers) = (&server(), &HeaderMap::new());
            let sent = Sent { server, headers, message: &message, is_secret_address: false };
            assert_eq!(sent.is_answered_by(&body.clone().into()), answered, "{message:?} {body}");
        }
    }

    #[test]
    fn a_session_is_missed_by_servers_of_the_era_that_has_them() {
        let of = |method: &'static str| HeaderMap::from_iter([(METHOD, method.parse().unwrap())]);
        let message = Bytes::from_static(br#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#);
        for (method, id, code, missed) in [
            ("tools/call", "null", -32000, true),
            ("tools/call", r#""server-error""#, -32600, true),
            ("initialize", "null", -32000, false),
            // An error of the call itself, and those of a server that knows no sessions.
            ("tools/call", "7", -32601, false),
            ("tools/call", "7", -32602, false),
            ("tools/call", "null", -32020, false),
            ("tools/call", "null", -32022, false),
        ] {
            let error = format!(r#"{{"code":{code},"message":"Bad Request: Missing session ID"}}"#);
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
            let (server, headers) = (&server(), &of(method));
            let sent = Sent { server, headers, message: &message, is_secret_address: false };
            assert_eq!(sent.lacks_session(&body.clone().into()), missed, "{method} {body}");
        }
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "Text/Event-Stream; charset=utf-8".parse().unwrap());
        assert_eq!(media_type(&headers).as_deref(), Some("text/event-stream"));
    }
}
