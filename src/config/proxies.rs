//! Which proxies the environment names, for the HTTP client's address policy.
//!
//! The client itself reads the same variables; a proxy may well stand at a private address that
//! metadata of a public service may not name.

use url::Url;

use super::Environment;
use crate::http::Config;

/// The variables that name proxies; programs differ in the case they look for.
const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// How the HTTP client goes out from here.
pub fn http_config(environment: &Environment) -> Config {
    let named = VARIABLES.iter().filter_map(|name| environment.text(name)?.ok());
    let mut proxy_hosts: Vec<String> = named.filter_map(host).collect();
    proxy_hosts.sort();
    proxy_hosts.dedup();
    Config { proxy_hosts }
}

/// The host of a proxy, whose scheme may be left out.
fn host(proxy: &str) -> Option<String> {
    let with_scheme = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    Url::parse(&with_scheme).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_known_by_host() {
        for (variables, expected) in [
            (&[] as &[(&str, &str)], &[] as &[&str]),
            (&[("HTTPS_PROXY", "http://user:pass@proxy.corp:3128")], &["proxy.corp"]),
            (
                &[("https_proxy", "proxy.corp:3128"), ("ALL_PROXY", "socks5://10.0.0.1")],
                &["10.0.0.1", "proxy.corp"],
            ),
            (&[("HTTP_PROXY", "http://a"), ("http_proxy", "http://a")], &["a"]),
            (&[("HTTP_PROXY", ":::")], &[]),
        ] {
            assert_eq!(http_config(&variables.iter().copied().collect()).proxy_hosts, expected);
        }
    }
}
