//! JSON-RPC batches, which the revision 2025-03-26 has and no other.

use serde_json::{Value, json};

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{is, is_post_of};

/// A bridge on `server` that has agreed on `revision`; the home goes with it.
fn session_of(server: &McpServer, revision: &str) -> (Bridge, Home) {
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let mut params = initialize_params();
    params["protocolVersion"] = revision.into();
    let answer = bridge.call(0, "initialize", params);
    assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    (bridge, home)
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8(line).expect("UTF-8")
}

/// The answers stand in one array, each to the byte and in the order of the requests; what the
/// server says meanwhile goes at once.
#[test]
fn a_batch_is_answered_with_one_array() {
    let first = Gate::default();
    let held = first.clone();
    let server = McpServer::scripted(move |request, responder| {
        let message = request.json();
        let answer = match message["method"].as_str() {
            Some("first") => {
                held.pass();
                r#"{ "jsonrpc":"2.0", "id":1.0, "result":{"n":1e400,"\u0061":"\/"} }"#
            }
            Some("second") => {
                responder.start_events();
                responder.chunk("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n");
                responder.chunk(
                    "data: {\"id\":\"b\",\"jsonrpc\":\"2.0\",\"error\":{\"code\":-1.0,\"message\":\"\"}}\n\n",
                );
                responder.end();
                return true;
            }
            _ => return false,
        };
        responder.reply(&Reply::json(200, answer));
        true
    });
    let (mut bridge, _home) = session_of(&server, "2025-03-26");
    bridge.send(
        r#"[ {"jsonrpc":"2.0","id":1.0,"method":"first"}, {"jsonrpc":"2.0","method":"notifications/x"} ,
            {"jsonrpc":"2.0","id":"b","method":"second"}, 17, {"jsonrpc":"2.0","id":3,"method":5},
            {"jsonrpc":"2.0","id":4,"method":"initialize"}, {"jsonrpc":"2.0","id":"b","method":"again"},
            {"jsonrpc":"2.0","id":5,"method":"server/discover"}]"#
            .replace('\n', " "),
    );
    assert_eq!(bridge.message()["method"], "notifications/progress");
    first.wait_for_arrivals(1);
    first.open();
    let answer = text(bridge.line());
    let start = concat!(
        r#"[{ "jsonrpc":"2.0", "id":1.0, "result":{"n":1e400,"\u0061":"\/"} },"#,
        r#"{"id":"b","jsonrpc":"2.0","error":{"code":-1.0,"message":""}},"#
    );
    assert!(answer.starts_with(start), "{answer}");
    let answers: Vec<Value> = serde_json::from_str(&answer.replace("1e400", "0")).expect("an array");
    let refusals: Vec<_> = answers[2..].iter().map(|one| (&one["id"], &one["error"]["code"])).collect();
    let code = |code: i64| json!(code);
    let (invalid, unknown) = (code(-32600), code(-32601));
    let ids = [Value::Null, json!(3), json!(4), json!("b"), json!(5)];
    let codes = [&invalid, &invalid, &invalid, &invalid, &unknown];
    assert_eq!(refusals, ids.iter().zip(codes).collect::<Vec<_>>(), "{answer}");
    let posted = server.wait_for("the notification", is("notifications/x"));
    assert_eq!(posted.body, br#"{"jsonrpc":"2.0","method":"notifications/x"}"#);
}

#[test]
fn what_is_cancelled_is_left_out_and_notifications_alone_are_not_answered() {
    let slow = Gate::default();
    let held = slow.clone();
    let server = McpServer::scripted(move |request, _responder| {
        let is_slow = is_post_of(request, "slow");
        if is_slow {
            held.pass();
        }
        is_slow
    });
    let (mut bridge, _home) = session_of(&server, "2025-03-26");
    bridge.send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"slow"}]"#);
    slow.wait_for_arrivals(1);
    bridge.send(r#"[{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}]"#);
    assert_eq!(text(bridge.line()), r#"[{"id":1,"jsonrpc":"2.0","result":{}}]"#);
    server.wait_for("the cancellation", is("notifications/cancelled"));
    slow.open();
    bridge.send(r#"[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"q","result":{}}]"#);
    server.wait_for("the notification", is("notifications/x"));
    bridge.send("[]");
    let answer = bridge.message();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)), "{answer}");
    assert_eq!(bridge.call(3, "ping", json!({}))["result"], json!({}));
}

/// A host that has agreed on batches may be sent single messages (2025-03-26 basic, "Batching").
#[test]
fn a_batch_of_the_servers_reaches_the_host_one_by_one() {
    let server = McpServer::scripted(|request, responder| {
        let body = r#"[{"jsonrpc":"2.0","method":"notifications/m","params":{"n":1.0}}, {"jsonrpc":"2.0","id":7,"result":{"n":1e400}}]"#;
        match request.json()["method"].as_str() {
            Some("as-json") => responder.reply(&Reply::json(200, body)),
            Some("as-event") => responder.reply(&Reply::events(format!("data: {body}\n\n"))),
            _ => return false,
        }
        true
    });
    let (mut bridge, _home) = session_of(&server, "2025-03-26");
    for method in ["as-json", "as-event"] {
        bridge.send(format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"}}"#));
        let lines = [text(bridge.line()), text(bridge.line())];
        let notification = r#"{"jsonrpc":"2.0","method":"notifications/m","params":{"n":1.0}}"#;
        assert_eq!(lines, [notification, r#"{"jsonrpc":"2.0","id":7,"result":{"n":1e400}}"#], "{method}");
    }
}

#[test]
fn other_revisions_have_no_batches() {
    let server = McpServer::scripted(|request, responder| {
        let answers = is_post_of(request, "batch");
        if answers {
            responder.reply(&Reply::json(200, r#"[{"jsonrpc":"2.0","id":2,"result":{}}]"#));
        }
        answers
    });
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let (mut bridge, _home) = session_of(&server, revision);
        let posted = server.posted().len();
        bridge.send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#);
        let answer = bridge.message();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)), "{answer}");
        let answer = bridge.call(2, "batch", json!({}));
        assert!(answer["error"]["message"].is_string(), "{revision}: {answer}");
        let pings = server.posted().iter().skip(posted).filter(|body| body.starts_with(b"[")).count();
        assert_eq!(pings, 0, "{revision}");
    }
}

/// A host that leaves gets what is there, in the one array that it is owed.
#[test]
fn the_end_of_the_bridge_answers_a_batch_too() {
    let hanging = Gate::default();
    let held = hanging.clone();
    let server = McpServer::scripted(move |request, _responder| {
        let hangs = is_post_of(request, "hang");
        if hangs {
            held.pass();
        }
        hangs
    });
    let (mut bridge, _home) = session_of(&server, "2025-03-26");
    bridge.send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"hang"}]"#);
    hanging.wait_for_arrivals(1);
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    hanging.open();
    assert!(status.success(), "{status}");
    let answers: Vec<Value> = serde_json::from_slice(&rest[0]).expect("an array");
    assert_eq!((rest.len(), answers.len()), (1, 2), "{answers:?}");
    assert_eq!((&answers[0]["id"], &answers[0]["result"]), (&json!(1), &json!({})));
    assert_eq!(
        (&answers[1]["id"], &answers[1]["error"]["data"]["reason"]),
        (&json!(2), &json!("called_off"))
    );
}
