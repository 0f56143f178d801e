//! Servers over HTTP+SSE of 2024-11-05: found after a refused `initialize`, or pinned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mcp_front::paths::Paths;
use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::result;
use crate::support::node::{Node, NodeServer};
use crate::support::sse_server::{SseServer, session_on};

/// What a bridge with these flags gets in answer to `initialize`.
fn initialize_with(server: &SseServer, flags: &[&str]) -> Value {
    let home = Home::with_file_store();
    let url = server.url();
    let words: Vec<_> = [url.as_str()].iter().chain(flags).copied().collect();
    Bridge::start(&home, &words).call(0, "initialize", initialize_params())
}

/// Method and path of every request.
fn asked(server: &SseServer) -> Vec<String> {
    let requests = server.server.requests();
    requests.iter().map(|request| format!("{} {}", request.method, request.path())).collect()
}

/// MCP transports, "Backwards Compatibility": POST first, then GET, then the stream's endpoint.
#[test]
fn a_refused_initialize_leads_to_the_old_transport() {
    for refusal in [
        Reply::status(405),
        Reply::html(404, "<pre>Cannot POST /mcp</pre>"),
        Reply::json(400, r#"{"error":"sessionId is missing"}"#),
    ] {
        let server = SseServer::scripted(move |request, responder, _| {
            let refuse = request.method == "POST" && request.path() == "/mcp";
            if refuse {
                responder.reply(&refusal);
            }
            refuse
        });
        let (mut bridge, _home) = session_on(&server);
        for id in 1..=5 {
            assert_eq!(bridge.echo(id, "over the stream"), "over the stream");
        }
        // One for the stream, and one for all that is said, but for what is said at the same time.
        let connections = server.server.connections();
        assert!(connections <= 3, "{connections} connections");
        server.streams.say(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
        assert_eq!(bridge.message()["method"], "notifications/tools/list_changed");
        bridge.close_stdin();
        let (status, rest) = bridge.wait();
        assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");
        let messages = ["POST /messages"; 7];
        assert_eq!(asked(&server), [&["POST /mcp", "GET /mcp"][..], &messages].concat());
        let requests = server.server.requests();
        assert_eq!(requests[0].body, requests[2].body);
        assert_eq!(requests[1].header("Accept"), Some("text/event-stream"));
        for request in &requests[2..] {
            assert_eq!(request.query()["sessionId"], "canary-sse-1");
            assert_eq!(request.header("Mcp-Session-Id"), None);
        }
    }
}

/// Some routers have one route for all methods: a POST there opens a stream that answers nothing.
#[test]
fn a_stream_in_answer_to_initialize_leads_to_the_old_transport() {
    let server = SseServer::scripted(|request, responder, streams| {
        let opens = request.path() == "/mcp";
        if opens {
            streams.open(responder, "/messages?sessionId=$session");
        }
        opens
    });
    let (mut bridge, _home) = session_on(&server);
    assert_eq!(bridge.echo(1, "over the stream"), "over the stream");
    assert_eq!(asked(&server)[..3], ["POST /mcp", "GET /mcp", "POST /messages"]);
    assert_eq!(server.count("initialize"), 1);
}

#[test]
fn the_transport_can_be_pinned() {
    let server = SseServer::open();
    assert!(initialize_with(&server, &["--transport", "sse"])["result"].is_object());
    assert_eq!(asked(&server)[0], "GET /mcp");

    let server = SseServer::open();
    let refused = initialize_with(&server, &["--transport", "http"]);
    assert_eq!(refused["error"]["data"]["httpStatus"], 405, "{refused}");
    assert!(!asked(&server).iter().any(|request| request.starts_with("GET")));

    let server = SseServer::open();
    let home = Home::with_file_store().with("MCP_FRONT_TRANSPORT", "http");
    let refused = Bridge::start(&home, &[&server.url()]).initialize();
    assert_eq!(refused["error"]["data"]["httpStatus"], 405, "{refused}");
    let answer = Bridge::start(&home, &[&server.url(), "--transport", "auto"]).initialize();
    assert!(answer["result"].is_object(), "{answer}");
}

/// Era and transport are remembered for the next bridge; what is not so any more is found out again.
#[test]
fn the_transport_is_remembered() {
    let upgraded = Arc::new(AtomicBool::new(false));
    let is_upgraded = Arc::clone(&upgraded);
    let refused = Gate::default();
    refused.open();
    let refusals = refused.clone();
    let server = SseServer::scripted(move |request, responder, _| {
        if !is_upgraded.load(Ordering::SeqCst) {
            return false;
        }
        let message = request.json();
        responder.reply(&match (request.method.as_str(), message["id"].is_null()) {
            ("POST", false) => {
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
                Reply::json(200, answer.to_string())
            }
            ("POST", true) => Reply::status(202),
            _ => {
                refusals.pass();
                Reply::status(405)
            }
        });
        true
    });
    let home = Home::with_file_store();
    for first in ["POST /mcp", "GET /mcp"] {
        let before = asked(&server).len();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "hello"), "hello");
        assert_eq!(asked(&server)[before], first);
        wait_for_memory(&home, true);
    }
    upgraded.store(true, Ordering::SeqCst);
    // The last of the refused GETs is the one that listens.
    for (expected, gets) in [(["GET /mcp", "POST /mcp"], 2), (["POST /mcp", "POST /mcp"], 3)] {
        let before = asked(&server).len();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "hello"), "hello");
        assert_eq!(asked(&server)[before..before + 2], expected);
        refused.wait_for_arrivals(gets);
        wait_for_memory(&home, false);
    }
}

/// Waits until it is kept that the server of this home speaks HTTP+SSE, or does not.
fn wait_for_memory(home: &Home, speaks_it: bool) {
    let eras = Paths::resolve(Some(home.path())).expect("an absolute path").eras();
    let end = Instant::now() + DEADLINE;
    let expected = format!(r#""sse":{{"is":{speaks_it},"#);
    let is_kept = || {
        let files = std::fs::read_dir(&eras).into_iter().flatten().flatten().map(|file| file.path());
        // A file that is being written has another name.
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let texts = files.filter_map(|path| std::fs::read_to_string(path).ok());
        texts.into_iter().any(|text| text.contains(&expected))
    };
    while !is_kept() {
        assert!(Instant::now() < end, "nothing is kept");
        std::thread::yield_now();
    }
}

/// A server of another transport says so in the refusal's body, or by another status.
#[test]
fn other_refusals_are_the_answer() {
    for (status, body) in [
        (400, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"bad"}}"#),
        (404, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}"#),
        (400, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"no"}}"#),
        (404, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"no"}}"#),
        (405, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32020,"message":"no"}}"#),
        (400, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32021,"message":"no"}}"#),
        (404, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32021,"message":"no"}}"#),
        (405, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32021,"message":"no"}}"#),
        (403, ""),
        (500, ""),
    ] {
        let server = SseServer::scripted(move |request, responder, _| {
            let refuse = request.path() == "/mcp";
            if refuse {
                responder.reply(&Reply::json(status, body));
            }
            refuse
        });
        let answer = initialize_with(&server, &[]);
        assert!(answer["error"].is_object(), "{status} {body}: {answer}");
        let gets = asked(&server).iter().filter(|request| *request == "GET /mcp").count();
        assert_eq!(gets, 0, "{status} {body}");
    }
}

#[test]
fn the_endpoint_is_taken_in_every_form_and_whenever_it_comes() {
    for endpoint in ["/messages/$session", "messages?sessionId=$session", "$origin/messages?a=b&s=$session"] {
        let late = Gate::default();
        let held = late.clone();
        let origin = Arc::new(Mutex::new(String::new()));
        let known = Arc::clone(&origin);
        let server = SseServer::scripted(move |request, responder, streams| {
            match (request.method.as_str(), request.path()) {
                ("GET", _) => {
                    held.pass();
                    streams.open(responder, &endpoint.replace("$origin", &known.lock().unwrap()));
                }
                ("POST", path) if path.starts_with("/messages") => {
                    responder.reply(&Reply::status(200).body("text/plain", "ok"));
                    let id = &request.json()["id"];
                    if !id.is_null() {
                        let result = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": {"name": "scripted", "version": "1"}});
                        streams.say(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
                    }
                }
                _ => return false,
            }
            true
        });
        *origin.lock().unwrap() = server.server.origin();
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.send(
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()})
                .to_string(),
        );
        late.wait_for_arrivals(1);
        late.open();
        assert_eq!(bridge.response(&json!(0))["result"]["protocolVersion"], "2024-11-05", "{endpoint}");
    }
}

#[test]
fn a_stream_without_an_endpoint_is_another_transports() {
    for stream in [
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n",
        ": nothing\n\n",
        "event: ping\ndata: x\n\n",
    ] {
        let server = SseServer::scripted(move |request, responder, _| {
            let opens = request.method == "GET";
            if opens {
                responder.reply(&Reply::events(stream));
            }
            opens
        });
        let answer = initialize_with(&server, &[]);
        assert_eq!(answer["error"]["data"]["httpStatus"], 405, "{stream:?}: {answer}");
        let answer = initialize_with(&server, &["--transport", "sse"]);
        assert_eq!(answer["error"]["data"]["reason"], "no_endpoint", "{stream:?}: {answer}");
    }
}

/// The session's id stands in the address of messages: neither log nor error shows it.
#[test]
fn the_sessions_address_is_shown_nowhere() {
    let server = SseServer::open();
    let home = Home::with_file_store().with("MCP_FRONT_LOG", "trace");
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.initialize();
    server.streams.cut();
    server.streams.wait_for_opened(2);
    assert_eq!(bridge.echo(1, "on"), "on");
    drop(server);
    let answer = bridge.call(2, "tools/list", json!({}));
    assert!(answer["error"].is_object(), "{answer}");
    bridge.close_stdin();
    bridge.wait();
    let stderr = bridge.process.stderr.to_end();
    let said = format!("{answer}{}", String::from_utf8_lossy(&stderr));
    assert!(!said.contains("canary-sse"), "{said}");
}

/// The reference server over this transport (the TypeScript SDK's `SSEServerTransport`).
#[test]
fn server_everything_works_over_the_old_transport() {
    let Some(node) = Node::installed() else { return };
    let mut command = node.fixture("everything.mjs");
    command.arg("sse");
    let server = NodeServer::start(command);
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url]);
    assert_eq!(bridge.initialize()["result"]["serverInfo"]["name"], "mcp-servers/everything");
    let tools = bridge.call(1, "tools/list", json!({}));
    assert!(tools["result"]["tools"].as_array().is_some_and(|tools| tools.len() > 5), "{tools}");
    let long = json!({
        "name": "trigger-long-running-operation",
        "arguments": {"duration": 1, "steps": 2},
        "_meta": {"progressToken": "p"},
    });
    let done = bridge.call(2, "tools/call", long);
    assert!(done["result"].is_object(), "{done}");
    let mut steps = Vec::new();
    while steps.len() < 2 {
        let message = bridge.message();
        if message["method"] == "notifications/progress" {
            steps.push(message["params"]["progress"].clone());
        }
    }
    assert_eq!(steps, [json!(1), json!(2)]);
    assert!(bridge.call(3, "resources/list", json!({}))["result"]["resources"].is_array());
    assert!(bridge.call(4, "no/such/method", json!({}))["error"]["code"].is_i64());
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}
