//! Attacks by a malicious MCP server, in discovery and in its answers (A).
