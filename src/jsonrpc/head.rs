//! The routing head: the few members of a frame that are read.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Id, InvalidMessage};

/// `_meta` member that names the protocol version of a request (2026-07-28, basic).
const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What a message is, as far as routing needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Expects an answer.
    Request {
        /// Its id.
        id: Id,
        /// Its method.
        method: String,
        /// What is read of its parameters.
        parameters: Parameters,
    },
    /// Expects none.
    Notification {
        /// Its method.
        method: String,
        /// What is read of its parameters.
        parameters: Parameters,
    },
    /// Answers a request.
    Response {
        /// The request's id; null where the other side could not read one.
        id: Id,
        /// Whether it carries a result (and not an error).
        successful: bool,
        /// `result.protocolVersion`, which the answer to `initialize` carries.
        protocol_version: Option<String>,
    },
}

/// The members of `params` that routing reads; each is `None` where absent or of another type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `params.name`: the tool or prompt.
    pub name: Option<String>,
    /// `params.uri`: the resource.
    pub uri: Option<String>,
    /// `params.taskId`: the task (tasks extension of 2026-07-28).
    pub task_id: Option<String>,
    /// The protocol version in `params._meta`.
    pub protocol_version: Option<String>,
    /// `params.requestId`: the request that a cancellation names.
    pub request_id: Option<Id>,
}

impl Head {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidMessage> {
        let not_json = |error: serde_json::Error| InvalidMessage::NotJson(error.to_string());
        if !text.trim_ascii_start().starts_with('{') {
            serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
            return Err(InvalidMessage::NotJsonRpc { id: None, reason: "not an object" });
        }
        let [jsonrpc, id, method, params, result, error] =
            members(text, ["jsonrpc", "id", "method", "params", "result", "error"]).map_err(not_json)?;
        let id_of_answer = id.only().and_then(Id::read);
        for (member, name) in [
            (&jsonrpc, "jsonrpc"),
            (&id, "id"),
            (&method, "method"),
            (&params, "params"),
            (&result, "result"),
            (&error, "error"),
        ] {
            if matches!(member, Member::Repeated) {
                let is_answer = matches!(method, Member::Absent);
                return Err(InvalidMessage::Repeated { id: id_of_answer, is_answer, member: name });
            }
        }
        // Only a request's id is owed an answer under that id.
        let owed = if method.only().is_some() { id_of_answer.clone() } else { None };
        let invalid = |reason| InvalidMessage::NotJsonRpc { id: owed.clone(), reason };
        if jsonrpc.only().and_then(|value| decode_string(value.get())).as_deref() != Some(b"2.0") {
            return Err(invalid("`jsonrpc` is not \"2.0\""));
        }
        if id.only().is_some() && id_of_answer.is_none() {
            return Err(invalid("`id` is neither a string nor a number"));
        }
        match (method.only(), result.only(), error.only()) {
            (Some(method), None, None) => {
                let method =
                    decode_string(method.get()).ok_or_else(|| invalid("`method` is not a string"))?;
                let method = String::from_utf8_lossy(&method).into_owned();
                let parameters = match params.only() {
                    Some(params) => Parameters::parse(params.get(), owed.as_ref())?,
                    None => Parameters::default(),
                };
                Ok(match id_of_answer {
                    Some(id) => Self::Request { id, method, parameters },
                    None => Self::Notification { method, parameters },
                })
            }
            (None, result, error) if result.is_some() != error.is_some() => {
                let id = id_of_answer.ok_or_else(|| invalid("an answer without `id`"))?;
                let protocol_version = match result {
                    Some(result) => member_text(result.get(), "protocolVersion")
                        .map_err(|member| repeated_in_answer(&id, member))?,
                    None => None,
                };
                Ok(Self::Response { id, successful: result.is_some(), protocol_version })
            }
            _ => Err(invalid("it takes either `method`, or one of `result` and `error`")),
        }
    }

    /// The request's id, where this is a request.
    pub fn request_id(&self) -> Option<&Id> {
        match self {
            Self::Request { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Request { method, .. } | Self::Notification { method, .. } => Some(method),
            Self::Response { .. } => None,
        }
    }
}

impl Parameters {
    fn parse(params: &str, id: Option<&Id>) -> Result<Self, InvalidMessage> {
        if !params.starts_with('{') {
            return Ok(Self::default());
        }
        let not_json = |error: serde_json::Error| InvalidMessage::NotJson(error.to_string());
        let names = ["name", "uri", "taskId", "_meta", "requestId"];
        let found = members(params, names).map_err(not_json)?;
        if let Some(at) = found.iter().position(|member| matches!(member, Member::Repeated)) {
            let member =
                ["params.name", "params.uri", "params.taskId", "params._meta", "params.requestId"][at];
            return Err(InvalidMessage::Repeated { id: id.cloned(), is_answer: false, member });
        }
        let [name, uri, task_id, meta, request_id] = found;
        let text = |member: &Member<'_>| {
            let decoded = decode_string(member.only()?.get())?;
            Some(String::from_utf8_lossy(&decoded).into_owned())
        };
        let protocol_version = match meta.only() {
            Some(meta) => member_text(meta.get(), META_PROTOCOL_VERSION).map_err(|_| {
                InvalidMessage::Repeated { id: id.cloned(), is_answer: false, member: META_PROTOCOL_VERSION }
            })?,
            None => None,
        };
        Ok(Self {
            name: text(&name),
            uri: text(&uri),
            task_id: text(&task_id),
            protocol_version,
            request_id: request_id.only().and_then(Id::read),
        })
    }
}

fn repeated_in_answer(id: &Id, member: &'static str) -> InvalidMessage {
    InvalidMessage::Repeated { id: Some(id.clone()), is_answer: true, member }
}

/// The text of one member of an object; `None` where `object` is none, or the member is absent or
/// no string. The error is the name of a member that repeats.
fn member_text(object: &str, name: &'static str) -> Result<Option<String>, &'static str> {
    if !object.starts_with('{') {
        return Ok(None);
    }
    // The object was read once already, as a part of the frame.
    let Ok([member]) = members(object, [name]) else { return Ok(None) };
    match member {
        Member::Repeated => Err(name),
        member => Ok(member
            .only()
            .and_then(|value| decode_string(value.get()))
            .map(|text| String::from_utf8_lossy(&text).into_owned())),
    }
}

/// What an object holds under one name.
#[derive(Clone, Copy)]
enum Member<'a> {
    Absent,
    Once(&'a RawValue),
    Repeated,
}

impl<'a> Member<'a> {
    fn only(&self) -> Option<&'a RawValue> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}

/// Finds the named members of an object, keys compared decoded; all others are skipped unread.
fn members<'a, const N: usize>(
    object: &'a str,
    names: [&'static str; N],
) -> Result<[Member<'a>; N], serde_json::Error> {
    struct Members<const N: usize>([&'static str; N]);

    impl<'de, const N: usize> Visitor<'de> for Members<N> {
        type Value = [Member<'de>; N];

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = [Member::Absent; N];
            while let Some(Decoded(key)) = map.next_key()? {
                match self.0.iter().position(|name| name.as_bytes() == key) {
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                    Some(at) => {
                        let value = map.next_value()?;
                        found[at] = match found[at] {
                            Member::Absent => Member::Once(value),
                            _ => Member::Repeated,
                        };
                    }
                }
            }
            Ok(found)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(object);
    let found = deserializer.deserialize_map(Members(names))?;
    deserializer.end()?;
    Ok(found)
}

/// The decoded bytes of a JSON string's text; `None` where it is no string.
pub(super) fn decode_string(text: &str) -> Option<Vec<u8>> {
    serde_json::from_str(text).ok().map(|Unescaped(bytes)| bytes)
}

/// A JSON string as bytes: lone surrogates, which a `String` cannot hold, stay apart.
pub(super) struct Decoded(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Read as bytes, a string could hold the control characters that JSON has none of (RFC 8259 §7).
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let plain = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match plain.filter(|plain| memchr::memchr(b'\\', plain.as_bytes()).is_none()) {
            Some(plain) => Ok(Self(plain.as_bytes().to_vec())),
            None => decode_string(raw).map(Self).ok_or_else(|| de::Error::custom("a name is no string")),
        }
    }
}

/// The same of a text that is known to be JSON.
struct Unescaped(Vec<u8>);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Unescaped;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unescaped, E> {
                Ok(Unescaped(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Unescaped, E> {
                Ok(Unescaped(text.as_bytes().to_vec()))
            }
        }

        deserializer.deserialize_bytes(BytesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text).unwrap()
    }

    #[test]
    fn the_kind_follows_from_the_members() {
        assert!(matches!(head(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#), Head::Request { .. }));
        assert!(matches!(
            head(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#),
            Head::Request { id: Id::Null, .. }
        ));
        assert!(matches!(head(r#"{"jsonrpc":"2.0","method":"m","params":[1]}"#), Head::Notification { .. }));
        assert!(matches!(
            head(r#"{"jsonrpc":"2.0","id":1,"result":null}"#),
            Head::Response { successful: true, .. }
        ));
        assert!(matches!(
            head(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#),
            Head::Response { successful: false, .. }
        ));
    }

    #[test]
    fn parameters_are_read_where_routing_needs_them() {
        let Head::Request { method, parameters, .. } = head(
            r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"n\u0061me":"ech\u006f","uri":5,"arguments":{"name":1,"name":2},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","x":1e999}}}"#,
        ) else {
            panic!("a request");
        };
        assert_eq!(method, "tools/call");
        assert_eq!(parameters.name.as_deref(), Some("echo"));
        assert_eq!(parameters.uri, None);
        assert_eq!(parameters.protocol_version.as_deref(), Some("2026-07-28"));
    }

    #[test]
    fn a_cancellation_names_its_request() {
        let head = head(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7.0}}"#);
        let Head::Notification { parameters, .. } = head else { panic!("a notification") };
        assert_eq!(parameters.request_id.unwrap().as_json(), "7.0");
    }

    #[test]
    fn the_negotiated_version_is_read() {
        let Head::Response { protocol_version, .. } =
            head(r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}"#)
        else {
            panic!("a response");
        };
        assert_eq!(protocol_version.as_deref(), Some("2025-06-18"));
    }
}
