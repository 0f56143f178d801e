//! Settings: variables, header files, names and addresses resolve or are refused in words that are safe
//! to print and hold no secret, and a command that is shown means in a shell what it says.

use std::ffi::OsStr;

use mcp_front::authorizer::quoted;
use mcp_front::config::headers::Headers;
use mcp_front::config::{ConfigError, Environment, Flags, Settings, check_name};
use mcp_front::http::Proxy;
use mcp_front::paths::Paths;
use mcp_front::redact::is_printable;
use mcp_front::server_uri::{ServerUri, ServiceKey};

use super::{assert_printable, parts, shown};

/// What nothing that is shown may hold, where it stands in a secret place.
const CANARY: &str = "CANARY";
/// The variables whose values are secret; all others may be shown.
const SECRET: [&str; 7] = [
    "MCP_FRONT_ENCRYPTION_KEY",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];
/// The variables that name files, which are not looked at here.
const FILES: [&str; 3] = ["MCP_FRONT_CA_FILE", "MCP_FRONT_CLIENT_CERT", "MCP_FRONT_CLIENT_KEY"];

/// In three parts: variables, one a line; a header file; a name or an address.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let [variables, headers, name] = parts(text);
    let variables: Vec<_> = variables.lines().filter_map(|line| line.split_once('=')).collect();
    let environment: Environment = variables.iter().copied().collect();
    let is_public = |(name, value): &(&str, &str)| !SECRET.contains(name) && value.contains(CANARY);
    check_settings(&environment, variables.iter().any(is_public));
    check_headers(headers, &environment);
    check_target(name);
}

fn check_settings(environment: &Environment, shows_canary: bool) {
    let safe = |text: &str| {
        assert_printable(text);
        assert!(shows_canary || !text.contains(CANARY), "{text}");
    };
    let settings = match Settings::resolve(&Flags::default(), environment) {
        Ok(settings) => settings,
        Err(error) => return safe(&shown(&error)),
    };
    assert!(check_name(&settings.profile, "").is_ok());
    let paths = Paths::resolve(Some(std::path::Path::new("/home"))).expect("an absolute path");
    for decided in settings.decided(environment, &paths) {
        safe(&decided.value);
    }
    let list = settings.program.list();
    safe(&list.to_string());
    if settings.program.variables().iter().all(|(_, value)| is_printable(value)) {
        let words = shlex::split(list.as_str()).expect("a shell reads it");
        let assigned = settings.program.variables().iter().map(|(name, value)| format!("{name}={value}"));
        let expected: Vec<_> = assigned.chain(["mcp-front", "tokens", "list"].map(str::to_owned)).collect();
        assert_eq!(words, expected);
    }
    if FILES.iter().all(|name| environment.get(name).is_none())
        && let Err(error) = settings.network.http_config(environment)
    {
        safe(&shown(&error));
    }
    safe(&format!("{:?}", settings.network.http_config(&Environment::default()).is_ok()));
}

fn check_headers(text: &str, environment: &Environment) {
    let mut headers = Headers::default();
    match headers.add_file(text, "headers", environment) {
        Err(error) => {
            assert!(matches!(error, ConfigError::Header { .. }), "{error}");
            assert_printable(&shown(&error));
            let names_variable = text.contains("${") && shown(&error).contains("variable");
            assert!(names_variable || !shown(&error).contains(CANARY), "{error}");
        }
        Ok(()) => {
            let (map, variables) = headers.into_parts();
            assert!(map.values().all(http::HeaderValue::is_sensitive));
            assert_eq!(map.len(), map.keys_len());
            assert!(variables.iter().all(|name| environment.get(name).is_some()));
            for owned in ["authorization", "host", "content-length", "transfer-encoding", "mcp-session-id"] {
                assert!(!map.contains_key(owned), "{owned}");
            }
        }
    }
}

fn check_target(name: &str) {
    if check_name(name, "NAME").is_ok() {
        assert!(!name.starts_with('-') && !name.contains(['/', '\\', ':']) && (1..=64).contains(&name.len()));
        assert!(OsStr::new(name) != ".." && !name.starts_with('.'));
    }
    match ServerUri::parse(name, false) {
        Ok(server) => {
            assert_eq!(ServerUri::parse(server.as_str(), false).as_ref(), Ok(&server));
            assert!(server.as_url().scheme() == "https" || server.is_loopback());
            assert!(server.as_url().fragment().is_none() && server.as_url().username().is_empty());
            assert!(!server.host().is_empty());
            assert_printable(server.as_str());
            let key = ServiceKey::new("default", &server);
            assert_eq!(ServiceKey::from_hex(key.as_str()), Some(key));
        }
        Err(error) => assert_printable(&error.to_string()),
    }
    if let Some(proxy) = Proxy::parse(name) {
        assert_printable(&format!("{proxy:?}"));
        assert!(!proxy.host().is_empty());
    }
    if is_printable(name) {
        assert_eq!(shlex::split(&quoted(name)), Some(vec![name.to_owned()]));
    }
    assert_printable(&quoted(name));
}
