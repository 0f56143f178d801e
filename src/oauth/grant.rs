//! Grants at the token endpoint (RFC 6749 §4.1.3 and §6): the code's exchange and the refresh.
//!
//! Both go out through the `oauth2` crate, over the one HTTP client, with the resource indicator
//! of the login (RFC 8707 §2.2) and the client authentication that the login settled on. Answers
//! are normalised before they are parsed. No redirect is followed, for the request carries secrets.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    StandardRevocableToken, TokenUrl,
};
use zeroize::Zeroize;

use super::token_response::{Parsed, normalise};
use super::{Code, Exchange, Pending, TokenResponse};
use crate::clock;
use crate::credential::{Binding, Client, ClientAuthentication};
use crate::http::{self, AddressPolicy, HttpError};
use crate::redact::{ExposeSecret, Known, Secret, with_causes};

/// How long one request to a token endpoint may take. A slower answer may have spent the refresh
/// token for nothing, so the limit is generous.
const TIME_LIMIT: Duration = Duration::from_secs(120);

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
    /// The server answered that it has issued tokens, and they cannot be had from its answer. The grant is
    /// kept, and may be spent.
    #[error("the authorization server's answer cannot be used: {reason}")]
    Unusable {
        /// What is wrong, safe to print.
        reason: String,
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
    http: &http::Client,
    pending: Pending,
    code: Code,
) -> Result<TokenResponse, GrantError> {
    let client = grantee(&pending.binding, &pending.client);
    let redirect_uri = RedirectUrl::new(pending.client.redirect_uri.clone())
        .map_err(|_| GrantError::Malformed { reason: "the redirect URI is no URL".to_owned() })?;
    let mut request = client
        .exchange_code(AuthorizationCode::new(code.0.expose_secret().to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.expose_secret().to_owned()))
        .set_redirect_uri(Cow::Owned(redirect_uri));
    if let Some(resource) = &pending.binding.resource {
        request = request.add_extra_param("resource", resource);
    }
    let sent = Known::new([&code.0, &pending.verifier].into_iter().chain(&pending.client.secret));
    let endpoint = TokenEndpoint { exchange: Exchange::over(http, &pending.policy), sent };
    request.request_async(&endpoint).await.map(TokenResponse::from).map_err(verdict)
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
    http: &http::Client,
    binding: &Binding,
    client: &Client,
    refresh_token: &Secret,
) -> Result<TokenResponse, GrantError> {
    refresh_by(Exchange::over(http, &AddressPolicy::bound()), binding, client, refresh_token).await
}

/// The same, with the request carried by `exchange`.
///
/// # Errors
/// As [`refresh`].
///
/// # Cancel safety
/// As [`refresh`].
pub async fn refresh_by(
    exchange: Exchange,
    binding: &Binding,
    client: &Client,
    refresh_token: &Secret,
) -> Result<TokenResponse, GrantError> {
    let sent = Known::new([refresh_token].into_iter().chain(&client.secret));
    let client = grantee(binding, client);
    let refresh_token = RefreshToken::new(refresh_token.expose_secret().to_owned());
    let mut request = client.exchange_refresh_token(&refresh_token);
    if let Some(resource) = &binding.resource {
        request = request.add_extra_param("resource", resource);
    }
    let endpoint = TokenEndpoint { exchange, sent };
    let answer = request.request_async(&endpoint).await.map(TokenResponse::from);
    answer.map_err(|failure| of_refresh(verdict(failure)))
}

pub(super) type Grantee = oauth2::Client<
    BasicErrorResponse,
    Parsed,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The client as the `oauth2` crate knows it: without a secret where it authenticates as a public
/// client, whatever the registration returned.
pub(super) fn grantee(binding: &Binding, client: &Client) -> Grantee {
    let id = ClientId::new(client.id.clone());
    let mut grantee =
        oauth2::Client::new(id).set_token_uri(TokenUrl::from_url(binding.token_endpoint.clone()));
    let method = match client.authentication {
        ClientAuthentication::None => return grantee,
        ClientAuthentication::Basic => AuthType::BasicAuth,
        ClientAuthentication::Post => AuthType::RequestBody,
    };
    if let Some(secret) = &client.secret {
        grantee = grantee.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
    }
    grantee.set_auth_type(method)
}

/// An exchange in the terms of the `oauth2` crate.
struct TokenEndpoint {
    exchange: Exchange,
    /// What the request holds, and the answer may repeat.
    sent: Known,
}

impl<'c> AsyncHttpClient<'c> for TokenEndpoint {
    type Error = GrantError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, GrantError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut answer = self.exchange.send(request, TIME_LIMIT).await.map_err(lost)?;
            let normalised = normalise(&answer, &self.sent, clock::now());
            answer.body_mut().zeroize();
            normalised
        })
    }
}

/// What a failed exchange says about the grant.
pub(super) fn lost(error: HttpError) -> GrantError {
    let cause = with_causes(&error);
    match error {
        HttpError::NotSent { .. }
        | HttpError::Untrusted { .. }
        | HttpError::Address { .. }
        | HttpError::NoRoots(_)
        | HttpError::Setup(_) => GrantError::NotSent { cause },
        HttpError::Broken { .. } | HttpError::Timeout { .. } | HttpError::TooLarge { .. } => {
            GrantError::Transient { cause }
        }
    }
}

type Failure = RequestTokenError<GrantError, BasicErrorResponse>;

fn verdict(failure: Failure) -> GrantError {
    match failure {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(answer) => {
            refused(answer.error().as_ref(), answer.error_description().cloned())
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            GrantError::Unusable { reason: "it is no token response".to_owned() }
        }
    }
}

/// A refresh that is answered with `access_denied` leaves the grant in doubt: the code belongs to the
/// authorization endpoint (RFC 6749 §4.1.2.1), and gateways refuse with it as well.
fn of_refresh(error: GrantError) -> GrantError {
    match error {
        GrantError::Refused { error, description } if error.eq_ignore_ascii_case("access_denied") => {
            GrantError::Malformed { reason: format!("it answered `{error}`{}", described(&description)) }
        }
        error => error,
    }
}

/// Sorts an error code (RFC 6749 §5.2, RFC 8707 §2, and what some servers send in their stead).
/// Only a code that is known to be final is taken as final.
pub(super) fn refused(error: &str, description: Option<String>) -> GrantError {
    let code = error.to_ascii_lowercase();
    let error = error.to_owned();
    match code.as_str() {
        "invalid_client" | "unauthorized_client" => GrantError::ClientRefused { error, description },
        "invalid_grant"
        | "invalid_scope"
        | "invalid_target"
        | "access_denied"
        | "expired_token"
        | "invalid_refresh_token"
        | "bad_refresh_token"
        | "bad_verification_code"
        | "token_revoked"
        | "token_expired" => GrantError::Refused { error, description },
        "slow_down" | "rate_limited" | "ratelimited" | "rate_limit_exceeded" | "too_many_requests" => {
            GrantError::RateLimited { retry_after: None }
        }
        "server_error"
        | "temporarily_unavailable"
        | "service_unavailable"
        | "internal_error"
        | "internal_server_error"
        | "timeout" => {
            GrantError::Transient { cause: format!("it answered `{error}`{}", described(&description)) }
        }
        _ => GrantError::Malformed { reason: format!("it answered `{error}`{}", described(&description)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_codes_are_final() {
        let refused = |code: &str| refused(code, Some("why".to_owned()));
        for code in ["invalid_grant", "INVALID_GRANT", "bad_refresh_token"] {
            assert!(matches!(refused(code), GrantError::Refused { .. }), "{code}");
        }
        for code in ["invalid_client", "unauthorized_client"] {
            assert!(matches!(refused(code), GrantError::ClientRefused { .. }), "{code}");
        }
        for code in ["server_error", "temporarily_unavailable"] {
            assert!(matches!(refused(code), GrantError::Transient { .. }), "{code}");
        }
        assert!(matches!(refused("slow_down"), GrantError::RateLimited { .. }));
        for code in ["invalid_request", "unsupported_grant_type", "something_else"] {
            assert!(matches!(refused(code), GrantError::Malformed { .. }), "{code}");
        }
        assert_eq!(
            refused("invalid_grant").to_string(),
            "the authorization server refused the grant (invalid_grant: why)"
        );
    }

    #[test]
    fn a_denied_access_ends_a_login_under_way_and_no_kept_one() {
        let denied = refused("access_denied", None);
        assert!(matches!(denied, GrantError::Refused { .. }));
        assert!(matches!(of_refresh(denied), GrantError::Malformed { .. }));
        let dead = refused("invalid_grant", None);
        assert_eq!(of_refresh(dead.clone()), dead);
    }
}
