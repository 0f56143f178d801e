//! Whether an authorization server has moved its token endpoint since a login was bound to it.
//!
//! Asked where the bound endpoint gives no verdict. The issuer's own metadata is read again (RFC 8414
//! §3, OpenID Connect Discovery §4), from the issuer that the login is bound to and from no other; no
//! secret goes along, and nothing is used of the answer but where the endpoint is by now. The login
//! stays bound: a new endpoint is only ever told.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::credential::Binding;
use crate::http::{AddressPolicy, Client};
use crate::server_uri::is_loopback;

/// How long it may take in all: a request waits for it.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Where the bound issuer says that its token endpoint is, where that is another place than the bound one.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn moved_token_endpoint(http: &Client, binding: &Binding) -> Option<Url> {
    let issuer = binding.issuer.as_deref()?;
    let places = well_known(&Url::parse(issuer).ok()?);
    let look = async {
        for place in places {
            if let Some(endpoint) = ask(http, &place, issuer).await {
                return Some(endpoint);
            }
        }
        None
    };
    let found = tokio::time::timeout(TIME_LIMIT, look).await.ok()??;
    (found != binding.token_endpoint).then_some(found)
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    token_endpoint: Url,
}

async fn ask(http: &Client, place: &Url, issuer: &str) -> Option<Url> {
    let request = ::http::Request::get(place.as_str()).body(Vec::new()).ok()?;
    let answer = http.exchange(request, &AddressPolicy::bound(), TIME_LIMIT).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let metadata: Metadata = serde_json::from_slice(answer.body()).ok()?;
    let endpoint = metadata.token_endpoint;
    let is_safe = endpoint.scheme() == "https" || is_loopback(&endpoint);
    (metadata.issuer == issuer && is_safe).then_some(endpoint)
}

/// Where an issuer publishes its metadata: RFC 8414 §3.1, and the two places of OpenID Connect.
fn well_known(issuer: &Url) -> Vec<Url> {
    if issuer.scheme() != "https" && !is_loopback(issuer) {
        return Vec::new();
    }
    let path = issuer.path().trim_end_matches('/');
    let paths = [
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    let mut places: Vec<Url> = Vec::new();
    for path in paths {
        let mut place = issuer.clone();
        place.set_path(&path);
        place.set_query(None);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_at_the_issuer() {
        let places = |issuer: &str| -> Vec<String> {
            well_known(&Url::parse(issuer).unwrap()).into_iter().map(String::from).collect()
        };
        assert_eq!(
            places("https://as.example/tenant"),
            [
                "https://as.example/.well-known/oauth-authorization-server/tenant",
                "https://as.example/.well-known/openid-configuration/tenant",
                "https://as.example/tenant/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://as.example"),
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ]
        );
        assert!(places("http://as.example/").is_empty());
    }
}
