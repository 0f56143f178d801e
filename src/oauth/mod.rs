//! OAuth 2.1 as MCP profiles it.
