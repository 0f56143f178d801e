//! What a server of 2026-07-28 tells by itself, told to a host that opens with `initialize`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::modern;
use crate::support::open_session::is;
use crate::support::translated::{event, methods, posts_of, result, session};

/// A server that tells of changes: each stream goes to `streams` with its number, and closes when that
/// returns.
fn telling(streams: impl Fn(usize, &Request, &mut Responder) + Send + Sync + 'static) -> McpServer {
    let count = AtomicUsize::new(0);
    modern(move |request, responder| {
        let message = request.json();
        if message["method"] == "server/discover" {
            let tells = json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}});
            let versions = json!(["2026-07-28"]);
            responder.reply(&result(request, json!({"supportedVersions": versions, "capabilities": tells})));
            return true;
        }
        if message["method"] != "subscriptions/listen" {
            return false;
        }
        responder.start_events();
        let wanted = &message["params"]["notifications"];
        let told = json!({"notifications": wanted, "_meta": subscription(&message)});
        responder.chunk(event(
            &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": told}),
        ));
        streams(count.fetch_add(1, Ordering::SeqCst), request, responder);
        true
    })
}

fn subscription(request: &Value) -> Value {
    json!({"io.modelcontextprotocol/subscriptionId": request["id"]})
}

/// Changes reach the host without the id of our subscription, and go on doing so after a break. The host
/// hears that it may have missed something; once in a while, however often a proxy cuts the streams.
#[test]
fn changes_reach_the_host_over_streams_that_break() {
    let server = telling(|stream, request, responder| {
        let meta = json!({"_meta": subscription(&request.json()), "n": stream});
        responder.chunk(event(
            &json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": meta}),
        ));
        if stream == 2 {
            responder.wait_for_close();
        }
    });
    let (_home, mut bridge) = session(&server);
    let change = |params: Option<Value>| {
        let mut change = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        if let Some(params) = params {
            change["params"] = params;
        }
        change
    };
    let mut expected: Vec<_> = (0..3).map(|stream| change(Some(json!({"_meta": {}, "n": stream})))).collect();
    expected.push(change(None));
    let mut heard: Vec<_> = (0..4).map(|_| bridge.message()).collect();
    // When it hears of the break is no part of the order.
    heard.sort_by_key(|message| message["params"]["n"].as_u64().unwrap_or(u64::MAX));
    assert_eq!(heard, expected);
    let listens = posts_of(&server, "subscriptions/listen");
    assert!(listens.iter().all(|one| one["params"]["notifications"] == json!({"toolsListChanged": true})));
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    assert!(status.success() && rest.is_empty(), "{rest:?}");
}

/// Only a server that answers the request refuses it, and nobody in its place.
#[test]
fn a_stream_that_breaks_before_a_word_is_opened_again() {
    let count = AtomicUsize::new(0);
    let server = modern(move |request, responder| {
        if !is("subscriptions/listen")(request) {
            return false;
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number < 2 {
            responder.start_events();
        }
        match number {
            0 => responder.reset(),
            1 => responder.end(),
            // Somebody before the server, who knows nothing of it.
            2 => responder.reply(&Reply::html(404, "default backend")),
            3 => responder.reply(&Reply::status(202)),
            _ => {
                responder.start_events();
                for method in ["subscriptions/acknowledged", "tools/list_changed"] {
                    let params = json!({"_meta": subscription(&request.json())});
                    responder.chunk(event(
                        &json!({"jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": params}),
                    ));
                }
                responder.wait_for_close();
            }
        }
        true
    });
    let (_home, mut bridge) = session(&server);
    assert_eq!(bridge.message()["method"], "notifications/tools/list_changed");
    bridge.close_stdin();
    assert!(bridge.wait().1.is_empty());
}

/// `resources/subscribe` is answered when the server tells of the resource; the stream before
/// ends when the new one stands.
#[test]
fn subscriptions_to_resources_are_kept() {
    let closed = Gate::default();
    let gone = closed.clone();
    let server = telling(move |stream, request, responder| {
        let message = request.json();
        for uri in
            message["params"]["notifications"]["resourceSubscriptions"].as_array().into_iter().flatten()
        {
            let params = json!({"uri": uri, "_meta": subscription(&message)});
            responder.chunk(event(
                &json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": params}),
            ));
        }
        responder.wait_for_close();
        if stream == 0 {
            gone.open();
        }
    });
    let (_home, mut bridge) = session(&server);
    let first = server.wait_for("the first stream", is("subscriptions/listen")).json();
    let subscribed = bridge.call(1, "resources/subscribe", json!({"uri": "file:///a"}));
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    let change = bridge.message();
    assert_eq!(
        (&change["method"], &change["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!("file:///a"))
    );
    assert!(closed.pass(), "the stream before has ended");
    assert_eq!(bridge.call(2, "resources/unsubscribe", json!({"uri": "file:///a"}))["result"], json!({}));
    server.wait_for("a stream without the resource", |request| {
        let message = request.json();
        is("subscriptions/listen")(request)
            && message["id"] != first["id"]
            && message["params"]["notifications"] == first["params"]["notifications"]
    });
    assert!(!methods(&server).iter().any(|method| method.starts_with("resources/")));
}

/// A server that tells of no resource says so as it would have in the era before.
#[test]
fn a_subscription_that_the_server_does_not_keep_is_refused() {
    let server = modern(|_, _| false);
    let (_home, mut bridge) = session(&server);
    let refused = bridge.call(1, "resources/subscribe", json!({"uri": "file:///a"}));
    assert_eq!(refused["error"]["code"], -32601, "{refused}");
    let unsayable = bridge.call(2, "resources/subscribe", json!({}));
    assert_eq!(unsayable["error"]["code"], -32602, "{unsayable}");
    bridge.send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":[1]}"#);
    assert_eq!(bridge.response(&json!(3))["error"]["code"], -32602);
}
