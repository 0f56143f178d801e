//! What a token endpoint issued (RFC 6749 §5.1), read leniently.

use jiff::Timestamp;

use crate::redact::Secret;

/// What a token endpoint issued, with absolute times by this machine's clock.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, where one came; `None` in a refresh means: keep the old one.
    pub refresh_token: Option<Secret>,
    /// When the access token expires; `None` where the server did not say, or said nonsense.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token ends, where the server said so.
    pub refresh_token_expires_at: Option<Timestamp>,
    /// The scopes granted; `None` means: those that were asked for (RFC 6749 §5.1).
    pub scopes: Option<Vec<String>>,
}
