//! Why a request has no answer of the server's, and the error that the host gets instead.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::authorizer::AuthorizerError;
use crate::http::{HttpError, ROOTS_REMEDY};
use crate::jsonrpc::edit::Repeated;
use crate::jsonrpc::{ErrorResponse, Id, InvalidMessage, code};
use crate::redact::{causes, printable};
use crate::upstream::legacy_sse::EndpointError;

/// `error.data.source`: the error is this program's, not the server's.
const SOURCE: &str = "mcp-front";

/// What went wrong with one request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No authorization to send it with.
    #[error(transparent)]
    Authorizer(#[from] AuthorizerError),
    /// The way to the server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server refused it.
    #[error("the server answered HTTP {}{}{}", .status.as_u16(), because(.reason), wait(.retry_after))]
    Rejected { status: StatusCode, retry_after: Option<Duration>, reason: Option<Cow<'static, str>> },
    /// The server answered without an answer.
    #[error("{0}")]
    NoAnswer(&'static str),
    /// The server's answer is no message, or an ambiguous one.
    #[error("the server's answer is refused")]
    Invalid(#[from] InvalidMessage),
    /// The request could be read in two ways, and did not go out.
    #[error(transparent)]
    Ambiguous(#[from] Repeated),
    /// The stream ended before the answer, and cannot be resumed.
    #[error("the connection broke before the answer came; the server may have acted on the request{}", detail(.0))]
    StreamLost(Option<String>),
    /// The server speaks HTTP+SSE badly, or not at all.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The server forgot the session and would not start a new one.
    #[error("the server lost the session, and a new one failed{}", detail(.0))]
    SessionLost(Option<String>),
    /// The host, or the end of the bridge, called it off. Whether the server may have seen it
    /// before is `sent`.
    #[error("{why}")]
    CalledOff { why: &'static str, sent: bool },
}

fn detail(cause: &Option<String>) -> String {
    cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default()
}

fn because(reason: &Option<Cow<'static, str>>) -> String {
    reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn wait(asked: &Option<Duration>) -> String {
    asked.map(|wait| format!(", and asks to wait for {} s", wait.as_secs())).unwrap_or_default()
}

impl Failure {
    /// The error response for the request with this id.
    pub(super) fn to_response(&self, id: Id) -> ErrorResponse {
        match self {
            Self::Authorizer(error) => {
                let mut data = error.data();
                data["source"] = SOURCE.into();
                // Without authorization the server has acted on nothing.
                data["mayHaveExecuted"] = false.into();
                ErrorResponse::new(id, error.code().into(), error.message()).with_data(data)
            }
            Self::Ambiguous(repeated) => ErrorResponse::new(id, code::INVALID_REQUEST, repeated.to_string()),
            _ => ErrorResponse::new(id, code::INTERNAL_ERROR, self.message()).with_data(self.data()),
        }
    }

    /// Whether the server has not acted, and may at another time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Authorizer(_) => true,
            Self::Http(error) => error.is_worth_repeating(),
            Self::Rejected { status, .. } => matches!(status.as_u16(), 429 | 502..=504),
            _ => false,
        }
    }

    /// The failure with its causes.
    pub(super) fn message(&self) -> String {
        let mut message = self.to_string();
        for cause in causes(self) {
            message.push_str(": ");
            message.push_str(&printable(&cause.to_string()));
        }
        if let Self::Http(HttpError::NoRoots(_)) = self {
            message.push_str("; ");
            message.push_str(ROOTS_REMEDY);
        }
        message
    }

    fn data(&self) -> Value {
        let (reason, executed) = match self {
            Self::Http(
                HttpError::NotSent { .. }
                | HttpError::Untrusted { .. }
                | HttpError::NoRoots(_)
                | HttpError::Setup(_)
                | HttpError::Address { .. },
            ) => ("unreachable", false),
            Self::Http(_) | Self::StreamLost(_) => ("connection_lost", true),
            Self::Rejected { status, .. } => ("http_status", may_have_executed(*status)),
            Self::Endpoint(_) => ("no_endpoint", false),
            Self::Ambiguous(_) => ("invalid_request", false),
            Self::SessionLost(_) => ("session_lost", false),
            Self::CalledOff { sent, .. } => ("called_off", *sent),
            Self::NoAnswer(_) | Self::Invalid(_) | Self::Authorizer(_) => ("invalid_answer", true),
        };
        let mut data = json!({"source": SOURCE, "reason": reason, "mayHaveExecuted": executed});
        if let Self::Rejected { status, retry_after, .. } = self {
            data["httpStatus"] = status.as_u16().into();
            if let Some(wait) = retry_after {
                data["retryAfterSeconds"] = wait.as_secs().into();
            }
        }
        data
    }
}

/// Whether a server that answered with this status may have acted on the request: a redirect and a client
/// error say that it did not, unless the latter is about time or conflict.
fn may_have_executed(status: StatusCode) -> bool {
    !(status.is_redirection() || status.is_client_error()) || matches!(status.as_u16(), 408 | 409 | 499)
}
