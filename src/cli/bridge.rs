//! `mcp-front bridge`: the stdio MCP server that a host starts.
//!
//! Nothing is asked here, and stdout is the protocol's alone.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use super::failure::Failure;
use super::login::LoginFlags;

const EXAMPLES: &str = "\
Examples:
  mcp-front bridge front
  mcp-front bridge https://mcp.example.com/mcp
  mcp-front bridge https://mcp.example.com/mcp --login
  mcp-front bridge internal --header 'X-Team: ${TEAM}'

In Claude Code:
  claude mcp add front -- /absolute/path/mcp-front bridge front";

/// Serve a hosted MCP server on stdin and stdout; an MCP host starts this.
///
/// Without --login no browser is ever opened: a missing login is answered with an error that
/// names the command to run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name, `front`, or the URL of an MCP endpoint
    #[arg(value_name = "NAME|URL")]
    pub(super) target: String,
    /// Open the browser where a login is required
    #[arg(long)]
    pub(super) login: bool,
    /// Add a header to each request; `${NAME}` in the value is read from the environment
    #[arg(long, value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// Read such headers from a file, one a line, `#` for comments
    #[arg(long, value_name = "PATH")]
    pub(super) header_file: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) flags: LoginFlags,
}

pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<(), Failure> {
    todo!()
}
