//! `mcp-front tokens`: what is stored, without ever showing a value.

mod delete;
mod list;
mod set;

use clap::{Args, Subcommand};

pub(super) use delete::{is_known, no_such_service, stores};
pub(super) use list::{damage, front};

use super::Context;
use super::failure::Failure;

/// List, set and delete what is stored
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Set(set::Arguments),
    Delete(delete::Arguments),
}

/// Runs one of the subcommands.
///
/// # Errors
/// The subcommand's [`Failure`].
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    match arguments.command {
        Command::List(arguments) => list::run(&arguments, context),
        Command::Set(arguments) => set::run(&arguments, context).await,
        Command::Delete(arguments) => delete::run(&arguments, context).await,
    }
}
