//! A loopback MCP endpoint with its own authorization server, to try all without an account.

mod consent;
mod endpoints;
mod grants;
mod person;
mod protocol;
mod server;
mod tools;

use std::io;
use std::path::PathBuf;

/// How the demo runs.
pub struct Config {
    /// Whether the consent page is shown to the person in a browser; otherwise the demo follows it.
    pub browser: bool,
    /// The binary whose `login`, `bridge` and `tokens` are shown: the running one.
    pub executable: PathBuf,
    /// Where the transcript goes: standard output.
    pub out: Box<dyn io::Write + Send>,
    /// Whether the transcript is coloured.
    pub colour: bool,
    /// Whether standard error is a terminal, where waiting shows a countdown.
    pub countdown: bool,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The loopback listener or the throw-away folder could not be made.
    #[error("the demo could not {what}")]
    Setup {
        /// What failed, completing "could not".
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A step did not do what it shall.
    #[error("{step}: {problem}")]
    Step {
        /// The step, for instance ``log in``.
        step: &'static str,
        /// What was seen instead, with no secret in it.
        problem: String,
    },
    /// The transcript could not be written.
    #[error("the transcript could not be written")]
    Output(#[source] io::Error),
    /// SIGINT or SIGTERM ended it; all has been cleaned up.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demo to its end and writes its transcript.
///
/// # Errors
/// The first step that misbehaves ends the demo. Whatever the outcome, its processes have ended
/// and its credential is gone when this returns; dropping the future early ends them too.
pub async fn run(_config: Config) -> Result<(), DemoError> {
    todo!()
}
