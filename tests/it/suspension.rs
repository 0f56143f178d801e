//! A machine that was suspended and has woken: its clock has jumped, and the streams that stood are
//! dead without a word. They are opened again at once, however long a pause was to last.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::{modern, request};
use crate::support::open_session::is;
use crate::support::sse_server::SseServer;
use crate::support::translated::{capabilities, event, introduce};

/// A home whose clock can be moved.
struct Machine {
    home: Home,
    clock: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let home = Home::with_file_store();
        let clock = home.path().join("clock");
        let home = home.with("MCP_FRONT_CLOCK", clock.to_str().expect("a plain path"));
        Self { home, clock }
    }

    /// Sleeps for an hour, and again, since the bridge may not have looked at its clocks before,
    /// until `is_awake`.
    fn suspend_until(&self, is_awake: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        for hour in 1.. {
            // Never half written.
            let next = self.clock.with_extension("next");
            std::fs::write(&next, (hour * 3600).to_string()).expect("the home is writable");
            std::fs::rename(&next, &self.clock).expect("the home is writable");
            if is_awake() {
                return;
            }
            assert!(Instant::now() < end, "the suspension is not noticed");
            std::thread::yield_now();
        }
    }
}

/// A script that counts the streams that `opens` opens, and answers each with `answer`.
fn counting(
    opens: impl Fn(&Request) -> bool + Send + Sync + 'static,
    answer: impl Fn(&mut Responder) + Send + Sync + 'static,
) -> (Arc<AtomicUsize>, impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static) {
    let opened = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&opened);
    let script = move |request: &Request, responder: &mut Responder| {
        let is_one = opens(request);
        if is_one {
            count.fetch_add(1, Ordering::SeqCst);
            answer(responder);
        }
        is_one
    };
    (opened, script)
}

/// Nothing comes on it, nor its end.
fn hold_open(responder: &mut Responder) {
    responder.start_events();
    responder.wait_for_close();
}

/// Holds that a stream is opened again after a suspension, and that the session goes on.
fn check(machine: &Machine, bridge: &mut Bridge, opened: &AtomicUsize) {
    machine.suspend_until(|| opened.load(Ordering::SeqCst) >= 2);
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}

fn is_get(request: &Request) -> bool {
    request.method == "GET"
}

#[test]
fn a_stream_of_server_messages_is_opened_again() {
    let (opened, script) = counting(is_get, hold_open);
    let (server, machine) = (McpServer::scripted(script), Machine::new());
    let mut bridge = Bridge::start(&machine.home, &[&server.url()]);
    bridge.initialize();
    check(&machine, &mut bridge, &opened);
    assert_eq!(server.sessions().0, 1, "the session is the same");
}

/// Five minutes are the longest that a server may wish for.
#[test]
fn a_long_pause_is_cut_short() {
    let (opened, script) =
        counting(is_get, |responder| responder.reply(&Reply::status(503).header("Retry-After", "300")));
    let (server, machine) = (McpServer::scripted(script), Machine::new());
    let mut bridge = Bridge::start(&machine.home, &[&server.url()]);
    bridge.initialize();
    check(&machine, &mut bridge, &opened);
}

#[test]
fn the_stream_of_an_old_transport_is_opened_again() {
    let (server, machine) = (SseServer::open(), Machine::new());
    let mut bridge = Bridge::start(&machine.home, &[&server.url()]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "before"), "before");
    machine.suspend_until(|| server.streams.opened() >= 2);
    assert_eq!(bridge.echo(2, "after"), "after");
}

#[test]
fn a_subscription_is_sent_again() {
    let (opened, script) = counting(is("subscriptions/listen"), hold_open);
    let (server, machine) = (modern(script), Machine::new());
    let mut bridge = Bridge::start(&machine.home, &[&server.url()]);
    bridge.send(request("probe", "server/discover", json!({})));
    assert!(bridge.message()["result"].is_object());
    bridge.send(request("listen", "subscriptions/listen", json!({})));
    check(&machine, &mut bridge, &opened);
}

#[test]
fn a_subscription_in_translation_is_sent_again() {
    let (opened, script) = counting(is("subscriptions/listen"), |responder| {
        responder.start_events();
        responder.chunk(event(&json!({
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": {"toolsListChanged": true}},
        })));
        responder.wait_for_close();
    });
    let (server, machine) = (modern(script), Machine::new());
    let mut bridge = Bridge::start(&machine.home, &[&server.url()]);
    introduce(&mut bridge, capabilities());
    check(&machine, &mut bridge, &opened);
}
