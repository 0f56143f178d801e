//! Giving a login back: token revocation (RFC 7009).
//!
//! The client authenticates as at the token endpoint. A token that the server does not know counts
//! as revoked (§2.2), also where it says so with an error of its own. Requests go to the endpoint that
//! the login bound, or to one that the bound issuer itself publishes by now; no redirect is followed,
//! for they carry secrets.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode, Uri};

use oauth2::{
    AccessToken, AsyncHttpClient, HttpRequest, HttpResponse, RefreshToken, RequestTokenError,
    RevocationErrorResponseType, RevocationUrl, StandardRevocableToken,
};
use serde_json::Value;
use url::Url;

use super::discovery::endpoint;
use super::grant::{GrantError, grantee, lost, refused};
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

/// Revokes one token of a login at `endpoint`. A token that the server does not know is as good as
/// revoked.
///
/// # Errors
/// [`RevocationError`].
///
/// # Cancel safety
/// Dropping the future closes the connection; the token may be revoked.
pub async fn revoke(
    http: &client::Client,
    endpoint: &Url,
    binding: &Binding,
    client: &Client,
    token: Revocable<'_>,
) -> Result<(), RevocationError> {
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
    let transport = Endpoint { http, address, sent };
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
    /// What the request holds, and the answer may repeat.
    sent: Known,
}

impl<'c> AsyncHttpClient<'c> for Endpoint<'_> {
    type Error = GrantError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, GrantError>> + Send + 'c>>;

    fn call(&'c self, mut request: HttpRequest) -> Self::Future {
        *request.uri_mut() = self.address.clone();
        Box::pin(async move {
            let exchanged = self.http.exchange(request, &AddressPolicy::bound(), TIME_LIMIT).await;
            let answer = exchanged.map_err(lost)?;
            if answer.status().is_success() {
                // The status says it all (RFC 7009 §2.2).
                return Ok(HttpResponse::new(Vec::new()));
            }
            normalise(&answer, &self.sent, clock::now())
        })
    }
}

/// Asks the issuer of a login for its revocation endpoint, where the login bound none; `None` where
/// it publishes none. `policy` judges an endpoint elsewhere than the login's own.
///
/// # Errors
/// [`GrantError`], where its metadata cannot be had, or is no longer that of the login.
///
/// # Cancel safety
/// It only reads.
pub async fn find_endpoint(
    http: &client::Client,
    binding: &Binding,
    policy: &AddressPolicy,
) -> Result<Option<Url>, GrantError> {
    let Some(issuer) = &binding.issuer else { return Ok(None) };
    let unusable = |reason: &str| GrantError::Malformed { reason: reason.to_owned() };
    let base = Url::parse(issuer).map_err(|_| unusable("its issuer is no URL"))?;
    for address in metadata_addresses(&base) {
        let mut request = HttpRequest::new(Vec::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = address.parse().map_err(|_| unusable("its issuer is no URL"))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = http.exchange(request, &AddressPolicy::bound(), TIME_LIMIT).await.map_err(lost)?;
        if answer.status().is_server_error() {
            let cause = format!("it answered with HTTP status {}", answer.status().as_u16());
            return Err(GrantError::Transient { cause });
        }
        let metadata: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let Some(metadata) = metadata.filter(|_| answer.status() == StatusCode::OK) else { continue };
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        let token_endpoint = text("token_endpoint").and_then(|text| Url::parse(text).ok());
        if text("issuer") != Some(issuer) || token_endpoint.as_ref() != Some(&binding.token_endpoint) {
            return Err(unusable("its metadata is no longer that of the login's authorization server"));
        }
        let Some(found) = text("revocation_endpoint") else { return Ok(None) };
        let is_own = Url::parse(found)
            .is_ok_and(|url| [&base, &binding.token_endpoint].iter().any(|own| own.origin() == url.origin()));
        let policy = if is_own { &AddressPolicy::bound() } else { policy };
        return endpoint("revocation endpoint", found, policy)
            .map(Some)
            .map_err(|error| unusable(&error.to_string()));
    }
    Ok(None)
}

/// Where an issuer publishes its metadata (RFC 8414 §3.1 and §5, OpenID Connect Discovery §4.1).
fn metadata_addresses(issuer: &Url) -> Vec<String> {
    let (origin, path) = (issuer.origin().ascii_serialization(), issuer.path().trim_end_matches('/'));
    let mut addresses = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        addresses.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    addresses
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

    #[test]
    fn metadata_lies_where_the_standards_say() {
        let addresses = |issuer: &str| metadata_addresses(&Url::parse(issuer).unwrap());
        let plain = [
            "https://as.example/.well-known/oauth-authorization-server",
            "https://as.example/.well-known/openid-configuration",
        ];
        assert_eq!(addresses("https://as.example"), plain);
        assert_eq!(addresses("https://as.example/"), plain);
        assert_eq!(
            addresses("https://as.example/one"),
            [
                "https://as.example/.well-known/oauth-authorization-server/one",
                "https://as.example/.well-known/openid-configuration/one",
                "https://as.example/one/.well-known/openid-configuration",
            ]
        );
    }
}
