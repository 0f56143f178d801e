//! A server over HTTP+SSE, made with the last rmcp that had this transport.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rmcp_with_sse::model::{
    CallToolRequestParam, CallToolResult, Content, ListToolsResult, NumberOrString, PaginatedRequestParam,
    ProgressNotificationParam, ProgressToken, ServerCapabilities, ServerInfo,
};
use rmcp_with_sse::service::RequestContext;
use rmcp_with_sse::transport::sse_server::{SseServer, SseServerConfig};
use rmcp_with_sse::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::server::{Shared, TOOLS};

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener) {
    let (server, router) = SseServer::new(SseServerConfig {
        bind: listener.local_addr().expect("its address"),
        sse_path: "/sse".to_owned(),
        post_path: "/message".to_owned(),
        ct: Default::default(),
        sse_keep_alive: None,
    });
    let tools = Tools::default();
    server.with_service(move || tools.clone());
    axum::serve(listener, router).await.expect("the listener stands");
}

#[derive(Clone, Default)]
struct Tools {
    shared: Arc<Shared>,
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("what the SDK knows")
}

async fn tell_progress(context: &RequestContext<RoleServer>, step: f64) {
    let token = context.meta.get_progress_token();
    let token = token.unwrap_or(ProgressToken(NumberOrString::Number(0)));
    let told =
        ProgressNotificationParam { progress_token: token, progress: step, total: None, message: None };
    let _gone = context.peer.notify_progress(told).await;
}

impl Tools {
    async fn wait(&self, context: &RequestContext<RoleServer>) -> &'static str {
        let mut released = Box::pin(self.shared.released.notified());
        released.as_mut().enable();
        tell_progress(context, 0.0).await;
        tokio::select! {
            () = released => "released",
            () = context.ct.cancelled() => {
                self.shared.cancelled.fetch_add(1, Ordering::SeqCst);
                "aborted"
            }
        }
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerInfo {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerInfo { capabilities, ..ServerInfo::default() }
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParam>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS.map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
        Ok(parsed(json!({"tools": tools})))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParam,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let refused = |error: rmcp_with_sse::ServiceError| ErrorData::internal_error(error.to_string(), None);
        let said = match request.name.as_ref() {
            "echo" => {
                let arguments = Value::from(request.arguments.unwrap_or_default());
                arguments["text"].as_str().unwrap_or_default().to_owned()
            }
            "progress" => {
                tell_progress(&context, 1.0).await;
                tell_progress(&context, 2.0).await;
                "done".to_owned()
            }
            "ask" => {
                let form =
                    json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}});
                let answer = context.peer.create_elicitation(parsed(form)).await.map_err(refused)?;
                json!(answer).to_string()
            }
            "sample" => {
                let messages = json!([{"role": "user", "content": {"type": "text", "text": "Who?"}}]);
                let params = parsed(json!({"messages": messages, "maxTokens": 5}));
                json!(context.peer.create_message(params).await.map_err(refused)?).to_string()
            }
            "change" => {
                context.peer.notify_tool_list_changed().await.map_err(refused)?;
                "changed".to_owned()
            }
            "wait" => self.wait(&context).await.to_owned(),
            "release" => {
                self.shared.released.notify_waiters();
                "released".to_owned()
            }
            _ => self.shared.cancelled.load(Ordering::SeqCst).to_string(),
        };
        Ok(CallToolResult::success(vec![Content::text(said)]))
    }
}
