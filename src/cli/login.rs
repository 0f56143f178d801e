//! `mcp-front login`: the one command that opens a browser.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::Context;
use super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  mcp-front login front                           asks for Front's client id and secret
  mcp-front login https://mcp.example.com/mcp     discovers and registers by itself
  mcp-front login https://mcp.example.com/mcp --name example
  mcp-front login front --client-id ID --client-secret-file PATH
  mcp-front login front --no-browser              for a machine without a browser
  mcp-front login                                 choose among what needs a login";

/// Log in to a hosted MCP server in the browser, and store the login.
///
/// A login that is still good is left as it is. The old login is replaced only after the new one
/// is stored.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name, `front`, or the URL of an MCP endpoint
    #[arg(value_name = "NAME|URL")]
    pub(super) target: Option<String>,
    /// Log in anew, even where the login is still good
    #[arg(long)]
    pub(super) force: bool,
    /// Read the client secret from stdin
    #[arg(long, requires = "client_id", conflicts_with = "client_secret_file")]
    pub(super) client_secret_stdin: bool,
    #[command(flatten)]
    pub(super) flags: LoginFlags,
}

/// The flags that `login` and `bridge --login` share.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct LoginFlags {
    /// Keep the service under this name [default: from the URL's host]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Id of an OAuth client that was created at the provider
    #[arg(long, value_name = "ID")]
    pub(super) client_id: Option<String>,
    /// File that holds this client's secret
    #[arg(long, value_name = "PATH", requires = "client_id")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// https URL of a client ID metadata document, for servers that take one
    #[arg(long, value_name = "URL")]
    pub(super) client_metadata_url: Option<Url>,
    /// Ask for this scope; repeat for more [default: what the server names]
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Vec<String>,
    /// Ask for no scope at all
    #[arg(long, conflicts_with = "scope")]
    pub(super) no_scope: bool,
    /// Redirect URI as it was registered at the provider
    #[arg(long, value_name = "URI", conflicts_with = "callback_port")]
    pub(super) redirect_uri: Option<Url>,
    /// Port of the callback on this machine [default: any free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) callback_port: Option<u16>,
    /// Print the authorization URL instead of opening a browser
    #[arg(long)]
    pub(super) no_browser: bool,
    /// Allow plain http beyond this machine: tokens travel unencrypted
    #[arg(long)]
    pub(super) allow_http: bool,
}

pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<(), Failure> {
    todo!()
}
