//! The MCP server behind the demo's bearer check: two small tools, one of which says what the
//! server knows about the access token that came with the call.

use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::schemars::{self, JsonSchema};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;

use super::grants::Bearer;

/// The demo's MCP server; one value a session.
#[derive(Debug, Clone)]
pub(super) struct Tools;

/// The arguments of `echo`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    /// What shall come back.
    text: String,
}

#[tool_router]
impl Tools {
    /// Returns the text that it was given.
    #[tool(annotations(read_only_hint = true))]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        text
    }

    /// Says which access token the call carried, how old it is and how often the login was renewed.
    #[tool(annotations(read_only_hint = true))]
    async fn whoami(&self, Extension(parts): Extension<http::request::Parts>) -> Result<String, String> {
        let bearer = parts.extensions.get::<Bearer>().ok_or("the call carried no access token")?;
        Ok(bearer.to_string())
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::default();
        info.capabilities = ServerCapabilities::builder().enable_tools().build();
        info.server_info = Implementation::new("mcp-front-demo", env!("CARGO_PKG_VERSION"));
        info
    }
}
