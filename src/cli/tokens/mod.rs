//! `mcp-front tokens`: what is stored, without ever showing a value.

mod delete;
mod list;
mod set;

use clap::{Args, Subcommand};

pub(super) use list::Standing;

use super::Context;
use super::failure::Failure;
use crate::authorizer::Commands;
use crate::store::StoreKind;

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

/// What to know where what was stored moved, and `store` still holds something of before.
pub(super) fn left_behind(store: StoreKind, commands: &Commands) -> String {
    let command = commands.delete_from(store);
    format!(
        "The store `{store}` could not be reached: what it holds of before stays there.\n\
         {command} removes it once it can.\n"
    )
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
