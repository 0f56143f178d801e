//! A scripted MCP endpoint of 2026-07-28, which holds headers against bodies as the specification
//! demands, and a host of that revision.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use super::authorization_server::AuthorizationServer;
use super::bridge::Bridge;
use super::home::Home;
use super::http_server::{Reply, Request, Responder};
use super::mcp_server::{McpServer, Setup};

/// Starts one; what `script` leaves is answered by default.
pub(crate) fn modern(script: impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static) -> McpServer {
    McpServer::scripted(move |request, responder| {
        if !script(request, responder) {
            responder.reply(&serve(request));
        }
        true
    })
}

/// Starts one that demands the access tokens of `authorization`.
pub(crate) fn guarded_by(authorization: &AuthorizationServer) -> McpServer {
    let script = |request: &Request, responder: &mut Responder| {
        responder.reply(&serve(request));
        true
    };
    let (authorization, script) = (Some(authorization.clone()), Some(Box::new(script) as _));
    McpServer::start(Setup { authorization, script, ..Setup::default() })
}

/// The default answer.
pub(crate) fn serve(request: &Request) -> Reply {
    if request.method != "POST" {
        return Reply::status(405);
    }
    let message = request.json();
    let is = |header: &str, value: &Value| request.header(header) == value.as_str();
    let params = &message["params"];
    let version = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
    let name = match message["method"].as_str() {
        Some("tools/call" | "prompts/get") => &params["name"],
        Some("resources/read") => &params["uri"],
        _ => &Value::Null,
    };
    let decoded = request.header("Mcp-Name").map(decode);
    if !is("MCP-Protocol-Version", version)
        || !is("Mcp-Method", &message["method"])
        || decoded.as_deref() != name.as_str()
    {
        return error(400, &message["id"], -32020, "the headers do not fit");
    }
    if message.get("id").is_none() {
        return Reply::status(202);
    }
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "scripted", "version": "1"},
        }),
        "tools/list" => json!({"resultType": "complete", "tools": [{"name": "echo", "inputSchema": {}}]}),
        "tools/call" => json!({
            "resultType": "complete",
            "content": [{"type": "text", "text": params["arguments"]["text"]}],
        }),
        _ => return error(404, &message["id"], -32601, "Method not found"),
    };
    Reply::json(200, json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string())
}

/// A refusal with a JSON-RPC error.
pub(crate) fn error(status: u16, id: &Value, code: i64, text: &str) -> Reply {
    let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": text}});
    Reply::json(status, error.to_string())
}

fn decode(value: &str) -> String {
    use base64::Engine;
    let encoded = value.strip_prefix("=?base64?").and_then(|value| value.strip_suffix("?="));
    let Some(encoded) = encoded else { return value.to_owned() };
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

/// What every request of a host of 2026-07-28 says of the host.
pub(crate) fn envelope() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "mcp-front-tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    })
}

/// A request of such a host.
pub(crate) fn request(id: impl Into<Value>, method: &str, mut params: Value) -> String {
    params["_meta"] = envelope();
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
}

/// What the home remembers of a server's eras, once it holds `content`.
pub(crate) fn remembered(home: &Home, content: &str) -> PathBuf {
    let end = Instant::now() + super::DEADLINE;
    while Instant::now() < end {
        let mut files = home.files().into_iter();
        let found = files.find(|(path, bytes)| {
            // Not one that is still being written.
            path.parent().is_some_and(|parent| parent.ends_with("eras"))
                && path.extension().is_some_and(|extension| extension == "json")
                && String::from_utf8_lossy(bytes).contains(content)
        });
        if let Some((path, _)) = found {
            return path;
        }
        std::thread::yield_now();
    }
    panic!(
        "nothing remembered holds {content}: {:?}",
        home.files().iter().map(|file| &file.0).collect::<Vec<_>>()
    );
}

/// A host that has found a server of 2026-07-28.
pub(crate) struct ModernSession {
    pub(crate) bridge: Bridge,
    _home: Home,
}

impl ModernSession {
    pub(crate) fn on(server: &McpServer) -> Self {
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.send(request("probe", "server/discover", json!({})));
        assert_eq!(bridge.message()["result"]["supportedVersions"], json!(["2026-07-28"]));
        Self { bridge, _home: home }
    }

    /// Sends a request and returns its response; other messages stay to be read.
    pub(crate) fn call(&mut self, id: i64, method: &str, params: Value) -> Value {
        self.bridge.send(request(id, method, params));
        self.bridge.response(&json!(id))
    }
}
