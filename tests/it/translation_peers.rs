//! Servers of two SDKs that speak 2026-07-28 alone, with hosts that open with `initialize`: one that
//! writes its frames itself, and rmcp's client.

use std::borrow::Cow;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock,
    ElicitRequestParams, ElicitResult, ElicitationAction, InputRequiredResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, ServerCapabilities, ServerConfig,
    SubscriptionFilter,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ClientHandler, ErrorData, RoleClient, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::DEADLINE;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::node::{Node, NodeServer};
use crate::support::translated::{capabilities, introduce};

/// What a legacy host does on a server with the tools `echo`, `progress`, `ask`, `change`, `wait` and
/// `cancelled`.
fn use_everything(url: &str) {
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[url]);
    let initialized = introduce(&mut bridge, capabilities());
    assert_eq!(initialized["result"]["protocolVersion"], "2025-11-25", "{initialized}");
    assert_eq!(initialized["result"]["capabilities"]["tools"]["listChanged"], true, "{initialized}");
    let tools = bridge.call(1, "tools/list", json!({}));
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(6), "{tools}");
    assert_eq!(bridge.echo(2, " größer\r\n"), " größer\r\n");

    let progress = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": "p"}});
    assert!(bridge.call(3, "tools/call", progress)["result"].is_object());
    for step in [1.0, 2.0] {
        let message = bridge.message();
        assert_eq!(message["params"]["progressToken"], "p", "{message}");
        assert_eq!(message["params"]["progress"].as_f64(), Some(step), "{message}");
    }

    bridge.send(r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"ask","arguments":{}}}"#);
    let question = bridge.message();
    assert_eq!(
        (&question["method"], &question["params"]["message"]),
        (&json!("elicitation/create"), &json!("Who?"))
    );
    let answer = json!({"action": "accept", "content": {"name": "Ada"}});
    bridge.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}).to_string());
    let answered = bridge.response(&json!(4));
    assert!(
        answered["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("Ada")),
        "{answered}"
    );

    // The subscription may stand a little later than the session.
    let mut id = 10;
    let call = |bridge: &mut Bridge, id: i64, tool: &str| {
        let answer = bridge.call(id, "tools/call", json!({"name": tool, "arguments": {}}));
        answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let end = Instant::now() + DEADLINE;
    loop {
        id += 1;
        assert_eq!(call(&mut bridge, id, "change"), "changed");
        bridge.send(json!({"jsonrpc": "2.0", "id": "mark", "method": "ping"}).to_string());
        if bridge.message()["method"] == "notifications/tools/list_changed" {
            break;
        }
        assert!(Instant::now() < end, "no change was told");
    }

    bridge.send(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"wait","arguments":{}}}"#);
    while bridge.message()["method"] != "notifications/progress" {}
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    loop {
        id += 1;
        if call(&mut bridge, id, "cancelled") == "1" {
            break;
        }
        assert!(Instant::now() < end, "the server goes on with a cancelled call");
    }
    assert_eq!(bridge.call(6, "no/such/method", json!({}))["error"]["code"], -32601);
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}

#[test]
fn a_legacy_host_has_everything_of_the_typescript_sdks_server() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("modern.mjs"));
    use_everything(&server.url);
}

/// A server made with rmcp that speaks 2026-07-28 alone.
#[derive(Clone, Default)]
struct Modern {
    changed: Arc<Notify>,
    cancelled: Arc<AtomicUsize>,
}

fn text(said: impl Into<String>) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(said)]).into()
}

impl ServerHandler for Modern {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(&[ProtocolVersion::V_2026_07_28])
    }

    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        loop {
            tokio::select! {
                () = self.changed.notified() => {
                    let _gone = context.sink().notify_tool_list_changed().await;
                }
                () = context.cancelled() => return Ok(()),
            }
        }
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name| json!({"name": name, "inputSchema": {"type": "object"}});
        let tools = ["echo", "progress", "ask", "change", "wait", "cancelled"].map(tool);
        let list = json!({"tools": tools, "ttlMs": 0, "cacheScope": "private"});
        Ok(serde_json::from_value(list).expect("a list of tools"))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let token = context.meta.get_progress_token();
        let progress = async |step: f64| {
            let token =
                token.clone().unwrap_or(rmcp::model::ProgressToken(rmcp::model::NumberOrString::Number(0)));
            let _gone = context.peer.notify_progress(ProgressNotificationParam::new(token, step)).await;
        };
        Ok(match request.name.as_ref() {
            "echo" => {
                let arguments = Value::from(request.arguments.unwrap_or_default());
                text(arguments["text"].as_str().unwrap_or_default())
            }
            "progress" => {
                progress(1.0).await;
                progress(2.0).await;
                text("done")
            }
            "ask" => match request.input_responses {
                Some(answers) => text(json!(answers).to_string()),
                None => {
                    let form =
                        json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}});
                    let questions = json!({"name": {"method": "elicitation/create", "params": form}});
                    let questions = serde_json::from_value(questions).expect("input requests");
                    InputRequiredResult::new(Some(questions), Some("state".to_owned())).into()
                }
            },
            "change" => {
                self.changed.notify_waiters();
                text("changed")
            }
            "wait" => {
                progress(0.0).await;
                context.ct.cancelled().await;
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                text("aborted")
            }
            _ => text(self.cancelled.load(Ordering::SeqCst).to_string()),
        })
    }
}

#[tokio::test]
async fn a_legacy_host_has_everything_of_rmcps_server() {
    let modern = Modern::default();
    let service = StreamableHttpService::new(
        move || Ok(modern.clone()),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("its address"));
    let serving = tokio::spawn(async move {
        let router = axum::Router::new().route_service("/mcp", service);
        axum::serve(listener, router).await
    });
    tokio::task::spawn_blocking(move || use_everything(&url)).await.expect("the host is served");
    serving.abort();
}

/// A host made with rmcp, which opens with `initialize` and answers forms.
struct Host;

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.capabilities = ClientCapabilities::builder().enable_elicitation().build();
        info
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"name": "Grace"})))
    }
}

#[tokio::test]
async fn rmcps_client_is_a_legacy_host_of_the_typescript_sdks_server() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("modern.mjs"));
    let home = Home::with_file_store();
    let mut command = tokio::process::Command::from(home.command(["bridge", &server.url]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut bridge = command.spawn().expect("the bridge starts");
    let pipes =
        (bridge.stdout.take().expect("stdout is piped"), bridge.stdin.take().expect("stdin is piped"));
    let host = Host.serve(pipes).await.expect("the handshake");
    assert_eq!(host.list_all_tools().await.expect("the tools").len(), 6);
    let answered = host.call_tool(CallToolRequestParams::new("ask")).await.expect("a result");
    let answered = serde_json::to_value(&answered).expect("JSON");
    assert!(answered["content"][0]["text"].as_str().is_some_and(|text| text.contains("Grace")), "{answered}");
    host.cancel().await.expect("the host leaves");
    assert!(bridge.wait().await.expect("the bridge ends").success());
}
