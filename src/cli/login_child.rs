//! `mcp-front login-child`: hidden; this program's helper process.

use clap::Args;

use super::Context;
use super::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<(), Failure> {
    todo!()
}
