//! The one configured HTTP client, for the endpoint and for every OAuth exchange.
//!
//! Two uses with two policies. [`Client::send`] reaches the MCP endpoint that the user named:
//! no redirect is followed (RFC 9110 §15.4 would resend the token elsewhere), nothing but
//! connecting has a time limit, for an event stream may idle for ever. [`Client::exchange`]
//! carries a small OAuth exchange to an address that metadata may have named: bounded in size and
//! time, and held to an [`AddressPolicy`]. No `Origin`, `Referer` or cookie is ever sent.

mod address;
mod time;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{self, HeaderMap};
use url::Url;

pub use address::AddressPolicy;
/// A response whose body has not been read.
pub use reqwest::Response;
pub use time::{date, retry_after};

/// `User-Agent` of every request.
const USER_AGENT: &str = concat!("mcp-front/", env!("CARGO_PKG_VERSION"));
/// How long connecting may take, TLS and proxy included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle HTTP/1.1 connection is not reused for longer than this until the server says more: a
/// POST that dies on a stale one cannot be repeated safely.
const IDLE_LIMIT_UNKNOWN: Duration = Duration::from_secs(4);
/// As [`IDLE_LIMIT_UNKNOWN`], for HTTP/2, whose pings tell a dead connection.
const IDLE_LIMIT_HTTP2: Duration = Duration::from_secs(90);
/// The longest `Keep-Alive: timeout` that is believed.
const IDLE_LIMIT_MOST: Duration = Duration::from_secs(300);
/// A jump of the wall clock ahead of the monotonic one that counts as sleep.
const SLEEP_NOTICED: Duration = Duration::from_secs(5);
/// The largest body that an OAuth exchange may have, in bytes.
pub const EXCHANGE_LIMIT: usize = 1024 * 1024;

/// Why an exchange brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request never reached the server: it may be sent again.
    #[error("cannot connect to {host}")]
    NotSent {
        /// The host that was meant.
        host: String,
        /// The first cause.
        #[source]
        source: reqwest::Error,
    },
    /// The request may have reached the server, and the answer is lost.
    #[error("the connection to {host} broke")]
    Broken {
        /// The host that was meant.
        host: String,
        /// The first cause.
        #[source]
        source: reqwest::Error,
    },
    /// No whole answer in time; the server may have acted on the request.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host that was meant.
        host: String,
    },
    /// The answer is larger than [`EXCHANGE_LIMIT`].
    #[error("the answer of {host} is too large")]
    TooLarge {
        /// The host that was meant.
        host: String,
    },
    /// The address is not one that metadata may name.
    #[error("`{url}` is refused: {reason}")]
    Address {
        /// The URL, without its query.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client could not be set up (certificates, proxy settings).
    #[error("cannot set up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

impl HttpError {
    /// Whether sending again at once may help: the connection never stood, and was refused rather
    /// than left without an answer.
    pub fn is_worth_repeating(&self) -> bool {
        matches!(self, Self::NotSent { source, .. } if !source.is_timeout())
    }

    /// Sorts a failed request by whether it may be sent again. The URL is dropped from the cause,
    /// for its query may hold what must not be printed.
    pub fn of(error: reqwest::Error) -> Self {
        let host = error.url().and_then(|url| url.host_str()).unwrap_or("the server").to_owned();
        let connecting = error.is_connect();
        let source = error.without_url();
        match () {
            () if source.is_builder() => Self::Setup(source),
            () if connecting => Self::NotSent { host, source },
            () if source.is_timeout() => Self::Timeout { host },
            () => Self::Broken { host, source },
        }
    }
}

/// Where the client goes out.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Hosts of configured proxies, which no address policy applies to.
    pub proxy_hosts: Vec<String>,
}

/// The HTTP client of one process; clones share connections. It is built at first use, for the
/// platform's certificate verifier takes milliseconds to set up.
#[derive(Clone)]
pub struct Client {
    config: Arc<Config>,
    endpoint: Arc<Mutex<Endpoint>>,
}

#[derive(Default)]
struct Endpoint {
    client: Option<reqwest::Client>,
    /// The idle limit that follows from what the server said.
    fitted: Option<Duration>,
    bypass_proxy: bool,
    last_used: Option<(Instant, SystemTime)>,
}

impl Endpoint {
    /// Notes a use, and says whether the machine slept since the last one: the wall clock went on
    /// while the clock that idle connections are judged by stood still.
    fn slept(&mut self) -> bool {
        let now = (Instant::now(), SystemTime::now());
        let Some((instant, wall)) = self.last_used.replace(now) else { return false };
        let awake = now.0.duration_since(instant);
        now.1.duration_since(wall).is_ok_and(|passed| passed > awake + SLEEP_NOTICED)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Client {
    /// Describes a client; nothing is set up yet.
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config), endpoint: Arc::default() }
    }

    /// Sends one request to the MCP endpoint and waits for the head of the answer, however long
    /// that takes. No redirect is followed.
    ///
    /// # Errors
    /// [`HttpError`]; only [`HttpError::NotSent`] and [`HttpError::Setup`] say that the server
    /// cannot have seen the request.
    ///
    /// # Cancel safety
    /// Dropping the future closes the exchange; the server may have seen the request.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, HttpError> {
        let request = self.endpoint(&url)?.request(method, url).headers(headers).body(body);
        let response = request.send().await.map_err(HttpError::of)?;
        self.observe(response.version(), response.headers());
        Ok(response)
    }

    /// The address that a response of the endpoint came from; `None` where a proxy stands between.
    pub async fn peer(&self, response: &Response) -> Option<IpAddr> {
        let address = response.remote_addr()?.ip();
        for proxy in &self.config.proxy_hosts {
            let found = tokio::net::lookup_host((proxy.as_str(), 0)).await;
            if found.is_ok_and(|mut found| found.any(|found| found.ip() == address)) {
                return None;
            }
        }
        Some(address)
    }

    fn endpoint(&self, url: &Url) -> Result<reqwest::Client, HttpError> {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = endpoint.slept();
        if let Some(client) = endpoint.client.as_ref().filter(|_| !slept) {
            return Ok(client.clone());
        }
        // A proxy elsewhere has another loopback.
        endpoint.bypass_proxy = crate::server_uri::is_loopback(url);
        let client = self.build(&endpoint)?;
        endpoint.client = Some(client.clone());
        Ok(client)
    }

    /// Learns from the endpoint's first answer how long an idle connection lasts, and fits the
    /// client to it, once.
    fn observe(&self, version: http::Version, headers: &HeaderMap) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if endpoint.fitted.is_some() {
            return;
        }
        let limit = match version {
            http::Version::HTTP_2 => IDLE_LIMIT_HTTP2,
            _ => match keep_alive_timeout(headers) {
                Some(timeout) => timeout.saturating_sub(Duration::from_secs(1)).min(IDLE_LIMIT_MOST),
                None => IDLE_LIMIT_UNKNOWN,
            },
        };
        endpoint.fitted = Some(limit);
        if limit == IDLE_LIMIT_UNKNOWN {
            return;
        }
        if let Ok(client) = self.build(&endpoint) {
            endpoint.client = Some(client);
        }
    }

    fn build(&self, endpoint: &Endpoint) -> Result<reqwest::Client, HttpError> {
        let mut builder = self.builder().pool_idle_timeout(endpoint.fitted.unwrap_or(IDLE_LIMIT_UNKNOWN));
        if endpoint.bypass_proxy {
            builder = builder.no_proxy();
        }
        builder.build().map_err(HttpError::Setup)
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder();
        // Where a peer is gone without a word (a changed network), unacknowledged data tells.
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(Duration::from_secs(30));
        builder
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .http2_keep_alive_while_idle(true)
            .http2_adaptive_window(true)
    }

    /// Sends one small request and reads the whole answer, within `limit` of time and
    /// [`EXCHANGE_LIMIT`] bytes. No redirect is followed. Connections are not kept.
    ///
    /// # Errors
    /// As [`HttpError`] tells; only [`HttpError::NotSent`] and [`HttpError::Address`] say that
    /// the server cannot have seen the request.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have seen the request.
    pub async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
        policy: &AddressPolicy,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        let host = request.uri().host().unwrap_or("the server").to_owned();
        policy.check(request.uri())?;
        let request = reqwest::Request::try_from(request).map_err(HttpError::of)?;
        let builder =
            self.builder().pool_max_idle_per_host(0).dns_resolver(policy.resolver(&self.config.proxy_hosts));
        // A proxy cannot reach this machine's loopback.
        let builder =
            if crate::server_uri::is_loopback(request.url()) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(HttpError::Setup)?;
        let whole = async {
            let response = client.execute(request).await.map_err(HttpError::of)?;
            let mut parts = http::Response::new(Vec::new());
            *parts.status_mut() = response.status();
            *parts.headers_mut() = response.headers().clone();
            *parts.body_mut() = read_bounded(response, EXCHANGE_LIMIT).await?.into();
            Ok(parts)
        };
        tokio::time::timeout(limit, whole).await.unwrap_or(Err(HttpError::Timeout { host }))
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`HttpError::TooLarge`] as soon as it is longer; [`HttpError::Broken`] where it ends early.
pub async fn read_bounded(mut response: Response, limit: usize) -> Result<Bytes, HttpError> {
    let too_large = |response: &Response| HttpError::TooLarge {
        host: response.url().host_str().unwrap_or("the server").to_owned(),
    };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large(&response));
    }
    let Some(first) = response.chunk().await.map_err(HttpError::of)? else {
        return Ok(Bytes::new());
    };
    let mut body: Option<BytesMut> = None;
    while let Some(chunk) = response.chunk().await.map_err(HttpError::of)? {
        let expected = response.content_length().unwrap_or(0) as usize;
        let body = body.get_or_insert_with(|| {
            let mut body = BytesMut::with_capacity(expected.max(first.len() + chunk.len()));
            body.extend_from_slice(&first);
            body
        });
        if body.len() + chunk.len() > limit {
            return Err(too_large(&response));
        }
        body.extend_from_slice(&chunk);
    }
    match body {
        Some(body) => Ok(body.freeze()),
        None if first.len() > limit => Err(too_large(&response)),
        None => Ok(first),
    }
}

/// `timeout` of a `Keep-Alive` header (RFC 2068 §19.7.1.1), in seconds.
fn keep_alive_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::HeaderName::from_static("keep-alive"))?.to_str().ok()?;
    value.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("timeout");
        named.then(|| seconds.trim().parse().ok().map(Duration::from_secs))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_limit_is_read_from_keep_alive() {
        for (value, seconds) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 72", Some(72)),
            ("max=100", None),
            ("timeout=soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            assert_eq!(keep_alive_timeout(&headers), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
