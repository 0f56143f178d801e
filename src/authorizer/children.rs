//! How a helper process of our own binary is started: without arguments beyond its command, and
//! with an environment that holds what it needs and nothing else of ours.
//!
//! The host's environment may hold the user's other secrets; a helper that lives longer than its
//! bridge is no place for them, and a browser even less.

mod environment;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

type Variables = Vec<(OsString, OsString)>;

/// How helper processes are started.
#[derive(Clone)]
pub struct Children {
    executable: PathBuf,
    environment: Variables,
    browsers: Variables,
}

impl fmt::Debug for Children {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("Children")
            .field("executable", &self.executable)
            .field("environment", &names)
            .finish()
    }
}

impl Children {
    /// Describes helpers that run `executable` (the running binary, by its absolute path) with
    /// what they need of `environment`, and nothing else of it.
    pub fn new(executable: PathBuf, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables: Variables = environment.into_iter().collect();
        let those = |is_for: fn(&str) -> bool| {
            let chosen = variables.iter().filter(|(name, _)| name.to_str().is_some_and(is_for));
            chosen.cloned().collect()
        };
        Self {
            executable,
            environment: those(environment::is_for_refresh),
            browsers: those(environment::is_for_browser),
        }
    }

    /// Whether no helper works without the variable, whatever else its value is used for.
    pub fn need(name: &str) -> bool {
        environment::is_needed(name)
    }

    /// A helper, not started yet: `executable subcommand`, with nothing but its environment set.
    pub(super) fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(subcommand).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A helper that opens a browser, not started yet: nothing of ours is in its environment.
    pub(super) fn browser_command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(subcommand).env_clear().envs(self.browsers.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A helper that logs in, not started yet: it needs what a refresh needs, and a browser.
    pub(super) fn login_command(&self, subcommand: &str) -> Command {
        let mut command = self.browser_command(subcommand);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The binary's absolute path.
    pub fn executable(&self) -> &Path {
        &self.executable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown() {
        let children = Children::new("/bin/x".into(), [("MCP_FRONT_ENCRYPTION_KEY".into(), "canary".into())]);
        let shown = format!("{children:?}");
        assert!(shown.contains("MCP_FRONT_ENCRYPTION_KEY") && !shown.contains("canary"), "{shown}");
    }
}
