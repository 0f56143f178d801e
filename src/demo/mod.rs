//! A loopback MCP endpoint to try all without an account.
