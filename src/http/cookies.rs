//! The cookies of the endpoint's own origin (RFC 6265), for load balancers that keep a session on
//! one machine by them.
//!
//! They live in this process's memory and go back to the host that set them, and nowhere else: the
//! login's exchanges carry none, another service's client has a jar of its own, and what a response
//! sets for another domain is refused. Parsed here rather than by a library, each of which brings a
//! calendar and a list of public suffixes along that one host's cookies have no use for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap, SET_COOKIE};
use jiff::{SignedDuration, Timestamp};
use url::{Host, Url};

/// The largest cookie that is kept, in bytes (RFC 6265 §6.1 asks for this much).
const COOKIE_LIMIT: usize = 4096;
/// The most bytes that are kept; servers take header fields of about twice that.
const JAR_LIMIT: usize = 8192;

/// The cookies of one origin.
#[derive(Default)]
pub(super) struct Jar(Mutex<Vec<Cookie>>);

/// One cookie. It may be a secret, and has no `Debug`.
struct Cookie {
    name: String,
    value: String,
    path: String,
    /// `None` lasts as long as the process.
    expires_at: Option<Timestamp>,
}

impl Jar {
    /// Keeps what a response from `url` sets.
    pub(super) fn keep(&self, url: &Url, headers: &HeaderMap, now: Timestamp) {
        let set = headers.get_all(SET_COOKIE).into_iter();
        for cookie in set.filter_map(|value| Cookie::parse(value.to_str().ok()?, url, now)) {
            let mut cookies = self.cookies();
            cookies.retain(|kept| kept.name != cookie.name || kept.path != cookie.path);
            if cookie.is_alive(now) {
                cookies.push(cookie);
            }
            while cookies.iter().map(Cookie::len).sum::<usize>() > JAR_LIMIT {
                cookies.remove(0);
            }
        }
    }

    /// Adds what belongs to a request to `url`, behind cookies of the user's own.
    pub(super) fn apply(&self, url: &Url, headers: &mut HeaderMap, now: Timestamp) {
        let cookies = self.cookies();
        let fitting = cookies.iter().filter(|cookie| cookie.is_alive(now) && cookie.covers(url.path()));
        let mut fitting: Vec<_> = fitting.collect();
        if fitting.is_empty() {
            return;
        }
        // RFC 6265 §5.4: longer paths go first.
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let own = headers.get(COOKIE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let pairs = fitting.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let line = own.into_iter().chain(pairs).collect::<Vec<_>>().join("; ");
        if let Ok(mut value) = HeaderValue::try_from(line) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }

    fn cookies(&self) -> MutexGuard<'_, Vec<Cookie>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cookie {
    /// Reads `Set-Cookie` (RFC 6265 §5.2); `None` for what must not be kept.
    fn parse(text: &str, url: &Url, now: Timestamp) -> Option<Self> {
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: default_path(url.path()).to_owned(),
            expires_at: None,
        };
        let mut lasts_until = None;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "domain" if !is_domain_of(value, url) => return None,
                "secure" if url.scheme() != "https" && !crate::server_uri::is_loopback(url) => return None,
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "expires" => cookie.expires_at = date(value).or(cookie.expires_at),
                "max-age" => lasts_until = end_of(value, now).or(lasts_until),
                _ => {}
            }
        }
        cookie.expires_at = lasts_until.or(cookie.expires_at);
        (!cookie.name.is_empty() && cookie.len() <= COOKIE_LIMIT).then_some(cookie)
    }

    fn len(&self) -> usize {
        self.name.len() + self.value.len() + self.path.len()
    }

    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// RFC 6265 §5.1.4.
    fn covers(&self, path: &str) -> bool {
        let below = path.strip_prefix(self.path.as_str());
        below.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }
}

/// The path up to its last `/` (RFC 6265 §5.1.4).
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

/// Whether the host of `url` is `domain` or a name below it (RFC 6265 §5.1.3).
fn is_domain_of(domain: &str, url: &Url) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    match url.host() {
        Some(Host::Domain(host)) => {
            let above = host.strip_suffix(&domain);
            domain.is_empty() || above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        host => domain.is_empty() || host.is_some_and(|host| host.to_string() == domain),
    }
}

/// When a life of so many seconds ends; a negative one has ended already.
fn end_of(seconds: &str, now: Timestamp) -> Option<Timestamp> {
    let seconds: i64 = seconds.parse().ok()?;
    Some(now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(match seconds > 0 {
        true => Timestamp::MAX,
        false => Timestamp::MIN,
    }))
}

/// A date as cookies write it: some put hyphens into it.
fn date(text: &str) -> Option<Timestamp> {
    super::date(&HeaderValue::try_from(text.replace('-', " ")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "https://mcp.example.com/team/mcp";

    fn now() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    /// What a request to `to` carries after responses from `from` that set `cookies`.
    fn carried(from: &str, cookies: &[&str], to: &str) -> Option<String> {
        let jar = Jar::default();
        for cookie in cookies {
            let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_str(cookie).unwrap())]);
            jar.keep(&from.parse().unwrap(), &headers, now());
        }
        let mut headers = HeaderMap::new();
        jar.apply(&to.parse().unwrap(), &mut headers, now());
        let value = headers.remove(COOKIE)?;
        assert!(value.is_sensitive());
        Some(value.to_str().unwrap().to_owned())
    }

    /// A18: what is set for another domain, or too large, is not kept.
    #[test]
    fn cookies_come_back_to_who_set_them() {
        let large = format!("a={}", "x".repeat(5000));
        let table: &[(&[&str], Option<&str>)] = &[
            (&["a=1"], Some("a=1")),
            (&["a=1; Path=/; HttpOnly; Secure; SameSite=None"], Some("a=1")),
            (&["a=1", "b=2"], Some("a=1; b=2")),
            (&["a=1", "a=2"], Some("a=2")),
            (&["a=1; path=/", "b=2; path=/team/mcp"], Some("b=2; a=1")),
            (&["a=1", "a=; Max-Age=0"], None),
            (&["a=1", "a=; Max-Age=-99999999999999999"], None),
            (&["a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], None),
            (&["a=1", "a=; expires=Thu, 01-Jan-1970 00:00:00 GMT"], None),
            (&["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"], Some("a=1")),
            (&["a=1; Expires=soon; Max-Age=never"], Some("a=1")),
            (&["a=1; Max-Age=99999999999999999"], Some("a=1")),
            (&["a=1; Domain=example.com"], Some("a=1")),
            (&["a=1; Domain=.MCP.example.com"], Some("a=1")),
            (&["a=1; Domain=example.org"], None),
            (&["a=1; Domain=cp.example.com"], None),
            (&["a=1; Domain=other.mcp.example.com"], None),
            (&["a=1; Path=/other"], None),
            (&["a=1; Path=/te"], None),
            (&["=1", "a", ";", ""], None),
            (&["b=1", &large], Some("b=1")),
        ];
        for (cookies, expected) in table {
            assert_eq!(carried(ENDPOINT, cookies, ENDPOINT).as_deref(), *expected, "{cookies:?}");
        }
    }

    #[test]
    fn paths_and_plain_http_narrow_what_is_carried() {
        for (from, cookie, to, is_carried) in [
            (ENDPOINT, "a=1", "https://mcp.example.com/team", true),
            (ENDPOINT, "a=1", "https://mcp.example.com/teams", false),
            (ENDPOINT, "a=1; Path=/", "https://mcp.example.com/", true),
            ("https://mcp.example.com", "a=1", "https://mcp.example.com/mcp", true),
            ("http://mcp.example.com/", "a=1; Secure", "http://mcp.example.com/", false),
            ("http://mcp.example.com/", "a=1", "http://mcp.example.com/", true),
            ("http://127.0.0.1:3000/", "a=1; Secure", "http://127.0.0.1:3000/", true),
            ("http://127.0.0.1:3000/", "a=1; Domain=127.0.0.1", "http://127.0.0.1:3000/", true),
            ("http://127.0.0.1:3000/", "a=1; Domain=0.0.1", "http://127.0.0.1:3000/", false),
        ] {
            assert_eq!(carried(from, &[cookie], to).is_some(), is_carried, "{from} {cookie} {to}");
        }
    }

    #[test]
    fn the_jar_is_bounded_and_the_newest_stay() {
        let cookies: Vec<_> = (0..20).map(|number| format!("c{number}={}", "x".repeat(1000))).collect();
        let cookies: Vec<_> = cookies.iter().map(String::as_str).collect();
        let line = carried(ENDPOINT, &cookies, ENDPOINT).unwrap();
        assert!(line.len() <= JAR_LIMIT && line.contains("c19=") && !line.contains("c0="));
    }

    #[test]
    fn a_user_s_own_cookie_stays_in_front() {
        let jar = Jar::default();
        let url = ENDPOINT.parse().unwrap();
        jar.keep(&url, &HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("a=1"))]), now());
        let mut headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("mine=2"))]);
        jar.apply(&url, &mut headers, now());
        assert_eq!(headers[COOKIE], "mine=2; a=1");
    }
}
