//! One host session over HTTP+SSE of 2024-11-05: streams that end, sessions that are lost, answers in
//! odd places.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::service::Service;
use crate::support::sse_server::{SseServer, is_message, session_on};

/// Who named the transport is told that it was the wrong one, as often as it is asked.
#[test]
fn a_server_without_the_named_transport_is_told_with_the_option() {
    let server = McpServer::open();
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url(), "--transport", "sse"]);
    let initialize = bridge.initialize();
    let list = bridge.call(1, "tools/list", json!({}));
    for answer in [initialize, list] {
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("400") && message.contains("`--transport sse`"), "{message}");
    }
}

/// What was sent may have been executed; what was not waits for the next stream, in which the host's
/// own handshake is said again.
#[test]
fn a_cut_stream_fails_what_was_sent_and_a_new_one_follows() {
    let (slow, reopening) = (Gate::default(), Gate::default());
    let (held, holding) = (slow.clone(), reopening.clone());
    let server = SseServer::scripted(move |request, responder, streams| {
        if is_message(request, "slow") {
            responder.reply(&Reply::status(202));
            held.pass();
            return true;
        }
        if request.method == "GET" && streams.opened() == 1 {
            holding.pass();
        }
        false
    });
    slow.open();
    let (mut bridge, _home) = session_on(&server);
    for id in [1, 2] {
        bridge.send(json!({"jsonrpc": "2.0", "id": id, "method": "slow"}).to_string());
    }
    slow.wait_for_arrivals(2);
    server.streams.cut();
    for id in [1, 2] {
        let answer = bridge.response(&json!(id));
        let data = &answer["error"]["data"];
        assert_eq!((&data["reason"], &data["mayHaveExecuted"]), (&json!("connection_lost"), &json!(true)));
    }
    reopening.wait_for_arrivals(1);
    bridge.send(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}}).to_string());
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    reopening.open();
    assert_eq!(bridge.response(&json!(3))["result"]["content"][0]["text"], "x");
    assert_eq!((server.count("initialize"), server.count("notifications/initialized")), (2, 2));
    assert_eq!((server.count("tools/call"), server.count("slow")), (1, 2));
    server.server.wait_for("the notification", |request| {
        is_message(request, "notifications/roots/list_changed")
            && request.query()["sessionId"] == "canary-sse-2"
    });
    let requests = server.server.requests();
    let initializes: Vec<_> = requests.iter().filter(|request| is_message(request, "initialize")).collect();
    assert_eq!(initializes[0].body, initializes[1].body);
}

/// Nobody has to ask: what the server says comes again.
#[test]
fn a_stream_is_opened_again_for_what_the_server_says() {
    let server = SseServer::open();
    let (mut bridge, _home) = session_on(&server);
    assert_eq!(bridge.echo(1, "first"), "first");
    for count in 2..5 {
        server.streams.cut();
        server.streams.wait_for_opened(count);
    }
    server.server.wait_for("the last handshake", |request| {
        is_message(request, "notifications/initialized") && request.query()["sessionId"] == "canary-sse-4"
    });
    server.streams.say(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
    assert_eq!(bridge.message()["method"], "notifications/message");
}

/// What waiting does not mend is told at once, and mended later all the same.
#[test]
fn a_server_that_opens_no_stream_any_more_is_told_and_tried_again() {
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = Arc::clone(&gone);
    let refused = Gate::default();
    refused.open();
    let refusals = refused.clone();
    let server = SseServer::scripted(move |request, responder, _| {
        let refuse = request.method == "GET" && is_gone.load(Ordering::SeqCst);
        if refuse {
            refusals.pass();
            responder.reply(&Reply::status(404));
        }
        refuse
    });
    let (mut bridge, _home) = session_on(&server);
    gone.store(true, Ordering::SeqCst);
    server.streams.cut();
    refused.wait_for_arrivals(1);
    let answer = bridge.call(1, "tools/list", json!({}));
    let data = &answer["error"]["data"];
    assert_eq!(
        (&data["reason"], &data["mayHaveExecuted"]),
        (&json!("session_lost"), &json!(false)),
        "{answer}"
    );
    gone.store(false, Ordering::SeqCst);
    assert_eq!(bridge.echo(2, "back"), "back");
    assert_eq!(server.count("tools/list"), 0);
}

/// A session that the server does not know: it has not acted, so the message is sent once more.
#[test]
fn a_lost_session_is_begun_again() {
    let forgetful = Arc::new(AtomicBool::new(true));
    let forgets = Arc::clone(&forgetful);
    for (status, body) in [(404, "Could not find session"), (400, "No transport found for sessionId")] {
        forgetful.store(true, Ordering::SeqCst);
        let forgets = Arc::clone(&forgets);
        let server = SseServer::scripted(move |request, responder, _| {
            let refuse = is_message(request, "tools/call") && forgets.swap(false, Ordering::SeqCst);
            if refuse {
                responder.reply(&Reply::html(status, body));
            }
            refuse
        });
        let (mut bridge, _home) = session_on(&server);
        assert_eq!(bridge.echo(1, "again"), "again");
        assert_eq!(
            (server.streams.opened(), server.count("initialize"), server.count("tools/call")),
            (2, 2, 2)
        );
    }
}

/// Some servers answer the POST, or answer it late, or say anything at all.
#[test]
fn answers_are_taken_wherever_they_come() {
    let held = Gate::default();
    let late = held.clone();
    let server = SseServer::scripted(move |request, responder, streams| {
        let answer = |id: i64| json!({"jsonrpc": "2.0", "id": id, "result": {"from": "there"}}).to_string();
        match request.json()["method"].as_str() {
            Some("in-the-post") => responder.reply(&Reply::json(200, answer(1))),
            Some("as-events") => responder.reply(&Reply::events(format!("data: {}\n\n", answer(2)))),
            Some("before-the-post") => {
                streams.say(&answer(3));
                late.pass();
                responder.reply(&Reply::status(202));
            }
            Some("beside-nonsense") => {
                responder.reply(&Reply::json(200, r#"{"ok":true}"#));
                streams.send(": comment\n\nevent: ping\ndata: now\n\ndata: heartbeat\n\ndata: {}\n\n");
                streams.say(&answer(4));
            }
            Some("addressless") => {
                responder.reply(&Reply::status(202));
                streams.say(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"lost"}}"#);
            }
            Some("refused") => responder.reply(&Reply::json(
                400,
                r#"{"jsonrpc":"2.0","id":6,"error":{"code":-32602,"message":"bad"}}"#,
            )),
            _ => return false,
        }
        true
    });
    let (mut bridge, _home) = session_on(&server);
    for (id, method) in [(1, "in-the-post"), (2, "as-events"), (3, "before-the-post"), (4, "beside-nonsense")]
    {
        assert_eq!(bridge.call(id, method, json!({}))["result"]["from"], "there", "{method}");
    }
    held.open();
    assert_eq!(bridge.call(5, "addressless", json!({}))["error"]["message"], "lost");
    assert_eq!(bridge.call(6, "refused", json!({}))["error"]["code"], -32602);
    assert_eq!(server.streams.opened(), 1);
}

/// A12: as over Streamable HTTP: one refresh, one repetition, on the GET and on a POST.
#[test]
fn a_refused_token_is_refreshed_on_every_leg() {
    let authorization = AuthorizationServer::start();
    let SseServer { server, streams } = SseServer::guarded_by(&authorization);
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    service.browser.opened();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(0, "at first"), "at first");
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(1, "by POST"), "by POST");
    assert_eq!(service.authorization.refreshes(), 1);
    service.authorization.refuse_issued_access_tokens();
    streams.cut();
    streams.wait_for_opened(2);
    assert_eq!(bridge.echo(2, "by GET"), "by GET");
    assert_eq!((service.authorization.refreshes(), streams.opened()), (2, 2));
    let echoes = service.server.requests().into_iter().filter(|request| is_message(request, "tools/call"));
    assert_eq!(echoes.filter(|request| request.header("Authorization").is_some()).count(), 4);
}

/// A cancellation is a message like any other, and the server's questions are answered into the
/// session that asked.
#[test]
fn both_sides_speak_at_any_time() {
    let server = SseServer::scripted(|request, responder, _| {
        let is_slow = is_message(request, "slow");
        if is_slow {
            responder.reply(&Reply::status(202));
        }
        is_slow
    });
    let (mut bridge, _home) = session_on(&server);
    bridge.send(r#"{"jsonrpc":"2.0","id":"c","method":"slow"}"#);
    server.server.wait_for("the request", |request| is_message(request, "slow"));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}"#;
    bridge.send(cancel);
    let seen = server.server.wait_for("the word", |request| is_message(request, "notifications/cancelled"));
    assert_eq!(String::from_utf8_lossy(&seen.body), cancel);
    server.streams.say(r#"{"jsonrpc":"2.0","id":"c","result":{}}"#);
    server.streams.say(r#"{"jsonrpc":"2.0","id":"ask-1","method":"roots/list"}"#);
    assert_eq!(bridge.message()["id"], "ask-1", "the cancelled request stays silent");
    bridge.send(r#"{"jsonrpc":"2.0","id":"ask-1","result":{"roots":[]}}"#);
    server.server.wait_for("the answer", |request| request.json()["result"]["roots"].is_array());

    server.streams.say(r#"{"jsonrpc":"2.0","id":"ask-2","method":"roots/list"}"#);
    assert_eq!(bridge.message()["id"], "ask-2");
    server.streams.cut();
    server.streams.wait_for_opened(2);
    assert_eq!(bridge.echo(1, "anew"), "anew");
    bridge.send(r#"{"jsonrpc":"2.0","id":"ask-2","result":{"late":true}}"#);
    assert_eq!(bridge.echo(2, "done"), "done");
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
    assert!(!server.server.requests().iter().any(|request| request.json()["result"]["late"] == true));
}

/// The login finds out what this transport's server demands, and a host that was let in before is
/// served over it afterwards.
#[test]
fn a_login_that_comes_later_opens_the_stream() {
    for flags in [&[] as &[&str], &["--transport", "sse"]] {
        let authorization = AuthorizationServer::start();
        let SseServer { server, streams } = SseServer::guarded_by(&authorization);
        let service = Service::of(authorization, server, Home::with_file_store());
        let url = service.server.url();
        let words: Vec<_> = [url.as_str()].iter().chain(flags).copied().collect();
        let mut bridge = Bridge::start(&service.home, &words);
        let answer = bridge.initialize();
        assert_eq!(answer["result"]["serverInfo"]["name"], "mcp-front", "{answer}");
        service.login(&[]).expect(0);
        for list in ["tools", "prompts", "resources"] {
            assert_eq!(bridge.message()["method"], format!("notifications/{list}/list_changed"));
        }
        assert_eq!(bridge.echo(1, "served"), "served");
        streams.say(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
        assert_eq!(bridge.message()["method"], "notifications/message");
        let requests = service.server.requests();
        let named = |method| requests.iter().filter(|request| is_message(request, method)).count();
        assert_eq!((named("initialize"), named("notifications/initialized"), streams.opened()), (1, 1, 1));
    }
}
