//! The headers by which intermediaries route a message without reading it (2026-07-28, Streamable
//! HTTP, "Request Metadata"): derived from the frame, which stays as it is.
//!
//! A value that no header can carry travels as `=?base64?…?=` ("Value Encoding"), so that nothing
//! of a message can end a header and begin another. A method or a version that no header can carry
//! is left out: there is no encoding for those, and the server says what it misses.
//!
//! A call in which a parameter with a header stands twice is refused. Names "SHOULD be unique", and what
//! becomes of others nobody knows (RFC 8259 §4): most servers take the last, some the first, and whoever
//! routes by the header has to have read the same as the server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::annotations::Annotation;
use crate::jsonrpc::edit::{self, Repeated};
use crate::jsonrpc::{Head, Message, Parameters, parts};
use crate::wire::{METHOD, NAME, PARAMETER_PREFIX, PROTOCOL_VERSION, header_value};
use serde_json::value::RawValue;

/// What marks a value in base64.
const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// The headers of a request or notification: version, method and, where the method has one, name.
/// `version` stands in where the frame names none.
pub(super) fn routing(head: &Head, version: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let (Head::Request { method, parameters, .. } | Head::Notification { method, parameters }) = head else {
        return headers;
    };
    let version = parameters.protocol_version.as_deref().or(version);
    if let Some(version) = version.and_then(header_value) {
        headers.insert(PROTOCOL_VERSION, version);
    }
    if let Some(method) = header_value(method) {
        headers.insert(METHOD, method);
    }
    if let Some(name) = name(method, parameters) {
        headers.insert(NAME, encode(name));
    }
    headers
}

/// What `Mcp-Name` repeats. The tasks extension routes by the task, as rmcp's server demands.
fn name<'a>(method: &str, parameters: &'a Parameters) -> Option<&'a str> {
    let source = match method {
        "tools/call" | "prompts/get" => &parameters.name,
        "resources/read" => &parameters.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => &parameters.task_id,
        _ => &None,
    };
    source.as_deref()
}

/// Adds `Mcp-Param-*` for the annotated parameters of a tool that the call gives a value to.
///
/// # Errors
/// [`Repeated`] where one of them stands there twice.
pub(super) fn add_parameters(
    headers: &mut HeaderMap,
    call: &Message,
    annotations: &[Annotation],
) -> Result<(), Repeated> {
    let arguments = edit::member_at(call.text(), &["params", "arguments"])?;
    for annotation in annotations {
        let name = HeaderName::try_from(format!("{PARAMETER_PREFIX}{}", annotation.header));
        let mut at = arguments;
        for step in &annotation.path {
            at = at.map_or(Ok(None), |object| argument(object, step))?;
        }
        let value = at.and_then(|value| as_text(serde_json::from_str(value).ok()?));
        if let (Ok(name), Some(value)) = (name, value) {
            headers.insert(name, encode(&value));
        }
    }
    Ok(())
}

/// The JSON text of a parameter, or of a part of one.
fn argument<'a>(object: &'a str, name: &str) -> Result<Option<&'a str>, Repeated> {
    let (mut found, mut is_repeated) = (None, false);
    edit::each_member(object, |member, value| {
        if edit::decoded(member).as_deref() == Some(name.as_bytes()) {
            is_repeated |= found.replace(value).is_some();
        }
    });
    if is_repeated { Err(Repeated("params.arguments")) } else { Ok(found) }
}

/// A primitive as the text that stands for it ("Type conversion"); `None` for null, which has no
/// header, and for objects and arrays.
fn as_text(value: &RawValue) -> Option<String> {
    let written = value.get();
    match written.as_bytes().first()? {
        b'"' => parts::text(value),
        b't' | b'f' => Some(written.to_owned()),
        b'-' | b'0'..=b'9' => Some(decimal(written)),
        _ => None,
    }
}

/// An integer in decimal digits, however it was written and however long it is; a fraction, which
/// no annotated parameter takes, as it was written, for the server to refuse.
fn decimal(written: &str) -> String {
    /// No parameter has more digits than this, unless it wants to fill the header.
    const DIGITS_MOST: usize = 400;
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let shift = exponent.parse::<usize>().ok().filter(|shift| (fraction.len()..DIGITS_MOST).contains(shift));
    let Some(shift) = shift else { return written.to_owned() };
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(whole) => ("-", whole),
        None => ("", whole),
    };
    let digits = format!("{whole}{fraction}{}", "0".repeat(shift - fraction.len()));
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}"),
    }
}

/// A text as a header's value.
fn encode(text: &str) -> HeaderValue {
    let (before, after) = SENTINEL;
    // Inner tabs may stand in a header, but not every server takes them; and an empty value is
    // dropped by some intermediaries.
    let is_trimmed = text == text.trim_matches(' ') && !text.is_empty();
    let is_marked = text.starts_with(before) && text.ends_with(after);
    let is_plain = is_trimmed && !is_marked && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let encoded = match is_plain {
        true => HeaderValue::from_str(text),
        false => HeaderValue::try_from(format!("{before}{}{after}", STANDARD.encode(text))),
    };
    // Both alphabets are visible ASCII.
    encoded.unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_message_is_routed_by_version_method_and_name() {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        for (method, params, name) in [
            ("tools/call", r#""name":"get_weather","uri":"no""#, Some("get_weather")),
            ("prompts/get", r#""name":"caf\u00e9""#, Some("=?base64?Y2Fmw6k=?=")),
            ("resources/read", r#""uri":"file:///a b?c","name":"no""#, Some("file:///a b?c")),
            ("tasks/cancel", r#""taskId":"786512e2-9e0d""#, Some("786512e2-9e0d")),
            ("tools/list", r#""name":"no""#, None),
            ("tools/call", r#""name":7"#, None),
        ] {
            let frame =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params},{meta}}}}}"#);
            let mut expected =
                vec!["mcp-protocol-version: 2026-07-28".to_owned(), format!("mcp-method: {method}")];
            expected.extend(name.map(|name| format!("mcp-name: {name}")));
            assert_eq!(shown(&routing(message(&frame).head(), None)), expected, "{frame}");
        }
    }

    #[test]
    fn what_no_header_can_carry_is_left_out_and_a_version_may_stand_in() {
        for end in ["\\r\\n", "\\n", "\\u0085", "\\u2028", "é"] {
            let frame = format!(
                r#"{{"jsonrpc":"2.0","method":"a{end}X: y","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"1{end}2"}}}}}}"#
            );
            assert!(routing(message(&frame).head(), Some("2026-07-28")).is_empty(), "{frame}");
        }
        let frame = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
        assert_eq!(
            shown(&routing(message(frame).head(), Some("2026-07-28"))),
            ["mcp-protocol-version: 2026-07-28", "mcp-method: notifications/x"]
        );
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        assert!(routing(message(answer).head(), Some("2026-07-28")).is_empty());
    }

    #[test]
    fn values_are_encoded_where_a_header_cannot_carry_them() {
        for (text, value) in [
            ("us-west1", "us-west1"),
            ("us west 1", "us west 1"),
            ("~!\"#$%&'()*+,/:;<=>?@[\\]^`{|}", "~!\"#$%&'()*+,/:;<=>?@[\\]^`{|}"),
            ("=?base64?open", "=?base64?open"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("a\r\nX-Evil: 1", "=?base64?YQ0KWC1FdmlsOiAx?="),
            ("a\tb", "=?base64?YQli?="),
            ("\u{7f}", "=?base64?fw==?="),
            ("", "=?base64??="),
        ] {
            assert_eq!(encode(text), value, "{text:?}");
        }
    }

    #[test]
    fn parameters_are_taken_from_the_arguments() {
        let annotated = |header: &str, path: &[&str]| Annotation {
            header: header.to_owned(),
            path: path.iter().map(|&step| step.to_owned()).collect(),
        };
        let annotations = [
            annotated("Region", &["region"]),
            annotated("Deep", &["where", "in"]),
            annotated("Flag", &["flag"]),
        ];
        for (arguments, expected) in [
            (r#"{"region":"us-west1"}"#, vec!["mcp-param-region: us-west1"]),
            (
                r#"{"r\u0065gion":42,"where":{"in":-7,"x":1},"flag":true}"#,
                vec!["mcp-param-region: 42", "mcp-param-deep: -7", "mcp-param-flag: true"],
            ),
            (r#"{"region":null,"where":null,"flag":false}"#, vec!["mcp-param-flag: false"]),
            (r#"{"region":{},"where":{"in":[1]},"flag":""}"#, vec!["mcp-param-flag: =?base64??="]),
            (r#"{"other":1,"other":2,"where":{"x":1,"x":2}}"#, vec![]),
            ("[1]", vec![]),
            ("null", vec![]),
        ] {
            let frame = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
            );
            let mut headers = HeaderMap::new();
            add_parameters(&mut headers, &message(&frame), &annotations).unwrap();
            assert_eq!(shown(&headers), expected, "{arguments}");
        }
        let mut headers = HeaderMap::new();
        let bare = message(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#);
        assert_eq!(add_parameters(&mut headers, &bare, &annotations), Ok(()));
        assert!(headers.is_empty());
        for twice in [
            r#"{"region":1,"region":1}"#,
            r#"{"region":1,"r\u0065gion":2}"#,
            r#"{"where":{"in":1},"where":{}}"#,
            r#"{"where":{"in":1,"in":2}}"#,
        ] {
            let call = message(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{twice}}}}}"#
            ));
            let found = add_parameters(&mut headers, &call, &annotations);
            assert_eq!(found, Err(Repeated("params.arguments")), "{twice}");
        }
    }

    #[test]
    fn integers_are_written_in_decimal_digits() {
        for (written, text) in [
            ("42", "42"),
            ("-7", "-7"),
            ("-0", "0"),
            ("0", "0"),
            ("42.0", "42"),
            ("1e2", "100"),
            ("1.5E+1", "15"),
            ("-12.50e2", "-1250"),
            ("9007199254740993", "9007199254740993"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.5", "1.5"),
            ("15e-1", "15e-1"),
            ("1e400", "1e400"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(decimal(written), text);
        }
    }
}
