//! `mcp-front tokens set`: a static API token, from stdin or a hidden prompt.

use clap::Args;

use crate::cli::Context;
use crate::cli::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_arguments: &Arguments, _context: &Context) -> Result<(), Failure> {
    todo!()
}
