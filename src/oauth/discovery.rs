//! Discovery.

use url::Url;

use super::OauthError;
use crate::challenge::Challenge;
use crate::http::{AddressPolicy, Client};
use crate::server_uri::ServerUri;

/// Authorization endpoints that are known beforehand, used only where discovery finds none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The authorization endpoint.
    pub authorization_endpoint: Url,
    /// The token endpoint.
    pub token_endpoint: Url,
}

/// How the endpoints were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Published authorization server metadata.
    Metadata,
    /// [`Pinned`] endpoints.
    Pinned,
    /// The default endpoints of a 2025-03-26 server that publishes nothing.
    Defaults,
}

/// What a login needs to know about a service.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// How the endpoints were found.
    pub source: Source,
    /// The issuer, exactly as published; `None` where nothing is published.
    pub issuer: Option<String>,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// Where clients register themselves.
    pub registration_endpoint: Option<Url>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// The resource indicator to send.
    pub resource: String,
    /// The scopes to ask for: the challenge's, else the protected resource's, else none.
    pub scopes: Vec<String>,
    /// `token_endpoint_auth_methods_supported`, where published.
    pub authentication_methods: Option<Vec<String>>,
    /// Whether every authorization response names its issuer (RFC 9207 §3).
    pub requires_issuer: bool,
    /// Whether a client ID metadata document is accepted as client id.
    pub supports_metadata_document: bool,
    /// Which addresses the metadata may have named.
    pub policy: AddressPolicy,
}

/// Discovers a service's authorization server.
///
/// # Errors
/// [`OauthError`], all but the registration's variants.
pub async fn discover(
    _http: &Client,
    _server: &ServerUri,
    _challenge: &Challenge,
    _pinned: Option<&Pinned>,
) -> Result<Discovery, OauthError> {
    todo!()
}
