//! Hosts and servers of 2026-07-28: what passes between them, and the headers that servers demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request};
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::{ModernSession, envelope, error, guarded_by, modern, request, serve};
use crate::support::open_session::{is, is_post_of};
use crate::support::service::Service;

/// The `Mcp-Param-*` headers of a request, without the prefix.
fn parameters(request: &Request) -> Vec<(String, String)> {
    let named = |(name, value): &(String, String)| {
        let name = name.to_ascii_lowercase();
        Some((name.strip_prefix("mcp-param-")?.to_owned(), value.clone()))
    };
    request.headers.iter().filter_map(named).collect()
}

fn calls(server: &McpServer) -> Vec<Request> {
    server.requests().into_iter().filter(is("tools/call")).collect()
}

/// A tool whose parameter `a` is repeated in the header `Mcp-Param-{header}`.
fn annotated(name: &str, header: &str) -> Value {
    json!({"name": name, "inputSchema": {
        "type": "object",
        "properties": {"a": {"type": "string", "x-mcp-header": header}},
    }})
}

fn listing(id: &Value, result: Value) -> Reply {
    Reply::json(200, json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
}

/// POST only, with the routing headers; no session, no GET, no DELETE, no `initialize`.
#[test]
fn requests_carry_the_headers_that_route_them_and_nothing_of_a_session() {
    let server = modern(|request, responder| {
        let is_other = !matches!(request.json()["method"].as_str(), Some("server/discover" | "tools/call"));
        if is_other {
            responder.reply(&listing(&request.json()["id"], json!({})).header("Mcp-Session-Id", "canary"));
        }
        is_other
    });
    let mut session = ModernSession::on(&server);
    for (id, method, params, name) in [
        (1, "tools/call", json!({"name": "echo"}), Some("echo")),
        (2, "tools/call", json!({"name": " café\n"}), Some("=?base64?IGNhZsOpCg==?=")),
        (3, "prompts/get", json!({"name": "p"}), Some("p")),
        (4, "resources/read", json!({"uri": "file:///a%20b"}), Some("file:///a%20b")),
        (5, "resources/list", json!({"name": "no"}), None),
    ] {
        let answer = session.call(id, method, params);
        assert!(answer["result"].is_object(), "{answer}");
        let sent = server.requests().pop().unwrap();
        assert_eq!(sent.header("MCP-Protocol-Version"), Some("2026-07-28"));
        assert_eq!(sent.header("Mcp-Method"), Some(method));
        assert_eq!(sent.header("Mcp-Name"), name);
        assert_eq!(sent.header("Accept"), Some("application/json, text/event-stream"));
    }
    session.bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#);
    let sent = server.wait_for("the notification", is("notifications/x"));
    assert_eq!(sent.header("MCP-Protocol-Version"), Some("2026-07-28"));
    assert_eq!(sent.header("Mcp-Method"), Some("notifications/x"));
    session.bridge.send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    session.bridge.close_stdin();
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 7, "an answer that nobody asked for stays here: {requests:#?}");
    assert!(requests.iter().all(|sent| sent.method == "POST" && sent.header("Mcp-Session-Id").is_none()));
}

/// Annotations are remembered page by page, from bodies and from event streams.
#[test]
fn annotated_parameters_are_repeated_in_headers() {
    let server = modern(|request, responder| {
        let message = request.json();
        let is_list = message["method"] == "tools/list";
        if is_list && message["params"]["cursor"].is_null() {
            let tools = [annotated("first", "Region"), json!({"name": "plain", "inputSchema": {}})];
            responder.reply(&listing(&message["id"], json!({"tools": tools, "nextCursor": "2"})));
        } else if is_list {
            let tool = json!({"name": "second", "inputSchema": {"properties": {
                "deep": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
                "flag": {"type": "boolean", "x-mcp-header": "Flag"},
                "text": {"type": "string", "x-mcp-header": "Text"},
            }}});
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"tools": [tool]}});
            responder.reply(&Reply::events(format!("data: {answer}\n\n")));
        }
        is_list
    });
    let mut session = ModernSession::on(&server);
    session.call(1, "tools/list", json!({}));
    session.call(2, "tools/list", json!({"cursor": "2"}));
    let meta = envelope();
    for (tool, arguments, expected) in [
        ("first", r#"{"a":"us-west1"}"#, vec![("region", "us-west1")]),
        ("first", r#"{"a":" ü\r\n"}"#, vec![("region", "=?base64?IMO8DQo=?=")]),
        ("first", r#"{"a":null}"#, vec![]),
        ("plain", r#"{"a":"us-west1"}"#, vec![]),
        (
            "second",
            r#"{"deep":{"n":9007199254740993},"flag":false,"text":"=?base64?x?="}"#,
            vec![("n", "9007199254740993"), ("flag", "false"), ("text", "=?base64?PT9iYXNlNjQ/eD89?=")],
        ),
    ] {
        let frame = format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}}}"#
        );
        session.bridge.send(&frame);
        assert!(session.bridge.response(&json!(3))["result"].is_object());
        let sent = server.requests().pop().unwrap();
        assert_eq!(String::from_utf8_lossy(&sent.body), frame);
        let mut found = parameters(&sent);
        let mut expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{arguments}");
    }
    // Who routes by the header and who acts on the call would read two values.
    let sent = server.requests().len();
    session.bridge.send(format!(
        r#"{{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{{"name":"first","arguments":{{"a":"x","\u0061":"y"}},"_meta":{meta}}}}}"#
    ));
    assert_eq!(session.bridge.response(&json!(4))["error"]["code"], -32600);
    assert_eq!(server.requests().len(), sent);
}

/// A tool with an invalid annotation is left out of the list; the rest of it stays to the byte.
#[test]
fn invalid_tools_are_left_out_and_the_rest_of_the_list_stays() {
    let bad =
        r#"{"name":"bad\u001b","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}"#;
    let good = r#"{ "name" : "good", "inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A","maximum":1e400}}}, "x":1, "x":2 }"#;
    let answer = |tools: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1.0,"result":{{"tools":[{tools}] , "ttlMs":0,"n":-0.0}}, "y":[1e400]}}"#
        )
    };
    let sent = answer(&format!("{bad}, {good} ,{bad}"));
    for is_stream in [false, true] {
        let sent = sent.clone();
        let server = modern(move |request, responder| {
            let is_list = request.json()["method"] == "tools/list";
            if is_list && is_stream {
                responder.reply(&Reply::events(format!("data: {sent}\n\n")));
            } else if is_list {
                responder.reply(&Reply::json(200, sent.clone()));
            }
            is_list
        });
        let mut session = ModernSession::on(&server);
        session.bridge.send(request(1, "tools/list", json!({})));
        assert_eq!(String::from_utf8(session.bridge.line()).unwrap(), answer(good));
        let warning = session.bridge.process.stderr.wait_for("a warning", |text| text.contains("left out"));
        assert!(warning.contains("bad") && !warning.contains('\u{1b}'), "{warning}");
    }
}

/// What the server was sent, and repeats as a tool's name, is not in what is said of the tool.
#[test]
fn a_tool_named_like_a_secret_is_left_out_without_its_name() {
    const KEY: &str = "cänary-of-the-user";
    const SESSION: &str = "canary-of-a-session";
    const IN_ADDRESS: &str = "canary in the address";
    let server = modern(|request, responder| {
        let message = request.json();
        let is_list = message["method"] == "tools/list";
        if is_list {
            assert_eq!((request.header("X-Key"), &request.query()["api_key"][..]), (Some(KEY), IN_ADDRESS));
            let name = format!("run {KEY} {SESSION} {IN_ADDRESS}");
            responder.reply(&listing(&message["id"], json!({"tools": [annotated(&name, "no header")]})));
        }
        is_list
    });
    let home = Home::with_file_store();
    for is_modern in [false, true] {
        let url = format!("{}?api_key={}", server.url(), IN_ADDRESS.replace(' ', "+"));
        let (key, cookie) = (format!("X-Key: {KEY}"), format!("Cookie: id={SESSION}; theme=dark"));
        let mut bridge = Bridge::start(&home, &[&url, "--header", &key, "--header", &cookie]);
        if is_modern {
            bridge.send(request(1, "tools/list", json!({})));
        } else {
            bridge.initialize();
            bridge.send(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string());
        }
        assert_eq!(bridge.response(&json!(1))["result"]["tools"], json!([]));
        let warning = bridge.process.stderr.wait_for("a warning", |text| text.contains("left out"));
        assert!(warning.contains("run [secret] [secret] [secret]"), "{warning}");
    }
}

/// Where the server misses a header, the tools are asked for again, and the call goes out once
/// more; the host sees nothing of it.
#[test]
fn a_header_mismatch_is_answered_with_fresh_annotations_once() {
    let server = modern(|request, responder| {
        let message = request.json();
        match (message["method"].as_str(), message["params"]["cursor"].as_str()) {
            (Some("tools/list"), None) => {
                responder.reply(&listing(&message["id"], json!({"tools": [], "nextCursor": "next"})));
            }
            (Some("tools/list"), _) => {
                responder.reply(&listing(&message["id"], json!({"tools": [annotated("t", "Region")]})));
            }
            (Some("tools/call"), _) if request.header("Mcp-Param-Region") != Some("here") => {
                responder.reply(&error(400, &message["id"], -32020, "Mcp-Param-Region is missing"));
            }
            _ => responder.reply(&serve(request)),
        }
        true
    });
    let mut session = ModernSession::on(&server);
    let answer = session.call(1, "tools/call", json!({"name": "t", "arguments": {"a": "here", "text": "x"}}));
    assert_eq!(answer["result"]["content"][0]["text"], "x");
    let sent: Vec<_> = server.requests().iter().skip(1).map(Request::json).collect();
    let methods: Vec<_> = sent.iter().map(|message| message["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["tools/call", "tools/list", "tools/list", "tools/call"]);
    assert_eq!(sent[1]["params"]["_meta"], envelope(), "asked in the host's name");
    assert!(sent[1]["id"].as_str().unwrap().starts_with("mcp-front-"));
    assert_eq!(sent[0], sent[3]);

    // Where nothing new is learned, the server's word is the answer.
    let answer = session.call(2, "tools/call", json!({"name": "t", "arguments": {"a": "elsewhere"}}));
    assert_eq!(answer["error"], json!({"code": -32020, "message": "Mcp-Param-Region is missing"}));
    assert_eq!(calls(&server).len(), 3);
    session.bridge.close_stdin();
    assert!(session.bridge.wait().1.is_empty(), "the lists were nobody's but ours");
}

/// `list_changed` makes what is known doubtful, until somebody has listed the tools again.
#[test]
fn a_changed_list_is_asked_for_again_before_an_annotated_tool_is_called() {
    let changed = Arc::new(AtomicBool::new(false));
    let has_changed = Arc::clone(&changed);
    let server = modern(move |request, responder| {
        let message = request.json();
        match message["method"].as_str() {
            Some("tools/list") => {
                let header = if has_changed.load(Ordering::SeqCst) { "New" } else { "Old" };
                responder.reply(&listing(&message["id"], json!({"tools": [annotated("t", header)]})));
            }
            Some("resources/list") => {
                let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {}});
                has_changed.store(true, Ordering::SeqCst);
                responder.reply(&Reply::events(format!("data: {changed}\n\ndata: {answer}\n\n")));
            }
            _ => return false,
        }
        true
    });
    let mut session = ModernSession::on(&server);
    session.call(1, "tools/list", json!({}));
    let call = json!({"name": "t", "arguments": {"a": "x"}});
    session.call(2, "tools/call", call.clone());
    session.call(3, "resources/list", json!({}));
    session.call(4, "tools/call", call.clone());
    session.call(5, "tools/call", call);
    let headers: Vec<_> = calls(&server).iter().map(|call| parameters(call)[0].0.clone()).collect();
    assert_eq!(headers, ["old", "new", "new"]);
    assert_eq!(server.requests().iter().filter(|request| is_post_of(request, "tools/list")).count(), 2);
}

/// Where the tools cannot be had, each change costs one attempt, and not every call.
#[test]
fn a_list_that_fails_is_not_asked_for_before_every_call() {
    let server = modern(|request, responder| {
        let message = request.json();
        let list = is_post_of(request, "tools/list");
        if list && message["id"] == 1 {
            responder.reply(&listing(&message["id"], json!({"tools": [annotated("t", "A")]})));
        } else if list {
            responder.reply(&Reply::status(503));
        } else if message["params"]["name"] == "changes" {
            let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {}});
            responder.reply(&Reply::events(format!("data: {changed}\n\ndata: {answer}\n\n")));
        }
        list || message["params"]["name"] == "changes"
    });
    let mut session = ModernSession::on(&server);
    session.call(1, "tools/list", json!({}));
    for (id, name) in [(2, "changes"), (3, "t"), (4, "t"), (5, "changes"), (6, "t")] {
        let answer = session.call(id, "tools/call", json!({"name": name, "arguments": {"a": "x"}}));
        assert!(answer["result"].is_object(), "{answer}");
    }
    assert_eq!(server.requests().iter().filter(|request| is_post_of(request, "tools/list")).count(), 3);
}

/// The end of the response stream is the cancellation, and no answer follows.
#[test]
fn a_cancellation_closes_the_response_stream_and_posts_nothing() {
    let closed = Gate::default();
    let saw_close = closed.clone();
    let count = AtomicUsize::new(0);
    let server = modern(move |request, responder| {
        let hangs = request.json()["params"]["name"] == "hangs";
        if hangs {
            // Once before the head of the answer, once behind a message.
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                responder.start_events();
                responder.chunk("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n");
            }
            responder.wait_for_close();
            saw_close.pass();
        }
        hangs
    });
    closed.open();
    let mut session = ModernSession::on(&server);
    session
        .bridge
        .send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"probe"}}"#);
    for round in 1..=2 {
        session.bridge.send(request("slow", "tools/call", json!({"name": "hangs"})));
        server.wait_for("the call", is("tools/call"));
        if round == 2 {
            assert_eq!(session.bridge.message()["method"], "notifications/progress");
        }
        session.bridge.send(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"slow","reason":"enough"}}"#,
        );
        closed.wait_for_arrivals(round);
    }
    session
        .bridge
        .send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody"}}"#);
    assert_eq!(session.call(9, "tools/call", json!({"name": "echo", "arguments": {"text": "on"}}))["id"], 9);
    assert!(!server.requests().iter().any(|request| is_post_of(request, "notifications/cancelled")));
    session.bridge.close_stdin();
    assert!(session.bridge.wait().1.is_empty(), "a cancelled request is owed no answer");
}

/// Errors in refusals are the server's answers, to the byte.
#[test]
fn errors_in_refusals_are_handed_on() {
    let bodies = [
        (
            404,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found","data":{"n":1e400}}}"#,
        ),
        (
            400,
            r#"{"jsonrpc":"2.0","id":2, "error":{"code":-32022,"message":"","data":{"supported":["2027-01-01"]}}}"#,
        ),
        (400, r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32021,"message":"elicitation"}}"#),
        (
            400,
            r#"{"jsonrpc":"2.0","id":4,"error":{"code":-32020,"message":"Session not found, server not initialized"}}"#,
        ),
    ];
    let server = modern(move |request, responder| {
        let Some(place) = request.json()["id"].as_u64() else { return false };
        let (status, body) = bodies[place as usize - 1];
        responder.reply(&Reply::json(status, body));
        true
    });
    let mut session = ModernSession::on(&server);
    for (id, (_, body)) in (1..).zip(bodies) {
        session.bridge.send(request(id, "resources/list", json!({})));
        assert_eq!(String::from_utf8(session.bridge.line()).unwrap(), body);
    }
    assert_eq!(server.requests().len(), 5, "nothing is sent twice");
}

/// A stream that breaks before its answer cannot be resumed, and the host is told so.
#[test]
fn a_broken_stream_is_an_error_and_is_not_resumed() {
    let server = modern(|request, responder| {
        let is_call = request.json()["method"] == "tools/call";
        if is_call {
            responder.start_events();
            responder.chunk(
                "id: 7\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n",
            );
        }
        is_call
    });
    let mut session = ModernSession::on(&server);
    let answer = session.call(1, "tools/call", json!({"name": "echo"}));
    assert_eq!(answer["error"]["data"]["reason"], "connection_lost", "{answer}");
    assert_eq!(server.requests().len(), 2);
}

/// Authorization is what it is for servers of the eras before: a refused token is renewed, once for
/// all that were refused, and the same frame goes out again.
#[test]
fn a_refused_token_is_renewed_and_the_request_goes_out_again() {
    let authorization = AuthorizationServer::start();
    let server = guarded_by(&authorization);
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    for round in 1..=2 {
        bridge.send(request(round, "server/discover", json!({})));
        assert!(bridge.response(&json!(round))["result"].is_object(), "the probe carries the token");
        service.authorization.refuse_issued_access_tokens();
        let frame = request("call", "tools/call", json!({"name": "echo", "arguments": {"text": "on"}}));
        bridge.send(&frame);
        assert_eq!(bridge.response(&json!("call"))["result"]["content"][0]["text"], "on");
        assert_eq!(service.authorization.refreshes(), round);
        let calls = calls(&service.server);
        assert_eq!(calls.len(), 2 * round);
        assert!(
            calls.iter().all(|call| call.body == frame.as_bytes() && call.header("Mcp-Name") == Some("echo"))
        );
        let tokens: Vec<_> = calls.iter().rev().take(2).map(|call| call.header("Authorization")).collect();
        assert_ne!(tokens[0], tokens[1]);
    }
}
