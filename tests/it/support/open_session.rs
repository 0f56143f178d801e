//! A host's session on a server that wants no login.

use super::bridge::Bridge;
use super::home::Home;
use super::http_server::Request;
use super::mcp_server::McpServer;

/// A session that has been initialised.
pub(crate) struct OpenSession {
    pub(crate) bridge: Bridge,
    _home: Home,
}

impl OpenSession {
    pub(crate) fn on(server: &McpServer) -> Self {
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.initialize();
        Self { bridge, _home: home }
    }
}

/// Whether a request's message is of this method.
pub(crate) fn is(method: &'static str) -> impl Fn(&Request) -> bool {
    move |request| request.json()["method"] == method
}

/// Whether a request posts a message of this method.
pub(crate) fn is_post_of(request: &Request, method: &str) -> bool {
    request.method == "POST" && request.json()["method"] == method
}

/// Whether a body is a message of this method.
pub(crate) fn is_named(body: &[u8], method: &str) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|message| message["method"] == method)
}
