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
