//! A host that speaks 2026-07-28 alone on a server that opens with `initialize`, with `--era modern`:
//! what each side says, and what the other hears.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::asking_server::{ModernHost, asking, offers_all};
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::{self, request};
use crate::support::open_session::is_post_of;
use crate::support::sse_server::SseServer;
use crate::support::translated::{methods, posts_of};

/// One session is opened in the host's name, and says what the host said of itself; the host hears
/// of it what a server of its revision says.
#[test]
fn a_session_is_opened_in_the_hosts_name() {
    let (server, _stage) = asking(|request, responder, _| offers_all(request, responder));
    let mut host = ModernHost::on(&server.url());
    let discovered = host.discover();
    assert_eq!(
        discovered["result"],
        json!({
            "capabilities": {
                "logging": {},
                "prompts": {},
                "resources": {"subscribe": true, "listChanged": true},
                "tools": {"listChanged": true},
            },
            "instructions": "Ask \u{fc}ber all",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "asking", "version": "1"}},
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "ttlMs": 0,
            "cacheScope": "private",
        })
    );
    assert_eq!(host.discover()["result"], discovered["result"]);
    let [initialize] = &posts_of(&server, "initialize")[..] else { panic!("{:?}", methods(&server)) };
    assert_eq!(
        initialize["params"],
        json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"elicitation": {"form": {}, "url": {}}, "roots": {}, "sampling": {}},
            "clientInfo": {"name": "host", "version": "7"},
        })
    );
    server.wait_for("notifications/initialized", |request| is_post_of(request, "notifications/initialized"));
    assert!(host.leave().is_empty());
}

/// What only the host's revision knows stays here, and all else goes as it came; results have what
/// the host's revision wants of them.
#[test]
fn requests_and_results_are_translated_and_no_more() {
    let (server, _stage) = asking(|request, responder, _| {
        // The numbers in these frames are none to this server's parser.
        let body = String::from_utf8_lossy(&request.body);
        let frames = [
            ("tools/list", r#"{"jsonrpc":"2.0","id":ID,"result":{"tools":[ ],"n":1e400}}"#),
            (
                "resources/read",
                r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32002,"message":"no","data":1e400}}"#,
            ),
            (
                "tools/call",
                r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"structuredContent":{"a":1.0}}}"#,
            ),
        ];
        let Some((_, frame)) = frames.into_iter().find(|(method, _)| body.contains(method)) else {
            return offers_all(request, responder);
        };
        let id = if body.contains("1.50") { "1.50" } else { "\"b\"" };
        responder.reply(&Reply::json(200, frame.replace("ID", id)));
        true
    });
    let mut host = ModernHost::on(&server.url());
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28", "x":1e400,"io.modelcontextprotocol/clientCapabilities":{},"progressToken":7.0}"#;
    for (id, method, params, answer) in [
        (
            "1.50",
            "tools/list",
            r#"{"cursor":"\u0041",META}"#,
            r#""result":{"tools":[ ],"n":1e400,"resultType":"complete","ttlMs":0,"cacheScope":"private"}}"#,
        ),
        (
            "\"b\"",
            "resources/read",
            r#"{ "uri" : "x:y", META }"#,
            r#""error":{"code":-32602,"message":"no","data":1e400}}"#,
        ),
        (
            "\"b\"",
            "tools/call",
            r#"{"name":"t",META}"#,
            r#""result":{"content":[],"structuredContent":{"a":1.0},"resultType":"complete"}}"#,
        ),
    ] {
        let params = params.replace("META", META);
        host.bridge
            .send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params},"odd":1}}"#));
        let line = host.bridge.line();
        assert_eq!(
            String::from_utf8_lossy(&line),
            format!(r#"{{"jsonrpc":"2.0","id":{id},{answer}"#),
            "{method}"
        );
        let posted = server.posted();
        let posted = String::from_utf8_lossy(posted.last().unwrap()).into_owned();
        let kept = params.replace(META, r#""_meta":{ "x":1e400,"progressToken":7.0}"#);
        assert_eq!(
            posted,
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{kept},"odd":1}}"#)
        );
    }
}

/// A host that asks for nothing first is served as one that does; what it sends meanwhile waits.
#[test]
fn a_host_need_not_discover() {
    let (server, _stage) = asking(|request, responder, _| offers_all(request, responder));
    let mut host = ModernHost::on(&server.url());
    let (first, second) = (host.send("tools/list", json!({})), host.send("prompts/list", json!({})));
    assert_eq!(host.bridge.response(&second)["result"]["resultType"], "complete");
    assert_eq!(host.bridge.response(&first)["result"]["tools"][0]["name"], "echo");
    assert_eq!(posts_of(&server, "initialize").len(), 1);
}

/// Requests that say of the host what no revision allows, or nothing at all.
#[test]
fn requests_of_no_known_revision_are_refused() {
    let (server, _stage) = asking(|request, responder, _| offers_all(request, responder));
    let mut host = ModernHost::on(&server.url());
    host.discover();
    for (params, code) in [
        (json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}}), -32022),
        (json!({"_meta": {"io.modelcontextprotocol/protocolVersion": null}}), -32602),
        (json!({"_meta": {"io.modelcontextprotocol/logLevel": "loud"}}), -32602),
    ] {
        let answer = host.ask("tools/list", params);
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    let version = host.ask("x", json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}}));
    assert_eq!(version["error"]["data"], json!({"supported": ["2026-07-28"], "requested": "2027-01-01"}));
    let twice = r#"{"jsonrpc":"2.0","id":"t","method":"tools/call","params":{"name":"echo","requestState":"a","requestState":"b","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    host.bridge.send(twice);
    assert_eq!(host.bridge.response(&json!("t"))["error"]["code"], -32600);
    host.bridge.send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#);
    assert_eq!(host.bridge.response(&Value::Null)["error"]["code"], -32600);
    assert!(posts_of(&server, "tools/list").is_empty());
}

/// Progress reaches the host while it waits; a cancellation reaches the server, and ends the call.
#[test]
fn progress_and_cancellation_pass() {
    let (server, _stage) = asking(|request, responder, _| {
        if !is_post_of(request, "tools/call") {
            return offers_all(request, responder);
        }
        responder.start_events();
        for (token, progress) in
            [(json!("other"), 0), (request.json()["params"]["_meta"]["progressToken"].clone(), 1)]
        {
            let params = json!({"progressToken": token, "progress": progress});
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
            responder.chunk(format!("data: {progress}\n\n"));
        }
        responder.wait_for_close();
        true
    });
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let id = host.send("tools/call", json!({"name": "slow", "_meta": {"progressToken": "p"}}));
    let progress = host.bridge.message();
    assert_eq!(progress["params"], json!({"progressToken": "p", "progress": 1}));
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "reason": "enough"}});
    host.bridge.send(cancelled.to_string());
    let heard = server.wait_for("the cancellation", |request| is_post_of(request, "notifications/cancelled"));
    assert_eq!(heard.json()["params"], json!({"requestId": id, "reason": "enough"}));
    assert_eq!(host.ask("prompts/list", json!({}))["result"]["resultType"], "complete");
    assert!(host.leave().is_empty());
}

/// A server of the host's era is spoken to as if there was no flag, and so is a host of the other.
#[test]
fn who_speaks_one_era_needs_no_translation() {
    let server = modern_server::modern(|_, _| false);
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url(), "--era", "modern"]);
    bridge.send(request("list", "tools/list", json!({})));
    assert_eq!(
        bridge.message()["result"],
        json!({"resultType": "complete", "tools": [{"name": "echo", "inputSchema": {}}]})
    );
    bridge.send(request("probe", "server/discover", json!({})));
    assert_eq!(bridge.message()["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert!(posts_of(&server, "initialize").is_empty());

    let server = McpServer::open();
    let mut bridge = Bridge::start(&home, &[&server.url(), "--era", "modern"]);
    let answer = bridge.initialize();
    assert_eq!(answer["result"]["serverInfo"]["name"], "scripted", "{answer}");
    assert_eq!(bridge.echo(1, "as ever"), "as ever");
    assert!(posts_of(&server, "server/discover").is_empty());
}

/// A host that does not wait for the answer to its probe opens a session itself.
#[test]
fn a_host_that_falls_back_is_served_as_it_asks() {
    let (server, _stage) = asking(|request, responder, _| offers_all(request, responder));
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let answer = host.bridge.initialize();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
    assert_eq!(host.bridge.echo(50, "as ever"), "as ever");
}

/// The same over HTTP+SSE of 2024-11-05.
#[test]
fn the_old_transport_serves_as_well() {
    let server = SseServer::open();
    for flags in [&[][..], &["--transport", "sse"]] {
        let mut host = ModernHost::with(&server.url(), flags);
        assert_eq!(host.discover()["result"]["supportedVersions"], json!(["2026-07-28"]));
        let called = host.call("echo", json!({"text": "over the stream"}));
        assert_eq!(called["result"]["content"][0]["text"], "over the stream", "{called}");
        assert_eq!(called["result"]["resultType"], "complete");
        assert!(host.leave().is_empty());
    }
}

/// A lost session is renewed behind the host's back; a server that is gone is an error a request.
#[test]
fn a_lost_session_is_renewed_and_a_lost_server_is_an_error() {
    let (server, _stage) = asking(|request, responder, _| {
        let _ = (request, responder);
        false
    });
    let mut host = ModernHost::on(&server.url());
    host.discover();
    assert_eq!(host.call("echo", json!({"text": "one"}))["result"]["content"][0]["text"], "one");
    server.forget_sessions();
    assert_eq!(host.call("echo", json!({"text": "two"}))["result"]["content"][0]["text"], "two");
    assert_eq!(server.sessions().0, 2);
    drop(server);
    let start = Instant::now();
    let answer = host.call("echo", json!({"text": "three"}));
    assert_eq!(answer["error"]["data"]["source"], "mcp-front", "{answer}");
    assert!(start.elapsed() < DEADLINE);
    assert!(host.leave().is_empty());
}
