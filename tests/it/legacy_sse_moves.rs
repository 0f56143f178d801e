//! A server that moves from HTTP+SSE of 2024-11-05 to another transport, or back, while a bridge is on
//! it: the session goes on there, on the same process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::result;
use crate::support::modern_server::{self, remembered};
use crate::support::open_session::is_post_of;
use crate::support::sse_server::{SseServer, is_message, session_on};

/// A server at one address that speaks HTTP+SSE, or what `other` answers where that is switched on.
fn moving(other: fn(&Request, &mut Responder)) -> (SseServer, Arc<AtomicBool>) {
    let moved = Arc::<AtomicBool>::default();
    let has_moved = Arc::clone(&moved);
    let server = SseServer::scripted(move |request, responder, _| {
        // Taken before the move, whenever the script comes to it.
        if is_message(request, "slow") {
            responder.reply(&Reply::status(202));
            return true;
        }
        let is_other = has_moved.load(Ordering::SeqCst);
        if is_other {
            other(request, responder);
        }
        is_other
    });
    (server, moved)
}

/// Streamable HTTP without sessions.
fn streamable_http(request: &Request, responder: &mut Responder) {
    let message = request.json();
    responder.reply(&match (request.method.as_str(), request.path()) {
        ("POST", "/mcp") if message["id"].is_null() => Reply::status(202),
        ("POST", "/mcp") => {
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
            Reply::json(200, answer.to_string())
        }
        (_, "/mcp") => Reply::status(405),
        _ => Reply::html(404, "not here"),
    });
}

fn modern(request: &Request, responder: &mut Responder) {
    responder.reply(&match request.path() {
        "/mcp" => modern_server::serve(request),
        _ => Reply::html(404, "not here"),
    });
}

/// The messages at the server's one address, in the host's own words.
fn posted(server: &SseServer, method: &str) -> Vec<Vec<u8>> {
    let requests = server.server.requests();
    let posted = requests.iter().filter(|request| request.path() == "/mcp" && is_post_of(request, method));
    posted.map(|request| request.body.clone()).collect()
}

/// Cuts the stream, and waits until the bridge knows: what goes out before may have been executed.
fn cut(server: &SseServer) {
    server.streams.cut();
    let gets = || server.server.requests().iter().filter(|request| request.method == "GET").count();
    let end = Instant::now() + DEADLINE;
    while gets() < 2 {
        assert!(Instant::now() < end, "no stream is opened again");
        std::thread::yield_now();
    }
}

#[test]
fn a_server_that_comes_to_speak_streamable_http_is_followed() {
    for is_cut in [true, false] {
        let (server, moved) = moving(streamable_http);
        let (mut bridge, home) = session_on(&server);
        assert_eq!(bridge.echo(1, "over the stream"), "over the stream");
        remembered(&home, r#""sse":{"is":true"#);
        moved.store(true, Ordering::SeqCst);
        if is_cut {
            cut(&server);
        }
        // Where the stream still stands, its address for messages is gone.
        assert_eq!(bridge.echo(2, "by POST"), "by POST");
        remembered(&home, r#""sse":{"is":false"#);
        // The first was refused, before there was a stream.
        let [refused, taken] = &posted(&server, "initialize")[..] else { panic!("two are sent") };
        assert_eq!(refused, taken);
        assert_eq!(posted(&server, "notifications/initialized").len(), 1);
        assert_eq!(posted(&server, "tools/call").len(), 1);

        moved.store(false, Ordering::SeqCst);
        assert_eq!(bridge.echo(3, "and back"), "and back");
        // The session in between may have asked for its stream in that very moment.
        assert!(matches!(server.streams.opened(), 2 | 3), "{}", server.streams.opened());
        server.streams.say(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
        assert_eq!(bridge.message()["method"], "notifications/tools/list_changed");
        bridge.close_stdin();
        let (status, rest) = bridge.wait();
        assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");
    }
}

#[test]
fn a_server_that_comes_to_speak_2026_07_28_is_followed() {
    let (server, moved) = moving(modern);
    let (mut bridge, _home) = session_on(&server);
    assert_eq!(bridge.echo(1, "over the stream"), "over the stream");
    moved.store(true, Ordering::SeqCst);
    cut(&server);
    assert_eq!(bridge.echo(2, "translated"), "translated");
    assert_eq!(bridge.call(3, "ping", json!({}))["result"], json!({}));
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}

/// What was under way may have been executed, and is not said again elsewhere.
#[test]
fn a_call_that_was_under_way_is_an_error() {
    let (server, moved) = moving(streamable_http);
    let (mut bridge, _home) = session_on(&server);
    bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"slow"}"#);
    server.server.wait_for("the request", |request| is_message(request, "slow"));
    moved.store(true, Ordering::SeqCst);
    server.streams.cut();
    let answer = bridge.response(&json!(2));
    assert_eq!(answer["error"]["data"]["mayHaveExecuted"], true, "{answer}");
    assert_eq!(bridge.echo(3, "on"), "on");
    assert!(posted(&server, "slow").is_empty());
}

#[test]
fn a_pinned_transport_is_kept() {
    let (server, moved) = moving(streamable_http);
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url(), "--transport", "sse"]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "over the stream"), "over the stream");
    moved.store(true, Ordering::SeqCst);
    server.streams.cut();
    let answer = bridge.call(2, "tools/list", json!({}));
    assert!(answer["error"].is_object(), "{answer}");
    assert!(posted(&server, "initialize").is_empty());
}
