//! Responses of our own.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Id;

/// The frame of a success response of our own. The id stands in it as the request wrote it.
pub fn result_response(id: &Id, result: &Value) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.as_json()).into()
}

/// Error codes that this program answers with, or decides by.
pub mod code {
    use serde_json::value::RawValue;

    use crate::jsonrpc::parts;

    /// The line is not JSON (JSON-RPC 2.0 §5.1).
    pub const PARSE_ERROR: i64 = -32700;
    /// The frame is no JSON-RPC message, or an ambiguous one.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist on this side.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// A parameter is wrong.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server, or the way to it, failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The headers do not fit the body (2026-07-28, "Error Codes").
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The host lacks a capability that the request needs (2026-07-28).
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The server does not speak the request's version (2026-07-28).
    pub const UNSUPPORTED_VERSION: i64 = -32022;

    /// The code of an error response; `None` where the frame is none.
    pub fn of(frame: &[u8]) -> Option<i64> {
        let frame: &RawValue = serde_json::from_slice(frame).ok()?;
        parts::member(parts::member(frame, "error")?, "code")?.get().parse().ok()
    }

    /// Whether only servers of 2026-07-28 and later answer with it.
    pub fn is_modern(code: i64) -> bool {
        matches!(code, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
    }
}

/// A JSON-RPC error response, in the making. Its texts never hold a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorResponse {
    id: Id,
    code: i64,
    message: String,
    data: Option<Value>,
}

impl ErrorResponse {
    /// An error for the request with this id.
    pub fn new(id: Id, code: i64, message: impl Into<String>) -> Self {
        Self { id, code, message: message.into(), data: None }
    }

    /// Adds `error.data`.
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The frame. The id stands in it as the request wrote it.
    pub fn into_bytes(self) -> Bytes {
        let mut error = json!({"code": self.code, "message": self.message});
        if let (Some(data), Some(members)) = (self.data, error.as_object_mut()) {
            members.insert("data".to_owned(), data);
        }
        format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, self.id.as_json()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_keeps_its_spelling() {
        let id = Id::Number { written: "1.0".into(), value: "1e0".into() };
        let frame =
            ErrorResponse::new(id, code::INTERNAL_ERROR, "no").with_data(json!({"a": 1})).into_bytes();
        assert_eq!(
            frame,
            r#"{"jsonrpc":"2.0","id":1.0,"error":{"code":-32603,"data":{"a":1},"message":"no"}}"#
        );
    }
}
