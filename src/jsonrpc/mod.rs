//! The JSON-RPC 2.0 envelope: frames as bytes, their routing head, and error responses of our own.
//!
//! A frame that passes through is never rewritten: only its head is read, so that numbers, key
//! order, escapes and unknown members reach the other side as they were written. Between two sides
//! of different revisions [`edit`] changes the members that it is told to, and none else. A frame
//! that could be read in two ways (a repeated member that the head reads) is refused, for two
//! readings of one frame are how filters are bypassed. JSON-RPC 2.0 §4–§5; MCP basic "Messages".

pub mod cursor;
pub mod edit;
mod head;
mod id;
pub mod parts;
mod response;

use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub use head::{Head, Parameters};
pub use id::Id;
pub use response::{ErrorResponse, code, result_response};

/// The most messages that a batch may hold.
pub const BATCH_LIMIT: usize = 1000;

/// One JSON-RPC message: its bytes, free of newlines, and its routing head.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    head: Head,
}

/// Why a text is no message that can be routed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// It is not UTF-8 or not JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but no JSON-RPC 2.0 request, notification or response.
    #[error("not a JSON-RPC 2.0 message: {reason}")]
    NotJsonRpc {
        /// The id of the request that it was meant to be, where one could be read.
        id: Option<Id>,
        /// What is wrong.
        reason: &'static str,
    },
    /// A member that routing depends on stands there twice.
    #[error("the member `{member}` is repeated")]
    Repeated {
        /// The id of the request, or of the request that it answers, unless it is the id that
        /// repeats.
        id: Option<Id>,
        /// Whether it is an answer, which is owed none itself.
        is_answer: bool,
        /// The repeated member.
        member: &'static str,
    },
}

impl Message {
    /// Reads one frame. Raw CR and LF between tokens become spaces: lossless, for valid JSON has
    /// none inside strings (RFC 8259 §7).
    ///
    /// # Errors
    /// [`InvalidMessage`], which [`InvalidMessage::to_response`] turns into an answer.
    pub fn parse(frame: Bytes) -> Result<Self, InvalidMessage> {
        let text = text_of(&frame)?;
        let head = Head::parse(text)?;
        Ok(Self { bytes: on_one_line(frame), head })
    }

    /// Splits a batch (2025-03-26 only) into its elements, at most [`BATCH_LIMIT`] of them;
    /// `None` where the frame is no array.
    ///
    /// # Errors
    /// [`InvalidMessage`] where it starts like an array and is none, is empty, or too long.
    pub fn split_batch(frame: &Bytes) -> Result<Option<Vec<Bytes>>, InvalidMessage> {
        let text = text_of(frame)?;
        if !text.trim_ascii_start().starts_with('[') {
            return Ok(None);
        }
        let Batch(elements) = serde_json::from_str(text).map_err(|error| match error.is_data() {
            true => InvalidMessage::NotJsonRpc { id: None, reason: "a batch of too many messages" },
            false => InvalidMessage::NotJson(error.to_string()),
        })?;
        if elements.is_empty() {
            return Err(InvalidMessage::NotJsonRpc { id: None, reason: "an empty batch" });
        }
        let frames = elements.iter().map(|element| frame.slice_ref(element.get().as_bytes()));
        Ok(Some(frames.collect()))
    }

    /// The routing head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The frame, without a newline anywhere.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same as text, without the white space around the object.
    pub fn text(&self) -> &str {
        // It was UTF-8 when it was read.
        std::str::from_utf8(&self.bytes).unwrap_or_default().trim_ascii()
    }

    /// The frame, without a newline anywhere.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl InvalidMessage {
    /// Whether it is an ambiguous answer to the request with this id.
    pub fn answers(&self, request: &Id) -> bool {
        matches!(self, Self::Repeated { id: Some(id), is_answer: true, .. } if id == request)
    }

    /// The answer that JSON-RPC 2.0 §5.1 asks for: −32700 or −32600, with the id where it could
    /// be read and null elsewhere.
    pub fn to_response(&self) -> ErrorResponse {
        let (id, code) = match self {
            Self::NotJson(_) => (None, code::PARSE_ERROR),
            Self::Repeated { is_answer: true, .. } => (None, code::INVALID_REQUEST),
            Self::NotJsonRpc { id, .. } | Self::Repeated { id, .. } => (id.clone(), code::INVALID_REQUEST),
        };
        ErrorResponse::new(id.unwrap_or(Id::Null), code, self.to_string())
    }
}

fn text_of(frame: &Bytes) -> Result<&str, InvalidMessage> {
    std::str::from_utf8(frame).map_err(|error| InvalidMessage::NotJson(error.to_string()))
}

/// The elements of a batch. It ends at the limit while it is read, for each element costs far more
/// memory than the two bytes that it may consist of.
struct Batch<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Batch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Batch<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "an array of at most {BATCH_LIMIT} messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = sequence.next_element()? {
                    if elements.len() == BATCH_LIMIT {
                        return Err(de::Error::invalid_length(BATCH_LIMIT + 1, &self));
                    }
                    elements.push(element);
                }
                Ok(Batch(elements))
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

fn on_one_line(frame: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &frame).is_none() {
        return frame;
    }
    let mut line = Vec::from(frame);
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, InvalidMessage> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn frames_keep_their_bytes() {
        for frame in [
            r#"{"jsonrpc":"2.0","id":12345678901234567890,"method":"x","params":{"n":1e400,"a":1,"a":2}}"#,
            r#"{ "method" : "x", "jsonrpc" : "2.0" , "extra": [1.0, -0, "\ud800"] }"#,
            r#"{"jsonrpc":"2.0","id":"\ud83d","result":{"deep":[[[[]]]]}}"#,
        ] {
            assert_eq!(parse(frame).unwrap().bytes(), frame.as_bytes());
        }
    }

    #[test]
    fn newlines_between_tokens_become_spaces() {
        let message = parse("{\n\"jsonrpc\":\"2.0\",\r\n\"method\":\"a\\nb\"}").unwrap();
        assert_eq!(&message.bytes()[..], b"{ \"jsonrpc\":\"2.0\",  \"method\":\"a\\nb\"}");
    }

    #[test]
    fn the_text_is_the_object_alone_and_the_frame_stays() {
        let message = parse("\r\n {\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n").unwrap();
        assert_eq!(message.text(), r#"{"jsonrpc":"2.0","method":"a"}"#);
        assert_eq!(&message.bytes()[..], b"   {\"jsonrpc\":\"2.0\",\"method\":\"a\"} ");
    }

    #[test]
    fn deep_nesting_is_no_trouble() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":{}{}}}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(parse(&deep).is_ok());
    }

    #[test]
    fn what_is_no_message_is_answered_as_the_standard_says() {
        for (frame, id, code) in [
            ("nonsense", "null", -32700),
            ("{\"jsonrpc\":\"2.0\"", "null", -32700),
            ("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":1} trailing", "null", -32700),
            ("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":1,\"a\nb\":2}", "null", -32700),
            ("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":1,\"params\":{\"a\u{1}\":2}}", "null", -32700),
            ("[]", "null", -32600),
            ("17", "null", -32600),
            ("{}", "null", -32600),
            (r#"{"jsonrpc":"1.0","id":4,"method":"x"}"#, "4", -32600),
            (r#"{"id":"a","method":"x"}"#, "\"a\"", -32600),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#, "null", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "1", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, "null", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","method":"y"}"#, "1", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","\u006dethod":"y"}"#, "1", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, "null", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","name":"b"}}"#, "1", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{},"_meta":{}}}"#, "1", -32600),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#, "null", -32600),
        ] {
            let response = parse(frame).expect_err(frame).to_response().into_bytes();
            let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},");
            assert!(response.starts_with(expected.as_bytes()), "{frame} gave {response:?}");
        }
    }

    #[test]
    fn batches_are_split_at_their_elements() {
        let batch = Bytes::from_static(b"[ {\"a\":1e400} , 2 ]");
        let elements = Message::split_batch(&batch).unwrap().unwrap();
        assert_eq!(elements, ["{\"a\":1e400}", "2"]);
        assert_eq!(Message::split_batch(&Bytes::from_static(b"{}")), Ok(None));
        assert!(Message::split_batch(&Bytes::from_static(b"[1,")).is_err());
        let long = format!("[{}1]", "1,".repeat(BATCH_LIMIT));
        let too_long = Message::split_batch(&Bytes::from(long));
        assert!(matches!(too_long, Err(InvalidMessage::NotJsonRpc { id: None, .. })), "{too_long:?}");
    }
}
