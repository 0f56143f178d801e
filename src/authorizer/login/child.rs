//! A login in a process of its own, so that it outlives the bridge that asked for it.

use std::path::Path;

use super::Config;

/// Why a login in a process of its own did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The process did not start, or ended without an answer.
    #[error("the login's process failed: {reason}")]
    Process {
        /// What happened.
        reason: String,
    },
    /// The login itself failed.
    #[error("{reason}")]
    Login {
        /// Why, safe to print.
        reason: String,
    },
}

/// Starts `executable login-child` in a session of its own and waits for its end. One browser tab
/// over all processes: a second login of one service waits for the first.
///
/// # Errors
/// [`ChildError`].
///
/// # Cancel safety
/// Dropping the future leaves the login running to its own deadline.
pub async fn start_child(_executable: &Path, _config: &Config) -> Result<(), ChildError> {
    todo!()
}

/// The body of the hidden command `login-child`: request on stdin, answer on stdout.
///
/// # Errors
/// Where stdin holds no request.
pub async fn run_child() -> Result<(), ChildError> {
    todo!()
}
