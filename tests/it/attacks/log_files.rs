//! C15: the log file: private from its first byte, bounded, shared by processes, no link's target, and
//! without secrets. All else that is watched for those is in `secrets`, whose scenes log to a file too.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::bridge::Bridge;
use crate::support::home::{BINARY, Home, finish};
use crate::support::mcp_server::McpServer;
use crate::support::scene::{Log, Scene};
use crate::support::service::{NAME, Service};

/// What a file may hold before the next one begins.
const LIMIT: u64 = 5 << 20;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Bridges write whole lines into one file.
#[test]
fn c15_processes_share_a_private_log_file() {
    let service = Service::with_expired_token();
    let log = service.home.path().join("logs/of the day.log");
    let arguments = ["service", "--log-format", "json", "-vvv", "--log-file"];
    let arguments: Vec<_> = arguments.into_iter().chain(log.to_str()).collect();
    let mut bridges: Vec<_> = (0..4).map(|_| Bridge::start(&service.home, &arguments)).collect();
    for bridge in &mut bridges {
        bridge.initialize();
        assert_eq!(bridge.echo(1, "on"), "on");
        bridge.close_stdin();
        bridge.wait();
    }
    assert_eq!((mode(&log), mode(log.parent().unwrap())), (0o600, 0o700));
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.len() >= bridges.len(), "{text}");
}

/// What was asked of whom, when and with what outcome; neither paths nor contents.
#[test]
fn c15_a_verbose_log_tells_of_each_exchange() {
    let service = Service::logged_in();
    let log = service.home.path().join("log");
    let arguments = ["service", "--log-format", "json", "-vv", "--log-file"];
    let arguments: Vec<_> = arguments.into_iter().chain(log.to_str()).collect();
    let mut bridge = Bridge::start(&service.home, &arguments);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "a word"), "a word");
    bridge.close_stdin();
    bridge.wait();
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let told = |message: &str, name: &str, value: Value| {
        lines.iter().any(|line| line["message"] == message && line[name] == value)
    };
    assert!(told("asked", "status", 200.into()) && told("asked", "method", "POST".into()), "{text}");
    assert!(!text.contains("a word") && !text.contains("/mcp"), "{text}");
}

/// Whatever the umask, and without a word on stderr that was not asked for.
#[test]
fn c15_a_log_file_is_private_from_the_first_byte() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let log = home.path().join("log");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\"", BINARY, "bridge", &server.url(), "--log-file", "log"]);
    shell.env_clear().envs(home.environment()).current_dir(home.path());
    let said = finish(shell, b"").expect(0);
    assert_eq!((mode(&log), said.stderr.as_str()), (0o600, ""));
}

#[test]
fn c15_a_full_log_file_moves_aside_once() {
    let service = Service::with_expired_token();
    let log = service.home.path().join("log");
    let older = service.home.path().join("log.1");
    std::fs::write(&older, "the oldest").unwrap();
    std::fs::write(&log, vec![b'x'; usize::try_from(LIMIT).unwrap()]).unwrap();
    let mut bridge = Bridge::start(&service.home, &["service", "-vvv", "--log-file", "log"]);
    bridge.initialize();
    bridge.close_stdin();
    bridge.wait();
    assert_eq!((std::fs::metadata(&older).unwrap().len(), mode(&older), mode(&log)), (LIMIT, 0o600, 0o600));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.is_empty() && !text.contains("xxx"), "{text}");
    let names = std::fs::read_dir(service.home.path()).unwrap().flatten();
    let logs = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("log"));
    assert_eq!(logs.count(), 2);
}

/// Somebody who keeps a full one keeps no host waiting; that lines are lost is said once.
#[test]
fn c15_nobody_waits_for_a_log_file() {
    let service = Service::logged_in();
    let log = service.home.path().join("log");
    std::fs::write(&log, vec![b'x'; usize::try_from(LIMIT).unwrap()]).unwrap();
    let kept = std::fs::File::open(&log).unwrap();
    kept.lock().unwrap();
    let mut bridge = Bridge::start(&service.home, &["service", "-vvv", "--log-file", "log"]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "served"), "served");
    let said = bridge.process.stderr.text();
    assert_eq!(said.matches("another process keeps it full").count(), 1, "{said}");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), LIMIT);
    drop(kept);
    assert_eq!(bridge.echo(2, "served"), "served");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.is_empty() && !text.contains("xxx"), "{text}");
}

/// A bridge serves all the same, and says why there is no log.
#[test]
fn c15_a_link_is_not_followed() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let (target, link) = (home.path().join("theirs"), home.path().join("log"));
    std::fs::write(&target, "theirs").unwrap();
    symlink(&target, &link).unwrap();
    let home = home.with("MCP_FRONT_LOG_FILE", link.to_str().unwrap());
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.initialize();
    bridge.process.stderr.wait_for("the reason", |text| text.contains("symbolic link"));
    assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
}

/// What is written into a file with two names is written under the other one as well.
#[test]
fn c15_a_file_with_another_name_is_not_written_to() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let (theirs, log) = (home.path().join("theirs"), home.path().join("log"));
    std::fs::write(&theirs, "theirs").unwrap();
    std::fs::hard_link(&theirs, &log).unwrap();
    let mut bridge = Bridge::start(&home, &[&server.url(), "-vvv", "--log-file", "log"]);
    bridge.initialize();
    bridge.process.stderr.wait_for("the reason", |text| text.contains("a hard link"));
    assert_eq!(std::fs::read(&theirs).unwrap(), b"theirs");
}

/// Every layer beneath is asked for its wire: requests, headers, forms, and what comes back.
#[test]
fn c15_a_wire_trace_holds_no_secret() {
    const EVERYTHING: &str = "trace,hyper=trace,hyper_util=trace,h2=trace,reqwest=trace,rustls=trace,\
                              rmcp=trace,oauth2=trace,zbus=trace,keyring=trace,mcp_front=trace";
    let mut scene = Scene::new(Log::Trace);
    let home = scene.service.home.with("RUST_LOG", EVERYTHING).with("RUST_BACKTRACE", "full");
    scene.service.home = home.with("MCP_FRONT_LOG", EVERYTHING);
    scene.log_in_by_callback(&[]);
    scene.log_in_by_paste().expect(0);
    let mut bridge = scene.bridge(&[NAME]);
    bridge.initialize();
    scene.service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(1, "on"), "on");
    scene.leave(bridge);
    scene.service.authorization.publish_revocation();
    scene.run(&["logout", NAME], "").expect(0);
    let log = std::fs::read_to_string(scene.service.home.path().join("log/kept.log")).unwrap();
    assert!(log.contains("DEBUG"), "{log}");
    scene.conclude();
}
