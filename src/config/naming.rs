//! What services are called before anybody named them, and what a typed word may have meant.

use url::{Host, Url};

use super::check_name;
use crate::server_uri::{ServerUri, is_loopback};

/// The address that `text` is without its scheme, where it looks like a host, or a host and a path.
pub(super) fn address_of(text: &str) -> Option<String> {
    let host = text.split(['/', '?', '#']).next().unwrap_or_default();
    let is_here = is_loopback(&Url::parse(&format!("http://{host}")).ok()?);
    let scheme = if is_here { "http" } else { "https" };
    let server = ServerUri::parse(&format!("{scheme}://{text}"), false).ok()?;
    let looks_so = match server.as_url().host()? {
        // A word alone is a name.
        Host::Domain(domain) => {
            let is_dotted = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
            is_dotted || (is_here && text != host) || server.as_url().port().is_some()
        }
        // A number alone would be one too.
        Host::Ipv4(address) => host.starts_with(&address.to_string()),
        Host::Ipv6(_) => true,
    };
    looks_so.then(|| server.to_string())
}

/// A name for an endpoint without one: what its host calls for, unless no name may be like that.
pub(super) fn name_of(url: &Url) -> String {
    Some(host_name(url)).filter(|name| check_name(name, "").is_ok()).unwrap_or_else(|| "service".to_owned())
}

/// A host's telling label, with the port on this machine.
fn host_name(url: &Url) -> String {
    let port = url.port().map(|port| format!("-{port}")).unwrap_or_default();
    match url.host() {
        Some(Host::Domain(domain)) if domain.contains('.') => {
            let mut labels = domain.split('.').filter(|label| !matches!(*label, "mcp" | "api" | "www"));
            labels.next().unwrap_or_default().to_owned()
        }
        Some(Host::Domain(domain)) => format!("{domain}{port}"),
        Some(Host::Ipv4(address)) => format!("{address}{port}"),
        Some(Host::Ipv6(address)) => {
            format!("{address}{port}").replace(':', "-").trim_matches('-').to_owned()
        }
        None => String::new(),
    }
}

/// At most three known names that look like `name`, the nearest first.
pub(super) fn nearest(name: &str, mut known: Vec<String>) -> Vec<String> {
    let distance =
        |candidate: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
    known.sort_by_cached_key(|candidate| (distance(candidate), candidate.clone()));
    known.dedup();
    known.retain(|candidate| {
        distance(candidate) <= 1 + candidate.chars().count() / 3 || candidate.contains(name)
    });
    known.truncate(3);
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_get_names() {
        for (url, name) in [
            ("https://mcp.linear.app/mcp", "linear"),
            ("https://mcp.frontapp.com/admin-mcp", "frontapp"),
            ("https://api.githubcopilot.com/mcp/", "githubcopilot"),
            ("https://example.com/", "example"),
            ("http://localhost:3000/mcp", "localhost-3000"),
            ("http://127.0.0.1:3000/mcp", "127.0.0.1-3000"),
            ("http://[::1]:3000/mcp", "1-3000"),
            ("https://mcp./", "service"),
            ("https://mcp.api.www./mcp", "service"),
            ("https://-force.example/mcp", "service"),
            ("https://_x.example/mcp", "service"),
        ] {
            assert_eq!(name_of(&Url::parse(url).unwrap()), name, "{url}");
            check_name(name, "").unwrap();
        }
    }

    #[test]
    fn addresses_without_their_scheme_are_known() {
        for (typed, address) in [
            ("mcp.example.com", Some("https://mcp.example.com/")),
            ("example.com/mcp", Some("https://example.com/mcp")),
            ("Example.com:8443/mcp?a=b", Some("https://example.com:8443/mcp?a=…")),
            ("intranet:8080", Some("https://intranet:8080/")),
            ("localhost:3000/mcp", Some("http://localhost:3000/mcp")),
            ("127.0.0.1:3000", Some("http://127.0.0.1:3000/")),
            ("10.0.0.1/mcp", Some("https://10.0.0.1/mcp")),
            ("[::1]:3000/mcp", Some("http://[::1]:3000/mcp")),
            ("user:pass@example.com/mcp", None),
            ("front", None),
            ("frnt/mcp", None),
            ("1", None),
            ("./mcp", None),
            ("two words.com", None),
            ("", None),
        ] {
            assert_eq!(address_of(typed).as_deref(), address, "{typed}");
        }
    }

    #[test]
    fn typing_errors_find_their_neighbours() {
        let known = || vec!["front".to_owned(), "linear".to_owned(), "front-staging".to_owned()];
        for (typed, near) in [
            ("fornt", &["front"] as &[&str]),
            ("Front", &["front"]),
            ("front-stagin", &["front-staging"]),
            ("lin", &["linear"]),
            ("postgres", &[]),
        ] {
            assert_eq!(nearest(typed, known()), near, "{typed}");
        }
    }
}
