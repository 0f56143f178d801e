//! Grants at the token endpoint (RFC 6749 §4.1.3 and §6): the code's exchange and the refresh.

use std::time::Duration;

use super::{Code, Pending, TokenResponse};
use crate::credential::{Binding, Client};
use crate::http;
use crate::redact::Secret;

/// Why a grant brought no token. The variants tell what became of the refresh token or code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The authorization server refused the grant itself (`invalid_grant` and its like): it is
    /// dead, unless somebody else has newer credentials.
    #[error("the authorization server refused the grant ({error}{})", described(description))]
    Refused {
        /// The error code of RFC 6749 §5.2.
        error: String,
        /// The server's own words, safe to print.
        description: Option<String>,
    },
    /// The authorization server refused the client (`invalid_client`, `unauthorized_client`); the
    /// grant may well be alive.
    #[error("the authorization server refused the OAuth client ({error}{})", described(description))]
    ClientRefused {
        /// The error code of RFC 6749 §5.2.
        error: String,
        /// The server's own words, safe to print.
        description: Option<String>,
    },
    /// The authorization server asks to wait.
    #[error("the authorization server asks to wait")]
    RateLimited {
        /// For how long, where it said so; between one second and one hour.
        retry_after: Option<Duration>,
    },
    /// No verdict, and the server may have acted: a timeout, a failure of its own, an answer that
    /// is not its own (a captive portal). The grant is kept.
    #[error("the authorization server gave no verdict: {cause}")]
    Transient {
        /// What happened, safe to print.
        cause: String,
    },
    /// The request never reached the server: it may be sent again.
    #[error("the request did not reach the authorization server: {cause}")]
    NotSent {
        /// What happened, safe to print.
        cause: String,
    },
    /// The server answered with something that is neither a token nor a known refusal. The grant
    /// is kept.
    #[error("the authorization server's answer cannot be used: {reason}")]
    Malformed {
        /// What is wrong, safe to print.
        reason: String,
    },
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

/// Exchanges the code of a login for tokens.
///
/// # Errors
/// [`GrantError`]; a code is good for one attempt, so every error ends the login.
///
/// # Cancel safety
/// Dropping the future closes the connection; the code may be spent.
pub async fn exchange(
    _http: &http::Client,
    _pending: Pending,
    _code: Code,
) -> Result<TokenResponse, GrantError> {
    todo!()
}

/// Refreshes a grant. No scope is sent: the server then grants what the login was granted
/// (RFC 6749 §6).
///
/// # Errors
/// [`GrantError`], whose variants tell whether the refresh token may be sent again.
///
/// # Cancel safety
/// None: the refresh token may be spent when the future is dropped. Whoever calls it journals
/// first, and does not drop it.
pub async fn refresh(
    _http: &http::Client,
    _binding: &Binding,
    _client: &Client,
    _refresh_token: &Secret,
) -> Result<TokenResponse, GrantError> {
    todo!()
}
