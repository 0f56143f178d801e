//! What one request carries to prove that it may (RFC 6750 §2.1).
//!
//! It is applied to the request instead of being handed out as text, so that a scheme with a proof
//! per request fits later. It knows its token's digest, by which a refusal finds its token again.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::challenge::Challenge;
use crate::redact::{ExposeSecret, Known, Secret};

/// SHA-256 of an access token's value: tells tokens apart without holding one.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &Secret) -> Self {
        Self(Sha256::digest(token.expose_secret().as_bytes()).into())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenDigest(..)")
    }
}

/// What a request carries: a bearer token, or nothing where no login is stored and none was asked
/// for. Clones are cheap.
#[derive(Clone)]
pub struct Authorization(Option<Bearer>);

#[derive(Clone)]
struct Bearer {
    header: HeaderValue,
    digest: TokenDigest,
    /// It answers a refusal: if it is refused as well, renewing did not help.
    answers_refusal: bool,
}

impl Authorization {
    /// Nothing: the request goes out bare.
    pub(super) fn bare() -> Self {
        Self(None)
    }

    /// `Authorization: Bearer` with `token`, or `None` where the token cannot stand in a header.
    pub(super) fn bearer(token: &Secret) -> Option<Self> {
        let value = Zeroizing::new(format!("Bearer {}", token.expose_secret()).into_bytes());
        // All clones share these bytes, which the last one wipes.
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
        header.set_sensitive(true);
        let digest = TokenDigest::of(token);
        Some(Self(Some(Bearer { header, digest, answers_refusal: false })))
    }

    /// Sets the request's `Authorization` header; a bare authorization leaves `headers` alone.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Some(bearer) = &self.0 {
            headers.insert(header::AUTHORIZATION, bearer.header.clone());
        }
    }

    /// The headers of a request that has no others.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.apply(&mut headers);
        headers
    }

    /// The secret in it, which a careless server may repeat.
    fn known(&self) -> Known {
        let token = self.0.as_ref().and_then(|bearer| bearer.header.to_str().ok()?.strip_prefix("Bearer "));
        Known::new(token.map(Secret::from).as_ref())
    }

    /// The challenge to a request that carried this, without the token: what a challenge names is
    /// logged and shown.
    pub(super) fn hide_in(&self, challenge: &Challenge) -> Challenge {
        let known = self.known();
        let hide = |text: &Option<String>| text.as_deref().map(|text| known.hide(text));
        Challenge {
            raw: hide(&challenge.raw),
            error: hide(&challenge.error),
            scope: hide(&challenge.scope),
            resource_metadata: hide(&challenge.resource_metadata),
        }
    }

    /// Whether the request carries nothing.
    pub fn is_bare(&self) -> bool {
        self.0.is_none()
    }

    /// The same, marked as the answer to a refusal.
    pub(super) fn answering_refusal(mut self) -> Self {
        if let Some(bearer) = &mut self.0 {
            bearer.answers_refusal = true;
        }
        self
    }

    /// Whether it was handed out because another one had been refused.
    pub(super) fn answers_refusal(&self) -> bool {
        self.0.as_ref().is_some_and(|bearer| bearer.answers_refusal)
    }

    /// What its token is known by; `None` for a bare one.
    pub(super) fn digest(&self) -> Option<TokenDigest> {
        self.0.as_ref().map(|bearer| bearer.digest)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_bare() { "Authorization(bare)" } else { "Authorization(Bearer ..)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_applied_and_never_shown() {
        let authorization = Authorization::bearer(&Secret::from("canary-1".to_owned())).unwrap();
        let mut headers = HeaderMap::new();
        authorization.apply(&mut headers);
        assert_eq!(headers[header::AUTHORIZATION], "Bearer canary-1");
        assert!(headers[header::AUTHORIZATION].is_sensitive());
        assert!(!format!("{authorization:?} {headers:?}").contains("canary"));
        Authorization::bare().apply(&mut headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_token_with_a_line_break_cannot_stand_in_a_header() {
        assert!(Authorization::bearer(&Secret::from("a\r\nX-Evil: 1".to_owned())).is_none());
    }
}
