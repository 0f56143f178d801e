//! A server made with rmcp, of one era or of both.

#![expect(deprecated, reason = "sampling is what servers of 2025-11-25 ask for")]

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, InputRequiredResult,
    ListToolsResult, NumberOrString, PaginatedRequestParams, ProgressNotificationParam, ProgressToken,
    ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Era;
use super::server::{Shared, TOOLS};

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, era: Era) {
    let tools = Tools { era, shared: Arc::default() };
    let service = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let router = axum::Router::new().route_service("/mcp", service);
    axum::serve(listener, router).await.expect("the listener stands");
}

#[derive(Clone)]
struct Tools {
    era: Era,
    shared: Arc<Shared>,
}

fn text(said: impl Into<String>) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(said)]).into()
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("what the SDK knows")
}

fn speaks_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

async fn tell_progress(context: &RequestContext<RoleServer>, step: f64) {
    let token = context.meta.get_progress_token();
    let token = token.unwrap_or(ProgressToken(NumberOrString::Number(0)));
    let _gone = context.peer.notify_progress(ProgressNotificationParam::new(token, step)).await;
}

impl Tools {
    async fn wait(&self, context: &RequestContext<RoleServer>) -> CallToolResponse {
        let mut released = Box::pin(self.shared.released.notified());
        released.as_mut().enable();
        tell_progress(context, 0.0).await;
        loop {
            tokio::select! {
                () = &mut released => return text("released"),
                () = context.ct.cancelled() => {
                    self.shared.cancelled.fetch_add(1, Ordering::SeqCst);
                    return text("aborted");
                }
                () = self.shared.nudged.notified() => tell_progress(context, 1.0).await,
            }
        }
    }

    async fn ask(
        &self,
        question: Value,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(answers) = request.input_responses {
            return Ok(text(json!(answers).to_string()));
        }
        if speaks_modern(context) {
            let questions = parsed(json!({"asked": question}));
            return Ok(InputRequiredResult::new(Some(questions), Some("größer=".to_owned())).into());
        }
        let params = question["params"].clone();
        let answer = match question["method"].as_str() {
            Some("elicitation/create") => {
                context.peer.create_elicitation(parsed(params)).await.map(|answer| json!(answer))
            }
            _ => context.peer.create_message(parsed(params)).await.map(|answer| json!(answer)),
        };
        let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        Ok(text(answer.to_string()))
    }
}

impl ServerHandler for Tools {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(match self.era {
            Era::Legacy => &[ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25],
            Era::Modern => &[ProtocolVersion::V_2026_07_28],
            Era::Dual => ProtocolVersion::KNOWN_VERSIONS,
        })
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
                () = self.shared.changed.notified() => {
                    let _gone = context.sink().notify_tool_list_changed().await;
                }
                () = context.cancelled() => return Ok(()),
            }
        }
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS.map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
        let mut list = json!({"tools": tools});
        if speaks_modern(&context) {
            list["ttlMs"] = json!(0);
            list["cacheScope"] = json!("private");
        }
        Ok(parsed(list))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(match request.name.as_ref() {
            "echo" => {
                let arguments = Value::from(request.arguments.unwrap_or_default());
                text(arguments["text"].as_str().unwrap_or_default())
            }
            "progress" => {
                tell_progress(&context, 1.0).await;
                tell_progress(&context, 2.0).await;
                text("done")
            }
            "ask" => {
                let form =
                    json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}});
                let question = json!({"method": "elicitation/create", "params": form});
                return self.ask(question, request, &context).await;
            }
            "sample" => {
                let messages = json!([{"role": "user", "content": {"type": "text", "text": "Who?"}}]);
                let params = json!({"messages": messages, "maxTokens": 5});
                let question = json!({"method": "sampling/createMessage", "params": params});
                return self.ask(question, request, &context).await;
            }
            "change" => {
                if speaks_modern(&context) {
                    self.shared.changed.notify_waiters();
                } else {
                    let _gone = context.peer.notify_tool_list_changed().await;
                }
                text("changed")
            }
            "wait" => self.wait(&context).await,
            // Not listed: here alone a cut stream goes on, and tells so by what comes on it.
            "nudge" => {
                self.shared.nudged.notify_waiters();
                text("nudged")
            }
            "release" => {
                self.shared.released.notify_waiters();
                text("released")
            }
            _ => text(self.shared.cancelled.load(Ordering::SeqCst).to_string()),
        })
    }
}
