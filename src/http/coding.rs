//! Content codings (RFC 9110 §8.4): none is offered, and none is decoded.
//!
//! Who offers nothing says that anything is welcome (RFC 9110 §12.5.3), so every request asks for
//! `identity`. A server may answer with another coding all the same; whoever reads the answer asks
//! [`content_coding`] first.

use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

/// `Accept-Encoding` of every request.
pub(super) const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// `Content-Encoding`, safe to print, where it is any but identity.
pub fn content_coding(headers: &HeaderMap) -> Option<String> {
    let coding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unreadable").trim().to_ascii_lowercase();
    (!matches!(coding.as_str(), "" | "identity")).then(|| crate::redact::printable(&coding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_but_identity_is_one() {
        for (value, coding) in [
            (None, None),
            (Some(""), None),
            (Some("Identity"), None),
            (Some(" GZip "), Some("gzip")),
            (Some("br, gzip"), Some("br, gzip")),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))));
            assert_eq!(content_coding(&headers).as_deref(), coding, "{value:?}");
        }
    }
}
