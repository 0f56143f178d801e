//! What changed while the stream was broken that the server tells of it on: the host is told that the
//! lists may have changed, those that the server told of before, and no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup, result};
use crate::support::modern_server::{ModernSession, modern, request};
use crate::support::open_session::{OpenSession, is_post_of};
use crate::support::sse_server::{SseServer, is_message, session_on};

/// What the servers here tell of: of two lists out of three.
fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true},
        "prompts": {},
        "resources": {"listChanged": true, "subscribe": true},
    })
}

fn server(script: impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static) -> McpServer {
    let (capabilities, script) = (Some(capabilities()), Some(Box::new(script) as _));
    McpServer::start(Setup { capabilities, script, ..Setup::default() })
}

#[track_caller]
fn hear_of_two_lists(bridge: &mut Bridge) {
    for list in ["tools", "resources"] {
        assert_eq!(
            bridge.message(),
            json!({"jsonrpc": "2.0", "method": format!("notifications/{list}/list_changed")})
        );
    }
}

/// Leaves, and finds that nothing more was said.
#[track_caller]
fn leave(mut bridge: Bridge) {
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    let rest: Vec<_> = rest.iter().map(|line| String::from_utf8_lossy(line)).collect();
    assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");
}

#[test]
fn a_renewed_session_is_another_one() {
    let silent = McpServer::open();
    let mut session = OpenSession::on(&silent);
    silent.forget_sessions();
    assert_eq!(session.bridge.echo(1, "again"), "again");
    assert_eq!(silent.sessions().0, 2);
    leave(session.bridge);

    let telling = server(|_, _| false);
    let mut session = OpenSession::on(&telling);
    for id in [1, 2] {
        telling.forget_sessions();
        assert_eq!(session.bridge.echo(id, "again"), "again");
        hear_of_two_lists(&mut session.bridge);
    }
    leave(session.bridge);
}

/// What comes on the stream of the GET with this number.
fn on_each_stream(streams: impl Fn(usize, &Request, &mut Responder) + Send + Sync + 'static) -> McpServer {
    let count = AtomicUsize::new(0);
    server(move |request, responder| {
        let listens = request.method == "GET";
        if listens {
            streams(count.fetch_add(1, Ordering::SeqCst), request, responder);
        }
        listens
    })
}

fn word(text: &str) -> String {
    format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"{text}\"}}\n\n")
}

#[test]
fn a_stream_that_cannot_be_resumed_is_another_one() {
    let server = on_each_stream(|stream, _, responder| match stream {
        0 => responder.reply(&Reply::events(word("before"))),
        1 => responder.reply(&Reply::html(503, "down")),
        _ => {
            responder.start_events();
            responder.chunk(word("after"));
            responder.wait_for_close();
        }
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.message()["method"], "before");
    let mut heard: Vec<_> = (0..3).map(|_| session.bridge.message()["method"].clone()).collect();
    // Which of them comes first nobody knows.
    heard.sort_by_key(Value::to_string);
    let lists = ["resources", "tools"].map(|list| json!(format!("notifications/{list}/list_changed")));
    assert_eq!(heard, [&[json!("after")], &lists[..]].concat());
    leave(session.bridge);
}

/// As by a proxy that cuts each stream once a minute.
#[test]
fn streams_that_break_again_and_again_are_told_of_once_in_a_while() {
    let server = on_each_stream(|stream, _, responder| match stream {
        0 | 1 => responder.reply(&Reply::events(word(&format!("word {stream}")))),
        _ => {
            responder.start_events();
            responder.chunk(word("last"));
            responder.wait_for_close();
        }
    });
    let mut session = OpenSession::on(&server);
    let mut heard: Vec<_> = (0..5).map(|_| session.bridge.message()["method"].clone()).collect();
    heard.sort_by_key(Value::to_string);
    let lists = ["resources", "tools"].map(|list| json!(format!("notifications/{list}/list_changed")));
    let words = ["word 0", "word 1"].map(Value::from);
    assert_eq!(heard, [&[json!("last")], &lists[..], &words].concat());
    assert_eq!(session.bridge.echo(1, "beside it"), "beside it");
    leave(session.bridge);
}

#[test]
fn a_stream_that_goes_on_where_it_broke_off_owes_nothing() {
    let server = on_each_stream(|stream, request, responder| {
        let position = request.header("Last-Event-ID");
        match stream {
            0 => responder.reply(&Reply::events(format!("id: 1\n{}", word("before")))),
            1 => {
                assert_eq!(position, Some("1"));
                responder.start_events();
                responder.chunk(word("after"));
                responder.wait_for_close();
            }
            _ => responder.reply(&Reply::status(405)),
        }
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.message()["method"], "before");
    assert_eq!(session.bridge.message()["method"], "after");
    leave(session.bridge);
}

/// A server that has lost what it said is asked for all that it says from here on.
#[test]
fn an_event_that_the_server_knows_no_more_ends_the_resumption() {
    let server = on_each_stream(|stream, request, responder| {
        let is_resumed = request.header("Last-Event-ID").is_some();
        match stream {
            0 => responder.reply(&Reply::events(format!("id: 1\n{}", word("before")))),
            _ if is_resumed => responder.reply(&Reply::json(400, r#"{"error":"unknown event"}"#)),
            _ => {
                responder.start_events();
                responder.wait_for_close();
            }
        }
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.message()["method"], "before");
    hear_of_two_lists(&mut session.bridge);
    leave(session.bridge);
}

/// A server without such a stream that does not say so.
#[test]
fn a_stream_that_ends_as_soon_as_it_begins_is_none() {
    let third = Gate::default();
    let arrived = third.clone();
    third.open();
    let server = on_each_stream(move |stream, _, responder| {
        responder.reply(&Reply::events(String::new()));
        if stream == 2 {
            arrived.pass();
        }
    });
    let mut session = OpenSession::on(&server);
    third.wait_for_arrivals(1);
    assert_eq!(session.bridge.echo(1, "beside it"), "beside it");
    leave(session.bridge);
}

/// Which is told of once in a while, as for all streams that a proxy may cut.
#[test]
fn a_new_stream_of_http_and_sse_is_another_session() {
    let server = SseServer::scripted(|request, responder, streams| {
        let initializes = is_message(request, "initialize");
        if initializes {
            responder.reply(&Reply::status(202));
            let message = request.json();
            let mut result = result(&message);
            result["capabilities"] = capabilities();
            streams.say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string());
        }
        initializes
    });
    let (mut bridge, _home) = session_on(&server);
    server.streams.cut();
    hear_of_two_lists(&mut bridge);
    for (id, streams) in [(1, 3), (2, 4)] {
        assert_eq!(bridge.echo(id, "again"), "again");
        server.streams.cut();
        server.streams.wait_for_opened(streams);
    }
    assert_eq!(bridge.echo(3, "and again"), "and again");
    leave(bridge);
}

/// A host that says nothing hears of changes again, though the server could not take its session at once.
#[test]
fn a_lost_session_is_renewed_until_it_stands_though_nobody_speaks() {
    let (streams, beginnings) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = server(move |request, responder| {
        if is_post_of(request, "initialize") && beginnings.fetch_add(1, Ordering::SeqCst) == 1 {
            responder.reply(&Reply::html(503, "starting"));
            return true;
        }
        let listens = request.method == "GET";
        if listens {
            match streams.fetch_add(1, Ordering::SeqCst) {
                0 => responder.reply(&Reply::events(word("before"))),
                1 => responder.reply(&Reply::html(404, "no such session")),
                _ => {
                    responder.start_events();
                    responder.chunk(word("after"));
                    responder.wait_for_close();
                }
            }
        }
        listens
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.message()["method"], "before");
    let mut heard: Vec<_> = (0..3).map(|_| session.bridge.message()["method"].clone()).collect();
    heard.sort_by_key(Value::to_string);
    assert_eq!(heard[0], "after");
    leave(session.bridge);
}

/// Whatever stands behind the address: nothing is heard of a session that has been replaced.
#[test]
fn a_stream_ends_with_its_session() {
    let (opened, closed) = (Gate::default(), Gate::default());
    let (is_open, is_closed) = (opened.clone(), closed.clone());
    let server = on_each_stream(move |stream, _, responder| {
        responder.start_events();
        if stream == 0 {
            is_open.pass();
        }
        responder.wait_for_close();
        if stream == 0 {
            is_closed.pass();
        }
    });
    opened.open();
    closed.open();
    let mut session = OpenSession::on(&server);
    opened.wait_for_arrivals(1);
    server.forget_sessions();
    assert_eq!(session.bridge.echo(1, "again"), "again");
    closed.wait_for_arrivals(1);
    hear_of_two_lists(&mut session.bridge);
    leave(session.bridge);
}

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

fn told(method: &str, id: &str, members: Value) -> Value {
    let mut params = members;
    params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// The host's own subscription hears of what it asked for and the server agreed to; once in a while,
/// however often a proxy cuts its streams.
#[test]
fn a_subscription_that_was_broken_hears_of_the_lists_that_it_is_for() {
    let count = AtomicUsize::new(0);
    let server = modern(move |request, responder| {
        if !is_post_of(request, "subscriptions/listen") {
            return false;
        }
        let stream = count.fetch_add(1, Ordering::SeqCst);
        responder.start_events();
        // Cut before a word, cut, cut again, and standing; the server agrees to less, and to more.
        let agreed = match stream {
            0 => return true,
            1 => json!({"toolsListChanged": true, "promptsListChanged": true}),
            _ => json!({"toolsListChanged": true, "resourcesListChanged": true}),
        };
        let stands = told(ACKNOWLEDGED, "listen:0", json!({"notifications": agreed}));
        responder.chunk(format!("data: {stands}\n\n"));
        if stream > 1 {
            let word = told("notifications/x", "listen:0", json!({"stream": stream}));
            responder.chunk(format!("data: {word}\n\n"));
        }
        if stream == 3 {
            responder.wait_for_close();
        }
        true
    });
    let mut session = ModernSession::on(&server);
    let filter = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourceSubscriptions": ["file:///a"],
    });
    session.bridge.send(request("listen:0", "subscriptions/listen", json!({"notifications": filter})));
    assert_eq!(session.bridge.message()["method"], ACKNOWLEDGED);
    assert_eq!(session.bridge.message(), told("notifications/tools/list_changed", "listen:0", json!({})));
    for stream in [2, 3] {
        assert_eq!(session.bridge.message(), told("notifications/x", "listen:0", json!({"stream": stream})));
    }
}

/// A host that lists at each word, on a server whose sessions serve one request: each rest is longer.
#[test]
fn a_host_that_lists_at_each_word_is_not_driven() {
    let server = server(|request, responder| {
        let is_stream = request.method == "GET";
        if is_stream {
            responder.reply(&Reply::status(405));
        }
        is_stream
    });
    let mut session = OpenSession::on(&server);
    let begun = Instant::now();
    for id in 1..=3 {
        server.forget_sessions();
        assert!(session.bridge.call(id, "tools/list", json!({}))["result"].is_object());
        hear_of_two_lists(&mut session.bridge);
    }
    assert!(begun.elapsed() >= Duration::from_secs(3), "rests of 1 s and of 2 s");
    leave(session.bridge);
}

/// Nobody asks for anything, and each session is lost with its stream: each one waits longer.
#[test]
fn sessions_that_end_with_their_stream_are_renewed_ever_more_rarely() {
    let streams = AtomicUsize::new(0);
    let server = server(move |request, responder| {
        let is_stream = request.method == "GET";
        if is_stream {
            let is_again = streams.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            responder.reply(&match is_again {
                true => Reply::status(404),
                false => Reply::events("id: 1\nretry: 1\ndata:\n\n"),
            });
        }
        is_stream
    });
    let begun = Instant::now();
    let session = OpenSession::on(&server);
    for number in 1..=4 {
        server.wait_for("another session", |_| server.sessions().0 >= number);
    }
    assert!(begun.elapsed() >= Duration::from_secs(6), "the first at once, then 2 s and 4 s");
    drop(session);
}
