//! What the authorization server of a login publishes about itself by now.
//!
//! It is asked of the issuer that the login is bound to, and of no other (RFC 8414 §3, OpenID Connect
//! Discovery §4). No secret goes along. The login stays bound as it is: a token endpoint that has moved is
//! only ever told.

use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};
use oauth2::HttpRequest;
use serde::Deserialize;
use url::Url;

use super::discovery::endpoint;
use super::grant::{GrantError, lost};
use crate::credential::Binding;
use crate::http::{AddressPolicy, Client, unmarked};

/// How long one document may take; a person waits, who logs out.
const TIME_LIMIT: Duration = Duration::from_secs(6);
/// How long looking for a token endpoint may take in all: a request waits for it.
const RELOCATION_LIMIT: Duration = Duration::from_secs(3);

/// What became of metadata that a login was made by.
const ANOTHER: &str = "its metadata is no longer that of the login's authorization server";

/// The issuer's metadata, as far as they concern a login that is made.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
}

/// Where the issuer says that its token endpoint is, where that is another place than the bound one.
///
/// # Cancel safety
/// It only reads.
pub async fn moved_token_endpoint(http: &Client, binding: &Binding) -> Option<Url> {
    let metadata = tokio::time::timeout(RELOCATION_LIMIT, published(http, binding)).await.ok()?.ok()??;
    let found = endpoint("token endpoint", &metadata.token_endpoint, &AddressPolicy::bound()).ok()?;
    (found != binding.token_endpoint).then_some(found)
}

/// The revocation endpoint that the issuer publishes; `None` where it publishes none. `policy` judges one
/// elsewhere than at the issuer or the token endpoint.
///
/// # Errors
/// [`GrantError`], where the metadata cannot be had, or is no longer that of the login.
///
/// # Cancel safety
/// It only reads.
pub async fn revocation_endpoint(
    http: &Client,
    binding: &Binding,
    policy: &AddressPolicy,
) -> Result<Option<Url>, GrantError> {
    let Some(metadata) = published(http, binding).await? else { return Ok(None) };
    if Url::parse(&metadata.token_endpoint).ok().as_ref() != Some(&binding.token_endpoint) {
        return Err(unusable(ANOTHER));
    }
    let Some(found) = metadata.revocation_endpoint else { return Ok(None) };
    let is_own = Url::parse(&found).is_ok_and(|url| is_own(&url, binding));
    let policy = if is_own { &AddressPolicy::bound() } else { policy };
    let found = endpoint("revocation endpoint", &found, policy);
    found.map(Some).map_err(|error| unusable(&error.to_string()))
}

/// Whether an endpoint is of an origin that the login came from, and that was judged then.
pub(super) fn is_own(endpoint: &Url, binding: &Binding) -> bool {
    let issuer = binding.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
    let own = issuer.iter().chain([&binding.token_endpoint]);
    own.into_iter().any(|own| own.origin() == endpoint.origin())
}

/// The metadata; `None` where the login is bound to no issuer, or the issuer publishes none. A place that
/// fails keeps none of the others from being asked.
async fn published(http: &Client, binding: &Binding) -> Result<Option<Metadata>, GrantError> {
    let Some(issuer) = &binding.issuer else { return Ok(None) };
    let base = Url::parse(issuer).map_err(|_| unusable("its issuer is no URL"))?;
    let mut failure = None;
    for place in places(&base) {
        match ask(http, &place).await {
            Ok(Some(metadata)) if metadata.issuer == *issuer => return Ok(Some(metadata)),
            Ok(Some(_)) => failure = failure.or_else(|| Some(unusable(ANOTHER))),
            Ok(None) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(None), Err)
}

async fn ask(http: &Client, place: &str) -> Result<Option<Metadata>, GrantError> {
    let mut request = HttpRequest::new(Vec::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = place.parse().map_err(|_| unusable("its issuer is no URL"))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = http.exchange(request, &AddressPolicy::bound(), TIME_LIMIT).await.map_err(lost)?;
    if answer.status().is_server_error() {
        let cause = format!("it answered with HTTP status {}", answer.status().as_u16());
        return Err(GrantError::Transient { cause });
    }
    let is_there = answer.status() == StatusCode::OK;
    Ok(is_there.then(|| serde_json::from_slice(unmarked(answer.body())).ok()).flatten())
}

fn unusable(reason: &str) -> GrantError {
    GrantError::Malformed { reason: reason.to_owned() }
}

/// Where an issuer publishes its metadata (RFC 8414 §3.1 and §5, OpenID Connect Discovery §4.1).
fn places(issuer: &Url) -> Vec<String> {
    let (origin, path) = (issuer.origin().ascii_serialization(), issuer.path().trim_end_matches('/'));
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_lies_where_the_standards_say() {
        let plain = [
            "https://as.example/.well-known/oauth-authorization-server",
            "https://as.example/.well-known/openid-configuration",
        ];
        let tenant = [
            "https://as.example/.well-known/oauth-authorization-server/one",
            "https://as.example/.well-known/openid-configuration/one",
            "https://as.example/one/.well-known/openid-configuration",
        ];
        for (issuer, expected) in [
            ("https://as.example", &plain[..]),
            ("https://as.example/", &plain),
            ("https://as.example/one", &tenant),
            ("https://as.example/one/", &tenant),
        ] {
            assert_eq!(places(&Url::parse(issuer).unwrap()), expected, "{issuer}");
        }
    }
}
