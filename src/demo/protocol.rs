//! What the demo's authorization server is asked and answers, in the terms of the standards:
//! registration (RFC 7591), authorization (RFC 6749 §4.1, RFC 7636, RFC 8707) and tokens
//! (RFC 6749 §5). What holds codes, verifiers or tokens has no `Debug`.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

/// A client's registration (RFC 7591 §2), as far as this server reads it.
#[derive(Deserialize)]
pub(super) struct Registration {
    #[serde(default)]
    pub(super) redirect_uris: Vec<String>,
    pub(super) client_name: Option<String>,
    pub(super) token_endpoint_auth_method: Option<String>,
}

/// Why a registration is refused (RFC 7591 §3.2.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RegistrationError {
    /// No redirect URI, or one that is not `http` on loopback.
    RedirectUri,
    /// An authentication method other than `none`.
    AuthenticationMethod,
    /// The system has no entropy to give.
    Entropy,
}

/// The parameters of an authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2).
#[derive(Deserialize)]
pub(super) struct AuthorizationParameters {
    pub(super) client_id: Option<String>,
    pub(super) redirect_uri: Option<String>,
    pub(super) response_type: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) code_challenge_method: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) state: Option<String>,
}

/// Why an authorization request gets no consent page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthorizationError {
    /// Client or redirect URI are not known, so that nobody may be told but the person.
    Untrusted(&'static str),
    /// The client is told through this redirect.
    Redirect(Url),
}

/// What the person is asked.
pub(super) struct Question {
    /// Names the request, good once and not to be guessed.
    pub(super) ticket: String,
    /// The client's own name for itself.
    pub(super) client_name: String,
    /// Where the browser is sent afterwards.
    pub(super) redirect_uri: Url,
}

/// The form of a token request (RFC 6749 §4.1.3 and §6).
#[derive(Deserialize)]
pub(super) struct TokenForm {
    pub(super) grant_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) code: Option<String>,
    pub(super) code_verifier: Option<String>,
    pub(super) redirect_uri: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) resource: Option<String>,
}

/// Why a token request is refused; the codes of RFC 6749 §5.2 and RFC 8707 §2.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    InvalidTarget,
    UnsupportedGrantType,
    /// The system has no entropy to give.
    Entropy,
}

/// A successful token response.
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    pub(super) expires_in: Duration,
}

impl TokenError {
    /// The error code that the client reads, and a description where there is more to say.
    pub(super) fn code(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::InvalidRequest(description) => ("invalid_request", Some(description)),
            Self::InvalidClient => ("invalid_client", None),
            Self::InvalidGrant(description) => ("invalid_grant", Some(description)),
            Self::InvalidTarget => ("invalid_target", Some("resource is not this MCP endpoint")),
            Self::UnsupportedGrantType => ("unsupported_grant_type", None),
            Self::Entropy => ("server_error", None),
        }
    }
}
