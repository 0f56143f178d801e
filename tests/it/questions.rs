//! What a server of 2026-07-28 needs before it can answer, asked of a host that opens with
//! `initialize`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::modern;
use crate::support::open_session::is_post_of;
use crate::support::translated::{introduce, posts_of, result, session};

/// A server whose tools ask: what `rounds` gives for how often the tool was called, or the end.
fn asking(rounds: impl Fn(usize, &Value) -> Option<Value> + Send + Sync + 'static) -> McpServer {
    let calls = AtomicUsize::new(0);
    modern(move |request, responder| {
        if !is_post_of(request, "tools/call") {
            return false;
        }
        let Some(round) = rounds(calls.fetch_add(1, Ordering::SeqCst), &request.json()) else { return false };
        responder.reply(&result(request, round));
        true
    })
}

fn form(message: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"message": message, "requestedSchema": {"type": "object"}}})
}

/// A round that asks for all that there is.
fn everything() -> Value {
    json!({
        "resultType": "input_required",
        "inputRequests": {
            "who": form("Your name?"),
            "page": {"method": "elicitation/create", "params": {"mode": "url", "message": "go", "url": "https://a.example/"}},
            "text": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}},
            "dirs": {"method": "roots/list"},
        },
        "requestState": "st\u{e4}te=\"1\"",
    })
}

/// What the server asks becomes requests to the host, all at once; the call goes again with the
/// answers and the server's state to the letter, and the host sees one call with one answer.
#[test]
fn questions_reach_the_host_and_answers_the_server() {
    let server = asking(|call, _| match call {
        0 => Some(everything()),
        1 => Some(json!({"resultType": "input_required", "inputRequests": {"sure": form("Sure?")}})),
        _ => None,
    });
    let (_home, mut bridge) = session(&server);
    let params = json!({"name": "ask", "arguments": {"text": "done"}, "_meta": {"progressToken": 5}});
    bridge
        .send(json!({"jsonrpc": "2.0", "id": "call", "method": "tools/call", "params": params}).to_string());
    let mut questions: Vec<_> = (0..4).map(|_| bridge.message()).collect();
    let ids: BTreeSet<_> = questions.iter().map(|one| one["id"].to_string()).collect();
    assert!(ids.len() == 4 && questions.iter().all(|one| one["id"].is_string()), "{questions:?}");
    let page = questions.iter().find(|one| one["params"]["mode"] == "url").unwrap();
    assert!(page["params"]["elicitationId"].is_string(), "{page}");
    questions.reverse();
    for question in &questions {
        let answer = match question["method"].as_str().unwrap() {
            "roots/list" => json!({"roots": []}),
            "sampling/createMessage" => json!({"role": "assistant", "model": "m", "content": []}),
            _ => json!({"action": "accept", "content": {"asked": question["params"]["message"]}}),
        };
        bridge.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}).to_string());
    }
    let sure = bridge.message();
    assert_eq!(sure["params"]["message"], "Sure?", "{sure}");
    bridge.send(
        json!({"jsonrpc": "2.0", "id": sure["id"], "error": {"code": -1, "message": "no"}}).to_string(),
    );
    let answer = bridge.message();
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!("call"), &json!("done")));

    let calls = posts_of(&server, "tools/call");
    let [first, second, third] = &calls[..] else { panic!("{calls:#?}") };
    assert_eq!(first["id"], "call");
    assert!(first["params"].get("inputResponses").is_none());
    assert_eq!(
        second["params"]["inputResponses"],
        json!({
            "who": {"action": "accept", "content": {"asked": "Your name?"}},
            "page": {"action": "accept", "content": {"asked": "go"}},
            "text": {"role": "assistant", "model": "m", "content": []},
            "dirs": {"roots": []},
        })
    );
    assert_eq!(second["params"]["requestState"], "st\u{e4}te=\"1\"");
    assert_eq!(third["params"]["inputResponses"], json!({"sure": {"action": "cancel"}}));
    assert!(third["params"].get("requestState").is_none(), "the second round had none");
    let ids: BTreeSet<_> = calls.iter().map(|call| call["id"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each goes under an id of its own");
    for call in &calls {
        assert_eq!(call["params"]["arguments"], json!({"text": "done"}));
        assert_eq!(call["params"]["_meta"], first["params"]["_meta"]);
    }
}

/// Questions of one call stay with it.
#[test]
fn calls_beside_each_other_keep_their_own_answers() {
    let server = asking(|_, request| {
        let name = request["params"]["arguments"]["text"].as_str().unwrap();
        request["params"].get("inputResponses").is_none().then(|| {
            json!({"resultType": "input_required", "inputRequests": {"k": form(name)}, "requestState": name})
        })
    });
    let (_home, mut bridge) = session(&server);
    for (id, text) in [(1, "one"), (2, "two")] {
        let params = json!({"name": "ask", "arguments": {"text": text}});
        bridge
            .send(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string());
    }
    let mut questions = [bridge.message(), bridge.message()];
    questions.reverse();
    for question in questions {
        let answer = json!({"action": "accept", "content": {"k": question["params"]["message"]}});
        bridge.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}).to_string());
    }
    for (id, text) in [(1, "one"), (2, "two")] {
        assert_eq!(bridge.response(&json!(id))["result"]["content"][0]["text"], text);
    }
    for call in
        posts_of(&server, "tools/call").iter().filter(|call| call["params"].get("requestState").is_some())
    {
        let text = &call["params"]["arguments"]["text"];
        assert_eq!(&call["params"]["requestState"], text);
        assert_eq!(&call["params"]["inputResponses"]["k"]["content"]["k"], text);
    }
}

/// A host that cancels a call hears that its question is called off, and the server nothing.
#[test]
fn a_cancellation_withdraws_what_was_asked() {
    let server = asking(|call, _| {
        (call == 0).then(|| json!({"resultType": "input_required", "inputRequests": {"k": form("?")}}))
    });
    let (_home, mut bridge) = session(&server);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}"#);
    let question = bridge.message();
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let word = bridge.message();
    assert_eq!(
        (&word["method"], &word["params"]["requestId"]),
        (&json!("notifications/cancelled"), &question["id"])
    );
    bridge.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}).to_string());
    assert_eq!(bridge.echo(2, "on"), "on");
    assert_eq!(posts_of(&server, "tools/call").len(), 2);
    bridge.close_stdin();
    let (_, rest) = bridge.wait();
    assert!(rest.is_empty(), "{rest:?}");
}

/// What the host refuses or does not offer is an error for its call, and the other questions
/// are called off.
#[test]
fn what_cannot_be_had_of_the_host_is_an_error_for_its_call() {
    let sampling = || json!({"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}});
    let round = move |_: usize, _: &Value| {
        Some(json!({"resultType": "input_required", "inputRequests": {"f": form("?"), "s": sampling()}}))
    };
    let server = asking(round);
    let (_home, mut bridge) = session(&server);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}"#);
    let questions = [bridge.message(), bridge.message()];
    let of = |method: &str| questions.iter().find(|one| one["method"] == method).unwrap()["id"].clone();
    let refusal = json!({"code": -1, "message": "User rejected sampling request"});
    bridge.send(json!({"jsonrpc": "2.0", "id": of("sampling/createMessage"), "error": refusal}).to_string());
    let answer = bridge.response(&json!(1));
    let data = &answer["error"]["data"];
    assert_eq!((&data["reason"], &data["hostError"]), (&json!("input_refused"), &refusal), "{answer}");
    let word = bridge.message();
    assert_eq!(word["params"]["requestId"], of("elicitation/create"), "{word}");

    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    introduce(&mut bridge, json!({"elicitation": {}}));
    let answer = bridge.call(1, "tools/call", json!({"name": "ask"}));
    assert_eq!(answer["error"]["data"]["reason"], "input_not_offered", "{answer}");
    bridge.close_stdin();
    let (_, rest) = bridge.wait();
    assert!(rest.is_empty(), "nothing was asked: {rest:?}");
    assert_eq!(posts_of(&server, "tools/call").len(), 2);
}

/// An answer of the host's that could be read in two ways is none, and no call waits for another.
#[test]
fn an_ambiguous_answer_of_the_host_ends_its_call() {
    let server = asking(|_, _| {
        Some(json!({"resultType": "input_required", "inputRequests": {"r": {"method": "roots/list"}}}))
    });
    let (_home, mut bridge) = session(&server);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}"#);
    let id = bridge.message()["id"].clone();
    bridge.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[]}},"result":{{}}}}"#));
    assert_eq!(bridge.response(&json!(1))["error"]["data"]["reason"], "input_refused");
    assert_eq!(bridge.message()["error"]["code"], -32600);
    assert_eq!(posts_of(&server, "tools/call").len(), 1);
}

/// A server that only puts the call off gets it again; one that never has enough is left.
#[test]
fn rounds_end() {
    let server = asking(|call, request| match request["params"]["name"].as_str() {
        Some("later") if call < 2 => {
            Some(json!({"resultType": "input_required", "requestState": call.to_string()}))
        }
        Some("never") => {
            Some(json!({"resultType": "input_required", "inputRequests": {"k": {"method": "roots/list"}}}))
        }
        _ => None,
    });
    let (_home, mut bridge) = session(&server);
    let answer = bridge.call(1, "tools/call", json!({"name": "later", "arguments": {"text": "there"}}));
    assert_eq!(answer["result"]["content"][0]["text"], "there");
    let states: Vec<_> =
        posts_of(&server, "tools/call").iter().map(|call| call["params"]["requestState"].clone()).collect();
    assert_eq!(states, [Value::Null, json!("0"), json!("1")]);
    bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"never"}}"#);
    let mut asked = 0;
    let answer = loop {
        let message = bridge.message();
        if message["method"] != "roots/list" {
            break message;
        }
        asked += 1;
        bridge.send(json!({"jsonrpc": "2.0", "id": message["id"], "result": {"roots": []}}).to_string());
    };
    assert_eq!((asked, &answer["error"]["data"]["reason"]), (10, &json!("input_endless")), "{answer}");
}
