//! What a server of the era before asks while it works on a call of a host of 2026-07-28, and tells
//! unasked, with `--era modern`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::asking_server::{ModernHost, Stage, answer, asking, offers_all, text};
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{is, is_post_of};
use crate::support::translated::{methods, posts_of};

/// A server whose tool `one` asks for a form, whose tool `all` asks for all there is, one after the
/// other, and whose tool `aside` asks on the session's stream.
fn server() -> (McpServer, Stage) {
    asking(|request, responder, stage| {
        if !is_post_of(request, "tools/call") {
            return offers_all(request, responder);
        }
        responder.start_events();
        let said = serve_call(request, responder, stage);
        let result = answer(request, &text(&said));
        responder.chunk(format!("data: {result}\n\n"));
        responder.end();
        true
    })
}

fn serve_call(request: &Request, responder: &mut Responder, stage: &Stage) -> Value {
    let form = json!({"message": "Who?", "requestedSchema": {"type": "object"}});
    let page = json!({"mode": "url", "message": "go", "url": "https://a.example/", "elicitationId": "e"});
    let params = &request.json()["params"];
    match params["name"].as_str() {
        Some("one") => stage.ask(responder, "one", "elicitation/create", &form)["result"].clone(),
        Some("aside") => {
            let question =
                json!({"jsonrpc": "2.0", "id": "aside", "method": "elicitation/create", "params": form});
            stage.say(&question);
            stage.answer("aside")["result"].clone()
        }
        _ => {
            let questions = [
                ("form", "elicitation/create", form),
                ("page", "elicitation/create", page),
                ("text", "sampling/createMessage", json!({"messages": [], "maxTokens": 5})),
                ("dirs", "roots/list", json!({})),
            ];
            let ask = |(id, method, params): &(&str, &str, Value)| {
                stage.ask(responder, id, method, params)["result"].clone()
            };
            questions.iter().map(ask).collect()
        }
    }
}

/// The one question of an answer.
fn question(asked: &Value) -> &Value {
    let requests = asked["result"]["inputRequests"].as_object().unwrap_or_else(|| panic!("{asked}"));
    assert_eq!(requests.len(), 1, "{asked}");
    requests.values().next().unwrap()
}

/// Each question ends an attempt, whose successor goes on where the server waits: it has worked on
/// one call, and heard one answer to each question.
#[test]
fn questions_of_every_kind_reach_the_host_and_answers_the_server() {
    let (server, _stage) = server();
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let mut asked = host.call("all", json!({}));
    for (method, answer) in [
        ("elicitation/create", json!({"action": "accept", "content": {"name": "Ada"}})),
        ("elicitation/create", json!({"action": "decline"})),
        ("sampling/createMessage", json!({"role": "assistant", "model": "m", "content": []})),
        ("roots/list", json!({"roots": []})),
    ] {
        let question = question(&asked);
        assert_eq!(question["method"], method, "{asked}");
        assert!(question.get("id").is_none() && question.get("jsonrpc").is_none(), "{asked}");
        asked = host.again("all", &asked, |_| answer.clone());
    }
    assert_eq!(asked["result"]["resultType"], "complete", "{asked}");
    assert_eq!(
        serde_json::from_str::<Value>(asked["result"]["content"][0]["text"].as_str().unwrap()).unwrap(),
        json!([
            {"action": "accept", "content": {"name": "Ada"}},
            {"action": "decline"},
            {"role": "assistant", "model": "m", "content": []},
            {"roots": []},
        ])
    );
    assert_eq!(posts_of(&server, "tools/call").len(), 1);
    assert!(host.leave().is_empty());
}

/// A question that comes beside the call's stream, and calls that wait at the same time: each host's
/// attempt goes on with its own.
#[test]
fn calls_that_wait_at_the_same_time_are_kept_apart() {
    let (server, _stage) = server();
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let aside = host.call("aside", json!({}));
    let one = host.call("one", json!({}));
    assert_eq!(question(&aside)["params"]["message"], "Who?");
    let said = |answered: &Value| answered["result"]["content"][0]["text"].as_str().map(str::to_owned);
    let answered = host.again("one", &one, |_| json!({"action": "accept", "content": {"n": 1}}));
    assert_eq!(said(&answered).as_deref(), Some(r#"{"action":"accept","content":{"n":1}}"#), "{answered}");
    let answered = host.again("aside", &aside, |_| json!({"action": "cancel"}));
    assert_eq!(said(&answered).as_deref(), Some(r#"{"action":"cancel"}"#), "{answered}");
}

/// A state that was used, is another request's, or is none at all: a clear error, and the call goes
/// on with the one attempt that is right.
#[test]
fn states_are_good_once_and_for_one_request() {
    let (server, _stage) = server();
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let asked = host.call("one", json!({}));
    let state = &asked["result"]["requestState"];
    for (name, state) in [("one", json!("garbage")), ("one", json!({})), ("all", state.clone())] {
        let params = json!({"name": name, "arguments": {}, "inputResponses": {}, "requestState": state});
        let refused = host.ask("tools/call", params);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let decline = |_: &Value| json!({"action": "decline"});
    let answered = host.again("one", &asked, decline);
    assert_eq!(answered["result"]["content"][0]["text"], r#"{"action":"decline"}"#, "{answered}");
    let replayed = host.again("one", &asked, decline);
    assert_eq!(replayed["error"]["code"], -32602, "{replayed}");
    assert_eq!(posts_of(&server, "tools/call").len(), 1);
}

/// An attempt that is called off ends the server's call too, and so does the host's leave.
#[test]
fn a_call_that_nobody_goes_on_with_is_cancelled() {
    let (server, _stage) = server();
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let asked = host.call("one", json!({}));
    assert_eq!(question(&asked)["method"], "elicitation/create");
    let start = std::time::Instant::now();
    assert!(host.leave().is_empty());
    assert!(start.elapsed() < std::time::Duration::from_millis(1500), "nobody was waited for");
    let cancelled = posts_of(&server, "notifications/cancelled");
    let call = &posts_of(&server, "tools/call")[0];
    assert_eq!(cancelled.len(), 1, "{:?}", methods(&server));
    assert_eq!(cancelled[0]["params"]["requestId"], call["id"]);
}

/// A server that is cut off from its host while that thinks: the next attempt hears of it.
#[test]
fn a_call_that_breaks_while_the_host_thinks_is_an_error_of_its_next_attempt() {
    let (server, _stage) = asking(|request, responder, _| {
        if !is_post_of(request, "tools/call") {
            return offers_all(request, responder);
        }
        responder.start_events();
        let question = json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"});
        responder.chunk(format!("data: {question}\n\n"));
        responder.reset();
        true
    });
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let asked = host.call("cut", json!({}));
    assert_eq!(question(&asked)["method"], "roots/list");
    let answered = host.again("cut", &asked, |_| json!({"roots": []}));
    assert_eq!(answered["error"]["data"]["reason"], "connection_lost", "{answered}");
}

/// What changes is told to the subscriptions that asked for it, under their ids, once they stand.
#[test]
fn changes_reach_the_subscriptions_that_asked_for_them() {
    let (server, stage) = asking(|request, responder, _| {
        let refuse =
            is_post_of(request, "resources/subscribe") && request.json()["params"]["uri"] == "x:none";
        if refuse {
            let error = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": {"code": -32602, "message": ""}});
            responder.reply(&Reply::json(200, error.to_string()));
        }
        refuse || offers_all(request, responder)
    });
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let listen = |resources: Value| json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": resources}});
    let first = host.send("subscriptions/listen", listen(json!(["x:a", "x:none"])));
    let stands = host.bridge.message();
    assert_eq!(
        stands,
        json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
            "_meta": {"io.modelcontextprotocol/subscriptionId": first},
            "notifications": {"toolsListChanged": true, "resourceSubscriptions": ["x:a"]},
        }})
    );
    let second = host.send("subscriptions/listen", json!({"notifications": {"resourcesListChanged": true}}));
    assert_eq!(host.bridge.message()["params"]["notifications"], json!({"resourcesListChanged": true}));

    let changed = |what: &str| json!({"jsonrpc": "2.0", "method": format!("notifications/{what}")});
    let updated = |uri: &str| json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    for message in [
        changed("prompts/list_changed"),
        updated("x:b"),
        changed("tools/list_changed"),
        updated("x:a"),
        changed("resources/list_changed"),
    ] {
        stage.say(&message);
    }
    host.assert_told(&[
        (&first, "tools/list_changed"),
        (&first, "resources/updated"),
        (&second, "resources/list_changed"),
    ]);
    // The stream is opened again where it is cut, and the host hears what it may have missed.
    stage.cut();
    stage.wait_for_streams(2);
    host.assert_told(&[(&first, "tools/list_changed"), (&second, "resources/list_changed")]);
    stage.say(&changed("tools/list_changed"));
    host.assert_told(&[(&first, "tools/list_changed")]);

    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": first}});
    host.bridge.send(cancel.to_string());
    let left = server.wait_for("resources/unsubscribe", is("resources/unsubscribe"));
    assert_eq!(left.json()["params"]["uri"], "x:a");
    stage.say(&changed("tools/list_changed"));
    // The end is told in grace.
    let [end] = &host.leave()[..] else { panic!("one is still open") };
    assert_eq!(
        *end,
        json!({"jsonrpc": "2.0", "id": second, "result": {
            "resultType": "complete",
            "_meta": {"io.modelcontextprotocol/subscriptionId": second},
        }})
    );
}

/// The level goes ahead of the first request that names it, and what no request wants to read is not
/// told.
#[test]
fn the_log_is_told_to_who_wants_to_read_it() {
    let (server, _stage) = asking(|request, responder, _| {
        if !is_post_of(request, "tools/call") {
            return offers_all(request, responder);
        }
        responder.start_events();
        for level in ["info", "error"] {
            let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": level, "data": 1}});
            responder.chunk(format!("data: {message}\n\n"));
        }
        let result = answer(request, &text(&json!("done")));
        responder.chunk(format!("data: {result}\n\n"));
        responder.end();
        true
    });
    let mut host = ModernHost::on(&server.url());
    host.discover();
    let silent = host.send("tools/call", json!({"name": "t"}));
    assert_eq!(host.bridge.message()["id"], silent, "it asked for no log");
    for _ in 0..2 {
        let level = json!({"io.modelcontextprotocol/logLevel": "warning"});
        let loud = host.send("tools/call", json!({"name": "t", "_meta": level}));
        assert_eq!(host.bridge.message()["params"]["level"], "error");
        assert_eq!(host.bridge.message()["id"], loud);
    }
    let sent = methods(&server);
    let of_calls: Vec<_> =
        sent.iter().filter(|method| method.starts_with("tools") || method.starts_with("logging")).collect();
    assert_eq!(of_calls, ["tools/call", "logging/setLevel", "tools/call", "tools/call"]);
    assert_eq!(posts_of(&server, "logging/setLevel")[0]["params"], json!({"level": "warning"}));
}

/// A page that has to be opened before a request: the host is asked to, and what it asked for goes to the
/// server again once it agrees.
#[test]
fn a_page_that_a_request_waits_for_is_asked_to_be_opened() {
    let page = json!({"mode": "url", "elicitationId": "e", "url": "https://a.example/", "message": "go"});
    let required = json!({"code": -32042, "message": "open it", "data": {"elicitations": [page]}});
    let (opened, error) = (AtomicUsize::new(0), required.clone());
    let (server, _stage) = asking(move |request, responder, _| {
        let is_list = is_post_of(request, "prompts/list");
        // Whoever has agreed once has not been there yet.
        let is_barred = is_post_of(request, "tools/call") && opened.fetch_add(1, Ordering::SeqCst) < 5;
        if is_list || is_barred {
            let refused = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
            responder.reply(&Reply::json(200, refused.to_string()));
        }
        is_list || is_barred || offers_all(request, responder)
    });
    let mut host = ModernHost::on(&server.url());
    host.discover();

    // Where nobody is asked, no code comes that this revision has no more.
    let listed = host.ask("prompts/list", json!({}));
    assert_eq!(listed["error"]["code"], -32603, "{listed}");
    let forms = json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}});
    let unasked = host.ask("tools/call", json!({"name": "echo", "_meta": forms}));
    assert_eq!(unasked["error"]["code"], -32021, "{unasked}");
    assert_eq!(
        unasked["error"]["data"]["requiredCapabilities"],
        json!({"elicitation": {"url": {}}}),
        "{unasked}"
    );

    let asked = host.call("echo", json!({}));
    assert_eq!(*question(&asked), json!({"method": "elicitation/create", "params": page}));
    let declined = host.again("echo", &asked, |_| json!({"action": "decline"}));
    assert_eq!(declined["error"]["code"], -32603, "{declined}");
    assert_eq!(declined["error"]["data"], required["data"], "{declined}");
    let replayed = host.again("echo", &asked, |_| json!({"action": "accept"}));
    assert_eq!(replayed["error"]["code"], -32602, "{replayed}");

    let mut asked = host.call("echo", json!({}));
    let unanswered =
        json!({"name": "echo", "arguments": {}, "requestState": asked["result"]["requestState"]});
    asked = host.ask("tools/call", unanswered);
    assert_eq!(*question(&asked), json!({"method": "elicitation/create", "params": page}));
    assert_eq!(posts_of(&server, "tools/call").len(), 3, "nobody has said anything yet");
    for _ in 0..2 {
        asked = host.again("echo", &asked, |_| json!({"action": "accept"}));
        assert_eq!(question(&asked)["params"]["url"], "https://a.example/");
    }
    let done = host.again("echo", &asked, |_| json!({"action": "accept"}));
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
    assert_eq!(posts_of(&server, "tools/call").len(), 6);
    assert!(host.leave().is_empty());
}
