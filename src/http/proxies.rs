//! The proxies that requests go out through.
//!
//! Their addresses may hold a password: they print as their hosts, and leave here for the client
//! alone. What is on this machine's own loopback is reached without a proxy, as `NO_PROXY` would
//! say of it: the proxy's loopback is another one.

use std::fmt;

use url::Url;

use crate::redact::{ExposeSecret, Secret, printable};
use crate::server_uri::{authority, is_loopback};

/// What a proxy may speak.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// One proxy.
#[derive(Clone)]
pub struct Proxy {
    url: Secret,
    host: String,
    place: String,
    variable: Option<&'static str>,
}

impl Proxy {
    /// Reads a proxy's address, whose scheme may be left out; `None` where it is none that can be
    /// used.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        // Desktops write `socks`, and mean version 5.
        let url = Url::parse(&with_scheme.replacen("socks://", "socks5://", 1)).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        // The client would take what it cannot read for no proxy at all.
        let is_usable = SCHEMES.contains(&url.scheme()) && url.as_str().parse::<http::Uri>().is_ok();
        let place = authority(&url).to_owned();
        is_usable.then(|| Self { url: Secret::from(url.as_str()), host, place, variable: None })
    }

    /// The same, with the variable that names it.
    pub fn named_by(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }

    /// The proxy's host, safe to print.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same with its port.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = printable(&self.place);
        match self.variable {
            Some(variable) => write!(formatter, "{place} ({variable})"),
            None => formatter.write_str(&place),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.host)
    }
}

/// Which proxy serves what.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For https.
    pub https: Option<Proxy>,
    /// For plain http.
    pub http: Option<Proxy>,
    /// Hosts, domains and networks that are reached without one, as `NO_PROXY` lists them.
    pub exceptions: String,
}

impl Proxies {
    /// The hosts of the proxies, as they were named.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.https.iter().chain(&self.http).map(Proxy::host)
    }

    /// The one that stands between here and `url`, unless an exception names its host.
    pub(super) fn on_the_way_to(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !is_loopback(url))
    }

    /// Has the client go through them. Without any, the client looks at what the platform itself
    /// is configured for.
    pub(super) fn apply(
        &self,
        mut builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, reqwest::Error> {
        if self.https.is_none() && self.http.is_none() {
            return Ok(builder);
        }
        builder = builder.no_proxy();
        let exceptions = || reqwest::NoProxy::from_string(&self.exceptions);
        if let Some(proxy) = &self.https {
            builder = builder.proxy(reqwest::Proxy::https(proxy.url.expose_secret())?.no_proxy(exceptions()));
        }
        if let Some(proxy) = &self.http {
            builder = builder.proxy(reqwest::Proxy::http(proxy.url.expose_secret())?.no_proxy(exceptions()));
        }
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_told_from_what_is_none() {
        for (text, host) in [
            ("http://proxy.corp:3128", Some("proxy.corp")),
            ("proxy.corp:3128", Some("proxy.corp")),
            (" 10.0.0.1:3128 ", Some("10.0.0.1")),
            ("https://user:pa%40ss@proxy.corp", Some("proxy.corp")),
            ("user:p@ss@proxy.corp:1", Some("proxy.corp")),
            ("socks5h://[::1]:1080", Some("[::1]")),
            ("socks://proxy.corp", Some("proxy.corp")),
            ("ftp://proxy.corp", None),
            ("http://", None),
            (":::", None),
        ] {
            assert_eq!(Proxy::parse(text).as_ref().map(Proxy::host), host, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let proxy = Proxy::parse("http://user:canary-password@proxy.corp:3128");
        let proxies = Proxies { https: proxy.clone(), http: proxy, exceptions: String::new() };
        assert!(!format!("{proxies:?}").contains("canary"), "{proxies:?}");
        assert!(proxies.apply(reqwest::Client::builder()).is_ok());
    }
}
