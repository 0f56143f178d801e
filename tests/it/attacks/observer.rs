//! Looking at everything that commands and bridges say and log: it is plain text, and bounded.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::printed::assert_plain;
use crate::support::service::{NAME, Service};

/// The log file of every command.
const LOG_FILE: &str = "kept.log";
/// How much of what a server says an error may hold, and all the lines of a command at most.
const LONGEST: usize = 64 * 1024;

/// A service whose endpoint refuses, once that is set, with this challenge.
pub(super) fn challenging() -> (Service, Arc<Mutex<Vec<String>>>) {
    let authorization = AuthorizationServer::start();
    let challenges = Arc::<Mutex<Vec<String>>>::default();
    let said = Arc::clone(&challenges);
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        unguarded: Some(Box::new(move |_| {
            let said = said.lock().unwrap();
            let refusal = Reply::status(401);
            let with = |reply: Reply, value: &String| reply.header("WWW-Authenticate", value.as_str());
            (!said.is_empty()).then(|| said.iter().fold(refusal, with))
        })),
        ..Setup::default()
    });
    (Service::of(authorization, server, logging_home()), challenges)
}

/// A home whose commands log all there is, on stderr and to a file.
pub(super) fn logging_home() -> Home {
    Home::with_file_store().with("MCP_FRONT_LOG_FILE", LOG_FILE).with("MCP_FRONT_LOG", "trace")
}

/// Runs a command, and fails the test where it prints or logs anything but plain text of a bounded
/// length.
#[track_caller]
pub(super) fn look(what: &str, service: &Service, arguments: &[&str]) {
    let outcome = service.home.run(arguments);
    let what = format!("`{}` after {what}", arguments.join(" "));
    assert_plain(&what, &outcome.stdout);
    assert_plain(&what, &outcome.stderr);
    assert!(outcome.stdout.len() + outcome.stderr.len() < LONGEST, "{what}: {outcome:?}");
    assert_log_is_plain(&what, service.home.path());
}

/// Whatever tells of a service.
#[track_caller]
pub(super) fn look_around(what: &str, service: &Service) {
    for arguments in [
        &["status"][..],
        &["status", NAME, "--json"],
        &["tokens", "list"],
        &["tokens", "list", "--json"],
        &["doctor", NAME],
        &["doctor", NAME, "--json"],
        &[],
    ] {
        look(what, service, arguments);
    }
}

#[track_caller]
fn assert_log_is_plain(what: &str, home: &Path) {
    let log = std::fs::read(home.join(LOG_FILE)).unwrap_or_default();
    assert_plain(&format!("the log of {what}"), &String::from_utf8_lossy(&log));
    assert!(log.len() < 16 * LONGEST, "the log of {what} has {} bytes", log.len());
    let _ = std::fs::remove_file(home.join(LOG_FILE));
}

/// Every text in an error of ours.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// A bridge that is refused: neither its error nor its log holds anything but plain text.
#[track_caller]
pub(super) fn look_at_bridge(what: &str, service: &Service, more: &[&str]) {
    let mut bridge = Bridge::start(&service.home, &[&[NAME], more].concat());
    let answer = bridge.initialize();
    let refused = match answer["error"].is_object() {
        true => answer["error"].clone(),
        false => bridge.call(1, "tools/call", json!({"name": "echo"}))["error"].clone(),
    };
    for text in texts(&refused) {
        assert_plain(what, &text);
        assert!(text.len() < LONGEST, "{what}: {} bytes", text.len());
    }
    bridge.close_stdin();
    bridge.wait();
    let said = String::from_utf8_lossy(&bridge.process.stderr.to_end()).into_owned();
    assert_plain(&format!("stderr of the bridge after {what}"), &said);
    assert!(said.len() < 16 * LONGEST, "{what}: {} bytes", said.len());
    assert_log_is_plain(what, service.home.path());
}
