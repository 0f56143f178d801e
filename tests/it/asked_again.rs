//! What the host had asked of a session that the server has lost: subscriptions and the log's level are
//! said again to the one that takes its place, and the host hears nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::asking_server::ModernHost;
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::modern_server::{error, serve};
use crate::support::open_session::{OpenSession, is_post_of};
use crate::support::service::Service;
use crate::support::sse_server::{SseServer, is_message, session_on};
use crate::support::translated::{event, posts_of, result};

const REFUSED: &str = "the server refuses in a new session what it granted in the lost one";

/// A server that tells of everything, and of `x:a` on the stream of the second session once the gate is
/// open.
fn telling(
    gate: &Gate,
    script: impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static,
) -> McpServer {
    let (gate, capabilities) =
        (gate.clone(), json!({"logging": {}, "resources": {"subscribe": true}, "tools": {}}));
    let script = move |request: &Request, responder: &mut Responder| {
        if request.method != "GET" {
            return script(request, responder);
        }
        responder.start_events();
        if session(request) == Some(2) {
            gate.pass();
            let updated = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "x:a"}});
            responder.chunk(format!("data: {updated}\n\n"));
        }
        responder.wait_for_close();
        true
    };
    let (capabilities, script) = (Some(capabilities), Some(Box::new(script) as _));
    McpServer::start(Setup { capabilities, script, ..Setup::default() })
}

/// The session that a request belongs to.
fn session(request: &Request) -> Option<usize> {
    request.header("Mcp-Session-Id")?.strip_prefix("canary-session-")?.parse().ok()
}

/// What was posted in the session with this number.
fn posted_in(server: &McpServer, number: usize) -> Vec<Request> {
    let is_one = |request: &Request| request.method == "POST" && session(request) == Some(number);
    server.requests().into_iter().filter(is_one).collect()
}

fn subscribes(request: &Request, number: usize, uri: &str) -> bool {
    session(request) == Some(number)
        && is_post_of(request, "resources/subscribe")
        && request.json()["params"]["uri"] == uri
}

/// Asks for something, and gets it.
#[track_caller]
fn get(bridge: &mut Bridge, id: i64, method: &str, params: Value) {
    let answer = bridge.call(id, method, params);
    assert_eq!(answer["result"], json!({}), "{method}: {answer}");
}

#[track_caller]
fn subscribe(bridge: &mut Bridge, id: i64, uri: &str) {
    get(bridge, id, "resources/subscribe", json!({ "uri": uri }));
}

/// Leaves, and finds that nothing more was said; gives what stands on stderr.
#[track_caller]
fn leave(mut bridge: Bridge) -> String {
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    let rest: Vec<_> = rest.iter().map(|line| String::from_utf8_lossy(line)).collect();
    assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");
    String::from_utf8_lossy(&bridge.process.stderr.to_end()).into_owned()
}

/// In the host's own words, under other ids, and behind the replay of its `initialize` and
/// `notifications/initialized`.
#[test]
fn a_new_session_hears_what_the_lost_one_was_asked() {
    let changed = Gate::default();
    let server = telling(&changed, |request, responder| {
        let refused = request.json()["params"]["uri"] == "x:refused";
        if refused {
            responder.reply(&error(200, &request.json()["id"], -32602, "no"));
        }
        refused
    });
    let mut host = OpenSession::on(&server).bridge;
    let own = r#""method":"resources/subscribe","params":{ "uri" : "x:\u0061", "n":1.0 }"#;
    host.send(format!(r#"{{"jsonrpc":"2.0","id":1,{own}}}"#));
    assert_eq!(host.response(&json!(1))["result"], json!({}));
    subscribe(&mut host, 2, "x:b");
    subscribe(&mut host, 3, "x:c");
    get(&mut host, 4, "resources/unsubscribe", json!({"uri": "x:b"}));
    assert!(host.call(5, "resources/subscribe", json!({"uri": "x:refused"}))["error"].is_object());
    get(&mut host, 6, "logging/setLevel", json!({"level": "info"}));
    get(&mut host, 7, "logging/setLevel", json!({"level": "debug"}));

    server.forget_sessions();
    assert_eq!(host.echo(8, "again"), "again");
    for uri in ["x:a", "x:c"] {
        server.wait_for("the subscription", |request| subscribes(request, 2, uri));
    }
    server.wait_for("the level", |request| {
        session(request) == Some(2) && is_post_of(request, "logging/setLevel")
    });
    changed.open();
    assert_eq!(host.message()["params"]["uri"], "x:a");
    leave(host);

    let posted = posted_in(&server, 2);
    assert_eq!(posted[0].json()["method"], "notifications/initialized");
    let mut asked = Vec::new();
    for request in posted[1..].iter().filter(|request| !is_post_of(request, "tools/call")) {
        let message = request.json();
        let id = message["id"].as_str().expect("no id of the host's");
        assert!(id.starts_with("mcp-front-") && id.len() > 40, "{id}");
        asked.push((message["method"].clone(), message["params"].clone()));
        let body = String::from_utf8_lossy(&request.body);
        assert!(message["params"]["uri"] != "x:a" || body.contains(own), "{body}");
    }
    asked.sort_by_key(|(method, params)| format!("{method}{params}"));
    let expected = [
        ("logging/setLevel", json!({"level": "debug"})),
        ("resources/subscribe", json!({"n": 1.0, "uri": "x:a"})),
        ("resources/subscribe", json!({"uri": "x:c"})),
    ];
    assert_eq!(asked, expected.map(|(method, params)| (method.into(), params)));
}

/// What the server does not grant again is said on stderr, once, and without the server's words.
#[test]
fn a_refusal_in_the_new_session_is_told_once() {
    let server = McpServer::scripted(|request, responder| {
        let refused = session(request) != Some(1) && request.json()["params"]["uri"] == "x:gone";
        if refused {
            responder.reply(&error(200, &request.json()["id"], -32002, "canary-words"));
        }
        refused
    });
    let mut host = OpenSession::on(&server).bridge;
    subscribe(&mut host, 1, "x:gone");
    subscribe(&mut host, 2, "x:kept");
    for (number, id) in [(2, 10), (3, 20), (4, 30)] {
        server.forget_sessions();
        assert_eq!(host.echo(id, "again"), "again");
        for uri in ["x:gone", "x:kept"] {
            server.wait_for("the subscription", |request| subscribes(request, number, uri));
        }
        // Behind all that is said again.
        get(&mut host, id + 1, "resources/unsubscribe", json!({"uri": "x:other"}));
    }
    let said = leave(host);
    assert_eq!(said.matches(REFUSED).count(), 1, "{said}");
    assert!(said.contains("error -32002") && !said.contains("canary-words"), "{said}");
}

/// A session that is lost while it hears of it is renewed for that, once: a server that answers so for
/// another reason is not asked for one session after the other.
#[test]
fn a_session_that_is_lost_in_the_midst_of_it_is_renewed_and_there_is_no_loop() {
    for is_mended in [true, false] {
        let server = McpServer::scripted(move |request, responder| {
            let number = session(request).unwrap_or_default();
            let is_ours = request.json()["id"].as_str().is_some_and(|id| id.starts_with("mcp-front-"));
            let gone = is_ours && (number == 2 || !is_mended);
            if gone {
                responder.reply(&Reply::status(404));
            }
            gone
        });
        let mut host = OpenSession::on(&server).bridge;
        subscribe(&mut host, 1, "x:a");
        server.forget_sessions();
        // It goes behind all that is said again.
        subscribe(&mut host, 2, "x:b");
        for number in [2, 3] {
            assert!(posted_in(&server, number).iter().any(|request| subscribes(request, number, "x:a")));
        }
        for id in 3..9 {
            assert_eq!(host.echo(id, "on"), "on");
        }
        assert_eq!(server.sessions().0, 3, "{is_mended}");
        let said = leave(host);
        assert_eq!(said.contains("was not said again"), !is_mended, "{said}");
    }
}

/// What the host changes while it is said again has the last word.
#[test]
fn what_the_host_changes_meanwhile_comes_behind() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = McpServer::scripted(move |request, _| {
        if subscribes(request, 2, "x:a") {
            held.pass();
        }
        false
    });
    let mut host = OpenSession::on(&server).bridge;
    subscribe(&mut host, 1, "x:a");
    server.forget_sessions();
    assert_eq!(host.echo(2, "no longer than a moment"), "no longer than a moment");
    gate.wait_for_arrivals(1);
    let unsubscribe =
        json!({"jsonrpc": "2.0", "id": 3, "method": "resources/unsubscribe", "params": {"uri": "x:a"}});
    host.send(unsubscribe.to_string());
    assert_eq!(host.echo(4, "meanwhile"), "meanwhile");
    assert!(!posted_in(&server, 2).iter().any(|request| is_post_of(request, "resources/unsubscribe")));
    gate.open();
    assert_eq!(host.response(&json!(3))["result"], json!({}));
    server.forget_sessions();
    assert_eq!(host.echo(5, "nothing is left to say"), "nothing is left to say");
    leave(host);
    assert!(!posted_in(&server, 3).iter().any(|request| is_post_of(request, "resources/subscribe")));
}

/// A host that begins anew has asked nothing yet.
#[test]
fn a_session_that_the_host_begins_itself_hears_nothing_of_the_last() {
    let server = McpServer::open();
    let mut host = OpenSession::on(&server).bridge;
    subscribe(&mut host, 1, "x:a");
    host.initialize();
    subscribe(&mut host, 2, "x:b");
    server.forget_sessions();
    assert_eq!(host.echo(3, "again"), "again");
    server.wait_for("the subscription", |request| subscribes(request, 3, "x:b"));
    leave(host);
    assert!(!posted_in(&server, 3).iter().any(|request| subscribes(request, 3, "x:a")));
}

/// Over HTTP+SSE a stream is a session.
#[test]
fn a_new_stream_of_http_and_sse_hears_of_it_too() {
    let server = SseServer::open();
    let (mut host, _home) = session_on(&server);
    subscribe(&mut host, 1, "x:a");
    subscribe(&mut host, 2, "x:b");
    get(&mut host, 3, "resources/unsubscribe", json!({"uri": "x:b"}));
    for stream in [2, 3] {
        server.streams.cut();
        let again = server.server.wait_for("the subscription", |request| {
            is_message(request, "resources/subscribe")
                && request.target.ends_with(&format!("sessionId=canary-sse-{stream}"))
        });
        assert_eq!(again.json()["params"], json!({"uri": "x:a"}));
        // Behind all that is said again.
        get(&mut host, 10 + stream, "resources/unsubscribe", json!({"uri": "x:other"}));
        server.streams.say(r#"{"jsonrpc":"2.0","method":"notifications/resources/updated"}"#);
        assert_eq!(host.message()["method"], "notifications/resources/updated");
    }
    assert_eq!(server.count("resources/subscribe"), 4);
    leave(host);
}

/// The session that lies beneath a host of 2026-07-28 is one like any other.
#[test]
fn a_session_beneath_a_modern_host_hears_of_it_once() {
    let changed = Gate::default();
    let server = telling(&changed, |_, _| false);
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let filter = json!({"notifications": {"resourceSubscriptions": ["x:a"]}});
    let listen = host.send("subscriptions/listen", filter);
    host.assert_told(&[(&listen, "subscriptions/acknowledged")]);
    let level = json!({"name": "echo", "_meta": {"io.modelcontextprotocol/logLevel": "warning"}});
    assert!(host.ask("tools/call", level.clone())["result"].is_object());

    server.forget_sessions();
    assert!(host.ask("tools/call", level.clone())["result"].is_object());
    let other =
        host.send("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": ["x:b"]}}));
    // Its own subscription goes behind all that is said again.
    host.assert_told(&[(&other, "subscriptions/acknowledged")]);
    changed.open();
    host.assert_told(&[(&listen, "resources/updated")]);
    assert!(host.ask("tools/call", level)["result"].is_object());
    host.leave();
    let uris: Vec<_> =
        posts_of(&server, "resources/subscribe").iter().map(|one| one["params"]["uri"].clone()).collect();
    assert_eq!(uris, ["x:a", "x:a", "x:b"]);
    assert_eq!(posts_of(&server, "logging/setLevel").len(), 2);
}

/// A server of 2026-07-28 in the place of one that had a session: what the host had asked goes into the
/// subscription that is kept in its name, and with its requests.
#[test]
fn a_server_of_the_next_era_hears_of_it_in_its_own_way() {
    let replaced = Arc::<AtomicBool>::default();
    let is_replaced = Arc::clone(&replaced);
    let server = McpServer::scripted(move |request, responder| {
        if !is_replaced.load(Ordering::SeqCst) {
            return false;
        }
        if request.header("Mcp-Session-Id").is_some() {
            responder.reply(&Reply::status(404));
        } else if is_post_of(request, "server/discover") {
            let (versions, tells) = (json!(["2026-07-28"]), json!({"resources": {"subscribe": true}}));
            responder.reply(&result(request, json!({"supportedVersions": versions, "capabilities": tells})));
        } else if is_post_of(request, "subscriptions/listen") {
            let wanted = &request.json()["params"]["notifications"];
            responder.start_events();
            let stands = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"notifications": wanted}});
            responder.chunk(event(&stands));
            responder.wait_for_close();
        } else {
            responder.reply(&serve(request));
        }
        true
    });
    let mut host = OpenSession::on(&server).bridge;
    subscribe(&mut host, 1, "x:a");
    get(&mut host, 2, "logging/setLevel", json!({"level": "error"}));
    replaced.store(true, Ordering::SeqCst);
    assert_eq!(host.echo(3, "translated"), "translated");
    let listens = server.wait_for("the subscription", |request| is_post_of(request, "subscriptions/listen"));
    assert_eq!(listens.json()["params"]["notifications"], json!({"resourceSubscriptions": ["x:a"]}));
    // Behind all that is said again.
    get(&mut host, 4, "resources/unsubscribe", json!({"uri": "x:other"}));
    assert_eq!(host.echo(5, "with a level"), "with a level");
    let calls = posts_of(&server, "tools/call");
    let level = &calls.last().expect("a call")["params"]["_meta"]["io.modelcontextprotocol/logLevel"];
    assert_eq!(level, "error");
    leave(host);
}

/// What was granted in the server's place is asked of the server once it speaks for itself.
#[test]
fn the_server_hears_what_was_granted_in_its_place() {
    let service = Service::new();
    let mut host = Bridge::start(&service.home, &[&service.server.url()]);
    host.initialize();
    get(&mut host, 1, "logging/setLevel", json!({"level": "error"}));
    service.login(&[]).expect(0);
    let is_level = |request: &Request| {
        is_post_of(request, "logging/setLevel") && request.header("Mcp-Session-Id").is_some()
    };
    let heard = service.server.wait_for("the level", is_level);
    assert_eq!(heard.json()["params"], json!({"level": "error"}));
    host.wait_for_changes();
    assert_eq!(host.echo(2, "served"), "served");
}

/// Agrees to subscriptions of the first session once the gate is open, whatever became of that.
fn granting_late(gate: &Gate) -> impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static {
    let gate = gate.clone();
    move |request, responder| {
        let is_one = session(request) == Some(1) && is_post_of(request, "resources/subscribe");
        if is_one {
            gate.pass();
            responder.reply(&result(request, json!({})));
        }
        is_one
    }
}

/// The server agreed in a session that was lost by then.
#[test]
fn what_a_lost_session_grants_late_is_said_to_the_new_one() {
    let (changed, granting) = (Gate::default(), Gate::default());
    let server = telling(&changed, granting_late(&granting));
    let mut host = OpenSession::on(&server).bridge;
    host.send(r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x:a"}}"#);
    granting.wait_for_arrivals(1);
    server.forget_sessions();
    assert_eq!(host.echo(2, "again"), "again");
    granting.open();
    assert_eq!(host.response(&json!(1))["result"], json!({}));
    server.wait_for("the subscription", |request| subscribes(request, 2, "x:a"));
    changed.open();
    assert_eq!(host.message()["params"]["uri"], "x:a");
    leave(host);
}

/// What a lost session grants late is not said where the host has said something else since.
#[test]
fn a_later_word_of_the_hosts_holds_against_a_late_grant() {
    let (changed, granting) = (Gate::default(), Gate::default());
    let server = telling(&changed, granting_late(&granting));
    let mut host = OpenSession::on(&server).bridge;
    for (id, uri) in [(1, "x:a"), (2, "x:b")] {
        let params = json!({ "uri": uri });
        let frame = json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": params});
        host.send(frame.to_string());
    }
    granting.wait_for_arrivals(2);
    server.forget_sessions();
    assert_eq!(host.echo(3, "again"), "again");
    get(&mut host, 4, "resources/unsubscribe", json!({"uri": "x:a"}));
    granting.open();
    let mut granted = [host.message(), host.message()].map(|answer| answer["id"].as_i64());
    granted.sort();
    assert_eq!(granted, [Some(1), Some(2)]);
    server.wait_for("the other subscription", |request| subscribes(request, 2, "x:b"));
    assert_eq!(host.echo(5, "on"), "on");
    assert!(!posted_in(&server, 2).iter().any(|request| subscribes(request, 2, "x:a")));
    changed.open();
    host.message();
    leave(host);
}
