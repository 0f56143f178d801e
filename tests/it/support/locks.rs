//! File systems that take no locks, or only say that they do.

use std::process::Command;

use rustix::io::Errno;
use tempfile::TempDir;

use super::compiled::compile;
use super::skip;

/// What locking a file comes to.
pub(crate) struct Locks {
    directory: TempDir,
    outcome: i32,
}

impl Locks {
    /// It is refused.
    pub(crate) fn refused() -> Option<Self> {
        Self::that_end_with(Errno::NOLCK.raw_os_error())
    }

    /// It is granted to everybody.
    pub(crate) fn pretended() -> Option<Self> {
        Self::that_end_with(0)
    }

    fn that_end_with(outcome: i32) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            skip("a filter for system calls");
            return None;
        }
        let directory =
            tempfile::Builder::new().prefix("mcp-front-locks-").tempdir().expect("a temporary directory");
        compile("without_locks.c", &directory.path().join("without-locks"), &[])?;
        Some(Self { directory, outcome })
    }

    /// The same command where that is so, for whatever it starts too.
    pub(crate) fn around(&self, command: &Command) -> Command {
        let mut around = Command::new(self.directory.path().join("without-locks"));
        around.arg(self.outcome.to_string()).arg(command.get_program()).args(command.get_args()).env_clear();
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        around.envs(variables);
        if let Some(place) = command.get_current_dir() {
            around.current_dir(place);
        }
        around
    }
}
