//! A service of which nothing is stored: what one refusal says of the requests that come after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request};
use crate::support::mcp_server::McpServer;
use crate::support::open_session::is;

/// A server that wants a login for what `is_guarded` picks, and for nothing else.
fn guarding(is_guarded: impl Fn(&Request) -> bool + Send + Sync + 'static) -> McpServer {
    McpServer::scripted(move |request, responder| {
        let refuses = is_guarded(request);
        if refuses {
            responder.reply(&Reply::status(401).header("WWW-Authenticate", "Bearer"));
        }
        refuses
    })
}

#[test]
fn a_tool_that_wants_a_login_leaves_the_others_open() {
    let server = guarding(|request| request.json()["params"]["arguments"]["text"] == "private");
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.initialize();
    for id in [1, 4, 7] {
        assert_eq!(bridge.echo(id, "public"), "public");
        let private =
            bridge.call(id + 1, "tools/call", json!({"name": "echo", "arguments": {"text": "private"}}));
        assert_eq!(private["error"]["data"]["reason"], "login_required", "{private}");
        assert_eq!(bridge.tools(id + 2), ["echo"]);
    }
}

#[test]
fn a_stream_or_a_probe_that_wants_a_login_leaves_the_session_open() {
    let server = guarding(|request| request.method == "GET" || is("server/discover")(request));
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let probed = bridge.call(1, "server/discover", json!({}));
    assert_eq!(probed["error"]["code"], -32601, "{probed}");
    let begun = bridge.initialize();
    assert_ne!(begun["result"]["serverInfo"]["name"], "mcp-front", "{begun}");
    server.wait_for("the stream", |request| request.method == "GET");
    assert_eq!(bridge.echo(2, "open"), "open");
}

/// A gateway that refuses for a moment, before a session or within one.
#[test]
fn a_moments_refusal_ends_with_the_moment() {
    let refuses = Arc::new(AtomicBool::new(true));
    let gateway = Arc::clone(&refuses);
    let server = guarding(move |_| gateway.load(Ordering::SeqCst));
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let begun = bridge.initialize();
    assert_eq!(begun["result"]["serverInfo"]["name"], "mcp-front", "{begun}");
    refuses.store(false, Ordering::SeqCst);
    let mut id = 1;
    while bridge.tools(id) != ["echo"] {
        id += 1;
        assert!(id < 50, "the server is not found");
    }
    assert_eq!(bridge.echo(100, "found"), "found");
    refuses.store(true, Ordering::SeqCst);
    assert_eq!(bridge.refused(101)["data"]["reason"], "login_required");
    refuses.store(false, Ordering::SeqCst);
    assert_eq!(bridge.echo(102, "again"), "again");
}
