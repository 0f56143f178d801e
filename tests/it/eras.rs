//! Finding out which era the server speaks, in time, and remembering it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::{error, modern, remembered, request, serve};
use crate::support::open_session::is;

/// How long Claude Code waits for the answer to its probe, from its start on.
const HOST_PATIENCE: Duration = Duration::from_secs(3);

fn probe() -> String {
    request("server-discover-probe-1", "server/discover", json!({}))
}

/// Sends the probe; returns the answer and how long it took.
fn ask(bridge: &mut Bridge) -> (Value, Duration) {
    let since = Instant::now();
    bridge.send(probe());
    let answer = bridge.message();
    assert_eq!(answer["id"], "server-discover-probe-1");
    (answer, since.elapsed())
}

/// The error that no host takes for a modern server's.
fn is_fallback(answer: &Value) -> bool {
    answer["error"] == json!({"code": -32601, "message": "Method not found"})
}

/// As rmcp's server does where it speaks no other versions.
fn name_the_versions_before(request: &Request, responder: &mut Responder) {
    let data = json!({"supported": ["2025-06-18", "2025-11-25"], "requested": "2026-07-28"});
    let error = json!({"code": -32022, "message": "Unsupported protocol version", "data": data});
    let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
    responder.reply(&Reply::json(400, answer.to_string()));
}

/// Whatever a legacy server says to a probe, the host hears that it is none, and goes on.
#[test]
fn a_server_of_the_era_before_sends_the_host_to_initialize() {
    type Refusal = fn(&Request, &mut Responder);
    let refusals: [(&str, Refusal, bool); 11] = [
        ("400 without a word", |_, responder| responder.reply(&Reply::status(400)), false),
        (
            "400 with an error of its own",
            |request, responder| {
                responder.reply(&error(400, &request.json()["id"], -32000, "Not initialized"))
            },
            true,
        ),
        ("404", |_, responder| responder.reply(&Reply::html(404, "not here")), false),
        ("405", |_, responder| responder.reply(&Reply::status(405)), false),
        (
            "200 with -32601",
            |request, responder| {
                responder.reply(&error(200, &request.json()["id"], -32601, "No such method"));
            },
            true,
        ),
        ("400 with the versions before", name_the_versions_before, true),
        (
            "a result that is none",
            |request, responder| {
                let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": {}});
                responder.reply(&Reply::events(format!("data: {answer}\n\n")));
            },
            true,
        ),
        ("a captive portal", |_, responder| responder.reply(&Reply::html(200, "<html>")), false),
        (
            "a word of a proxy",
            |_, responder| responder.reply(&Reply::json(200, r#"{"error":"wait"}"#)),
            false,
        ),
        ("an outage", |_, responder| responder.reply(&Reply::html(503, "down")), false),
        ("a reset", |_, responder| responder.reset(), false),
    ];
    for (what, refuse, is_told) in refusals {
        let server = McpServer::scripted(move |request, responder| {
            let is_probe = is("server/discover")(request);
            if is_probe {
                refuse(request, responder);
            }
            is_probe
        });
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        let (answer, _) = ask(&mut bridge);
        assert!(is_fallback(&answer), "{what}: {answer}");
        bridge.initialize();
        assert_eq!(bridge.echo(1, what), what);
        if is_told {
            remembered(&home, r#""is":false"#);
        } else {
            assert!(!home.files().iter().any(|(path, _)| path.parent().unwrap().ends_with("eras")), "{what}");
        }
    }
}

/// Errors that only servers of 2026-07-28 have are the host's to read.
#[test]
fn a_modern_servers_answers_to_the_probe_are_handed_on_byte_for_byte() {
    for (status, body) in [
        (
            200,
            r#"{"jsonrpc":"2.0","id":"server-discover-probe-1","result":{"supportedVersions":[ "2026-07-28" ],"n":1e400}}"#,
        ),
        (
            400,
            r#"{"jsonrpc":"2.0","id":"server-discover-probe-1","error":{"code":-32022,"message":"","data":{"supported":["2027-01-01"]}}}"#,
        ),
        (400, r#"{"jsonrpc":"2.0","id":"server-discover-probe-1","error":{"code":-32021,"message":""}}"#),
        (400, r#"{"jsonrpc":"2.0","id":"server-discover-probe-1","error":{"code":-32020,"message":""}}"#),
    ] {
        let server = McpServer::scripted(move |_, responder| {
            responder.reply(&Reply::json(status, body));
            true
        });
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.send(probe());
        assert_eq!(String::from_utf8(bridge.line()).unwrap(), body);
        remembered(&home, r#""is":true"#);
        let sent = &server.requests()[0];
        assert_eq!(sent.header("MCP-Protocol-Version"), Some("2026-07-28"));
        assert_eq!(sent.header("Mcp-Method"), Some("server/discover"));
    }
}

#[test]
fn a_probe_is_answered_in_time_by_servers_that_hang_are_dead_or_want_a_login() {
    let (answers, arrived) = (Gate::default(), Gate::default());
    let (late, seen) = (answers.clone(), arrived.clone());
    arrived.open();
    let slow = modern(move |request, _| {
        if is("server/discover")(request) {
            seen.pass();
            late.pass();
        }
        false
    });
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&slow.url()]);
    let (answer, all_it_waits) = ask(&mut bridge);
    assert!(is_fallback(&answer) && all_it_waits < HOST_PATIENCE, "{answer} after {all_it_waits:?}");
    // What it says at last counts for the next time.
    arrived.wait_for_arrivals(1);
    answers.open();
    remembered(&home, r#""is":true"#);
    drop(bridge);
    let mut bridge = Bridge::start(&home, &[&slow.url()]);
    assert_eq!(ask(&mut bridge).0["result"]["supportedVersions"], json!(["2026-07-28"]));

    let dead = McpServer::open().url();
    let home = Home::with_file_store();
    let (answer, took) = ask(&mut Bridge::start(&home, &[&dead]));
    assert!(is_fallback(&answer) && took < HOST_PATIENCE, "{answer} after {took:?}");

    let guarded = McpServer::scripted(|_, responder| {
        responder.reply(&Reply::status(401).header("WWW-Authenticate", "Bearer"));
        true
    });
    let (answer, took) = ask(&mut Bridge::start(&home, &[&guarded.url()]));
    assert!(is_fallback(&answer) && took < all_it_waits, "{answer} after {took:?}: nothing is waited for");
    assert!(!home.files().iter().any(|(path, _)| path.parent().unwrap().ends_with("eras")));
}

/// What is remembered saves the round trip, expires after a day, and gives way to what is seen.
#[test]
fn an_era_is_remembered_for_a_day() {
    let upgraded = Arc::new(AtomicBool::new(false));
    let is_modern = Arc::clone(&upgraded);
    let modern = modern(move |request, responder| {
        let is_legacy = !is_modern.load(Ordering::SeqCst);
        if is_legacy {
            responder.reply(&error(404, &request.json()["id"], -32601, "Method not found"));
        }
        is_legacy
    });
    let home = Home::with_file_store();
    let ask = || {
        let mut bridge = Bridge::start(&home, &[&modern.url()]);
        let answer = ask(&mut bridge).0;
        bridge.close_stdin();
        bridge.wait();
        answer
    };
    assert!(is_fallback(&ask()));
    let file = remembered(&home, r#""is":false"#);
    upgraded.store(true, Ordering::SeqCst);
    assert!(is_fallback(&ask()));
    assert_eq!(modern.requests().len(), 1, "the memory answers");

    let text = std::fs::read_to_string(&file).unwrap();
    let seen: Value = serde_json::from_str(&text).unwrap();
    let seen: jiff::Timestamp = seen["modern"]["seen"].as_str().unwrap().parse().unwrap();
    let expired = seen - jiff::SignedDuration::from_hours(24);
    std::fs::write(&file, text.replace(&seen.to_string(), &expired.to_string())).unwrap();
    assert!(ask()["result"].is_object());
    remembered(&home, r#""is":true"#);

    // Contradicted: the server was rolled back.
    upgraded.store(false, Ordering::SeqCst);
    assert!(is_fallback(&ask()));
    remembered(&home, r#""is":false"#);
}

/// A server of both eras, which tells them apart by what each request says of itself.
fn of_both_eras(before: impl Fn(&Request) + Send + Sync + 'static) -> McpServer {
    McpServer::scripted(move |request, responder| {
        let version = &request.json()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        if version.is_string() {
            before(request);
            responder.reply(&serve(request));
        }
        version.is_string()
    })
}

/// A host that takes a slow answer for none has begun in the era before when the answer comes.
#[test]
fn a_late_answer_to_the_probe_leaves_the_session_as_it_is() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = of_both_eras(move |request| {
        if is("server/discover")(request) {
            held.pass();
        }
    });
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.send(probe());
    gate.wait_for_arrivals(1);
    bridge.initialize();
    gate.open();
    bridge.response(&json!("server-discover-probe-1"));
    assert_eq!(bridge.echo(1, "in the session"), "in the session");
}

/// One process may speak both eras: each request is what it says of itself.
#[test]
fn requests_of_the_next_era_go_beside_a_session() {
    let server = of_both_eras(|_| {});
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.initialize();
    for id in [1, 4] {
        bridge.send(request(id, "tools/list", json!({})));
        let listed = bridge.response(&json!(id));
        assert_eq!(listed["result"]["resultType"], "complete", "{listed}");
        bridge.send(request(id + 1, "server/discover", json!({})));
        assert!(bridge.response(&json!(id + 1))["result"]["supportedVersions"].is_array());
        assert_eq!(bridge.echo(id + 2, "in the session"), "in the session");
    }
}

/// What a server of this era answers shows that it is one, whatever was remembered.
#[test]
fn an_answer_of_this_era_corrects_the_memory() {
    let (server, home) = (modern(|_, _| false), Home::with_file_store());
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    ask(&mut bridge);
    let file = remembered(&home, r#""is":true"#);
    drop(bridge);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("true", "false")).unwrap();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    assert!(is_fallback(&ask(&mut bridge).0));
    bridge.send(request(1, "tools/list", json!({})));
    bridge.response(&json!(1));
    remembered(&home, r#""is":true"#);
    assert!(ask(&mut bridge).0["result"].is_object());
}
