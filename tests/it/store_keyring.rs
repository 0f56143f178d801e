//! The keychain store against a real keychain (gnome-keyring in a private D-Bus session), and
//! against keychains that lie or never answer.
//!
//! The session bus is found through the environment, which a process cannot change for itself
//! safely: each case runs in a process of its own, started by the test that sets the scene.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mcp_front::credential::{Credential, Generation, Kind, SCHEMA, StaticToken};
use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::paths::Paths;
use mcp_front::redact::Secret;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::{JournalEntry, Patience, Store, StoreConfig, StoreError, StoreKind};

use crate::support::fake_keychain::{Conduct, FakeKeychain};
use crate::support::gate::Gate;
use crate::support::keychain::Session;

const CASE: &str = "MCP_FRONT_TEST_CASE";
const HOME: &str = "MCP_FRONT_TEST_HOME";
const CANARY: &str = "keychain-canary";

/// A bridge answers within five seconds, so its store must have answered before.
const IN_TIME: Duration = Duration::from_millis(4_500);

/// Runs `case` in an environment of nothing but `variables` and the case's own.
fn run(case: &str, variables: Vec<(String, String)>) {
    let home = tempfile::tempdir().unwrap();
    run_in(home.path(), case, variables);
}

fn run_in(home: &std::path::Path, case: &str, variables: Vec<(String, String)>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store_keyring::inside", "--nocapture"]);
    command.env_clear().envs(variables).env(CASE, case).env(HOME, home);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{case}:\n{shown}");
    // The one that ran is the one that was meant.
    assert!(shown.contains("1 passed"), "{case}:\n{shown}");
}
