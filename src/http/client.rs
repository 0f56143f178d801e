//! The client itself: how the endpoint is reached, and how a small exchange is made.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use url::Url;
use zeroize::Zeroizing;

use super::cookies::Jar;
use super::{AddressPolicy, Config, HttpError, Response, coding, read_answer, redirect};
use crate::server_uri::{ServerUri, authority, is_loopback};
use crate::{clock, failpoint};

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
/// How long a small exchange waits for a sign of life from the other end's system.
const DEATH_NOTICED: Duration = Duration::from_secs(6);
/// A jump of the wall clock ahead of the monotonic one that counts as sleep.
const SLEEP_NOTICED: Duration = Duration::from_secs(5);
/// The HTTP client of one process; clones share connections. It is built at first use, for the
/// platform's certificate verifier takes milliseconds to set up.
#[derive(Clone)]
pub struct Client {
    config: Arc<Config>,
    server: Arc<Url>,
    cookies: Arc<Jar>,
    endpoint: Arc<Mutex<Endpoint>>,
}

#[derive(Default)]
struct Endpoint {
    client: Option<reqwest::Client>,
    /// The idle limit that follows from what the server said.
    fitted: Option<Duration>,
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
    /// Describes the client of one endpoint; nothing is set up yet.
    pub fn new(config: Config, server: &ServerUri) -> Self {
        Self {
            config: Arc::new(config),
            server: Arc::new(server.as_url().clone()),
            cookies: Arc::default(),
            endpoint: Arc::default(),
        }
    }

    /// Sends one request to the MCP endpoint's origin and waits for the head of the answer, however
    /// long that takes. No redirect is followed.
    ///
    /// # Errors
    /// [`HttpError`]; only [`HttpError::NotSent`], [`HttpError::Untrusted`], [`HttpError::Address`]
    /// (another origin), [`HttpError::NoRoots`] and [`HttpError::Setup`] say that the server cannot have
    /// seen the request.
    ///
    /// # Cancel safety
    /// Dropping the future closes the exchange; the server may have seen the request.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, HttpError> {
        if !self.is_own(&url) {
            let url = url.origin().ascii_serialization();
            return Err(HttpError::Address { url, reason: "it is not the endpoint's origin" });
        }
        self.cookies.apply(&url, &mut headers, clock::now());
        let request = self.endpoint()?.request(method.clone(), url).headers(headers).body(body);
        let logged = Logged::begin(method, authority(&self.server));
        let answer = request.send().await.map_err(|error| self.failed(error));
        logged.end(answer.as_ref().map(|got| (got.status(), got.headers())));
        let response = answer?;
        self.cookies.keep(response.url(), response.headers(), clock::now());
        self.observe(response.version(), response.headers());
        Ok(response)
    }

    /// The same, with the redirects followed that stay within the origin and leave the request as it is
    /// (307 and 308). Where there are too many of them, the last one is the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn follow(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, HttpError> {
        let mut response = self.send(method.clone(), url, headers.clone(), body.clone()).await?;
        for _ in 0..redirect::LIMIT {
            let Some(next) = redirect::within_origin(&response) else { break };
            response = self.send(method.clone(), next, headers.clone(), body.clone()).await?;
        }
        Ok(response)
    }

    /// Where one connection died in silence (a changed network), those that wait beside it are dead too: the
    /// next request gets one of its own.
    fn failed(&self, error: reqwest::Error) -> HttpError {
        let error = self.told(error);
        if matches!(error, HttpError::Timeout { .. }) {
            self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).client = None;
        }
        error
    }

    /// The error, with the proxy on its way.
    fn told(&self, error: reqwest::Error) -> HttpError {
        let proxy = error.url().and_then(|url| self.config.proxies.on_the_way_to(url)).cloned();
        HttpError::of(error).by_way_of(proxy)
    }

    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.server.origin()
    }

    /// The address that a response of the endpoint came from; `None` where a proxy stands between.
    pub async fn peer(&self, response: &Response) -> Option<IpAddr> {
        let address = response.remote_addr().filter(|address| is_on_port_of(*address, response.url()))?.ip();
        for proxy in self.config.proxies.hosts() {
            let found = tokio::net::lookup_host((proxy, 0)).await;
            if found.is_ok_and(|mut found| found.any(|found| found.ip() == address)) {
                return None;
            }
        }
        Some(address)
    }

    fn endpoint(&self) -> Result<reqwest::Client, HttpError> {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = endpoint.slept();
        if let Some(client) = endpoint.client.as_ref().filter(|_| !slept) {
            return Ok(client.clone());
        }
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
        let limit = endpoint.fitted.unwrap_or(IDLE_LIMIT_UNKNOWN);
        self.builder(&self.server)?.pool_idle_timeout(limit).build().map_err(HttpError::NoRoots)
    }

    /// A client for requests to the origin of `url`.
    fn builder(&self, url: &Url) -> Result<reqwest::ClientBuilder, HttpError> {
        let Config { proxies, roots, certificate, .. } = &*self.config;
        let mut builder = reqwest::Client::builder();
        builder = match is_loopback(url) {
            true => builder.no_proxy(),
            false => proxies.apply(builder).map_err(HttpError::Setup)?,
        };
        if is_loopback(url) && url.scheme() == "http" {
            // No certificate is met on the way there, and a small container has no roots to read.
            builder = builder.tls_certs_only([]);
        } else {
            if let Some(roots) = roots {
                builder = roots.apply(builder);
            }
            if let Some(certificate) = certificate.as_ref().filter(|_| self.is_own(url)) {
                builder = certificate.apply(builder);
            }
        }
        // Where a peer is gone without a word (a changed network), unacknowledged data tells.
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(Duration::from_secs(30));
        Ok(builder
            .user_agent(USER_AGENT)
            .default_headers(HeaderMap::from_iter([(header::ACCEPT_ENCODING, coding::IDENTITY)]))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .http2_keep_alive_while_idle(true)
            .http2_adaptive_window(true))
    }

    /// Sends one small request and reads the whole answer, within `limit` of time and
    /// [`EXCHANGE_LIMIT`](super::EXCHANGE_LIMIT) bytes. No redirect is followed. Connections are not kept.
    ///
    /// # Errors
    /// As [`HttpError`] tells; only [`HttpError::NotSent`], [`HttpError::Untrusted`] and
    /// [`HttpError::Address`] say that the server cannot have seen the request.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the server may have seen the request.
    pub async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
        policy: &AddressPolicy,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        policy.check(request.uri())?;
        // It may hold a code or a refresh token.
        let request = request.map(|body| Bytes::from_owner(Zeroizing::new(body)));
        let request = reqwest::Request::try_from(request).map_err(HttpError::of)?;
        let host = authority(request.url()).to_owned();
        let resolver = policy.resolver(self.config.proxies.hosts());
        let builder = self.builder(request.url())?.pool_max_idle_per_host(0).dns_resolver(resolver);
        let builder = noticing_death(builder);
        let client = builder.build().map_err(HttpError::NoRoots)?;
        let logged = Logged::begin(request.method().clone(), &host);
        let whole = async {
            let response = client.execute(request).await.map_err(|error| self.told(error))?;
            failpoint::reached("after-headers");
            let mut parts = http::Response::new(Vec::new());
            *parts.status_mut() = response.status();
            *parts.headers_mut() = response.headers().clone();
            *parts.body_mut() = read_answer(response).await?;
            Ok(parts)
        };
        let answer = tokio::time::timeout(limit, whole).await;
        let answer = answer.unwrap_or_else(|_| Err(HttpError::Timeout { host: host.clone() }));
        logged.end(answer.as_ref().map(|got| (got.status(), got.headers())));
        answer
    }
}

/// Notices within [`DEATH_NOTICED`] that nobody is there any more (a changed network), however long whoever is
/// there may think: a refresh token is to be sent again while the server still takes it.
fn noticing_death(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    let probe = DEATH_NOTICED / 3;
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(DEATH_NOTICED);
    builder.tcp_keepalive(probe).tcp_keepalive_interval(probe).tcp_keepalive_retries(2)
}

/// An exchange, for the log: neither a path, which may hold a key, nor what anybody wrote.
struct Logged<'a> {
    method: Method,
    host: &'a str,
    begun: Instant,
    ended: bool,
}

impl<'a> Logged<'a> {
    fn begin(method: Method, host: &'a str) -> Self {
        Self { method, host, begun: Instant::now(), ended: false }
    }

    fn end(mut self, answer: Result<(StatusCode, &HeaderMap), &HttpError>) {
        self.ended = true;
        let Self { method, host, begun, .. } = &self;
        let milliseconds = begun.elapsed().as_millis();
        match answer {
            Ok((status, headers)) => {
                let (status, content) = (status.as_u16(), coding::kind(headers));
                tracing::debug!(%method, host, status, content, milliseconds, "asked");
            }
            Err(error) => tracing::debug!(%method, host, %error, milliseconds, "asked without an answer"),
        }
    }
}

impl Drop for Logged<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let (method, host) = (&self.method, &self.host);
            let milliseconds = self.begun.elapsed().as_millis();
            tracing::debug!(%method, host, milliseconds, "asked, and called off");
        }
    }
}

/// Whether an address is on the port that a URL means. A proxy is on another, as a rule, and its name
/// may resolve to other addresses from one moment to the next.
fn is_on_port_of(address: SocketAddr, url: &Url) -> bool {
    url.port_or_known_default() == Some(address.port())
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
    fn who_answers_on_another_port_is_not_the_server() {
        for (address, url, is_it) in [
            ("10.0.0.5:443", "https://mcp.corp.example/mcp", true),
            ("[fd00::5]:8443", "https://mcp.corp.example:8443/mcp", true),
            ("10.0.0.9:3128", "https://mcp.example.com/mcp", false),
            ("10.0.0.9:443", "http://mcp.example.com/mcp", false),
        ] {
            assert_eq!(
                is_on_port_of(address.parse().unwrap(), &url.parse().unwrap()),
                is_it,
                "{address} {url}"
            );
        }
    }

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
