//! One host session on a server that restarts, stalls, misreads or breaks off.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is_post_of};

fn call(id: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "echo", "arguments": {}}})
        .to_string()
}

/// Counts the calls that reached the server.
fn calls(server: &McpServer) -> usize {
    server.requests().iter().filter(|request| is_post_of(request, "tools/call")).count()
}

#[test]
fn requests_wait_for_a_renewal_under_way() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    server.forget_sessions();
    for id in 1..=8 {
        session.bridge.send(call(json!(id)));
    }
    for id in 1..=8 {
        let answer = session.bridge.response(&json!(id));
        assert!(answer["result"].is_object(), "{answer}");
    }
    assert_eq!(server.sessions().0, 2);
}

/// A server that insists on its `initialized` hears it again where it did not take it, ahead of the next
/// request; one that refuses it for good is not asked again.
#[test]
fn an_initialized_that_was_not_taken_is_said_again() {
    for (status, is_taken) in [(503, true), (401, true), (405, false)] {
        let (said, heard) = (AtomicUsize::new(0), AtomicBool::new(false));
        let server = McpServer::scripted(move |request, responder| {
            if is_post_of(request, "notifications/initialized") {
                let first = said.fetch_add(1, Ordering::SeqCst) == 0;
                heard.store(!first, Ordering::SeqCst);
                if first {
                    responder.reply(&Reply::status(status));
                }
                return first;
            }
            let is_early = is_post_of(request, "tools/call") && is_taken && !heard.load(Ordering::SeqCst);
            if is_early {
                let error = json!({"code": -32602, "message": "Received request before initialization"});
                let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
                responder.reply(&Reply::json(200, answer.to_string()));
            }
            is_early
        });
        let mut session = OpenSession::on(&server);
        assert_eq!(session.bridge.echo(1, "heard"), "heard");
        assert_eq!(session.bridge.echo(2, "and once"), "and once");
        let said = server.requests();
        let said = said.iter().filter(|request| is_post_of(request, "notifications/initialized")).count();
        assert_eq!(said, if is_taken { 2 } else { 1 }, "{status}");
    }
}

/// The Python SDK refuses an unknown session with plain text.
#[test]
fn a_plain_text_400_about_the_session_id_counts_as_lost() {
    let refused = AtomicUsize::new(0);
    let server = McpServer::scripted(move |request, responder| {
        let first = is_post_of(request, "tools/call") && refused.fetch_add(1, Ordering::SeqCst) == 0;
        if first {
            let text = "Bad Request: No valid session ID provided";
            responder.reply(&Reply::status(400).body("text/plain", text));
        }
        first
    });
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.echo(1, "again"), "again");
}

/// The server's own word is the answer: where a new session does not help, and where a tool speaks of
/// sessions of its own, for which the call is not sent again.
#[test]
fn a_refusal_that_no_new_session_cures_is_handed_on() {
    for (status, code, message, sent) in [
        (404, -32001, "No such tool here", 2),
        (400, -32602, "The browser session is closed", 1),
        (400, -32602, "Invalid params: sessionId is required", 1),
        (400, -32602, "Session not found", 1),
        (400, 17, "Unknown session ID: abc", 1),
    ] {
        let server = McpServer::on_calls(move |request, responder| {
            let error = json!({"code": code, "message": message});
            let body = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
            responder.reply(&Reply::json(status, body.to_string()));
        });
        let mut session = OpenSession::on(&server);
        let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
        assert_eq!(answer["error"]["message"], message);
        assert_eq!((calls(&server), server.sessions().0), (sent, sent), "{status} {message}");
    }
}

/// A gateway that gives up says nothing about whether the tool ran.
#[test]
fn a_client_error_or_a_redirect_says_that_nothing_was_executed() {
    for (status, may_have_executed) in
        [(504, true), (500, true), (409, true), (429, false), (422, false), (302, false), (307, false)]
    {
        let server = McpServer::on_calls(move |_, responder| {
            responder.reply(&Reply::html(status, "no"));
        });
        let mut session = OpenSession::on(&server);
        let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
        assert_eq!(answer["error"]["data"]["mayHaveExecuted"], may_have_executed, "{status}: {answer}");
    }
}

/// An answer that is refused on a stream that can be resumed would come again for ever.
#[test]
fn an_unreadable_answer_on_a_resumable_stream_is_an_error_at_once() {
    let answers: [&[u8]; 4] = [
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\xff\"}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{",
        b"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"result\":{}}",
    ];
    for answer in answers {
        let mut body = b"id: 1\nretry: 10\ndata:\n\nid: 2\ndata: ".to_vec();
        body.extend_from_slice(answer);
        body.extend_from_slice(b"\n\n");
        let server = McpServer::scripted(move |request, responder| {
            let ours = is_post_of(request, "tools/call") || request.header("Last-Event-ID").is_some();
            if ours {
                responder.reply(&Reply::events(body.clone()));
            }
            ours
        });
        let mut session = OpenSession::on(&server);
        let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        assert_eq!(calls(&server), 1);
    }
}

/// rmcp forgets an answer that it could not deliver, and resumes its stream with nothing for ever.
#[test]
fn a_stream_that_is_resumed_with_nothing_is_given_up() {
    let server = McpServer::scripted(|request, responder| {
        let is_resumed = request.header("Last-Event-ID").is_some();
        if is_resumed {
            responder.reply(&Reply::events(""));
        } else if is_post_of(request, "tools/call") {
            responder.start_events();
            responder.chunk("id: 1\nretry: 1\ndata:\n\n");
        } else {
            return false;
        }
        true
    });
    let mut session = OpenSession::on(&server);
    let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
    let data = &answer["error"]["data"];
    assert_eq!((&data["reason"], &data["mayHaveExecuted"]), (&json!("connection_lost"), &json!(true)));
    assert_eq!(calls(&server), 1);
}

/// With another session's id, the resumed stream would be another stream.
#[test]
fn a_stream_of_a_lost_session_is_not_resumed_in_the_new_one() {
    let server = McpServer::scripted(|request, responder| {
        let first = is_post_of(request, "tools/call") && request.json()["id"] == 1;
        if first {
            responder.reply(&Reply::events("id: 7\nretry: 1000\ndata:\n\n"));
        }
        first
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(call(json!(1)));
    server.wait_for("the call", |request| is_post_of(request, "tools/call"));
    server.forget_sessions();
    session.bridge.send(call(json!(2)));
    assert!(session.bridge.response(&json!(2))["result"].is_object());
    assert_eq!(session.bridge.response(&json!(1))["error"]["data"]["reason"], "connection_lost");
}

/// Answers call 1 with a question alone.
fn ask_at_the_first_call(request: &Request, responder: &mut Responder) -> bool {
    let asks = is_post_of(request, "tools/call") && request.json()["id"] == 1;
    if asks {
        let question = json!({"jsonrpc": "2.0", "id": 0, "method": "elicitation/create", "params": {}});
        responder.reply(&Reply::events(format!("data: {question}\n\n")));
    }
    asks
}

/// The host's answer to a question of the lost session would answer another question in the new.
#[test]
fn an_answer_does_not_reach_a_session_that_did_not_ask() {
    let server = McpServer::scripted(ask_at_the_first_call);
    let mut session = OpenSession::on(&server);
    session.bridge.send(call(json!(1)));
    let question = session.bridge.message();
    assert_eq!(question["method"], "elicitation/create");
    assert!(session.bridge.response(&json!(1))["error"].is_object());
    server.forget_sessions();
    assert_eq!(session.bridge.echo(2, "renewed"), "renewed");
    session.bridge.send(json!({"jsonrpc": "2.0", "id": 0, "result": {"action": "accept"}}).to_string());
    assert_eq!(session.bridge.echo(3, "after the answer"), "after the answer");
    let is_answer = |body: &Vec<u8>| String::from_utf8_lossy(body).contains("accept");
    assert!(!server.posted().iter().any(is_answer));
}

/// The same where the answer was taken just before the session turned out to be lost.
#[test]
fn an_answer_that_waited_for_a_renewal_does_not_reach_the_new_session() {
    let (gate, starts) = (Gate::default(), AtomicUsize::new(0));
    let renewal = gate.clone();
    let server = McpServer::scripted(move |request, responder| {
        if is_post_of(request, "initialize") && starts.fetch_add(1, Ordering::SeqCst) == 1 {
            renewal.pass();
        }
        ask_at_the_first_call(request, responder)
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(call(json!(1)));
    assert_eq!(session.bridge.message()["method"], "elicitation/create");
    server.forget_sessions();
    session.bridge.send(call(json!(2)));
    gate.wait_for_arrivals(1);
    session.bridge.send(json!({"jsonrpc": "2.0", "id": 0, "result": {"action": "accept"}}).to_string());
    // What is refused at once shows that the answer before it has been taken.
    session.bridge.send("[]");
    session.bridge.response(&Value::Null);
    gate.open();
    assert!(session.bridge.response(&json!(2))["result"].is_object());
    assert_eq!(session.bridge.echo(3, "after the answer"), "after the answer");
    let is_answer = |body: &Vec<u8>| String::from_utf8_lossy(body).contains("accept");
    assert!(!server.posted().iter().any(is_answer));
}

/// Two answers for one id would be one too many.
#[test]
fn an_ambiguous_answer_of_the_hosts_is_refused_under_no_id() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{}}"#);
    let refusal = session.bridge.message();
    assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&Value::Null, &json!(-32600)));
}

/// A host that starts over is served, even while its first `initialize` hangs.
#[test]
fn a_second_initialize_takes_the_place_of_one_that_hangs() {
    let server = McpServer::scripted(|request, responder: &mut Responder| {
        let hangs = is_post_of(request, "initialize") && request.json()["id"] == "hangs";
        if hangs {
            responder.wait_for_close();
        }
        hangs
    });
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let params = crate::support::bridge::initialize_params();
    bridge
        .send(json!({"jsonrpc": "2.0", "id": "hangs", "method": "initialize", "params": params}).to_string());
    server.wait_for("initialize", |request| is_post_of(request, "initialize"));
    bridge.initialize();
    assert_eq!(bridge.echo(1, "anew"), "anew");
}

/// More than the outbox holds: every one is answered at the end.
#[test]
fn everything_pending_is_answered_at_the_end() {
    let server = McpServer::on_calls(|_, responder| {
        responder.wait_for_close();
    });
    let mut session = OpenSession::on(&server);
    for id in 1..=40 {
        session.bridge.send(call(json!(id)));
    }
    session.bridge.close_stdin();
    let (status, lines) = session.bridge.wait();
    assert!(status.success(), "{status}");
    let ids = |line: &Vec<u8>| serde_json::from_slice::<Value>(line).unwrap()["id"].as_i64();
    let mut answered: Vec<_> = lines.iter().filter_map(ids).collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_refusal_whose_body_never_comes_is_a_refusal() {
    let server = McpServer::on_calls(|_, responder| {
        responder.raw(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1000\r\n\r\nabc");
        responder.wait_for_close();
    });
    let mut session = OpenSession::on(&server);
    let answer = session.bridge.call(1, "tools/call", json!({"name": "echo"}));
    assert_eq!(answer["error"]["data"]["httpStatus"], 500, "{answer}");
}

/// What the host said first reaches the server first.
#[test]
fn a_request_does_not_overtake_the_notification_before_it() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    for id in 1..=20 {
        let notification = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"});
        session.bridge.send(notification.to_string());
        session.bridge.send(call(json!(id)));
    }
    for id in 1..=20 {
        assert!(session.bridge.response(&json!(id))["result"].is_object());
    }
    let mut changes = 0;
    for message in server.posted().iter().filter_map(|body| serde_json::from_slice::<Value>(body).ok()) {
        match message["method"].as_str() {
            Some("notifications/roots/list_changed") => changes += 1,
            Some("tools/call") => assert!(changes >= message["id"].as_i64().unwrap(), "{message}"),
            _ => {}
        }
    }
}
