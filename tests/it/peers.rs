//! Others' implementations at both ends: servers, an authorization server and hosts that nobody
//! here wrote.

#![expect(deprecated, reason = "roots are what hosts of 2025-11-25 offer")]

use std::process::Stdio;
use std::sync::Arc;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ListRootsResult, Root, ServerCapabilities,
    ServerConfig,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{
    ClientHandler, ErrorData, RoleClient, RoleServer, ServerHandler, ServiceExt, tool, tool_handler,
    tool_router,
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::support::bridge::Bridge;
use crate::support::browser::Browser;
use crate::support::fetch;
use crate::support::home::{Home, finish};
use crate::support::node::{Node, NodeServer};
use crate::support::service::NAME;

/// Any guarded service and the person who has logged in there.
struct Login {
    server: NodeServer,
    browser: Browser,
    home: Home,
}

impl Login {
    fn new(node: &Node) -> Self {
        let server = NodeServer::start(node.fixture("authorization-server.mjs"));
        let browser = Browser::consenting();
        let home = Home::with_file_store().with("BROWSER", browser.executable());
        home.run(["login", &server.url, "--name", NAME]).expect(0);
        browser.opened();
        Self { server, browser, home }
    }

    fn ask(&self, method: &str, path: &str) -> Value {
        let url = Url::parse(&self.server.url).and_then(|url| url.join(path)).expect("a URL");
        let response = fetch::send(method, &url, &[], b"").expect("the server answers");
        serde_json::from_slice(&response.body).unwrap_or_default()
    }
}

/// A30: oidc-provider, with rotation and reuse detection: many bridges, many refusals, one grant.
#[test]
fn oidc_provider_keeps_its_grant_through_refusals() {
    let Some(node) = Node::installed() else { return };
    let login = Login::new(&node);
    let mut bridges: Vec<_> = (0..4).map(|_| Bridge::start(&login.home, &[NAME])).collect();
    for bridge in &mut bridges {
        bridge.initialize();
    }
    for round in 1..=5 {
        login.ask("POST", "/refuse");
        std::thread::scope(|scope| {
            for (number, bridge) in bridges.iter_mut().enumerate() {
                scope.spawn(move || {
                    let text = format!("round {round}, bridge {number}");
                    assert_eq!(bridge.echo(round, &text), text);
                });
            }
        });
    }
    let seen = login.ask("GET", "/seen");
    assert_eq!((&seen["exchanges"], &seen["refreshes"]), (&json!(1), &json!(5)), "{seen}");
    assert_eq!((&seen["revoked"], &seen["failures"]), (&json!(0), &json!([])), "{seen}");
    assert_eq!(login.browser.tabs(), 0);
}

/// RFC 7009: oidc-provider revokes the grant at a logout, and a running bridge sees that it is gone.
#[test]
fn oidc_provider_revokes_at_a_logout() {
    let Some(node) = Node::installed() else { return };
    let login = Login::new(&node);
    let mut bridge = Bridge::start(&login.home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    let said = login.home.run(["logout", NAME]).expect(0).stderr;
    let server = Url::parse(&login.server.url).unwrap();
    let server = format!("{}:{}", server.host_str().unwrap(), server.port().unwrap());
    assert_eq!(said, format!("Logged out of service: revoked by {server}, and deleted here.\n"));
    let seen = login.ask("GET", "/seen");
    assert_eq!((&seen["revoked"], &seen["failures"]), (&json!(1), &json!([])), "{seen}");
    let answer = bridge.call(2, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
    assert_eq!(answer["error"]["data"]["reason"], "login_required", "{answer}");
    let again = login.home.run(["logout", NAME]).expect(0).stderr;
    assert!(again.starts_with("Nothing is stored: no service is named `service`"), "{again}");
    assert_eq!(login.browser.tabs(), 0);
}

/// A11: the reference server: every answer through the bridge is the one it gives directly.
#[test]
fn server_everything_works_through_the_bridge() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("everything.mjs"));
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url]);
    assert_eq!(bridge.initialize()["result"]["serverInfo"]["name"], "mcp-servers/everything");
    let tools = bridge.call(1, "tools/list", json!({}));
    let tools: Vec<_> =
        tools["result"]["tools"].as_array().into_iter().flatten().map(|tool| &tool["name"]).collect();
    assert!(tools.contains(&&json!("echo")) && tools.len() > 5, "{tools:?}");
    let sum = bridge.call(2, "tools/call", json!({"name": "get-sum", "arguments": {"a": 2, "b": 3}}));
    assert!(sum.to_string().contains('5'), "{sum}");
    let image = bridge.call(3, "tools/call", json!({"name": "get-tiny-image", "arguments": {}}));
    assert!(
        image["result"]["content"]
            .as_array()
            .is_some_and(|parts| parts.iter().any(|part| part["type"] == "image"))
    );
    let long = json!({
        "name": "trigger-long-running-operation",
        "arguments": {"duration": 1, "steps": 2},
        "_meta": {"progressToken": "p"},
    });
    let done = bridge.call(4, "tools/call", long);
    assert!(done["result"].is_object(), "{done}");
    let mut steps = Vec::new();
    while steps.len() < 2 {
        let message = bridge.message();
        if message["method"] == "notifications/progress" {
            steps.push(message["params"]["progress"].clone());
        }
    }
    assert_eq!(steps, [json!(1), json!(2)]);
    assert!(bridge.call(5, "resources/list", json!({}))["result"]["resources"].is_array());
    assert!(bridge.call(6, "prompts/list", json!({}))["result"]["prompts"].is_array());
    assert!(bridge.call(7, "no/such/method", json!({}))["error"]["code"].is_i64());
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}

/// A11: the inspector's command line as the host.
#[test]
fn the_inspector_works_through_the_bridge() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("everything.mjs"));
    let home = Home::with_file_store();
    let inspect = |words: &[&str]| {
        let mut command = node.package("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        command.args(["--cli", "-e", "MCP_FRONT_STORE=file"]).args(words);
        command.args(["--", crate::support::home::BINARY, "bridge", &server.url]);
        let path = format!("{}:{}", node.directory(), std::env::var("PATH").unwrap_or_default());
        command.env_clear().envs(home.environment()).env("PATH", path);
        let outcome = finish(command, b"").expect(0);
        serde_json::from_str::<Value>(&outcome.stdout).expect("JSON")
    };
    let tools = inspect(&["--method", "tools/list"]);
    assert!(tools["tools"].as_array().is_some_and(|tools| tools.len() > 5), "{tools}");
    let called = inspect(&["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"]);
    assert_eq!(called["content"][0]["text"], "Echo: hello");
}

/// A server made with the SDK; its second tool asks the host something.
struct Tools;

#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

#[tool_router]
impl Tools {
    #[tool(description = "returns the text")]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        text
    }

    #[tool(description = "names the host's roots")]
    async fn roots(&self, context: RequestContext<RoleServer>) -> Result<String, ErrorData> {
        let roots = context.peer.list_roots().await;
        let roots = roots.map_err(|error| ErrorData::internal_error(error.to_string(), None))?.roots;
        Ok(roots.into_iter().map(|root| root.uri).collect::<Vec<_>>().join(" "))
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

/// A host made with the SDK.
struct Host;

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.capabilities = ClientCapabilities::builder().enable_roots().build();
        info
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///the-root")]))
    }
}

/// A11: the SDK's client as the host, the SDK's server behind.
#[tokio::test]
async fn rmcp_at_both_ends_works_through_the_bridge() {
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

    let home = Home::with_file_store();
    let mut command = tokio::process::Command::from(home.command(["bridge", &url]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut bridge = command.spawn().expect("the bridge starts");
    let pipes =
        (bridge.stdout.take().expect("stdout is piped"), bridge.stdin.take().expect("stdin is piped"));
    let host = Host.serve(pipes).await.expect("the handshake");
    assert_eq!(host.list_all_tools().await.expect("the tools").len(), 2);
    let call = |name: &'static str, arguments: Value| {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        host.call_tool(CallToolRequestParams::new(name).with_arguments(arguments))
    };
    let echoed = call("echo", json!({"text": "hello"})).await.expect("a result");
    assert_eq!(serde_json::to_value(&echoed).expect("JSON")["content"][0]["text"], "hello");
    let roots = call("roots", json!({})).await.expect("a result");
    assert_eq!(serde_json::to_value(&roots).expect("JSON")["content"][0]["text"], "file:///the-root");
    host.cancel().await.expect("the host leaves");
    assert!(bridge.wait().await.expect("the bridge ends").success());
    serving.abort();
}
