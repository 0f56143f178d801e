//! A host that opens with `initialize` on a server of 2026-07-28 that knows no such thing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::{self, McpServer};
use crate::support::modern_server::{error, modern, remembered, serve};
use crate::support::open_session::{OpenSession, is, is_post_of};
use crate::support::translated::{capabilities, event, introduce, methods, posts_of, result, session};

/// `initialize` is answered from `server/discover`; every request says what `initialize` said;
/// there is no session, no GET and no DELETE.
#[test]
fn a_legacy_host_works_on_a_modern_server() {
    let server = modern(|_, _| false);
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let answer = introduce(&mut bridge, capabilities());
    assert_eq!(
        answer["result"],
        json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "scripted", "version": "1"},
        })
    );
    let list = bridge.call(1, "tools/list", json!({}));
    assert_eq!(list["result"]["tools"][0]["name"], "echo");
    assert_eq!(bridge.echo(2, "hello"), "hello");
    server.wait_for("the subscription", is("subscriptions/listen"));
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");

    let mut methods = methods(&server);
    methods.retain(|method| method != "subscriptions/listen");
    assert_eq!(methods, ["initialize", "server/discover", "tools/list", "tools/call"]);
    for request in &server.requests()[1..] {
        let message = request.json();
        assert_eq!(request.header("MCP-Protocol-Version"), Some("2026-07-28"));
        assert_eq!(request.header("Mcp-Session-Id"), None);
        let meta = &message["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"], json!({"name": "host", "version": "7"}));
        assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], capabilities());
    }
}

/// What was found out is known to the next process, and found out anew where it is no longer so.
#[test]
fn a_modern_server_is_remembered_until_it_is_none() {
    let legacy = Arc::new(AtomicBool::new(false));
    let is_legacy = Arc::clone(&legacy);
    let server = modern(move |request, responder| {
        let message = request.json();
        if !is_legacy.load(Ordering::SeqCst) || message["method"] == "subscriptions/listen" {
            return false;
        }
        responder.reply(&match message["method"].as_str() {
            Some("initialize") => result(request, mcp_server::result(&message)),
            Some("notifications/initialized") => Reply::status(202),
            _ => Reply::status(404),
        });
        true
    });
    let home = Home::with_file_store();
    let (no, yes) = (r#""legacy":{"is":false"#, r#""legacy":{"is":true"#);
    for (is_legacy, first, memory) in [
        (false, ["initialize", "server/discover"], no),
        (false, ["server/discover", "tools/call"], no),
        (true, ["server/discover", "initialize"], yes),
        (true, ["initialize", "notifications/initialized"], yes),
    ] {
        legacy.store(is_legacy, Ordering::SeqCst);
        let before = server.requests().len();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        let answer = introduce(&mut bridge, json!({}));
        assert_eq!(answer["result"]["serverInfo"]["name"], "scripted", "{answer}");
        if !is_legacy {
            assert_eq!(bridge.echo(1, "hello"), "hello");
        }
        remembered(&home, memory);
        bridge.close_stdin();
        assert!(bridge.wait().0.success());
        let mut methods = methods(&server).split_off(before);
        methods.retain(|method| method != "subscriptions/listen");
        assert_eq!(methods[..2], first, "{methods:?}");
    }
}

/// What says nothing of the server's era leaves what is remembered of it as it is.
#[test]
fn a_modern_server_is_remembered_through_an_outage() {
    let outage = Arc::<Mutex<Option<Reply>>>::default();
    let current = Arc::clone(&outage);
    let server = modern(move |_, responder| {
        let reply = current.lock().unwrap().clone();
        if let Some(reply) = &reply {
            responder.reply(reply);
        }
        reply.is_some()
    });
    let home = Home::with_file_store();
    let open = |is_served: bool| {
        let before = server.requests().len();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        let answer = bridge.call(0, "initialize", json!({"protocolVersion": "2025-11-25"}));
        assert_eq!(answer["result"].is_object(), is_served, "{answer}");
        bridge.close_stdin();
        assert!(bridge.wait().0.success());
        methods(&server)[before].clone()
    };
    assert_eq!(open(true), "initialize");
    let broken = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"broken"}}"#;
    for refusal in [
        Reply::html(503, "down"),
        Reply::json(502, broken),
        Reply::json(200, broken),
        Reply::html(200, "<html>please log in to the network"),
        Reply::html(407, "who are you"),
    ] {
        *outage.lock().unwrap() = Some(refusal);
        assert_eq!(open(false), "server/discover");
        *outage.lock().unwrap() = None;
        assert_eq!(open(true), "server/discover");
        remembered(&home, r#""legacy":{"is":false"#);
    }
}

/// A server that is no modern one keeps its own word on `initialize`.
#[test]
fn an_error_of_a_legacy_server_is_handed_on_as_it_is() {
    let refusal =
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"out of order","data":{"n":1e400}}}"#;
    let server = McpServer::scripted(move |request, responder| {
        let reply = match request.json()["method"].as_str() {
            Some("initialize") => Reply::json(200, refusal),
            _ => Reply::status(404),
        };
        responder.reply(&reply);
        true
    });
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.send(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#);
    assert_eq!(bridge.line(), refusal.as_bytes());
    assert_eq!(methods(&server), ["initialize", "server/discover"]);
}

/// What comes before the answer reaches the host before it, to the byte; the log level goes with
/// every request.
#[test]
fn progress_and_log_messages_reach_the_host() {
    const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1.0, "total":1e400}}"#;
    const LOGGED: &str =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"\u0041"}}"#;
    let server = modern(|request, responder| {
        if !is_post_of(request, "tools/call") {
            return false;
        }
        responder.start_events();
        let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": {"content": []}});
        responder.chunk(format!("data: {PROGRESS}\n\ndata: {LOGGED}\n\n"));
        responder.chunk(event(&answer));
        responder.end();
        true
    });
    let (_home, mut bridge) = session(&server);
    assert_eq!(bridge.call(1, "logging/setLevel", json!({"level": "info"}))["result"], json!({}));
    let refused = bridge.call(2, "logging/setLevel", json!({"level": "loud"}));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let call = json!({"name": "slow", "_meta": {"progressToken": "p"}});
    bridge.send(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call}).to_string());
    assert_eq!(bridge.line(), PROGRESS.as_bytes());
    assert_eq!(bridge.line(), LOGGED.as_bytes());
    assert_eq!(bridge.message()["id"], 3);
    let sent = posts_of(&server, "tools/call").remove(0);
    assert_eq!(sent["params"]["_meta"]["progressToken"], "p");
    assert_eq!(sent["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "info");
}

/// A cancellation closes the request's stream, and nothing is posted or answered.
#[test]
fn a_cancellation_closes_the_stream() {
    let (started, closed) = (Gate::default(), Gate::default());
    let (arrived, gone) = (started.clone(), closed.clone());
    let server = modern(move |request, responder| {
        if !is_post_of(request, "tools/call") || request.json()["params"]["name"] != "slow" {
            return false;
        }
        responder.start_events();
        arrived.open();
        responder.wait_for_close();
        gone.open();
        true
    });
    let (_home, mut bridge) = session(&server);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#);
    assert!(started.pass());
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert!(closed.pass());
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    assert_eq!(bridge.call(2, "ping", json!({}))["result"], json!({}));
    assert_eq!(bridge.echo(3, "on"), "on");
    bridge.close_stdin();
    let (_, rest) = bridge.wait();
    assert!(rest.is_empty(), "{rest:?}");
    let methods = methods(&server);
    assert!(
        methods.iter().all(|method| !method.starts_with("notifications/") && method != "ping"),
        "{methods:?}"
    );
}

/// A stream that is cut is an error at once, and nothing is sent twice.
#[test]
fn a_cut_stream_is_an_error_at_once() {
    let server = modern(|request, responder| {
        let cut = is_post_of(request, "tools/call");
        if cut {
            responder.start_events();
            responder.chunk(": working\n\n");
        }
        cut
    });
    let (_home, mut bridge) = session(&server);
    let answer = bridge.call(1, "tools/call", json!({"name": "cut"}));
    assert_eq!(answer["error"]["data"]["mayHaveExecuted"], true, "{answer}");
    assert_eq!(posts_of(&server, "tools/call").len(), 1);
}

/// Frames change where they must, and nowhere else.
#[test]
fn frames_keep_all_but_what_must_change() {
    let answer =
        r#"{ "jsonrpc":"2.0", "result":{"content":[ ],"n":1e400,"n":2,"resultType":"complete"},"id":7.0 }"#;
    let body = answer.to_owned();
    let server = modern(move |request, responder| {
        let ours = request.header("Mcp-Method") == Some("tools/call");
        if ours {
            responder.reply(&Reply::json(200, body.as_bytes()));
        }
        ours
    });
    let (_home, mut bridge) = session(&server);
    bridge.send(r#"{"id":7.0 ,"jsonrpc":"2.0","method":"tools/call","params":{ "name":"t","arguments":{"big":12345678901234567890,"a":1,"a":"\ud800"}},"odd":[1.0]}"#);
    assert_eq!(bridge.line(), answer.as_bytes());
    let sent = server
        .posted()
        .into_iter()
        .rfind(|body| String::from_utf8_lossy(body).contains("tools/call"))
        .unwrap();
    let sent = String::from_utf8(sent).unwrap();
    assert!(
        sent.starts_with(r#"{"id":7.0 ,"jsonrpc":"2.0","method":"tools/call","params":{ "name":"t","arguments":{"big":12345678901234567890,"a":1,"a":"\ud800"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#)
            && sent.ends_with(r#"}},"odd":[1.0]}"#),
        "{sent}"
    );
}

/// Servers put newlines around their bodies.
#[test]
fn white_space_around_an_answer_hides_nothing_of_it() {
    let server = modern(|request, responder| {
        let asks = is("tools/call")(request) && request.json()["params"].get("inputResponses").is_none();
        let roots = json!({"resultType": "input_required", "inputRequests": {"r": {"method": "roots/list"}}});
        let mut reply = if asks { result(request, roots) } else { serve(request) };
        reply.body = [b"\n ", &reply.body[..], b"\r\n"].concat();
        responder.reply(&reply);
        true
    });
    let (_home, mut bridge) = session(&server);
    let params = json!({"name": "echo", "arguments": {"text": "heard"}});
    bridge.send(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string());
    let question = bridge.message();
    assert_eq!(question["method"], "roots/list", "{question}");
    bridge.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}}).to_string());
    assert_eq!(bridge.response(&json!(1))["result"]["content"][0]["text"], "heard");
}

/// The session's own errors stay what they are.
#[test]
fn errors_of_the_server_are_handed_on() {
    let server = modern(|request, responder| {
        let (message, id) = (request.json(), &request.json()["id"]);
        let refusal = match message["params"]["name"].as_str() {
            Some("unknown") => error(404, id, -32601, "Unknown"),
            Some("lacking") => error(400, id, -32021, "You lack a capability"),
            _ => return false,
        };
        responder.reply(&refusal);
        true
    });
    let mut session = OpenSession::on(&server);
    for (id, name, code) in [(1, "unknown", -32601), (2, "lacking", -32021)] {
        let answer = session.bridge.call(id, "tools/call", json!({"name": name}));
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}
