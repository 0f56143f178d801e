//! The end of a bridge: EOF, signals, a host that dies or stops reading, and one that reads slowly.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::DEADLINE;
use crate::support::bridge::initialize_params;
use crate::support::gate::Gate;
use crate::support::home::{BINARY, Home};
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is};
use crate::support::process::{Captured, Process};

/// Claude Code kills a server 500 ms after SIGINT; by then the server must have been told.
const FAREWELL_LIMIT: Duration = Duration::from_millis(400);

/// What is pending at EOF has two seconds to finish, and gets its answer.
#[test]
fn what_is_pending_at_eof_is_answered_before_the_end() {
    let arrived = Gate::default();
    let gate = arrived.clone();
    let server = McpServer::on_calls(move |_, responder| {
        gate.pass();
        responder.reply(&Reply::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{"late":true}}"#));
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#);
    arrived.wait_for_arrivals(1);
    session.bridge.close_stdin();
    arrived.open();
    assert_eq!(session.bridge.message()["result"]["late"], true);
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty());
    assert_eq!(server.sessions(), (1, 0), "the session is ended");
}

#[test]
fn what_never_finishes_at_eof_is_answered_with_an_error() {
    let server = McpServer::on_calls(|_, responder| {
        responder.wait_for_close();
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"never"}}"#);
    server.wait_for("the call", is("tools/call"));
    session.bridge.close_stdin();
    let answer = session.bridge.message();
    assert_eq!(answer["id"], "x");
    assert!(answer["error"].is_object(), "{answer}");
    assert!(session.bridge.wait().0.success());
}

/// Claude Code sends SIGINT, then SIGTERM after 100 ms, and kills after 500.
#[test]
fn signals_end_the_session_in_time() {
    for signals in [&[Signal::INT][..], &[Signal::TERM], &[Signal::HUP], &[Signal::INT, Signal::TERM]] {
        let server = McpServer::open();
        let mut session = OpenSession::on(&server);
        let start = Instant::now();
        for &signal in signals {
            session.bridge.signal(signal);
        }
        server.wait_for("DELETE", |request| request.method == "DELETE");
        assert!(start.elapsed() < FAREWELL_LIMIT, "DELETE came after {:?}", start.elapsed());
        let (status, rest) = session.bridge.wait();
        assert!(rest.is_empty());
        assert_ne!(status.code(), Some(101), "{status}");
    }
}

#[test]
fn a_host_that_stops_reading_ends_the_bridge_without_a_panic() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let mut command = home.command(["bridge", &server.url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start(&mut command);
    drop(process.child.stdout.take());
    let mut stdin = process.child.stdin.take().expect("stdin is piped");
    let frame = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    stdin.write_all(format!("{frame}\n").as_bytes()).expect("the bridge reads");
    process.wait();
    let stderr = String::from_utf8_lossy(&process.stderr.to_end()).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// A host that dies while somebody else still holds the pipes takes its bridge with it.
#[test]
fn the_death_of_the_host_ends_the_bridge() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let (input, mut host_end) = std::io::pipe().expect("a pipe");
    let (output, bridge_end) = std::io::pipe().expect("a pipe");
    // A shell plays the host: it starts the bridge and waits for it.
    let mut command = Command::new("sh");
    // Named, since a background job would otherwise read from /dev/null.
    command.args(["-c", "exec 3<&0; \"$0\" bridge \"$1\" <&3 3<&- & wait", BINARY, &server.url()]);
    command.env_clear().envs(home.environment());
    command.stdin(OwnedFd::from(input)).stdout(OwnedFd::from(bridge_end));
    let host = Process::start(&mut command);
    drop(command);
    let frame = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    host_end.write_all(format!("{frame}\n").as_bytes()).expect("the bridge reads");
    let said = Captured::new(output);
    said.wait_for("the answer", |text| text.ends_with('\n'));
    host.signal(Signal::KILL);
    server.wait_for("DELETE", |request| request.method == "DELETE");
    said.to_end();
    drop(host_end);
}

/// A slow reader slows the server: what the host does not read is not piled up in between.
#[test]
fn a_host_that_reads_slowly_slows_the_server() {
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
