//! The canonical address of an MCP endpoint, and the key under which its login is kept.
//!
//! Canonical form follows the MCP specification's "Canonical Server URI" (RFC 8707 §2 for what a
//! resource indicator may be): scheme and host in lower case, no default port, no fragment, no
//! user information. The key is known from the address alone, without any discovery.
//!
//! Some services take a key in their address's query. Its values are for the wire and the index alone:
//! whoever shows an address to people, models or logs shows it by `Display` or [`shown`].

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};
use url::{Host, Position, Url};

use crate::redact::WORD;

/// The canonical URL of an MCP endpoint: `https`, or `http` on loopback (elsewhere only where the
/// user allowed it); without user information and fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerUri(Url);

/// Why a text is no usable endpoint URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ServerUriError {
    /// It does not parse as an absolute URL.
    #[error("`{0}` is not a URL")]
    Malformed(String),
    /// Its scheme is neither `https` nor `http`.
    #[error("the scheme `{0}` is not supported: an MCP endpoint is https")]
    Scheme(String),
    /// It is plain `http` to a host that is not loopback.
    #[error("`{0}` is plain http: tokens would travel unencrypted")]
    PlainHttp(String),
    /// It carries a user name or password.
    #[error("the URL carries a user name or password: leave them out")]
    UserInfo,
    /// It was copied from where its values are not shown.
    #[error("the URL has `…` in place of a value that is not shown: put the value there")]
    Elided,
}

impl ServerUri {
    /// Parses and canonicalises `text`. `allow_http` permits plain `http` beyond loopback.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, ServerUriError> {
        let text = text.trim();
        let malformed = || ServerUriError::Malformed(crate::redact::printable(&shown(text)));
        let mut url = Url::parse(text).map_err(|_| malformed())?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(ServerUriError::Scheme(url.scheme().to_owned()));
        }
        if url.host().is_none() {
            return Err(malformed());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ServerUriError::UserInfo);
        }
        if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
            return Err(ServerUriError::PlainHttp(url.origin().ascii_serialization()));
        }
        if url.query().is_some_and(|query| query.contains(ELISION_ENCODED)) {
            return Err(ServerUriError::Elided);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// The URL itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The canonical text, for the wire and the index: nobody is shown it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name of a value in the query that looks like a key, decoded.
    pub fn credential_in_query(&self) -> Option<String> {
        let mut pairs = self.0.query_pairs();
        pairs
            .find(|(name, value)| !value.is_empty() && is_of_credential(name))
            .map(|(name, _)| name.into_owned())
    }

    /// The values in the query that look like keys by their names or by themselves, decoded.
    pub fn secrets_in_query(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let pairs = self.0.query_pairs();
        let secret = pairs.filter(|(name, value)| is_of_credential(name) || is_like_a_key(value));
        secret.map(|(_, value)| value)
    }

    /// The host's name or address literal, for people.
    pub fn host(&self) -> &str {
        // There is one: parsing refuses an address without.
        self.0.host_str().unwrap_or_default()
    }

    /// The same with the port, where that is not the scheme's own.
    pub fn authority(&self) -> &str {
        authority(&self.0)
    }

    /// Whether the address itself tells where the endpoint is: an IP literal, or loopback.
    pub fn has_literal_address(&self) -> bool {
        self.is_loopback() || !matches!(self.0.host(), Some(Host::Domain(_)))
    }

    /// Whether the endpoint is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown(self.0.as_str()))
    }
}

impl fmt::Debug for ServerUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServerUri({self})")
    }
}

/// Whether a parameter is named as credentials are.
fn is_of_credential(name: &str) -> bool {
    let telling = [
        "key",
        "token",
        "secret",
        "password",
        "passwd",
        "pwd",
        "auth",
        "authorization",
        "jwt",
        "sig",
        "signature",
        "credential",
        "credentials",
    ];
    let name = name.to_ascii_lowercase();
    telling.iter().any(|word| name.ends_with(word))
}

/// Whether a value is too long for a word, and mixes letters and digits as words do not.
fn is_like_a_key(value: &str) -> bool {
    let has = |of_kind: fn(&u8) -> bool| value.as_bytes().iter().any(of_kind);
    value.len() >= WORD && has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit)
}

/// What stands in place of a value, and the same as a URL's query has it.
const ELISION: &str = "…";
const ELISION_ENCODED: &str = "%E2%80%A6";

/// An address, or what somebody typed as one, without the values in its query.
pub fn shown(address: &str) -> String {
    let Some((place, query)) = address.split_once('?') else { return address.to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((_, "")) => pair.to_owned(),
        Some((name, _)) => format!("{name}={ELISION}"),
        None if pair.is_empty() => String::new(),
        None => ELISION.to_owned(),
    });
    format!("{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

/// A URL's host, with the port where that is not the scheme's own, for people.
pub fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// Whether a URL's host is `localhost`, a name below it, or a loopback IP literal.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The profile of those who name none.
pub const DEFAULT_PROFILE: &str = "default";

/// The name under which a login is kept: SHA-256 over profile and canonical endpoint URL, in
/// lower-case hex. It names lock files, index entries and keychain items, and reveals neither.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceKey(String);

impl ServiceKey {
    /// The key of `server` under `profile`.
    pub fn new(profile: &str, server: &ServerUri) -> Self {
        let mut hash = Sha256::new();
        // The length keeps (profile, URL) pairs apart that would concatenate to the same text.
        hash.update((profile.len() as u64).to_be_bytes());
        hash.update(profile.as_bytes());
        hash.update(server.as_str().as_bytes());
        Self(crate::hex::hex(&hash.finalize()))
    }

    /// 64 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key whose [`as_str`](Self::as_str) is `text`, or `None` where it is no key.
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_canonical_or_are_refused() {
        let parse = |text| ServerUri::parse(text, false).map(|uri| uri.as_str().to_owned());
        for (given, canonical) in [
            ("HTTPS://MCP.Example.com:443/mcp#x", "https://mcp.example.com/mcp"),
            (" https://mcp.example.com ", "https://mcp.example.com/"),
            ("http://127.0.0.1:3000/mcp", "http://127.0.0.1:3000/mcp"),
            ("http://[::1]:3000/mcp?a=b", "http://[::1]:3000/mcp?a=b"),
            ("http://localhost/mcp", "http://localhost/mcp"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(canonical), "{given}");
        }
        for given in [
            "",
            "front",
            "ftp://example.com",
            "http://example.com/",
            "https://u:p@example.com/",
            "http://127.0.0.1.evil.com/",
            "https://example.com/mcp?key=…",
        ] {
            assert!(parse(given).is_err(), "{given}");
        }
        assert!(ServerUri::parse("http://example.com/mcp", true).is_ok());
    }

    #[test]
    fn values_in_the_query_are_shown_to_nobody() {
        for (given, expected, credential) in [
            ("https://a.example/mcp", "https://a.example/mcp", None),
            ("https://a.example/mcp?region=eu", "https://a.example/mcp?region=…", None),
            ("https://a.example/?x=&api_key=K&b=1", "https://a.example/?x=&api_key=…&b=…", Some("api_key")),
            ("https://a.example/?K", "https://a.example/?…", None),
            (
                "https://a.example/?access%5FToken=K=?&",
                "https://a.example/?access%5FToken=…&",
                Some("access_Token"),
            ),
            ("https://a.example/?token=", "https://a.example/?token=", None),
        ] {
            let server = ServerUri::parse(given, false).unwrap();
            assert_eq!((server.as_str(), server.to_string().as_str()), (given, expected));
            assert_eq!(format!("{server:?}"), format!("ServerUri({expected})"));
            assert_eq!(server.credential_in_query().as_deref(), credential, "{given}");
        }
        let refused = ServerUri::parse("https//a.example?key=K#K", false).unwrap_err();
        assert_eq!(refused, ServerUriError::Malformed("https//a.example?key=…".to_owned()));
    }

    #[test]
    fn keys_tell_profiles_and_servers_apart() {
        let server = |text| ServerUri::parse(text, false).unwrap();
        let one = ServiceKey::new("default", &server("https://a.example/mcp"));
        assert_eq!(one, ServiceKey::new("default", &server("https://A.example:443/mcp")));
        assert_ne!(one, ServiceKey::new("other", &server("https://a.example/mcp")));
        assert_ne!(one, ServiceKey::new("default", &server("https://a.example/mcp/")));
        assert_eq!(ServiceKey::from_hex(one.as_str()), Some(one));
        assert_eq!(ServiceKey::from_hex("../../etc/passwd"), None);
    }
}
