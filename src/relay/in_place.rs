//! What is said in the server's place, while there is no login that opens it: empty lists, and one
//! tool that tells model and person what to run.

use serde_json::{Value, json};

use super::pending::Ticket;
use super::{Failure, Inner};
use crate::jsonrpc::result_response;
use crate::wire::TOOLS_CHANGED;

/// The one tool.
pub(super) const TOOL: &str = "mcp_front_login";
/// What has changed when the server speaks for itself: the member of a subscription that asks for
/// the word, and the word (MCP tools, prompts, resources: "List Changed Notification").
pub(super) const CHANGES: [(&str, &str); 3] = [
    ("toolsListChanged", TOOLS_CHANGED),
    ("promptsListChanged", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "notifications/resources/list_changed"),
];

/// What the host may ask for.
pub(super) fn capabilities() -> Value {
    let listed = json!({"listChanged": true});
    json!({"tools": listed, "prompts": listed, "resources": listed})
}

/// Who answers.
pub(super) fn server_info() -> Value {
    json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// What the tool says to a host that has not listed anew since the server speaks for itself.
pub(super) fn relieved() -> Value {
    called("The login is there. List the tools again: they are the server's own now.", false)
}

/// The result of a request that can be answered without the server; `None` for any other.
pub(super) fn result(method: &str, help: &str) -> Option<Value> {
    Some(match method {
        "ping" | "logging/setLevel" => json!({}),
        "tools/list" => json!({"tools": [tool(help)]}),
        "tools/call" => called(help, true),
        "prompts/list" => json!({"prompts": []}),
        "resources/list" => json!({"resources": []}),
        "resources/templates/list" => json!({"resourceTemplates": []}),
        _ => return None,
    })
}

fn tool(help: &str) -> Value {
    // Some end in a remedy, which is whole sentences.
    let help = help.trim_end_matches('.');
    let description = format!(
        "{help}. Tell the person so; nothing has to be restarted afterwards. Call this tool to see \
         whether it has been done: the server's own tools then take this one's place."
    );
    json!({
        "name": TOOL,
        "title": "Log in",
        "description": description,
        "inputSchema": {"type": "object", "properties": {}},
        "annotations": {"readOnlyHint": true},
    })
}

fn called(text: &str, is_error: bool) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": is_error})
}

impl Inner {
    /// Answers a request with a result of ours.
    pub(super) async fn reply(&self, request: &Ticket, result: &Value) {
        if let Some(settled) = self.pending.settle(request) {
            self.respond(settled, result_response(request.id(), result)).await;
        }
    }

    /// Answers a request with the error that a failure stands for.
    pub(super) async fn refuse(&self, request: &Ticket, failure: &Failure) {
        if let Some(settled) = self.pending.settle(request) {
            self.answer_failure(settled, request.id(), failure).await;
        }
    }

    /// What model and person are told.
    pub(super) fn help(&self, failure: &Failure) -> String {
        format!("{} cannot be used yet: {}", self.service, failure.message())
    }
}
