//! Giving a login back: token revocation (RFC 7009).
//!
//! The client authenticates as at the token endpoint. A token that the server does not know counts
//! as revoked (§2.2), also where it says so with an error of its own. Requests go to the endpoint that
//! the login bound, or to one that the bound issuer itself publishes by now; no redirect is followed,
//! for they carry secrets.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::Uri;
use oauth2::{
    AccessToken, AsyncHttpClient, HttpRequest, HttpResponse, RefreshToken, RequestTokenError,
    RevocationErrorResponseType, RevocationUrl, StandardRevocableToken,
};
use url::Url;

use super::grant::{GrantError, grantee, lost, refused};
use super::issuer::is_own;
use super::token_response::normalise;
use crate::clock;
use crate::credential::{Binding, Client};
use crate::http::{self as client, AddressPolicy};
use crate::redact::{ExposeSecret, Known, Secret};

/// How long one request may take; a person waits, and the login is deleted here in any case.
const TIME_LIMIT: Duration = Duration::from_secs(6);

/// What of a login is revoked; the server is told which, to find it sooner (RFC 7009 §2.1).
#[derive(Debug, Clone, Copy)]
pub enum Revocable<'a> {
    /// The refresh token, and with it the grant (RFC 7009 §2.1).
    RefreshToken(&'a Secret),
    /// An access token.
    AccessToken(&'a Secret),
}

/// Why a token was not revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// The server revokes no tokens of this kind (`unsupported_token_type`).
    #[error("the authorization server does not revoke tokens of this kind")]
    Unsupported,
    /// It did not come about; the error tells whether asking again may help.
    #[error(transparent)]
    Failed(#[from] GrantError),
}

/// Where a login is revoked.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The revocation endpoint.
    pub endpoint: &'a Url,
    /// Judges an endpoint elsewhere than the login's own: nobody has connected to it before.
    pub policy: &'a AddressPolicy,
}

/// Revokes one token of a login. A token that the server does not know is as good as revoked.
///
/// # Errors
/// [`RevocationError`].
///
/// # Cancel safety
/// Dropping the future closes the connection; the token may be revoked.
pub async fn revoke(
    http: &client::Client,
    place: Place<'_>,
    binding: &Binding,
    client: &Client,
    token: Revocable<'_>,
) -> Result<(), RevocationError> {
    let Place { endpoint, policy } = place;
    let malformed = |reason: &str| GrantError::Malformed { reason: reason.to_owned() };
    let (secret, token) = match token {
        Revocable::RefreshToken(secret) => {
            (secret, StandardRevocableToken::from(RefreshToken::new(secret.expose_secret().to_owned())))
        }
        Revocable::AccessToken(secret) => {
            (secret, StandardRevocableToken::from(AccessToken::new(secret.expose_secret().to_owned())))
        }
    };
    // The crate takes https alone. Loopback needs none, and the address policy sees to the rest.
    let mut secure = endpoint.clone();
    let _ = secure.set_scheme("https");
    let sent = Known::new([secret].into_iter().chain(&client.secret));
    let address = endpoint.as_str().parse().map_err(|_| malformed("the revocation endpoint is no URL"))?;
    let policy = if is_own(endpoint, binding) { &AddressPolicy::bound() } else { policy };
    let transport = Endpoint { http, address, policy, sent };
    let client = grantee(binding, client).set_revocation_url(RevocationUrl::from_url(secure));
    let request =
        client.revoke_token(token).map_err(|_| malformed("the revocation endpoint is not https"))?;
    match request.request_async(&transport).await {
        Ok(()) => Ok(()),
        Err(RequestTokenError::Request(error)) => Err(error.into()),
        Err(RequestTokenError::ServerResponse(answer)) => match answer.error() {
            RevocationErrorResponseType::UnsupportedTokenType => Err(RevocationError::Unsupported),
            error => judge(error.as_ref(), answer.error_description().cloned()),
        },
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
            Err(malformed("it is no answer of a revocation endpoint").into())
        }
    }
}

/// Some servers refuse what they do not know, which RFC 7009 §2.2 has them confirm.
fn judge(code: &str, description: Option<String>) -> Result<(), RevocationError> {
    match code.to_ascii_lowercase().as_str() {
        "invalid_token" | "invalid_grant" | "token_revoked" | "token_expired" | "expired_token" => Ok(()),
        _ => Err(refused(code, description).into()),
    }
}

/// The HTTP client in the terms of the `oauth2` crate, which asks this one address whatever it is given.
struct Endpoint<'a> {
    http: &'a client::Client,
    address: Uri,
    policy: &'a AddressPolicy,
    /// What the request holds, and the answer may repeat.
    sent: Known,
}

impl<'c> AsyncHttpClient<'c> for Endpoint<'_> {
    type Error = GrantError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, GrantError>> + Send + 'c>>;

    fn call(&'c self, mut request: HttpRequest) -> Self::Future {
        *request.uri_mut() = self.address.clone();
        Box::pin(async move {
            let exchanged = self.http.exchange(request, self.policy, TIME_LIMIT).await;
            let answer = exchanged.map_err(lost)?;
            if answer.status().is_success() {
                // The status says it all (RFC 7009 §2.2).
                return Ok(HttpResponse::new(Vec::new()));
            }
            normalise(&answer, &self.sent, clock::now())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_does_not_know_counts_as_revoked() {
        for code in ["invalid_token", "invalid_grant", "INVALID_TOKEN", "token_expired"] {
            assert_eq!(judge(code, None), Ok(()), "{code}");
        }
        for code in ["invalid_client", "invalid_request", "server_error", "something_else"] {
            assert!(judge(code, None).is_err(), "{code}");
        }
    }
}
