//! One host session over Streamable HTTP, 2025-03-26 to 2025-11-25: sessions, streams,
//! cancellation, errors.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request};
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is, is_named, is_post_of};

/// A11: the host's frames, and nothing else, reach the server; EOF ends the session and the process.
#[test]
fn a_session_from_its_start_to_its_end() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let initialized = bridge.initialize();
    assert_eq!(initialized["result"]["serverInfo"]["name"], "scripted");
    assert_eq!(bridge.echo(1, "hello"), "hello");
    server.wait_for("the GET stream", |request| request.method == "GET");
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");

    let requests = server.requests();
    let methods: Vec<_> = requests.iter().filter(|one| one.method == "POST").map(Request::json).collect();
    let methods: Vec<_> =
        methods.iter().map(|message| message["method"].as_str().unwrap_or_default()).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/call"]);
    assert_eq!(requests.last().map(|one| one.method.as_str()), Some("DELETE"));
    assert_eq!(server.sessions(), (1, 0));
    for request in &requests[1..] {
        assert_eq!(request.header("Mcp-Session-Id"), Some("canary-session-1"), "{request:?}");
        assert_eq!(request.header("MCP-Protocol-Version"), Some("2025-11-25"), "{request:?}");
        assert_eq!(request.header("Origin"), None);
        assert_eq!(request.header("Authorization"), None);
    }
    for request in requests.iter().filter(|one| one.method == "POST") {
        assert_eq!(request.header("Accept"), Some("application/json, text/event-stream"));
        assert_eq!(request.header("Content-Type"), Some("application/json"));
    }
}

/// The version that was agreed on goes with every request behind `initialize` (2025-06-18 and later,
/// "Protocol Version Header"); the revision before has no such header.
#[test]
fn the_version_goes_along_in_the_revisions_that_have_a_header_for_it() {
    for (version, header) in
        [("2025-03-26", None), ("2025-06-18", Some("2025-06-18")), ("2025-11-25", Some("2025-11-25"))]
    {
        let server = McpServer::open();
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        let mut params = initialize_params();
        params["protocolVersion"] = version.into();
        assert_eq!(bridge.call(0, "initialize", params)["result"]["protocolVersion"], version);
        bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(bridge.echo(1, version), version);
        server.wait_for("the GET stream", |request| request.method == "GET");
        bridge.close_stdin();
        assert!(bridge.wait().0.success());
        let requests = server.requests();
        assert_eq!(requests[0].header("MCP-Protocol-Version"), None, "{version} is not agreed on yet");
        for request in &requests[1..] {
            assert_eq!(request.header("MCP-Protocol-Version"), header, "{request:?}");
        }
        let mut methods: Vec<_> = requests[1..].iter().map(|request| request.method.as_str()).collect();
        methods.sort_unstable();
        methods.dedup();
        assert_eq!(methods, ["DELETE", "GET", "POST"]);
    }
}

#[test]
fn nothing_is_sent_before_the_first_frame_and_a_probe_leaves_initialize_as_the_way() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    // What is no message is answered once the bridge runs.
    bridge.send("nonsense");
    assert_eq!(bridge.message()["error"]["code"], json!(-32700));
    assert!(server.requests().is_empty());
    let probe = json!({"jsonrpc": "2.0", "id": "server-discover-probe-1", "method": "server/discover"});
    bridge.send(probe.to_string());
    let answer = bridge.message();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&probe["id"], &json!(-32601)));
    assert_eq!(server.posted(), [probe.to_string().into_bytes()]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "still here"), "still here");
}

/// What was agreed on may be said again with each request: that is no request of 2026-07-28.
#[test]
fn a_request_that_names_the_sessions_version_is_of_the_session() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2025-11-25"});
    let params = json!({"name": "echo", "arguments": {"text": "within"}, "_meta": meta});
    let answer = session.bridge.call(1, "tools/call", params);
    assert_eq!(answer["result"]["content"][0]["text"], "within", "{answer}");
    assert_eq!(session.bridge.echo(2, "still within"), "still within");
    assert_eq!(server.sessions(), (1, 1));
}

#[test]
fn a_400_that_says_the_session_is_unknown_counts_as_lost() {
    let refused = AtomicUsize::new(0);
    let server = McpServer::scripted(move |request, responder| {
        let first = is_post_of(request, "tools/call") && refused.fetch_add(1, Ordering::SeqCst) == 0;
        if first {
            let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#;
            responder.reply(&Reply::json(400, body));
        }
        first
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.echo(1, "again"), "again");
    assert_eq!(server.sessions().0, 2);
}

#[test]
fn a_session_that_stays_lost_is_an_error_and_no_loop() {
    let server = McpServer::on_calls(|_, responder| {
        responder.reply(&Reply::status(404));
    });
    let mut session = OpenSession::on(&server);
    let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
    assert!(answer["error"]["message"].is_string(), "{answer}");
    assert_eq!(server.posted().iter().filter(|body| is_named(body, "tools/call")).count(), 2);
}

/// Server requests and notifications arrive before the response, in order, and the host's answer is
/// a POST of its own.
#[test]
fn server_requests_on_a_post_stream_are_answered() {
    let answered = Gate::default();
    let gate = answered.clone();
    let server = McpServer::scripted(move |request, responder| {
        let message = request.json();
        if message["id"] == "ask-1" {
            gate.open();
            responder.reply(&Reply::status(202));
            return true;
        }
        if message["method"] != "tools/call" {
            return false;
        }
        responder.start_events();
        responder.chunk("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n");
        responder.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"roots/list\"}\n\n");
        gate.pass();
        responder.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[]}}\n\n");
        responder.end();
        true
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ask"}}"#);
    assert_eq!(session.bridge.message()["method"], "notifications/progress");
    assert_eq!(session.bridge.message()["method"], "roots/list");
    session.bridge.send(r#"{"jsonrpc":"2.0","id":"ask-1","result":{"roots":[]}}"#);
    assert_eq!(session.bridge.message()["id"], 7);
}

#[test]
fn messages_on_the_get_stream_reach_the_host() {
    let server = McpServer::scripted(|request, responder| {
        let listens = request.method == "GET";
        if listens {
            responder.start_events();
            responder.chunk(
                "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n",
            );
            responder.wait_for_close();
        }
        listens
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.message()["method"], "notifications/tools/list_changed");
    assert_eq!(session.bridge.echo(1, "beside it"), "beside it");
}

/// Where there was a stream there will be one again, whatever a gateway says meanwhile.
#[test]
fn the_get_stream_is_opened_again_after_a_refusal() {
    let count = AtomicUsize::new(0);
    let server = McpServer::scripted(move |request, responder| {
        let listens = request.method == "GET";
        if listens {
            let word = |text| format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"{text}\"}}\n\n");
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => responder.reply(&Reply::events(word("before"))),
                1 => responder.reply(&Reply::html(403, "blocked for now")),
                2 => responder.reply(&Reply::events(word("after"))),
                _ => responder.reply(&Reply::status(405)),
            }
        }
        listens
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.message()["method"], "before");
    assert_eq!(session.bridge.message()["method"], "after");
}

/// Only 405 says that there is no such stream: anything else may come from somebody on the way.
#[test]
fn a_get_stream_that_is_refused_at_first_is_asked_for_again() {
    let refusals = [
        Reply::html(404, "default backend"),
        Reply::json(400, r#"{"error":"bad request"}"#),
        Reply::html(403, "blocked for now"),
        Reply::status(410),
        Reply::status(302).header("Location", "https://portal.invalid/"),
        Reply::html(200, "<html>back in a minute</html>"),
        Reply::status(202),
    ];
    let start = |refusal: Reply| {
        let count = AtomicUsize::new(0);
        let server = McpServer::scripted(move |request, responder| {
            let listens = request.method == "GET";
            if listens && count.fetch_add(1, Ordering::SeqCst) == 0 {
                responder.reply(&refusal);
            } else if listens {
                responder.start_events();
                responder.chunk("data: {\"jsonrpc\":\"2.0\",\"method\":\"told\"}\n\n");
                responder.wait_for_close();
            }
            listens
        });
        (OpenSession::on(&server), server)
    };
    for (mut session, _server) in refusals.map(start) {
        assert_eq!(session.bridge.message()["method"], "told");
    }
}

#[test]
fn an_http_error_with_a_json_rpc_body_hands_the_body_on() {
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad","data":{"n":1.0}}}"#;
    for status in [400, 403, 409, 422, 500, 503] {
        let server = McpServer::on_calls(move |_, responder| {
            responder.reply(&Reply::json(status, body));
        });
        let mut session = OpenSession::on(&server);
        session.bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#);
        assert_eq!(String::from_utf8_lossy(&session.bridge.line()), body, "status {status}");
    }
}

#[test]
fn an_http_error_without_one_becomes_an_error_of_ours_with_the_requests_own_id() {
    let server = McpServer::on_calls(|_, responder| {
        responder.reply(&Reply::html(503, "<html>down for maintenance</html>").header("Retry-After", "7"));
    });
    let mut session = OpenSession::on(&server);
    for id in [json!("seven"), json!(7), json!(7.5)] {
        session.bridge.send(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call"}).to_string());
        let answer = session.bridge.message();
        assert_eq!(answer["id"], id);
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("503") && message.contains("wait for 7 s"), "{answer}");
    }
}

#[test]
fn a_cancellation_reaches_the_server_and_the_request_gets_no_answer() {
    let held = Gate::default();
    let gate = held.clone();
    let server = McpServer::on_calls(move |_, responder| {
        responder.start_events();
        gate.pass();
        responder.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":\"c\",\"result\":{}}\n\n");
        responder.end();
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"slow"}}"#);
    held.wait_for_arrivals(1);
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c","reason":"no"}}"#;
    session.bridge.send(cancel);
    let seen = server.wait_for("the cancellation", is("notifications/cancelled"));
    assert_eq!(String::from_utf8_lossy(&seen.body), cancel);
    held.open();
    session.bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    assert_eq!(session.bridge.message()["id"], 2, "the cancelled request stays silent");
}
