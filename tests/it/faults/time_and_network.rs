//! I: clocks, sleep, the network, sessions and the ends of both sides.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getsid, kill_process};
use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::authorization_server::Fault;
use crate::support::bridge::{Bridge, initialize_params, said};
use crate::support::gate::Gate;
use crate::support::home::{BINARY, Home};
use crate::support::http_server::Reply;
use crate::support::kept_login::refreshing_process;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is_named, is_post_of};
use crate::support::process::{Captured, Process};
use crate::support::service::Service;

/// Claude Code kills a server 500 ms after SIGINT; by then the server must have been told.
const FAREWELL_LIMIT: Duration = Duration::from_millis(400);

/// The two seconds in which a bridge is gone whatever it waits for, and as many for a busy machine.
const EXIT_LIMIT: Duration = Duration::from_secs(4);

/// When it does.
const KILL_AFTER: Duration = Duration::from_millis(500);

/// A lost session is replayed with the host's own frames, once, whatever form the refusal has.
#[test]
fn i05_a_lost_session_is_replayed_and_the_host_does_not_notice() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.echo(1, "before"), "before");
    server.forget_sessions();
    assert_eq!(session.bridge.echo(2, "after"), "after");
    assert_eq!(server.sessions(), (2, 1));
    let posted = server.posted();
    let initializes: Vec<_> = posted.iter().filter(|body| is_named(body, "initialize")).collect();
    assert_eq!(initializes.len(), 2);
    assert_eq!(initializes[0], initializes[1]);
    assert_eq!(posted.iter().filter(|body| is_named(body, "notifications/initialized")).count(), 2);
}

/// I06: a deploy that rolls over lets one `initialize` fail; the session is not dead for that.
#[test]
fn i06_a_renewal_that_fails_is_tried_again_by_the_next_request() {
    for status in [404, 503] {
        a_renewal_fails_once_with(status);
    }
}

fn a_renewal_fails_once_with(status: u16) {
    let failing = Arc::new(AtomicBool::new(false));
    let fail = Arc::clone(&failing);
    let server = McpServer::scripted(move |request, responder| {
        let refuse = is_post_of(request, "initialize") && fail.load(Ordering::SeqCst);
        if refuse {
            responder.reply(&Reply::html(status, "rolling over"));
        }
        refuse
    });
    let mut session = OpenSession::on(&server);
    server.forget_sessions();
    failing.store(true, Ordering::SeqCst);
    let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
    assert_eq!(answer["error"]["data"]["reason"], "session_lost", "{answer}");
    assert_eq!(answer["error"]["data"]["mayHaveExecuted"], false, "{answer}");
    failing.store(false, Ordering::SeqCst);
    assert_eq!(session.bridge.echo(2, "alive"), "alive");
}

#[test]
fn i07_a_cut_stream_is_resumed_behind_its_last_event() {
    let server = McpServer::scripted(|request, responder| {
        if is_post_of(request, "tools/call") {
            responder.start_events();
            responder.chunk("id: e1\nretry: 10\ndata:\n\n");
            responder.chunk("id: e2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
            return true;
        }
        let resumes = request.method == "GET" && request.header("Last-Event-ID") == Some("e2");
        if resumes {
            responder.start_events();
            responder.chunk("id: e3\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resumed\":true}}\n\n");
            responder.end();
        }
        resumes
    });
    let mut session = OpenSession::on(&server);
    let answer = session.bridge.call(1, "tools/call", json!({"name": "long"}));
    assert_eq!(answer["result"]["resumed"], true, "{answer}");
    assert_eq!(
        server.posted().iter().filter(|body| is_named(body, "tools/call")).count(),
        1,
        "never sent again"
    );
}

/// A12: a request that the server may have executed is never sent again: cut off, it is an error.
#[test]
fn i07_a_cut_answer_without_events_is_an_error_at_once_and_never_a_second_request() {
    for cut in 0..4 {
        let server = McpServer::on_calls(move |_, responder| match cut {
            0 => responder.reset(),
            1 => _ = responder.start_events(),
            2 => {
                responder.start_events();
                responder.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":1,");
            }
            _ => _ = responder.raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"json",
            ),
        });
        let mut session = OpenSession::on(&server);
        let answer = session.bridge.call(1, "tools/call", json!({"name": "send"}));
        assert!(answer["error"]["message"].is_string(), "cut {cut}: {answer}");
        assert_eq!(
            server.posted().iter().filter(|body| is_named(body, "tools/call")).count(),
            1,
            "cut {cut}"
        );
        assert_eq!(session.bridge.call(2, "ping", json!({}))["result"], json!({}));
    }
}

/// Claude Code sends SIGINT, then SIGTERM after 100 ms, and kills after 500.
#[test]
fn i09_signals_end_the_session_in_time() {
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
        assert!(start.elapsed() < EXIT_LIMIT, "it ended after {:?}", start.elapsed());
        assert!(rest.is_empty());
        assert!(status.success(), "{status}");
    }
}

/// A server that answers nothing, not even that the session ends, keeps no bridge: neither one whose host
/// signals, nor one whose host closes its end, with a request under way or without.
#[test]
fn i09_a_server_that_is_silent_keeps_no_bridge() {
    let goodbyes = [None, Some(Signal::INT), Some(Signal::TERM), Some(Signal::HUP)];
    for (goodbye, pending) in goodbyes.into_iter().flat_map(|goodbye| [(goodbye, true), (goodbye, false)]) {
        let server = McpServer::scripted(|request, responder| {
            let is_silent = request.method == "DELETE" || is_post_of(request, "tools/call");
            if is_silent {
                responder.wait_for_close();
            }
            is_silent
        });
        let mut session = OpenSession::on(&server);
        if pending {
            let call =
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "never"}});
            session.bridge.send(call.to_string());
            server.wait_for("the call", |request| is_post_of(request, "tools/call"));
        }
        match goodbye {
            None => session.bridge.close_stdin(),
            Some(signal) => session.bridge.signal(signal),
        }
        let status = session.bridge.process.wait_within(EXIT_LIMIT);
        assert!(status.success(), "{goodbye:?}: {status}");
        let (_, rest) = session.bridge.wait();
        assert_eq!(rest.len(), usize::from(pending), "{goodbye:?}: what is pending is answered once");
    }
}

/// A host that dies while somebody else still holds the pipes takes its bridge with it.
#[test]
fn i09_the_death_of_the_host_ends_the_bridge() {
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
    let died = Instant::now();
    host.signal(Signal::KILL);
    server.wait_for("DELETE", |request| request.method == "DELETE");
    said.to_end();
    assert!(died.elapsed() < EXIT_LIMIT, "the bridge ended {:?} after its host", died.elapsed());
    drop(host_end);
}

/// A7, A30: a host that interrupts its bridge in the middle of a refresh, and kills it half a second
/// later, loses nothing: the refresh runs in a process of its own, to the save.
#[test]
fn i09_a_refresh_outlives_the_bridge_that_its_host_ends() {
    // None stands for a host that closes its end.
    for signals in [&[Signal::INT, Signal::TERM, Signal::KILL][..], &[Signal::KILL], &[]] {
        let service = Service::with_expired_token();
        let gate = Gate::default();
        service.authorization.fault(Fault::Hold(gate.clone()));
        let mut bridge = service.bridge();
        let first = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
        bridge.send(first.to_string());
        gate.wait_for_arrivals(1);
        let helper = refreshing_process(service.home.path());
        assert_eq!(getsid(Some(helper)).unwrap(), helper, "what is typed at a terminal does not reach it");
        for &signal in signals {
            // The last one comes half a second after the first.
            if signal == Signal::KILL && signals.len() > 1 {
                bridge.process.ends_within(KILL_AFTER);
            }
            bridge.signal(signal);
        }
        if signals.is_empty() {
            bridge.close_stdin();
        }
        bridge.process.wait_within(EXIT_LIMIT);
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            kill_process(helper, signal).unwrap();
        }
        // Whoever has ended, and is not gone yet, has no arguments any more.
        let arguments = format!("/proc/{}/cmdline", helper.as_raw_nonzero());
        let runs = || fs::read(&arguments).is_ok_and(|line| !line.is_empty());
        assert!(runs(), "{signals:?}: the refresh goes on");
        gate.open();
        let mut next = service.bridge();
        next.initialize();
        assert_eq!(next.echo(1, "kept"), "kept");
        let call = service.server.requests().pop().expect("a request");
        let renewed = format!("Bearer {}", service.authorization.tokens(1).0);
        assert_eq!(call.header("Authorization"), Some(renewed.as_str()), "{signals:?}");
        assert_eq!(service.authorization.refreshes(), 1, "the ended bridge's refresh was saved");
        assert_eq!((service.authorization.replays(), service.authorization.living_grants()), (0, 1));
        let end = Instant::now() + DEADLINE;
        while runs() {
            assert!(Instant::now() < end, "the refreshing process stays");
            std::thread::yield_now();
        }
    }
}

/// A6: a login in another terminal is picked up by the next request, without a restart.
#[test]
fn i12_a_login_in_another_terminal_is_picked_up() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.revoke_grants();
    bridge.refused(1);
    service.login(&[]).expect(0);
    assert_eq!(bridge.echo(2, "back"), "back");
}

/// The host is let in, told what to run, and served by the same process once that has been run.
#[test]
fn i12_the_host_is_let_in_and_served_once_the_login_is_there() {
    let service = Service::new();
    let mut bridge = Bridge::start(&service.home, &[&service.server.url()]);
    let mut params = initialize_params();
    params["protocolVersion"] = "2025-06-18".into();
    let answer = bridge.call(0, "initialize", params);
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
    for list in ["tools", "prompts", "resources"] {
        assert_eq!(answer["result"]["capabilities"][list]["listChanged"], true, "{answer}");
    }
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let command = format!("{BINARY} login {}", service.server.url());
    let names_it = |text: &Value| text.as_str().is_some_and(|text| text.contains(&command));
    let listed = bridge.call(1, "tools/list", json!({}));
    let tool = &listed["result"]["tools"][0];
    assert!(names_it(&tool["description"]), "{listed}");
    for (id, method, list) in [
        (2, "prompts/list", "prompts"),
        (3, "resources/list", "resources"),
        (4, "resources/templates/list", "resourceTemplates"),
    ] {
        assert_eq!(bridge.call(id, method, json!({}))["result"][list], json!([]));
    }
    assert_eq!(bridge.call(5, "ping", json!({}))["result"], json!({}));
    for name in [tool["name"].as_str().unwrap(), "remembered_from_yesterday"] {
        let called = bridge.call(6, "tools/call", json!({"name": name, "arguments": {}}));
        assert!(said(&called).contains(&command), "{called}");
        assert_eq!(called["result"]["isError"], true, "{called}");
    }
    let refused = bridge.call(7, "resources/read", json!({"uri": "x:y"}));
    assert!(names_it(&refused["error"]["data"]["command"]), "{refused}");
    assert_eq!(service.browser.tabs(), 0, "no tab is opened");

    service.login(&[]).expect(0);
    bridge.wait_for_changes();
    assert_eq!(bridge.tools(8), ["echo"]);
    assert_eq!(bridge.echo(9, "served"), "served");
    assert_eq!(service.server.sessions().0, 1);
    // A host that has not listed anew.
    let late = bridge.call(10, "tools/call", json!({"name": tool["name"], "arguments": {}}));
    assert!(said(&late).contains("List the tools again"), "{late}");
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
    assert_eq!(service.server.sessions().1, 0, "the session is ended");
}
