//! A host made with rmcp, with a server of the TypeScript SDK that speaks 2026-07-28 alone. What the
//! servers of both SDKs do with hosts that write their frames themselves is in `pairs`.

use std::process::Stdio;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction,
};
use rmcp::service::RequestContext;
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt};
use serde_json::json;

use crate::support::home::Home;
use crate::support::node::{Node, NodeServer};

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
    assert_eq!(host.list_all_tools().await.expect("the tools").len(), 8);
    let answered = host.call_tool(CallToolRequestParams::new("ask")).await.expect("a result");
    let answered = serde_json::to_value(&answered).expect("JSON");
    assert!(answered["content"][0]["text"].as_str().is_some_and(|text| text.contains("Grace")), "{answered}");
    host.cancel().await.expect("the host leaves");
    assert!(bridge.wait().await.expect("the bridge ends").success());
}
