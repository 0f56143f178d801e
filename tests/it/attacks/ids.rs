//! Attacks over the ids of requests (D): each is answered once, and under its own id.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is_post_of};

/// Ids of every kind, under way at once and answered in the reverse order.
#[test]
fn d03_answers_reach_the_request_that_was_asked() {
    let ids = [
        "1",
        "\"1\"",
        "1.5",
        "-1",
        "0",
        "\"\"",
        "\"null\"",
        "null",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "9007199254740993",
        "9007199254740992",
        "1e400",
        "-1e400",
        "1e-7",
        "\"\\u0000\"",
        "\"é\"",
        "\"e\\u0301\"",
        "\"\\ud800\"",
    ];
    let frames: Vec<_> = ids
        .iter()
        .map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#))
        .collect();
    let gates: Vec<_> = ids.iter().map(|_| Gate::default()).collect();
    let (known, held) = (frames.clone(), gates.clone());
    let server = McpServer::scripted(move |request, responder| {
        let Some(place) = known.iter().position(|frame| frame.as_bytes() == request.body) else {
            return false;
        };
        held[place].pass();
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"place":{place}}}}}"#, ids[place]);
        responder.reply(&Reply::json(200, answer));
        true
    });
    let mut session = OpenSession::on(&server);
    frames.iter().for_each(|frame| session.bridge.send(frame));
    gates.iter().for_each(|gate| gate.wait_for_arrivals(1));
    for (place, id) in ids.iter().enumerate().rev() {
        gates[place].open();
        let line = String::from_utf8(session.bridge.line()).expect("UTF-8");
        assert_eq!(line, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"place":{place}}}}}"#));
    }
    session.bridge.close_stdin();
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty(), "each is answered once: {rest:?}");
}

/// Ids may come again once they are settled, and must not while they are pending, however they are
/// written.
#[test]
fn d03_an_id_in_flight_is_not_taken_twice() {
    let gate = Gate::default();
    let held = gate.clone();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let server = McpServer::scripted(move |request, responder| {
        if !is_post_of(request, "tools/call") {
            return false;
        }
        *counted.lock().unwrap() += 1;
        held.pass();
        responder.reply(&Reply::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
        true
    });
    let mut session = OpenSession::on(&server);
    let call = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#);
    session.bridge.send(call("1"));
    gate.wait_for_arrivals(1);
    for same in ["1", "1.0", "1e0", "10e-1"] {
        session.bridge.send(call(same));
        let refused = String::from_utf8(session.bridge.line()).expect("UTF-8");
        assert!(
            refused.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{same},"error":{{"code":-32600,"#)),
            "{refused}"
        );
    }
    // Two ids in one frame are none.
    session.bridge.send(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call"}"#);
    let refused = session.bridge.message();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&Value::Null, &json!(-32600)));
    assert_eq!(*calls.lock().unwrap(), 1, "none of them went out");
    gate.open();
    assert_eq!(session.bridge.message()["result"], json!({}));
    session.bridge.send(call("1"));
    assert_eq!(session.bridge.message()["result"], json!({}));
}

/// The end of an old stream says nothing of the request that uses the id of its request again.
#[test]
fn d03_an_id_that_is_used_again_is_another_request() {
    let (again, answer) = (Gate::default(), Gate::default());
    let (first, second) = (again.clone(), answer.clone());
    let count = AtomicUsize::new(0);
    let server = McpServer::scripted(move |request, responder| {
        let reused = is_post_of(request, "tools/call") && request.json()["id"] == 1;
        if reused && count.fetch_add(1, Ordering::SeqCst) == 0 {
            let response = json!({"jsonrpc": "2.0", "id": 1, "result": {"turn": 1}});
            responder.start_events();
            responder.chunk(format!("data: {response}\n\n"));
            first.pass();
            responder.end();
        } else if reused {
            first.open();
            second.pass();
            responder.reply(&Reply::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{"turn":2}}"#));
        }
        reused
    });
    let mut session = OpenSession::on(&server);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    session.bridge.send(call);
    assert_eq!(session.bridge.response(&json!(1))["result"]["turn"], 1);
    session.bridge.send(call);
    answer.wait_for_arrivals(1);
    assert_eq!(session.bridge.echo(2, "meanwhile"), "meanwhile");
    answer.open();
    let turn = session.bridge.response(&json!(1));
    assert_eq!(turn["result"]["turn"], 2, "{turn}");
}

/// A server that answers twice, under another type, or in another's place: each request has one answer.
#[test]
fn d03_a_server_that_mixes_up_its_answers_gives_each_request_one() {
    let server = McpServer::on_calls(|request, responder| {
        let answer =
            |id: &str| format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"said\":{id}}}}}\n\n");
        let said = match request.json()["id"].as_i64().unwrap_or_default() {
            1 => answer("1").repeat(3),
            2 => answer("\"2\""),
            3 => answer("99") + &answer("3"),
            4 => answer("4") + &answer("1") + &answer("null"),
            _ => answer("5.0"),
        };
        responder.reply(&Reply::events(said));
    });
    let mut session = OpenSession::on(&server);
    for id in 1..=5 {
        session.bridge.send(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call"}).to_string());
        let answer = session.bridge.message();
        assert_eq!(answer["id"].as_f64(), Some(f64::from(id)), "{answer}");
        let is_right = if id == 2 { answer["error"].is_object() } else { answer["result"].is_object() };
        assert!(is_right, "{answer}");
    }
    session.bridge.close_stdin();
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty(), "{rest:?}");
}
