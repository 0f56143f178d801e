//! Does over HTTP what a person does in a browser: opens the consent page, presses "Allow" and lets
//! the browser go where it is sent. It visits the demo's own server and loopback, nothing else.

use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode};
use url::Url;

use super::consent;
use crate::http::{AddressPolicy, Client};
use crate::server_uri::is_loopback;

/// How long one page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(10);

/// A person with a browser.
pub(super) struct Person<'a> {
    /// The browser.
    pub(super) http: &'a Client,
    /// The only authorization server that is trusted with an answer.
    pub(super) issuer: &'a str,
}

impl Person<'_> {
    /// Opens the consent page at `authorization_url`, allows, and follows the redirect to the
    /// client, whose own page ends it.
    ///
    /// # Errors
    /// A sentence that says what was seen instead; it holds no code.
    pub(super) async fn allow(&self, authorization_url: Url) -> Result<(), String> {
        if authorization_url.origin().ascii_serialization() != self.issuer {
            return Err("the authorization URL is not the demo's own".to_owned());
        }
        let page = self.visit(Method::GET, &authorization_url, String::new()).await?;
        if page.status() != StatusCode::OK {
            return Err(format!("the consent page answered {}", page.status()));
        }
        let html = String::from_utf8_lossy(page.body());
        let ticket = consent::ticket(&html).ok_or("the consent page asks nothing")?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("ticket", ticket)
            .append_pair("decision", "allow")
            .finish();
        let action = authorization_url.join("/consent").map_err(|error| error.to_string())?;
        let answer = self.visit(Method::POST, &action, form).await?;
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location
            .filter(|_| answer.status() == StatusCode::SEE_OTHER)
            .and_then(|text| Url::parse(text).ok())
            .filter(is_loopback)
            .ok_or_else(|| format!("the consent page's answer was {}", answer.status()))?;
        let end = self.visit(Method::GET, &target, String::new()).await?;
        match end.status() {
            StatusCode::OK => Ok(()),
            other => Err(format!("the login's own page answered {other}")),
        }
    }

    async fn visit(&self, method: Method, url: &Url, form: String) -> Result<Response<Vec<u8>>, String> {
        let request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())
            .map_err(|error| error.to_string())?;
        let answer = self.http.exchange(request, &AddressPolicy::bound(), PAGE_LIMIT).await;
        answer.map_err(|error| error.to_string())
    }
}
