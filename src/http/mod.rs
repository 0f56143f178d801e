//! The one configured HTTP client, for the endpoint and for every OAuth exchange.
//!
//! Two uses with two policies. [`Client::send`] reaches the MCP endpoint that the user named:
//! no redirect is followed, or with [`Client::follow`] those within its origin (RFC 9110 §15.4 would
//! resend the token elsewhere), and nothing but connecting has a time limit, for an event stream may
//! idle for ever. [`Client::exchange`]
//! carries a small OAuth exchange to an address that metadata may have named: bounded in size and
//! time, and held to an [`AddressPolicy`]. No `Origin` or `Referer` is ever sent.
//!
//! | | the endpoint | exchanges with its origin | exchanges elsewhere |
//! |---|---|---|---|
//! | proxies, unless it is on loopback | yes | yes | yes |
//! | [`RootCertificates`], unless it is plain http on loopback | yes | yes | yes |
//! | [`ClientCertificate`] | yes | yes | never |
//! | cookies | its own | none | none |

mod address;
mod cause;
mod client;
mod coding;
mod cookies;
mod proxies;
mod redirect;
mod sent;
mod time;
mod trust;

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

use crate::server_uri::authority;

pub use address::AddressPolicy;
pub use cause::Cause;
pub use client::Client;
pub use coding::{content_coding, unmarked};
pub use proxies::{Proxies, Proxy};
pub use redirect::Redirect;
/// A response whose body has not been read.
pub use reqwest::Response;
pub use sent::{challenge, secrets_sent};
pub use time::{date, retry_after};
pub use trust::{CertificateError, ClientCertificate, RootCertificates};

/// The largest body that an OAuth exchange may have, in bytes.
pub const EXCHANGE_LIMIT: usize = 1024 * 1024;

/// How long an exchange's answer is, as a rule, that does not say so.
const USUAL_BYTES: u64 = 16 << 10;
/// How long more is waited for behind an exchange's answer that may be there as a whole.
const AFTERMATH: Duration = Duration::from_millis(250);

/// What helps against [`HttpError::NoRoots`], as a clause.
pub const ROOTS_REMEDY: &str = "install the system's root certificates (the package `ca-certificates` as a rule), \
                                or name some with --ca-file or MCP_FRONT_CA_FILE; SSL_CERT_FILE and SSL_CERT_DIR \
                                count instead of the system's where they are set";

/// Why an exchange brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request never reached the server: it may be sent again.
    #[error("cannot connect to {host}{}", by_way_of(proxy.as_ref()))]
    NotSent {
        /// The host that was meant.
        host: String,
        /// The proxy on the way there, unless its exceptions name the host.
        proxy: Option<Proxy>,
        /// The first cause.
        #[source]
        source: Cause,
    },
    /// The server's certificate is none that is trusted here; nothing was sent.
    #[error("the certificate of {host} is not trusted (--ca-file names further roots)")]
    Untrusted {
        /// The host that was meant.
        host: String,
        /// The first cause.
        #[source]
        source: Cause,
    },
    /// The request may have reached the server, and the answer is lost.
    #[error("the connection to {host} broke")]
    Broken {
        /// The host that was meant.
        host: String,
        /// The first cause.
        #[source]
        source: Cause,
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
    /// The platform has no root certificates that can be used; nothing was sent.
    #[error("this machine has no root certificates to know servers by")]
    NoRoots(#[source] reqwest::Error),
    /// The client could not be set up (proxy settings, a request that cannot be written).
    #[error("cannot set up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

impl HttpError {
    /// Whether sending again at once may help: the connection never stood, and was refused rather
    /// than left without an answer.
    pub fn is_worth_repeating(&self) -> bool {
        matches!(self, Self::NotSent { source, .. } if !source.is_timeout())
    }

    /// Sorts a failed request by whether it may be sent again.
    pub fn of(error: reqwest::Error) -> Self {
        let host = error.url().map_or("the server", authority).to_owned();
        if error.is_builder() {
            return Self::Setup(error.without_url());
        }
        let (connecting, distrust) = (error.is_connect(), is_distrust(&error));
        let source = Cause::of(error);
        match () {
            () if connecting && distrust => Self::Untrusted { host, source },
            () if connecting => Self::NotSent { host, proxy: None, source },
            () if source.is_timeout() => Self::Timeout { host },
            () => Self::Broken { host, source },
        }
    }

    /// The same, told with the proxy that was on the way.
    fn by_way_of(self, on_the_way: Option<Proxy>) -> Self {
        match self {
            Self::NotSent { host, source, .. } => Self::NotSent { host, proxy: on_the_way, source },
            other => other,
        }
    }
}

fn by_way_of(proxy: Option<&Proxy>) -> String {
    proxy.map(|proxy| format!(" by way of the proxy {proxy}")).unwrap_or_default()
}

/// Whether the other side's certificate is what a connection failed for.
fn is_distrust(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An input error is no cause of the one that holds it.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

/// Where and as whom the client goes out.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The proxies that the user named.
    pub proxies: Proxies,
    /// Roots that are trusted beside the platform's.
    pub roots: Option<RootCertificates>,
    /// What the endpoint's origin is shown, and nobody else.
    pub certificate: Option<ClientCertificate>,
    /// Whether a public endpoint's metadata may name private addresses.
    pub private_network: bool,
}

/// Reads an exchange's answer, of at most [`EXCHANGE_LIMIT`] bytes. One that is a whole JSON object is there,
/// however its body ends: cut off on the way, too short for its length, or never. A refresh token may be
/// in it that is nowhere else (RFC 6749 §6).
///
/// # Errors
/// As [`read_bounded`].
async fn read_answer(mut response: Response) -> Result<Vec<u8>, HttpError> {
    let host = authority(response.url()).to_owned();
    let expected = response.content_length().unwrap_or(USUAL_BYTES).min(EXCHANGE_LIMIT as u64);
    // Room for all of it: what it grew out of would stay behind in memory, a token perhaps.
    let mut body = Vec::with_capacity(expected as usize);
    // Looked at once where nothing more comes: it may come in any number of pieces.
    let mut is_looked_at = false;
    loop {
        let next = match is_looked_at {
            true => Ok(response.chunk().await),
            false => tokio::time::timeout(AFTERMATH, response.chunk()).await,
        };
        match next {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() > EXCHANGE_LIMIT => {
                return Err(HttpError::TooLarge { host });
            }
            Ok(Ok(Some(chunk))) => {
                body.extend_from_slice(&chunk);
                is_looked_at = false;
            }
            Ok(Ok(None)) => return Ok(body),
            Ok(Err(_)) | Err(_) if is_object(&body) => return Ok(body),
            Ok(Err(error)) => return Err(HttpError::of(error)),
            Err(_) => is_looked_at = true,
        }
    }
}

/// Whether the bytes are a JSON object, whose beginnings are none.
fn is_object(bytes: &[u8]) -> bool {
    let text = unmarked(bytes).trim_ascii();
    text.starts_with(b"{") && text.ends_with(b"}") && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`HttpError::TooLarge`] as soon as it is longer; [`HttpError::Broken`] where it ends early.
pub async fn read_bounded(mut response: Response, limit: usize) -> Result<Bytes, HttpError> {
    let too_large = |response: &Response| HttpError::TooLarge { host: authority(response.url()).to_owned() };
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
