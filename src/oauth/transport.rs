//! The one HTTP client in the terms of rmcp's discovery.
//!
//! rmcp asks for one request at a time and follows redirects by itself, to the same origin only; so
//! every hop passes the address policy. Private addresses get their names here, and requests to them
//! their addresses back ([`Disguise`]). Four more things are seen to:
//!
//! * Of what the endpoint's own address answers, only a challenge counts: a server need not serve GET.
//!   The body is not read, for it may be an event stream that never ends.
//! * A place that redirects to another origin is one without a document, unless the challenge names it.
//! * A document that names a member twice ends the discovery.
//! * A protected resource metadata document that describes another resource is remembered, for rmcp
//!   passes it over and would go on to take the endpoint for its own authorization server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use http::uri::InvalidUri;
use rmcp::transport::auth::{OAuthHttpClient, OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest};
use serde_json::Value;
use url::Url;

use super::disguise::{Disguise, reveal};
use super::{Answer, Exchange, members};
use crate::http::{AddressPolicy, Client, HttpError, unmarked};
use crate::redact::printable;
use crate::server_uri::ServerUri;

/// How long one request of discovery or registration may take.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(15);

/// How long the endpoint may take to answer a GET: the login does not depend on it.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// How many requests one discovery makes: metadata may name authorization servers without end.
const REQUEST_LIMIT: usize = 32;

/// The path below which protected resource metadata lies (RFC 9728 §3).
const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// Carries the requests of one discovery.
pub(super) struct Transport {
    exchange: Exchange,
    pub(super) policy: AddressPolicy,
    pub(super) disguise: Disguise,
    described: Mutex<Option<String>>,
    /// Where the challenge says that the metadata lie, or where that place redirects to.
    advertised: Mutex<Option<Url>>,
    /// Whether that place was asked.
    heeded: AtomicBool,
    sent: AtomicUsize,
}

/// The metadata leads on and on.
#[derive(Debug, thiserror::Error)]
#[error("discovery ends after {REQUEST_LIMIT} requests")]
struct TooManyRequests;

impl Transport {
    /// `resource_metadata` is the challenge's.
    pub(super) fn new(
        exchange: Exchange,
        policy: AddressPolicy,
        server: &ServerUri,
        resource_metadata: Option<&str>,
    ) -> Self {
        let disguise = Disguise::new(policy.clone(), server.is_loopback());
        let advertised = resource_metadata.and_then(|text| advertised(server.as_url(), text.trim()));
        Self {
            exchange,
            policy,
            disguise,
            described: Mutex::default(),
            advertised: Mutex::new(advertised),
            heeded: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
        }
    }

    /// The resource that the last protected resource metadata at a well-known place described.
    pub(super) fn described(&self) -> Option<String> {
        self.described.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the place that the challenge names was asked.
    pub(super) fn is_told_place_asked(&self) -> bool {
        self.heeded.load(Ordering::Relaxed)
    }

    async fn send(&self, request: http::Request<Vec<u8>>, limit: Duration) -> Answer {
        let address = request.uri().to_string();
        let well_known = request.uri().path().contains(RESOURCE_METADATA);
        self.heeded.fetch_or(self.is_advertised(&address), Ordering::Relaxed);
        let mut response = self.exchange.send(request, limit).await?;
        if self.is_dead_end(&address, &response) {
            let place = printable(address.split('?').next().unwrap_or_default());
            tracing::debug!(place, "redirects to another origin: no metadata there");
            response = http::Response::new(Vec::new());
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let is_document = response.status() == StatusCode::OK;
        // rmcp does not know of the mark.
        let mark = response.body().len() - unmarked(response.body()).len();
        response.body_mut().drain(..mark);
        if is_document && members::are_repeated(response.body()) {
            let url = printable(address.split('?').next().unwrap_or_default());
            return Err(HttpError::Address { url, reason: "its document names a member twice" });
        }
        if well_known && is_document {
            let document = serde_json::from_slice::<Value>(response.body()).ok();
            let resource = document.as_ref().and_then(|document| document["resource"].as_str());
            if let Some(resource) = resource {
                let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
                *described = Some(resource.to_owned());
            }
        }
        self.hide_in(&mut response);
        Ok(response)
    }

    fn is_advertised(&self, address: &str) -> bool {
        let advertised = self.advertised.lock().unwrap_or_else(PoisonError::into_inner);
        advertised.as_ref().is_some_and(|advertised| Url::parse(address).as_ref() == Ok(advertised))
    }

    /// Whether a guess ends here: rmcp would not follow the redirect either, and would try no other place.
    /// What the challenge names is no guess.
    fn is_dead_end(&self, address: &str, response: &http::Response<Vec<u8>>) -> bool {
        let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
        let (Some(location), Ok(address)) = (location, Url::parse(address)) else { return false };
        let next = location.to_str().ok().and_then(|location| target(&address, location));
        let next = next.filter(|next| next.origin() == address.origin());
        let mut advertised = self.advertised.lock().unwrap_or_else(PoisonError::into_inner);
        if *advertised != Some(address) {
            return next.is_none();
        }
        if next.is_some() {
            *advertised = next;
        }
        false
    }

    fn hide_in(&self, response: &mut http::Response<Vec<u8>>) {
        if let Some(hidden) = self.disguise.hide_in(response.body()) {
            *response.body_mut() = hidden;
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let hidden = location.map(|location| HeaderValue::try_from(self.disguise.hide(location)));
        if let Some(Ok(hidden)) = hidden {
            response.headers_mut().insert(LOCATION, hidden);
        }
    }
}

/// What `reference` means at `base`, as it is asked for.
fn target(base: &Url, reference: &str) -> Option<Url> {
    let mut url = base.join(reference).ok()?;
    url.set_fragment(None);
    Some(url)
}

/// Where a challenge points to, read as rmcp does: whole where it can be.
fn advertised(base: &Url, pointer: &str) -> Option<Url> {
    let whole = Url::parse(pointer).ok();
    let mut url = whole.or_else(|| base.join(pointer).ok())?;
    url.set_fragment(None);
    Some(url)
}

/// The way over the network.
pub(super) fn network(http: &Client, server: &ServerUri, policy: &AddressPolicy) -> Exchange {
    let (http, endpoint) = (http.clone(), server.as_url().clone());
    let elsewhere = Exchange::over(&http, policy);
    Exchange::by(move |request, limit| {
        if *request.uri() == *endpoint.as_str() {
            let answer = probe(http.clone(), endpoint.clone(), request, limit.min(PROBE_LIMIT));
            return answer.map(Ok).boxed();
        }
        let elsewhere = elsewhere.clone();
        async move { elsewhere.send(request, limit).await }.boxed()
    })
}

/// Asks the endpoint itself for a challenge. Whatever else becomes of the request is told as a GET that is
/// not served: rmcp would end the discovery with it, though the documents may be at their places.
async fn probe(
    http: Client,
    endpoint: Url,
    request: http::Request<Vec<u8>>,
    limit: Duration,
) -> http::Response<Vec<u8>> {
    let (head, body) = request.into_parts();
    let sent = http.follow(head.method, endpoint, head.headers, body.into());
    let answer = tokio::time::timeout(limit, sent).await;
    let mut response = http::Response::new(Vec::new());
    match answer {
        Ok(Ok(answer)) if answer.status() == StatusCode::UNAUTHORIZED => {
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
        }
        other => {
            let status = other.ok().and_then(Result::ok).map(|answer| answer.status().as_u16());
            tracing::debug!(status, "the endpoint answers a GET with no challenge");
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
    }
    response
}

impl OAuthHttpClient for Transport {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            if self.sent.fetch_add(1, Ordering::Relaxed) >= REQUEST_LIMIT {
                return Err(Box::new(TooManyRequests) as OAuthHttpClientError);
            }
            let limit = request.timeout.map_or(TIME_LIMIT, |timeout| timeout.min(TIME_LIMIT));
            let mut request = request.request;
            let address = reveal(&request.uri().to_string()).parse();
            *request.uri_mut() =
                address.map_err(|error: InvalidUri| Box::new(error) as OAuthHttpClientError)?;
            self.send(request, limit).await.map_err(|error| Box::new(error) as OAuthHttpClientError)
        })
    }
}
