//! `WWW-Authenticate`: what is read stands in the header, other challenges do not change it, and what
//! was quoted properly comes back to the letter.

use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use mcp_front::challenge::Challenge;
use mcp_front::redact::printable;

use super::assert_printable;

/// Below this, in bytes, no header meets a bound of the reader's.
const SMALL: usize = 24;

/// Each line is one header.
pub fn check(data: &[u8]) {
    let headers: Vec<_> =
        data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let challenge = read(&headers);
    check_shape(&challenge, &headers);
    let stored = serde_json::to_vec(&challenge).expect("it can be stored");
    assert_eq!(serde_json::from_slice::<Challenge>(&stored).expect("it was stored"), challenge);
    if let [header] = &headers[..] {
        check_alone(&challenge, header);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        check_quoted(text);
    }
}

fn read(headers: &[HeaderValue]) -> Challenge {
    let mut map = HeaderMap::new();
    for header in headers {
        map.append(WWW_AUTHENTICATE, header.clone());
    }
    Challenge::from_headers(&map)
}

fn check_shape(challenge: &Challenge, headers: &[HeaderValue]) {
    let Challenge { raw, error, scope, resource_metadata } = challenge;
    let parts = [error, scope, resource_metadata];
    let Some(raw) = raw else {
        assert!(parts.iter().all(|part| part.is_none()), "parts of no challenge: {challenge:?}");
        return;
    };
    assert!(raw.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")), "{raw:?}");
    let mut texts = headers.iter().map(|header| String::from_utf8_lossy(header.as_bytes()));
    assert!(texts.any(|text| text.contains(raw.as_str())), "{raw:?} was never sent");
    let plain = raw.replace('\\', "");
    for part in parts.into_iter().flatten() {
        assert!(
            raw.contains(part.as_str()) || plain.contains(&part.replace('\\', "")),
            "{part:?} of {raw:?}"
        );
    }
    for text in [Some(raw), error.as_ref(), scope.as_ref()].into_iter().flatten() {
        assert_printable(&printable(text));
    }
}

/// A challenge of another scheme before it or behind it changes nothing.
fn check_alone(challenge: &Challenge, header: &HeaderValue) {
    if header.len() > SMALL {
        return;
    }
    let basic = HeaderValue::from_static(r#"Basic realm="Bearer scope=\"no\", x""#);
    let joined = [basic.as_bytes(), b", ", header.as_bytes()].concat();
    let joined = HeaderValue::from_bytes(&joined).expect("both are header values");
    for headers in [vec![basic.clone(), header.clone()], vec![header.clone(), basic], vec![joined]] {
        assert_eq!(read(&headers), *challenge, "{headers:?}");
    }
}

/// Values that are quoted as RFC 9110 §5.6.4 has it.
fn check_quoted(text: &str) {
    let [scope, error, metadata] = super::parts(text);
    if text.len() > 4096 || text.contains(|character: char| character.is_control() && character != '\n') {
        return;
    }
    let clean = |text: &str| text.replace('\n', " ");
    let quoted = |text: &str| format!("\"{}\"", clean(text).replace('\\', "\\\\").replace('"', "\\\""));
    let header = format!(
        "Negotiate YWJj==, Bearer realm=\"x, y\", scope={}, ERROR = {},resource_metadata={}, Basic scope=no",
        quoted(scope),
        quoted(error),
        quoted(metadata)
    );
    let Ok(header) = HeaderValue::from_bytes(header.as_bytes()) else { return };
    let challenge = read(&[header]);
    for (read, written) in
        [(challenge.scope, scope), (challenge.error, error), (challenge.resource_metadata, metadata)]
    {
        assert_eq!(read, Some(clean(written)));
    }
}
