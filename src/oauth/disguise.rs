//! Private addresses on their way through rmcp's discovery.
//!
//! rmcp refuses every literal address of a private network that metadata names, and cannot be told
//! that the endpoint stands beside it, or that the user allowed it. Where the [`AddressPolicy`]
//! admits such an address, it travels under a name of the reserved domain `invalid` (RFC 6761 §6.4)
//! and gets its own back for each request and in what comes of it. The policy still judges the
//! address itself.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::http::AddressPolicy;

/// What the names end in.
const SUFFIX: &str = ".address.invalid";

/// Hides the private addresses that a discovery may name.
pub(super) struct Disguise {
    policy: AddressPolicy,
    /// Whether loopback passes through rmcp as it is.
    loopback: bool,
}

impl Disguise {
    /// `loopback` says whether the endpoint is on this machine.
    pub(super) fn new(policy: AddressPolicy, loopback: bool) -> Self {
        Self { policy, loopback }
    }

    /// A URL with a name in place of its private address; any other text as it is.
    pub(super) fn hide(&self, text: &str) -> String {
        let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = match authority.rfind(':') {
            Some(colon) if !authority.ends_with(']') => &authority[..colon],
            _ => authority,
        };
        match self.name(host) {
            Some(name) => format!("{scheme}://{name}{}{path}", &authority[host.len()..]),
            None => text.to_owned(),
        }
    }

    /// The name for a host, where that is a private address in its usual form.
    fn name(&self, host: &str) -> Option<String> {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let address: IpAddr = inner.parse().ok()?;
        let passes = self.loopback && address.is_loopback();
        if shown(address) != host || passes || !self.policy.admits_private(address) {
            return None;
        }
        let label = match address {
            IpAddr::V4(address) => address.to_string().replace('.', "-"),
            IpAddr::V6(address) => address.segments().map(|part| format!("{part:x}")).join("-"),
        };
        Some(label + SUFFIX)
    }

    /// A document whose URLs are hidden; `None` where there are none to hide.
    pub(super) fn hide_in(&self, document: &[u8]) -> Option<Vec<u8>> {
        let before: Value = serde_json::from_slice(document).ok()?;
        let mut after = before.clone();
        self.walk(&mut after);
        (after != before).then(|| after.to_string().into_bytes())
    }

    fn walk(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.walk(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.walk(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Text with the addresses back in place of their names.
pub(super) fn reveal(text: &str) -> Cow<'_, str> {
    if !text.contains(SUFFIX) {
        return Cow::Borrowed(text);
    }
    let mut shown_text = String::with_capacity(text.len());
    let mut parts = text.split(SUFFIX).peekable();
    while let Some(part) = parts.next() {
        let is_label = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
        let start = part.len() - part.bytes().rev().take_while(is_label).count();
        shown_text.push_str(&part[..start]);
        let label = &part[start..];
        match address(label).filter(|_| parts.peek().is_some()) {
            Some(address) => shown_text.push_str(&shown(address)),
            None if parts.peek().is_some() => shown_text.extend([label, SUFFIX]),
            None => shown_text.push_str(label),
        }
    }
    Cow::Owned(shown_text)
}

/// The address that a label stands for.
fn address(label: &str) -> Option<IpAddr> {
    let parts: Vec<_> = label.split('-').collect();
    if let [a, b, c, d] = parts[..] {
        let octets = [a.parse().ok()?, b.parse().ok()?, c.parse().ok()?, d.parse().ok()?];
        return Some(Ipv4Addr::from(octets).into());
    }
    let segments: Option<Vec<u16>> = parts.iter().map(|part| u16::from_str_radix(part, 16).ok()).collect();
    let segments: [u16; 8] = segments?.try_into().ok()?;
    Some(Ipv6Addr::from(segments).into())
}

/// An address as URLs write it.
fn shown(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_uri::ServerUri;

    fn disguise(endpoint: &str) -> Disguise {
        let server = ServerUri::parse(endpoint, true).unwrap();
        Disguise::new(AddressPolicy::for_endpoint(&server, None), server.is_loopback())
    }

    #[test]
    fn admitted_addresses_are_hidden_and_come_back() {
        for (endpoint, text, hidden) in [
            ("https://10.0.0.5", "https://10.0.0.9/token", "https://10-0-0-9.address.invalid/token"),
            ("https://10.0.0.5", "https://10.0.0.9", "https://10-0-0-9.address.invalid"),
            (
                "https://10.0.0.5",
                "http://[fd00::1]:8443?a",
                "http://fd00-0-0-0-0-0-0-1.address.invalid:8443?a",
            ),
            ("https://10.0.0.5", "https://127.0.0.1:1", "https://127-0-0-1.address.invalid:1"),
            ("http://127.0.0.1:1", "https://10.0.0.9:2#a", "https://10-0-0-9.address.invalid:2#a"),
        ] {
            assert_eq!(disguise(endpoint).hide(text), hidden);
            assert_eq!(reveal(hidden), text);
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for (endpoint, text) in [
            ("https://mcp.example", "https://10.0.0.9/token"),
            ("https://10.0.0.5", "https://93.184.216.34/"),
            ("https://10.0.0.5", "https://169.254.169.254/"),
            ("https://10.0.0.5", "https://as.corp/10.0.0.9"),
            ("https://10.0.0.5", "https://user@10.0.0.9/"),
            ("https://10.0.0.5", "https://[::FFFF:10.0.0.9]/"),
            ("https://10.0.0.5", "https://0x0a.9/"),
            ("https://10.0.0.5", "10.0.0.9"),
            ("http://127.0.0.1:1", "http://127.0.0.1:2/token"),
        ] {
            assert_eq!(disguise(endpoint).hide(text), text);
        }
        for text in ["", "nobody.address.invalid", "1-2.address.invalid: no", "fd00"] {
            assert_eq!(reveal(text), text);
        }
        assert_eq!(reveal("a 10-0-0-9.address.invalid, b 1-2-3-4.address.invalid"), "a 10.0.0.9, b 1.2.3.4");
    }

    #[test]
    fn documents_are_hidden_whole_or_left_alone() {
        let disguise = disguise("https://10.0.0.5");
        let hidden = disguise.hide_in(br#"{"a":["https:\/\/10.0.0.9"],"b":1}"#).unwrap();
        assert_eq!(hidden, br#"{"a":["https://10-0-0-9.address.invalid"],"b":1}"#);
        assert_eq!(disguise.hide_in(br#"{"a":"https://as.example"}"#), None);
        assert_eq!(disguise.hide_in(b"<html>"), None);
    }
}
