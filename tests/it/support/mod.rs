//! What the tests are made of: a home of their own, the processes under test, and the other side
//! of every connection.

pub(crate) mod asking_server;
pub(crate) mod authorization_server;
pub(crate) mod bridge;
pub(crate) mod browser;
pub(crate) mod canaries;
pub(crate) mod clock;
pub(crate) mod compiled;
pub(crate) mod connect_proxy;
pub(crate) mod disk;
pub(crate) mod failpoint;
pub(crate) mod fake_keychain;
pub(crate) mod fetch;
pub(crate) mod gate;
pub(crate) mod home;
pub(crate) mod http2_server;
pub(crate) mod http_server;
pub(crate) mod internet;
pub(crate) mod kept_login;
pub(crate) mod keychain;
pub(crate) mod line;
pub(crate) mod locks;
pub(crate) mod mcp_server;
pub(crate) mod modern_server;
pub(crate) mod node;
pub(crate) mod open_session;
pub(crate) mod power;
pub(crate) mod printed;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod scene;
pub(crate) mod service;
pub(crate) mod silence;
pub(crate) mod snapshot;
pub(crate) mod sse_server;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod tls_service;
pub(crate) mod translated;
pub(crate) mod wire;

use std::io::Write;
use std::time::Duration;

/// How long anything may take before the test that waits for it fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Says that a test is left out because `part` is not on this machine; a failure where `CI=true`.
/// `tests/run` collects what was left out.
pub(crate) fn skip(part: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "CI=true, but {part} is missing");
    eprintln!("skipped: {part} is missing");
    let (thread, list) = (std::thread::current(), std::env::var_os("MCP_FRONT_TEST_SKIPS"));
    if let (Some(test), Some(list)) = (thread.name(), list) {
        let list = std::fs::OpenOptions::new().append(true).create(true).open(list);
        list.and_then(|mut list| writeln!(list, "{test} {part} is missing")).expect("the list is writable");
    }
}
