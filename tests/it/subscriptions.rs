//! `subscriptions/listen`: streams that outlive their connections.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::modern_server::{ModernSession, error, modern, request};
use crate::support::open_session::is_post_of;

fn listens(request: &Request) -> bool {
    is_post_of(request, "subscriptions/listen")
}

fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}

fn told(method: &str, id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": id}}})
}

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const CHANGED: &str = "notifications/resources/list_changed";

/// Starts the stream of a subscription, and acknowledges it.
fn open(request: &Request, responder: &mut Responder) {
    responder.start_events();
    responder.chunk(": keep-alive\n\n");
    responder.chunk(event(&told(ACKNOWLEDGED, &request.json()["id"])));
}

/// After a break the same request goes out again, and the host sees one subscription.
#[test]
fn a_subscription_outlives_its_connection_until_the_server_ends_it() {
    let count = AtomicUsize::new(0);
    let server = modern(move |request, responder| {
        if !listens(request) {
            return false;
        }
        let id = &request.json()["id"];
        match count.fetch_add(1, Ordering::SeqCst) {
            // Cut before a word, cut, ended without an answer, refused for a moment, refused by somebody on
            // the way, and at last answered.
            0 => drop(responder.start_events()),
            1 => {
                open(request, responder);
                responder.chunk(event(&told(CHANGED, id)));
            }
            2 => {
                open(request, responder);
                responder.chunk(event(&told(CHANGED, id)));
                responder.end();
            }
            3 => responder.reply(&Reply::status(503)),
            4 => responder.reply(&Reply::html(404, "default backend")),
            _ => {
                open(request, responder);
                responder.chunk(event(&told(CHANGED, id)));
                responder
                    .chunk(event(&json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete"}})));
                responder.end();
            }
        }
        true
    });
    let mut session = ModernSession::on(&server);
    let listen =
        request("listen:0", "subscriptions/listen", json!({"notifications": {"resourcesListChanged": true}}));
    session.bridge.send(&listen);
    let id = json!("listen:0");
    assert_eq!(session.bridge.message(), told(ACKNOWLEDGED, &id));
    for _ in 0..3 {
        assert_eq!(session.bridge.message(), told(CHANGED, &id));
    }
    assert_eq!(session.bridge.message()["result"]["resultType"], "complete");
    let sent: Vec<_> = server.requests().into_iter().filter(listens).collect();
    assert_eq!(sent.len(), 6);
    for request in sent {
        assert_eq!(String::from_utf8(request.body.clone()).unwrap(), listen);
        assert_eq!(request.header("Mcp-Method"), Some("subscriptions/listen"));
        assert_eq!(request.header("Last-Event-ID"), None);
    }
    session.bridge.close_stdin();
    assert!(session.bridge.wait().1.is_empty());
}

/// The host ends a subscription by cancelling it, and a host that leaves does not wait for one.
#[test]
fn a_subscription_ends_with_a_cancellation_and_holds_nobody_up() {
    let closed = Gate::default();
    let saw_close = closed.clone();
    closed.open();
    let server = modern(move |request, responder| {
        let listens = listens(request);
        if listens {
            open(request, responder);
            responder.wait_for_close();
            saw_close.pass();
        }
        listens
    });
    let mut session = ModernSession::on(&server);
    session.bridge.send(request(1, "subscriptions/listen", json!({})));
    session.bridge.send(request(2, "subscriptions/listen", json!({})));
    for _ in 0..2 {
        assert_eq!(session.bridge.message()["method"], ACKNOWLEDGED);
    }
    session.bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    closed.wait_for_arrivals(1);
    let leaving = std::time::Instant::now();
    session.bridge.close_stdin();
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && leaving.elapsed().as_secs_f64() < 1.9, "{:?}", leaving.elapsed());
    let ids: Vec<_> =
        rest.iter().map(|line| serde_json::from_slice::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, [json!(2)], "what was under way is answered, what was cancelled is not");
    closed.wait_for_arrivals(2);
    assert_eq!(server.requests().len(), 3, "neither sent again");
}

/// A server may end a subscription with a word, or refuse it.
#[test]
fn a_subscription_that_the_server_ends_or_refuses_is_not_sent_again() {
    let server = modern(|request, responder| {
        let message = request.json();
        if message["id"] == "refused" {
            responder.reply(&error(404, &message["id"], -32601, "Method not found"));
        } else if listens(request) {
            open(request, responder);
            let ended = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                "params": {"requestId": message["id"]}});
            responder.chunk(event(&ended));
            responder.end();
        } else {
            return false;
        }
        true
    });
    let mut session = ModernSession::on(&server);
    session.bridge.send(request("ended", "subscriptions/listen", json!({})));
    assert_eq!(session.bridge.message()["method"], ACKNOWLEDGED);
    assert_eq!(session.bridge.message()["method"], "notifications/cancelled");
    session.bridge.send(request("refused", "subscriptions/listen", json!({})));
    assert_eq!(session.bridge.message()["error"]["code"], -32601);
    session.bridge.close_stdin();
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty(), "{rest:?}");
    assert_eq!(server.requests().len(), 3);
}
