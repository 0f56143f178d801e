//! Which addresses metadata may name (MCP security best practices, "Server-Side Request Forgery").
//!
//! Metadata is foreign text: whoever writes it could make this machine connect to its own network.
//! A public endpoint may therefore name public addresses only, unless the user allows more; a
//! private or loopback endpoint may name its neighbours. Link-local addresses (with them the
//! metadata service of clouds) and otherwise reserved ones are always refused. Names are judged by
//! what they resolve to, at the moment of connecting; behind a proxy that is the proxy's matter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::HttpError;
use crate::server_uri::ServerUri;

/// How far from the public network an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    /// Private ranges and loopback.
    Private,
    /// Link-local, unspecified, multicast, documentation and other reserved ranges.
    Reserved,
}

/// Decides which addresses an exchange may connect to, and over which scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPolicy {
    private_allowed: bool,
    /// The one origin beyond loopback that may be plain http.
    plain: Option<url::Origin>,
}

impl AddressPolicy {
    /// The policy for what `server`'s metadata names. An endpoint in a private network may name an
    /// authorization server beside it; it is known for one by its literal address, or by `peer`,
    /// the address that answered under its name. What its name resolves to says nothing: whoever
    /// owns the name can change that between two questions. An endpoint that the user allowed to
    /// be plain http may name itself.
    pub fn for_endpoint(server: &ServerUri, peer: Option<IpAddr>) -> Self {
        let url = server.as_url();
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) if server.is_loopback() => Some(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Domain(_)) | None => peer,
        };
        Self {
            private_allowed: address.is_some_and(|address| reach(address) == Reach::Private),
            plain: (url.scheme() == "http").then(|| url.origin()),
        }
    }

    /// The same policy; where the user said so, with private addresses.
    #[must_use]
    pub fn and_private(self, allowed: bool) -> Self {
        Self { private_allowed: self.private_allowed || allowed, ..self }
    }

    /// The policy for an address that was bound at login, when it was checked: anything but
    /// reserved ranges.
    pub fn bound() -> Self {
        Self { private_allowed: true, plain: None }
    }

    /// Checks scheme and literal addresses of a URL; names are checked when they are resolved.
    ///
    /// # Errors
    /// [`HttpError::Address`] that names the URL without its query.
    pub fn check(&self, uri: &http::Uri) -> Result<(), HttpError> {
        let refuse = |reason| {
            let shown = uri.to_string();
            let shown = shown.split(['?', '#']).next().unwrap_or_default();
            Err(HttpError::Address { url: crate::redact::printable(shown), reason })
        };
        let Ok(url) = url::Url::parse(&uri.to_string()) else { return refuse("it is not a URL") };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it carries a user name");
        }
        match url.scheme() {
            "https" => {}
            "http" if crate::server_uri::is_loopback(&url) => {}
            "http" if self.plain.as_ref() == Some(&url.origin()) => {}
            "http" => return refuse("it is not https"),
            _ => return refuse("its scheme is not https"),
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(_)) if crate::server_uri::is_loopback(&url) => Ipv4Addr::LOCALHOST.into(),
            Some(Host::Domain(_)) => return Ok(()),
            None => return refuse("it has no host"),
        };
        if self.allows(address) { Ok(()) } else { refuse("a public endpoint may not name a private address") }
    }

    fn allows(&self, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Private => self.private_allowed,
            Reach::Reserved => false,
        }
    }

    /// Whether `address` is a private one, and allowed.
    pub fn admits_private(&self, address: IpAddr) -> bool {
        self.private_allowed && reach(address) == Reach::Private
    }

    /// The resolver that drops addresses which the policy refuses. Names in `exempt` (proxies that
    /// the user configured) pass.
    pub(super) fn resolver<'a>(&self, exempt: impl Iterator<Item = &'a str>) -> Arc<dyn Resolve> {
        Arc::new(PolicyResolver { policy: self.clone(), exempt: exempt.map(str::to_owned).collect() })
    }
}

struct PolicyResolver {
    policy: AddressPolicy,
    exempt: Vec<String>,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        let exempt = self.exempt.iter().any(|host| host.eq_ignore_ascii_case(name.as_str()));
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| exempt || policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("{} resolves to no address that may be used", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => reach_v4(mapped),
            None => reach_v6(address),
        },
    }
}

/// Special-purpose ranges of RFC 6890.
fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    let protocol = (a, b, c) == (192, 0, 0);
    if address.is_private() || address.is_loopback() || shared {
        Reach::Private
    } else if a == 0
        || a >= 224
        || address.is_link_local()
        || benchmark
        || protocol
        || address.is_documentation()
    {
        Reach::Reserved
    } else {
        Reach::Public
    }
}

/// Special-purpose ranges of RFC 6890, and the transition prefixes that embed an IPv4 address.
fn reach_v6(address: Ipv6Addr) -> Reach {
    let [first, second, .., sixth, seventh] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    let translated = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    // RFC 8215 translates inside one network; site-local addresses are what unique local ones were.
    let local = address.segments()[..3] == [0x64, 0xff9b, 1] || (first & 0xffc0) == 0xfec0;
    if address.is_loopback() || address.is_unique_local() || local {
        Reach::Private
    } else if translated {
        embedded(sixth, seventh)
    } else if first == 0x2002 {
        embedded(second, address.segments()[2])
    } else if address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        // Documentation, Teredo (which tunnels to any IPv4 address), and the discard prefix.
        || (first, second) == (0x2001, 0x0db8)
        || (first, second) == (0x2001, 0)
        || first == 0x100
        || first == 0
    {
        Reach::Reserved
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_endpoint_names_public_addresses_only() {
        let public = AddressPolicy { private_allowed: false, plain: None };
        for (url, allowed) in [
            ("https://auth.example.com/token", true),
            ("https://93.184.216.34/token", true),
            ("http://auth.example.com/token", false),
            ("ftp://auth.example.com/token", false),
            ("https://user@auth.example.com/token", false),
            ("http://169.254.169.254/latest", false),
            ("https://169.254.169.254/latest", false),
            ("https://127.0.0.1:6379/", false),
            ("https://localhost/", false),
            ("https://0x7f.1/", false),
            ("https://2130706433/", false),
            ("https://[::ffff:10.0.0.1]/", false),
            ("https://[::1]/", false),
            ("https://[64:ff9b::a00:1]/", false),
            ("https://[2002:a00:1::]/", false),
            ("https://10.1.2.3/", false),
            ("https://100.64.0.1/", false),
            ("https://0.0.0.0/", false),
            ("https://192.168.1.1/", false),
            ("https://172.16.0.1/", false),
            ("https://172.32.0.1/", true),
            ("https://224.0.0.1/", false),
            ("https://[fd00::1]/", false),
            ("https://[fe80::1]/", false),
            ("https://[fec0::1]/", false),
            ("https://[ff02::1]/", false),
            ("https://[64:ff9b:1::a00:1]/", false),
            ("https://[64:ff9b::5db8:d822]/", true),
            ("https://[2001::1]/", false),
            ("https://[::ffff:169.254.169.254]/", false),
            ("https://[2606:4700::1]/", true),
        ] {
            let uri: http::Uri = url.parse().unwrap();
            assert_eq!(public.check(&uri).is_ok(), allowed, "{url}");
        }
    }

    /// A07: a name that resolves to a private address later on does not widen the policy.
    #[test]
    fn only_the_address_that_answered_tells_a_private_endpoint() {
        let named = ServerUri::parse("https://mcp.corp.example/mcp", false).unwrap();
        let neighbour: http::Uri = "https://10.0.0.9/token".parse().unwrap();
        for (peer, allowed) in [(None, false), (Some("93.184.216.34"), false), (Some("10.0.0.5"), true)] {
            let peer = peer.map(|peer| peer.parse().unwrap());
            assert_eq!(
                AddressPolicy::for_endpoint(&named, peer).check(&neighbour).is_ok(),
                allowed,
                "{peer:?}"
            );
        }
    }

    /// A07: what a name resolves to is judged when it is dialled, whatever it resolved to before.
    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to() {
        let resolved = async |policy: &AddressPolicy, exempt: &[&str]| {
            let resolver = policy.resolver(exempt.iter().copied());
            resolver.resolve("localhost".parse().unwrap()).await.is_ok()
        };
        let public = AddressPolicy { private_allowed: false, plain: None };
        assert!(!resolved(&public, &[]).await);
        assert!(resolved(&public, &["LOCALHOST"]).await);
        assert!(resolved(&public.and_private(true), &[]).await);
    }

    /// A03: where the user allowed plain http, it holds for the endpoint's own origin.
    #[test]
    fn plain_http_is_for_the_endpoint_s_own_origin() {
        let plain = ServerUri::parse("http://mcp.example:8080/mcp", true).unwrap();
        let policy = AddressPolicy::for_endpoint(&plain, None);
        for (url, allowed) in [
            ("http://mcp.example:8080/.well-known/oauth-protected-resource", true),
            ("http://mcp.example/authorize", false),
            ("http://as.example:8080/authorize", false),
            ("https://as.example/authorize", true),
        ] {
            assert_eq!(policy.check(&url.parse().unwrap()).is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn a_loopback_endpoint_may_name_its_neighbours_but_no_reserved_range() {
        let server = ServerUri::parse("http://127.0.0.1:1/mcp", false).unwrap();
        let policy = AddressPolicy::for_endpoint(&server, None);
        for (url, allowed) in [
            ("http://127.0.0.1:2/token", true),
            ("http://localhost:2/token", true),
            ("https://10.0.0.1/token", true),
            ("https://auth.example.com/token", true),
            ("http://169.254.169.254/latest", false),
            ("http://10.0.0.1/token", false),
        ] {
            let uri: http::Uri = url.parse().unwrap();
            assert_eq!(policy.check(&uri).is_ok(), allowed, "{url}");
        }
    }
}
