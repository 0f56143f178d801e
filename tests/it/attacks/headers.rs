//! Attacks on the headers of what goes out (D): who sees the token, what ends a header, and where a
//! session id goes.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, said};
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, result};
use crate::support::modern_server::{ModernSession, envelope, modern};
use crate::support::open_session::{OpenSession, is_post_of};
use crate::support::scene::{LOGS, Scene};
use crate::support::service::{NAME, Service};
use crate::support::sse_server::{SseServer, session_on};

/// What a tool does with the headers that it got, as its name says; the arguments may name a place.
fn telling(request: &Request, responder: &mut Responder) -> bool {
    let message = request.json();
    if message["method"] != "tools/call" {
        return false;
    }
    let lines = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let headers = lines.collect::<Vec<_>>().join("\n");
    let at = |status: u16| {
        let location = message["params"]["arguments"]["location"].as_str().unwrap_or_default();
        Reply::html(status, &headers).header("Location", location)
    };
    let challenge = |error: &str| {
        let token = request.header("Authorization").unwrap_or_default();
        let value = format!("Bearer error=\"{error}\", error_description=\"{token}\", scope=\"feature:mcp\"");
        Reply::html(401, &headers).header("WWW-Authenticate", value)
    };
    let reply = match message["params"]["name"].as_str().unwrap_or_default() {
        "print" => {
            let result = json!({"content": [{"type": "text", "text": headers}]});
            Reply::json(200, json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string())
        }
        "reset" => {
            return {
                responder.reset();
                true
            };
        }
        "silence" => Reply::status(202),
        "text" => Reply::status(200).body("text/plain", headers.as_bytes()),
        "half" => Reply::json(200, format!("{{\"jsonrpc\":\"2.0\",\"result\":\"{headers}")),
        "stream" => Reply::events(format!("id: {headers}\n\n")),
        "refuse" => challenge("invalid_token"),
        "outage" => at(503),
        name => match name.parse() {
            Ok(status) => at(status),
            Err(_) => return false,
        },
    };
    responder.reply(&reply);
    true
}

/// The token is known to the model once a tool has printed it: whatever the model does with it then,
/// nothing of ours says it, and it goes nowhere but to its server.
#[test]
fn d04_a_token_that_a_tool_prints_is_said_by_nobody_else() {
    for log in LOGS {
        let elsewhere = McpServer::open();
        let mut scene = Scene::with(log, Some(telling));
        scene.log_in_by_callback(&[]);
        let mut bridge = scene.bridge(&[NAME]);
        bridge.initialize();
        let printed = bridge.call(1, "tools/call", json!({"name": "print"}));
        let token = scene.service.authorization.tokens(0).0;
        assert!(said(&printed).contains(&token), "what the server answers is the server's: {printed}");
        let refused =
            ["reset", "silence", "text", "half", "stream", "outage", "301", "302", "303", "307", "308"];
        for (id, name) in (2..).zip(refused) {
            let place = format!("{}?token={token}", elsewhere.url());
            let arguments =
                json!({"location": place, "token": token, "Authorization": format!("Bearer {token}")});
            let params = json!({"name": name, "arguments": arguments, "_meta": {"token": token}});
            let answer = bridge.call(id, "tools/call", params);
            assert!(answer["error"].is_object(), "{name}: {answer}");
            scene.evidence.add(&format!("the error of {name}"), answer.to_string());
        }
        // As a method, as a name, and where a message is none.
        for (id, method) in [(30, token.as_str()), (31, "prompts/get"), (32, "resources/read")] {
            bridge.call(id, method, json!({"name": token, "uri": token}));
        }
        for line in [token.clone(), format!(r#"{{"jsonrpc":"{token}","id":33,"method":"m"}}"#)] {
            bridge.send(line);
            scene.evidence.add("the error of no message", bridge.line());
        }
        let answer = bridge.call(40, "tools/call", json!({"name": "refuse"}));
        assert!(answer["error"].is_object(), "{answer}");
        scene.evidence.add("the error of refuse", answer.to_string());
        scene.leave(bridge);
        assert_eq!(elsewhere.connections(), 0);
        let sent = scene.service.server.requests();
        let mut fields = sent.iter().flat_map(|request| &request.headers);
        let is_elsewhere = |(name, value): &(String, String)| {
            value.contains("canary-access") && !name.eq_ignore_ascii_case("authorization")
        };
        assert!(!fields.any(is_elsewhere), "it stands in one header");
        scene.list();
        scene.conclude();
    }
}

/// What a host of 2026-07-28 adds to nothing: no header of a value.
const INJECTIONS: [&str; 8] = [
    "\r\nX-Evil: 1",
    "\nX-Evil: 1",
    "\rX-Evil: 1",
    "\r\n\r\nPOST /evil HTTP/1.1\r\nX-Evil: 1\r\n\r\n",
    "\0\r\nX-Evil: 1",
    "\u{85}X-Evil: 1",
    "\u{2028}X-Evil: 1",
    "\u{10d}\u{10a}X-Evil: 1",
];

/// Fails the test where a request has a header that none of ours has, or is no request of ours.
fn is_free_of_injections(server: &McpServer, what: &str) {
    const OURS: [&str; 12] = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "user-agent",
        "last-event-id",
        "accept-encoding",
        "connection",
    ];
    for request in server.requests() {
        assert_eq!(request.path(), "/mcp", "{what}: {request:?}");
        for (name, value) in &request.headers {
            assert!(OURS.contains(&name.to_ascii_lowercase().as_str()), "{what}: {request:?}");
            assert!(value.chars().all(|character| matches!(character, ' '..='~')), "{what}: {request:?}");
        }
    }
}

#[test]
fn d05_a_version_of_the_servers_ends_no_header() {
    for injection in INJECTIONS {
        let version = format!("2025-11-25{injection}");
        let answer = json!({"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}});
        let server = McpServer::scripted(move |request, responder| {
            let starts = is_post_of(request, "initialize");
            if starts {
                let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": answer});
                responder.reply(&Reply::json(200, answer.to_string()));
            } else {
                let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": {}});
                responder.reply(&if request.method == "POST" {
                    Reply::json(200, answer.to_string())
                } else {
                    Reply::status(405)
                });
            }
            true
        });
        let mut session = OpenSession::on(&server);
        assert!(session.bridge.call(1, "tools/list", json!({}))["result"].is_object(), "{injection:?}");
        is_free_of_injections(&server, injection);
        let sent = server.requests().pop().expect("a request");
        assert_eq!(sent.header("MCP-Protocol-Version"), None, "{injection:?}: {sent:?}");
    }
}

#[test]
fn d05_a_session_id_ends_no_header() {
    for id in [
        "a\r\n b".to_owned(),
        "a\r\n\tX-Evil: 1".to_owned(),
        "a\rX-Evil: 1".to_owned(),
        "a\nX-Evil: 1".to_owned(),
        "a\0b".to_owned(),
        "a\u{7f}b".to_owned(),
        "a%0d%0aX-Evil: 1".to_owned(),
        "a\tb".to_owned(),
        "é\u{85}b".to_owned(),
        String::new(),
        "x".repeat(64 * 1024),
    ] {
        let given = id.clone();
        let server = McpServer::scripted(move |request, responder| {
            let starts = is_post_of(request, "initialize");
            if starts {
                let result = result(&request.json());
                let body =
                    json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string();
                responder.raw(
                    format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: {given}\r\n\
                         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    )
                    .as_bytes(),
                );
            }
            starts
        });
        let mut session = OpenSession::on(&server);
        // Whether the server knows it again is the server's affair.
        let answer = session.bridge.call(1, "tools/list", json!({}));
        assert!(answer["result"].is_object() || answer["error"].is_object(), "{id:?}: {answer}");
        for request in server.requests() {
            assert!(request.header("X-Evil").is_none() && request.path() == "/mcp", "{id:?}: {request:?}");
            let echoed = request.header("Mcp-Session-Id");
            let is_it = |echoed: &str| echoed == id || Some(echoed) == id.split(['\r', '\n']).next();
            assert!(echoed.is_none_or(is_it), "{id:?}: {request:?}");
        }
    }
}

/// Over HTTP+SSE an address of the server's stands for the session.
#[test]
fn d05_the_address_of_a_session_ends_no_request_line() {
    for rest in [
        "%0d%0aX-Evil:%201",
        " HTTP/1.1",
        "\tX-Evil: 1",
        "\u{85}X-Evil: 1",
        "\u{10d}\u{10a}X-Evil: 1",
        "\0X: 1",
    ] {
        let server = SseServer::scripted(move |request, responder, streams| {
            let is_message = request.path() == "/messages";
            if request.method == "GET" {
                streams.open(responder, &format!("/messages?s=$session&x=a{rest}"));
            } else if is_message {
                responder.reply(&Reply::status(202));
                let message = request.json();
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
                if message.get("id").is_some() {
                    streams.say(&answer.to_string());
                }
            }
            request.method == "GET" || is_message
        });
        let (mut bridge, _home) = session_on(&server);
        assert_eq!(bridge.echo(1, "on"), "on", "{rest:?}");
        let requests = server.server.requests();
        let sent: Vec<_> = requests.iter().filter(|request| request.path() == "/messages").collect();
        for request in &sent {
            assert_eq!(request.header("X-Evil"), None, "{rest:?}: {request:?}");
            let is_plain = request.target.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
            assert!(is_plain && request.target.ends_with('1'), "{rest:?}: {request:?}");
        }
        assert!(sent.len() >= 2, "{requests:?}");
    }
}

#[test]
fn d05_what_a_host_says_ends_no_header() {
    let server = modern(|request, responder| {
        let message = request.json();
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete"}});
        let is_probe = message["method"] == "server/discover" && message["id"] == "probe";
        if !is_probe {
            responder.reply(&Reply::json(200, answer.to_string()));
        }
        !is_probe
    });
    let mut session = ModernSession::on(&server);
    let mut id = 0;
    for injection in INJECTIONS {
        let with = |text: &str| format!("{text}{injection}");
        let mut meta = envelope();
        meta["io.modelcontextprotocol/protocolVersion"] = json!(with("2026-07-28"));
        for (method, params) in [
            ("tools/call".to_owned(), json!({"name": with("echo"), "_meta": envelope()})),
            ("prompts/get".to_owned(), json!({"name": with("prompt"), "_meta": envelope()})),
            ("resources/read".to_owned(), json!({"uri": with("file:///a"), "_meta": envelope()})),
            ("tasks/get".to_owned(), json!({"taskId": with("task"), "_meta": envelope()})),
            (with("tools/list"), json!({"_meta": envelope()})),
            (with(""), json!({"_meta": envelope()})),
            ("tools/list".to_owned(), json!({"_meta": meta})),
        ] {
            id += 1;
            let what = format!("{method} {params}");
            let answer = session.bridge.call(id, &method, params);
            assert!(answer["result"].is_object() || answer["error"].is_object(), "{what}: {answer}");
        }
    }
    is_free_of_injections(&server, "a host's");
}

/// Two profiles, one name: what A gave stays A's.
#[test]
fn d06_a_session_id_stays_with_its_server() {
    let service = Service::logged_in();
    // B's first session has the name of A's first, and A's second a name of its own.
    let mut former = service.bridge();
    former.initialize();
    let mut at_a = service.bridge();
    at_a.initialize();
    assert_eq!(at_a.echo(1, "at A"), "at A");

    let authorization = AuthorizationServer::start();
    let b = McpServer::guarded_by(&authorization);
    let login = ["login", &b.url(), "--name", NAME, "--profile", "other"];
    service.home.run(login).expect(0);
    let mut at_b = Bridge::start(&service.home, &[NAME, "--profile", "other"]);
    at_b.initialize();
    assert_eq!(at_b.echo(1, "at B"), "at B");
    assert_eq!(at_a.echo(2, "still at A"), "still at A");

    // The name moves to B, where a bridge on A runs on it.
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    service.home.run(["tokens", "delete", NAME, "--yes", "--profile", "other"]).expect(0);
    service.home.run(["login", &b.url(), "--name", NAME]).expect(0);
    let answer = at_a.call(3, "tools/call", json!({"name": "echo", "arguments": {"text": "where?"}}));
    assert!(answer["error"].is_object(), "{answer}");
    let mut anew = service.bridge();
    anew.initialize();
    assert_eq!(anew.echo(1, "at B now"), "at B now");

    let ids = |server: &McpServer| -> BTreeSet<Option<String>> {
        let requests = server.requests();
        requests.iter().map(|request| request.header("Mcp-Session-Id").map(str::to_owned)).collect()
    };
    assert!(ids(&service.server).contains(&Some("canary-session-2".to_owned())));
    let last_of_a = b.requests().iter().any(|request| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        text.contains("at A") || text.contains("where?")
    });
    assert!(!last_of_a, "a bridge stays with the server that it was started on");
    for request in b.requests().iter().filter(|request| is_post_of(request, "initialize")) {
        assert_eq!(request.header("Mcp-Session-Id"), None, "a session begins without one");
    }
}

/// What a session left is not said in the next one, nor where a redirect leads.
#[test]
fn d06_a_session_begins_without_the_id_of_another() {
    let elsewhere = McpServer::open();
    let location = elsewhere.url();
    let server = McpServer::on_calls(move |_, responder| {
        responder.reply(&Reply::status(307).header("Location", location.as_str()));
    });
    let mut session = OpenSession::on(&server);
    let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
    assert_eq!(answer["error"]["data"]["httpStatus"], 307, "{answer}");
    assert_eq!(elsewhere.connections(), 0);
    server.forget_sessions();
    assert!(session.bridge.call(2, "tools/list", json!({}))["result"].is_object());
    session.bridge.initialize();
    assert!(session.bridge.call(3, "tools/list", json!({}))["result"].is_object());
    let requests = server.requests();
    let begins: Vec<_> = requests.iter().filter(|request| is_post_of(request, "initialize")).collect();
    assert_eq!(begins.len(), 3);
    assert!(begins.iter().all(|request| request.header("Mcp-Session-Id").is_none()), "{begins:?}");
    let lists: Vec<_> = requests
        .iter()
        .filter(|request| is_post_of(request, "tools/list"))
        .filter_map(|request| request.header("Mcp-Session-Id"))
        .collect();
    assert_eq!(lists, ["canary-session-1", "canary-session-2", "canary-session-3"]);
}
