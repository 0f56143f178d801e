//! How a body is written: content codings (RFC 9110 §8.4), of which none is offered and none is decoded, and
//! the mark that a text may start with.
//!
//! Who offers nothing says that anything is welcome (RFC 9110 §12.5.3), so every request asks for
//! `identity`. A server may answer with another coding all the same; whoever reads the answer asks
//! [`content_coding`] first.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

/// `Accept-Encoding` of every request.
pub(super) const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The coding that `Content-Encoding` names, where it is any but identity: a registered one that is common, or
/// an unknown one. What else a server may write there, what it was sent among it, is not repeated.
pub fn content_coding(headers: &HeaderMap) -> Option<&'static str> {
    let named = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("?").trim();
    const KNOWN: [&str; 6] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress"];
    let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(named));
    let is_one = !named.is_empty() && !named.eq_ignore_ascii_case("identity");
    is_one.then(|| known.unwrap_or("an unknown coding"))
}

/// The kind of content that `Content-Type` names, for the log: what else a server may write there is not
/// repeated.
pub(super) fn kind(headers: &HeaderMap) -> &'static str {
    let Some(named) = headers.get(CONTENT_TYPE) else { return "none named" };
    let essence = named.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    const KNOWN: [&str; 4] = ["application/json", "text/event-stream", "text/html", "text/plain"];
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(essence)).unwrap_or("another")
}

/// A JSON text without the byte order mark that some servers start it with, which is not allowed and may be
/// ignored (RFC 8259 §8.1).
pub fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_is_left_out() {
        for (text, unmarked_text) in [
            ("\u{feff}{}", "{}"),
            ("{}", "{}"),
            (" \u{feff}", " \u{feff}"),
            ("\u{feff}\u{feff}", "\u{feff}"),
            ("", ""),
        ] {
            assert_eq!(unmarked(text.as_bytes()), unmarked_text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn only_known_kinds_of_content_are_named() {
        for (value, shown) in [
            (None, "none named"),
            (Some("Application/JSON; charset=utf-8"), "application/json"),
            (Some("text/event-stream"), "text/event-stream"),
            (Some("sk-secret"), "another"),
            (Some(""), "another"),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))));
            assert_eq!(kind(&headers), shown, "{value:?}");
        }
    }

    #[test]
    fn every_coding_but_identity_is_one() {
        for (value, coding) in [
            (None, None),
            (Some(""), None),
            (Some("Identity"), None),
            (Some(" GZip "), Some("gzip")),
            (Some("br, gzip"), Some("an unknown coding")),
            (Some("sk-secret"), Some("an unknown coding")),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))));
            assert_eq!(content_coding(&headers), coding, "{value:?}");
        }
    }
}
