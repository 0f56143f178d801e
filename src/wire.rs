//! Names that MCP gives to things on the wire (MCP transports, "Streamable HTTP").

use http::header::{HeaderName, HeaderValue};

/// `Mcp-Session-Id`.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// `MCP-Protocol-Version`.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method` (2026-07-28, "Standard Request Headers").
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// What the name of a header for a tool's parameter starts with (`Mcp-Param-`).
pub const PARAMETER_PREFIX: &str = "mcp-param-";
/// `Accept` of every POST.
pub const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
/// `Accept` of every GET.
pub const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// `Content-Type` of every POST.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The newest revision that opens with `initialize`.
pub const LATEST_WITH_INITIALIZE: &str = "2025-11-25";
/// The revisions that open with `initialize`, oldest first.
pub const WITH_INITIALIZE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LATEST_WITH_INITIALIZE];
/// The revision that says of itself with every request what `initialize` said once.
pub const WITHOUT_INITIALIZE: &str = "2026-07-28";

/// `_meta` member of a request: the revision that it speaks (2026-07-28 basic, "Per-request protocol
/// fields").
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` member of a request: who sends it.
pub const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// `_meta` member of a request: what may be asked of who sends it.
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` member of a request: which log messages come with its answer.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` member of a result: who sends it.
pub const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// `_meta` member of a notification: the subscription that it belongs to (2026-07-28, subscriptions).
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// What a subscription's first message says.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// The list of tools is another one.
pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";

/// A text of a peer's as a header's value; `None` unless it is visible ASCII and spaces. HTTP lets more
/// through, and some of it ends a line for who reads it as Unicode or Latin-1 (RFC 9110 §5.5).
pub fn header_value(text: &str) -> Option<HeaderValue> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    HeaderValue::from_str(text).ok().filter(|_| is_plain)
}

/// The revision that `initialize` settles on where it asks for this one: the same where it is known,
/// else the newest (2025-11-25 lifecycle, "Version Negotiation").
pub fn negotiated(asked: Option<&str>) -> &'static str {
    let known = WITH_INITIALIZE.into_iter().find(|known| asked == Some(known));
    known.unwrap_or(LATEST_WITH_INITIALIZE)
}
