//! Whether a refused `initialize` may mean that the server speaks HTTP+SSE (MCP transports,
//! "Backwards Compatibility"; 2026-07-28 "HTTP+SSE Transport"), or one that got such a stream in answer: some
//! servers open one whatever the method.

use http::StatusCode;

use crate::http::HttpError;
use crate::jsonrpc::{Head, Id, Message, code};
use crate::relay::Failure;
use crate::upstream::legacy_sse::EndpointError;
use crate::upstream::streamable_http::{Rejection, Reply};

/// Whether this reply to the request `id` is one that a server of HTTP+SSE may give.
pub(in crate::relay::legacy) fn may_mean_sse(reply: &Reply, id: &Id) -> bool {
    match reply {
        Reply::Rejected(rejection) | Reply::SessionGone(rejection) => {
            let is_one_of_three = matches!(
                rejection.status,
                StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            );
            is_one_of_three && !is_modern(rejection) && !answers(rejection, id)
        }
        Reply::Events(stream) => stream.was_seen_to_open_sse(),
        _ => false,
    }
}

/// Whether this reply to the request `id`, which is none to `initialize`, may come from a server that
/// has left Streamable HTTP since: its router's, and not its own. It has not acted.
pub(in crate::relay::legacy) fn may_have_left(reply: &Reply, id: &Id) -> bool {
    let is_routers = |status| matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    matches!(reply, Reply::Rejected(rejection) if is_routers(rejection.status)) && may_mean_sse(reply, id)
}

/// Whether the body is the server's own answer to the request `id`.
pub(in crate::relay::legacy) fn answers(rejection: &Rejection, id: &Id) -> bool {
    let message = rejection.body.clone().and_then(|body| Message::parse(body).ok());
    message.is_some_and(
        |message| matches!(message.head(), Head::Response { id: answered, .. } if answered == id),
    )
}

fn is_modern(rejection: &Rejection) -> bool {
    rejection.body.as_deref().and_then(code::of).is_some_and(code::is_modern)
}

impl Failure {
    /// Whether a stream that failed to open so shows that the server does not speak HTTP+SSE, or
    /// leaves that open.
    pub(in crate::relay::legacy) fn is_no_sign_of_sse(&self) -> bool {
        match self {
            Self::Http(_) | Self::Rejected { .. } | Self::NoAnswer(_) => true,
            Self::Endpoint(error) => matches!(error, EndpointError::Missing(_)),
            _ => false,
        }
    }

    /// Whether it shows that a server which spoke HTTP+SSE does not any more.
    pub(in crate::relay::legacy) fn is_sign_against_sse(&self) -> bool {
        match self {
            Self::Rejected { status, .. } => !Rejection::passes(*status),
            Self::Http(error) => matches!(error, HttpError::Timeout { .. }),
            failure => failure.is_no_sign_of_sse(),
        }
    }

    /// Whether it shows that there are no streams any more where there were some, whoever asks.
    pub(super) fn is_end_of_sse(&self) -> bool {
        matches!(
            self,
            Self::Rejected {
                status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE,
                ..
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_refused_initialize_may_mean_sse() {
        let request = r#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#;
        let request = Message::parse(Bytes::from_static(request.as_bytes())).unwrap();
        let id = request.head().request_id().unwrap();
        for (status, body, expected) in [
            (405, "", true),
            (404, "<html>Cannot POST /sse</html>", true),
            (400, r#"{"error":"sessionId is required"}"#, true),
            (404, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no"}}"#, true),
            (400, r#"{"jsonrpc":"2.0","id":"0","error":{"code":-32600,"message":"no"}}"#, true),
            // Another transport's answer to this very request.
            (400, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no"}}"#, false),
            (404, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}"#, false),
            // A modern server's errors, whomever they address.
            (400, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32022,"message":"no"}}"#, false),
            (400, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"no"}}"#, false),
            (400, r#"{"jsonrpc":"2.0","error":{"code":-32021,"message":"no"}}"#, false),
            // Other statuses.
            (403, "", false),
            (406, "", false),
            (410, "", false),
            (500, "", false),
        ] {
            let rejection = || Rejection {
                status: StatusCode::from_u16(status).unwrap(),
                body: Some(Bytes::from_static(body.as_bytes())).filter(|body| body.starts_with(b"{")),
                retry_after: None,
                reason: None,
            };
            assert_eq!(may_mean_sse(&Reply::Rejected(rejection()), id), expected, "{status} {body}");
            assert_eq!(may_mean_sse(&Reply::SessionGone(rejection()), id), expected, "{status} {body}");
        }
        assert!(!may_mean_sse(&Reply::Accepted, id));
    }
}
