//! Others' implementations of 2026-07-28 at both ends, and the headers that their servers want: the
//! TypeScript SDK's server, rmcp's server, and rmcp's client as the host.

use std::process::Stdio;
use std::sync::Arc;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig};
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ClientLifecycleMode, ClientServiceExt, ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::modern_server::request;
use crate::support::node::{Node, NodeServer};

/// A host that writes its frames itself.
struct Host {
    bridge: Bridge,
    calls: i64,
    _home: Home,
}

impl Host {
    fn on(url: &str) -> Self {
        let home = Home::with_file_store();
        let bridge = Bridge::start(&home, &[url]);
        let mut host = Self { bridge, calls: 0, _home: home };
        let found = host.ask("server/discover", json!({}));
        let versions = found["result"]["supportedVersions"].as_array();
        assert!(versions.is_some_and(|versions| versions.contains(&json!("2026-07-28"))), "{found}");
        host
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        self.bridge.send(request(self.calls, method, params));
        self.bridge.response(&json!(self.calls))
    }

    /// The text that a tool answers with.
    fn call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let text = answer["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("{tool} failed: {answer}")).to_owned()
    }
}

/// Values go in headers where the server wants them, and it holds them against the body.
#[test]
fn the_typescript_sdks_server_has_the_headers_that_it_wants() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("modern.mjs"));
    let mut host = Host::on(&server.url);
    // They were never asked for: the server refuses the call, and takes it with them.
    assert_eq!(host.call("echo", json!({"text": " größer\r\n"})), " größer\r\n");
    assert_eq!(host.call("echo", json!({"text": ""})), "");
}

/// A server made with rmcp.
struct Tools;

#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    #[schemars(extend("x-mcp-header" = "Text"))]
    text: String,
    #[schemars(extend("x-mcp-header" = "Count"))]
    count: Option<u64>,
}

#[tool_router]
impl Tools {
    #[tool(description = "returns the text")]
    async fn echo(&self, Parameters(Echo { text, count }): Parameters<Echo>) -> String {
        text.repeat(usize::try_from(count.unwrap_or(1)).unwrap_or(0))
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::default();
        info.capabilities = ServerCapabilities::builder().enable_tools().build();
        info
    }
}

/// The server of rmcp, with a raw host and with rmcp's own client, which finds out the era itself.
#[tokio::test]
async fn rmcp_at_both_ends_speaks_2026_07_28_through_the_bridge() {
    let service = StreamableHttpService::new(
        || Ok(Tools),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("its address"));
    let serving = tokio::spawn(async move {
        let router = axum::Router::new().route_service("/mcp", service);
        axum::serve(listener, router).await
    });

    let raw = url.clone();
    let raw = tokio::task::spawn_blocking(move || {
        let mut host = Host::on(&raw);
        assert_eq!(host.call("echo", json!({"text": "ü", "count": 3})), "üüü");
        assert_eq!(host.call("echo", json!({"text": "x", "count": null})), "x");
        assert_eq!(host.ask("no/such/method", json!({}))["error"]["code"], -32601);
    });
    raw.await.expect("the raw host is served");

    let home = Home::with_file_store();
    let mut command = tokio::process::Command::from(home.command(["bridge", &url]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut bridge = command.spawn().expect("the bridge starts");
    let pipes =
        (bridge.stdout.take().expect("stdout is piped"), bridge.stdin.take().expect("stdin is piped"));
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let host = ().serve_with_lifecycle(pipes, modern).await.expect("the server is found");
    assert_eq!(host.list_all_tools().await.expect("the tools").len(), 1);
    let arguments = json!({"text": " a ", "count": 2}).as_object().cloned().unwrap_or_default();
    let echoed = host.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments)).await;
    let echoed = serde_json::to_value(echoed.expect("a result")).expect("JSON");
    assert_eq!(echoed["content"][0]["text"], " a  a ");
    host.cancel().await.expect("the host leaves");
    assert!(bridge.wait().await.expect("the bridge ends").success());
    serving.abort();
}
