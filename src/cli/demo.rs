//! `mcp-front demo`: everything at once, on a machine without an account.

use std::io::{self, IsTerminal};

use clap::Args;

use super::Context;
use super::failure::Failure;
use super::terminal;
use crate::demo::{self, DemoError};

const EXAMPLES: &str = "\
Nothing leaves this machine, and nothing stays on it.

Examples:
  mcp-front demo
  mcp-front demo --browser      approve the login yourself";

/// Show login, bridge and renewal against a server inside this binary
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Open the consent page in a browser instead of following it
    #[arg(long)]
    browser: bool,
}

/// Runs the demo.
///
/// # Errors
/// [`Failure::Demo`] at the first step that misbehaves.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let outcome = demo::run(demo::Config {
        browser: arguments.browser,
        executable: super::executable()?,
        out: Box::new(io::stdout()),
        colour: context.terminal.colored_stdout,
        countdown: context.terminal.animated && io::stdout().is_terminal(),
        columns: terminal::columns(),
    })
    .await;
    match outcome {
        // A reader that left early is no error.
        Err(DemoError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}
