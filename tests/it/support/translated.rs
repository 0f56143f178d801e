//! A legacy host in a session with a modern server.

use serde_json::{Value, json};

use super::bridge::Bridge;
use super::home::Home;
use super::http_server::{Reply, Request};
use super::mcp_server::McpServer;
use super::open_session::is_post_of;

/// What the host of these tests offers.
pub(crate) fn capabilities() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": true}})
}

pub(crate) fn introduce(bridge: &mut Bridge, capabilities: Value) -> Value {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "clientInfo": {"name": "host", "version": "7"},
    });
    let answer = bridge.call(0, "initialize", params);
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    answer
}

/// A host that offers all there is, in its session.
pub(crate) fn session(server: &McpServer) -> (Home, Bridge) {
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let answer = introduce(&mut bridge, capabilities());
    assert!(answer["result"].is_object(), "{answer}");
    (home, bridge)
}

pub(crate) fn methods(server: &McpServer) -> Vec<String> {
    let method = |request: Request| request.json()["method"].as_str().unwrap_or(&request.method).to_owned();
    server.requests().into_iter().map(method).collect()
}

pub(crate) fn posts_of(server: &McpServer, method: &str) -> Vec<Value> {
    server.requests().iter().filter(|one| is_post_of(one, method)).map(Request::json).collect()
}

pub(crate) fn result(request: &Request, result: Value) -> Reply {
    Reply::json(200, json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string())
}

pub(crate) fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}
