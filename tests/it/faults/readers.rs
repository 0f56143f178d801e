//! I10, I11: stdout that nobody reads any more, or slowly, and stderr that takes nothing.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::{BINARY, Home};
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

#[test]
fn i10_a_host_that_stops_reading_ends_the_bridge_without_a_panic() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let mut command = home.command(["bridge", &server.url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start(&mut command);
    drop(process.child.stdout.take());
    let mut stdin = process.child.stdin.take().expect("stdin is piped");
    let frame = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    stdin.write_all(format!("{frame}\n").as_bytes()).expect("the bridge reads");
    let (code, stderr) = process.outcome();
    assert_eq!(code, 0, "a host that has gone is no failure: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// Whatever a person reads the beginning of only.
#[test]
fn i10_a_reader_that_has_gone_is_no_failure_of_any_command() {
    let service = Service::logged_in();
    for words in [
        &["--help"][..],
        &["--version"],
        &[],
        &["status", NAME],
        &["status", "--json"],
        &["tokens", "list"],
        &["doctor", NAME],
        &["doctor", "--json"],
        &["refresh", NAME, "--force"],
        &["bridge", NAME],
        &["logout", NAME],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = service.home.command(words);
        command.stdout(writer);
        let mut process = Process::start(&mut command);
        drop(command);
        let (code, stderr) = process.outcome();
        assert_eq!(code, 0, "{words:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{words:?}: {stderr}");
    }
}

/// A log that can be written nowhere is no reason to serve nobody.
#[test]
fn i10_a_bridge_whose_stderr_takes_nothing_serves_on() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" bridge \"$1\" -vvv 2>/dev/full", BINARY, &server.url()]);
    command.env_clear().envs(home.environment()).current_dir(home.path());
    let mut bridge = Bridge::spawn(command);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "unheard"), "unheard");
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}

/// A slow reader slows the server: what the host does not read is not piled up in between.
#[test]
fn i11_a_host_that_reads_slowly_slows_the_server() {
    const EVENTS: usize = 4096;
    /// A write that takes this long is taken for one that is held up.
    const STUCK: Duration = Duration::from_secs(1);
    let (sent, stuck) = mpsc::channel();
    let server = McpServer::on_calls(move |_, responder| {
        let text = "x".repeat(64 * 1024);
        let event = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"data\":\"{text}\"}}}}\n\n"
        );
        responder.give_up_writing_after(STUCK);
        responder.start_events();
        let written = (0..EVENTS).take_while(|_| responder.chunk(&event)).count();
        let _ = sent.send(written);
    });
    let home = Home::with_file_store();
    let mut command = home.command(["bridge", &server.url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start(&mut command);
    let mut stdin = process.child.stdin.take().expect("stdin is piped");
    for frame in [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "flood"}}),
    ] {
        stdin.write_all(format!("{frame}\n").as_bytes()).expect("the bridge reads");
    }
    let written = stuck.recv_timeout(DEADLINE).expect("the server comes to a stop");
    assert!(written < EVENTS / 4, "{written} of {EVENTS} events of 64 KiB went out to nobody");
}
