//! How a helper process of our own binary is started: without arguments beyond its command, and
//! with an environment that holds what it needs and nothing else of ours.
//!
//! The host's environment may hold the user's other secrets; a helper that lives longer than its
//! bridge is no place for them. A browser needs more than can be listed (displays, desktops, input
//! methods), so its helper gets everything but what is ours or named like a secret.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that a refresh needs, by name: where things live and how to reach the network.
const PLAIN: [&str; 24] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "TMPDIR",
    "TMP",
    "TEMP",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "USERPROFILE",
    "USERNAME",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
];

/// Our own variables that a helper reads.
const OWN: [&str; 3] = ["MCP_FRONT_HOME", "MCP_FRONT_ENCRYPTION_KEY", "MCP_FRONT_ENCRYPTION_KEY_FILE"];

/// Beginnings of further such names.
const PREFIXES: [&str; 3] = ["XDG_", "LC_", "MCP_FRONT_"];

/// Parts of names whose values are taken for secrets.
const SECRET_WORDS: [&str; 6] = ["SECRET", "TOKEN", "PASS", "CREDENTIAL", "API_KEY", "AUTH"];
/// Ends of such names.
const SECRET_ENDS: [&str; 2] = ["_KEY", "_PAT"];
/// Names that sound like one of them, and that a desktop or its agents need.
const DESKTOP: [&str; 4] = ["XDG_ACTIVATION_TOKEN", "XAUTHORITY", "ICEAUTHORITY", "SSH_AUTH_SOCK"];

type Variables = Vec<(OsString, OsString)>;

/// How helper processes are started.
#[derive(Clone)]
pub struct Children {
    executable: PathBuf,
    environment: Variables,
    desktop: Variables,
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
        let (mut needed, mut desktop) = (Variables::new(), Variables::new());
        for (name, value) in environment {
            if is_passed_on(&name) {
                needed.push((name.clone(), value.clone()));
            }
            if is_harmless(&name) {
                desktop.push((name, value));
            }
        }
        Self { executable, environment: needed, desktop }
    }

    /// Whether no helper works without the variable, whatever else its value is used for.
    pub fn need(name: &str) -> bool {
        let name = name.to_ascii_uppercase();
        PLAIN.contains(&name.as_str()) || OWN.contains(&name.as_str())
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
        command.arg(subcommand).env_clear().envs(self.desktop.iter().map(|(name, value)| (name, value)));
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

/// Whether a helper gets the variable.
fn is_passed_on(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let name = name.to_ascii_uppercase();
    PLAIN.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the browser's helper, and with it the browser, gets the variable.
fn is_harmless(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let name = name.to_ascii_uppercase();
    let is_secret = SECRET_WORDS.iter().any(|word| name.contains(word))
        || SECRET_ENDS.iter().any(|end| name.ends_with(end));
    !name.starts_with("MCP_FRONT_") && (!is_secret || DESKTOP.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C06: neither our own variables nor anybody's secrets reach a browser.
    #[test]
    fn a_browser_gets_its_desktop_and_no_secret() {
        for (name, passed_on) in [
            ("DISPLAY", true),
            ("WAYLAND_DISPLAY", true),
            ("BROWSER", true),
            ("XDG_ACTIVATION_TOKEN", true),
            ("DBUS_SESSION_BUS_ADDRESS", true),
            ("MCP_FRONT_ENCRYPTION_KEY", false),
            ("MCP_FRONT_HOME", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("github_token", false),
            ("ANTHROPIC_API_KEY", false),
            ("OPENAI_KEY", false),
            ("PGPASS", false),
            ("AZURE_DEVOPS_PAT", false),
            ("PROXY_AUTH", false),
            ("XAUTHORITY", true),
            ("ICEAUTHORITY", true),
            ("SSH_AUTH_SOCK", true),
            ("XDG_SEAT_PATH", true),
        ] {
            assert_eq!(is_harmless(OsStr::new(name)), passed_on, "{name}");
        }
    }

    /// C06: a child's environment holds what it needs, and no secret that is not its own.
    #[test]
    fn a_helper_gets_what_it_needs() {
        for (name, passed_on) in [
            ("HOME", true),
            ("XDG_RUNTIME_DIR", true),
            ("MCP_FRONT_HOME", true),
            ("https_proxy", true),
            ("DBUS_SESSION_BUS_ADDRESS", true),
            ("LC_ALL", true),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("FRONT_API_TOKEN", false),
            ("LD_PRELOAD", false),
        ] {
            assert_eq!(is_passed_on(OsStr::new(name)), passed_on, "{name}");
        }
    }

    #[test]
    fn what_a_header_uses_is_spared_where_a_helper_needs_it() {
        for (name, needed) in [
            ("HOME", true),
            ("https_proxy", true),
            ("MCP_FRONT_HOME", true),
            ("MCP_FRONT_OF_THE_USERS", false),
            ("TEAM", false),
            ("XDG_TEAM", false),
        ] {
            assert_eq!(Children::need(name), needed, "{name}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let children = Children::new("/bin/x".into(), [("MCP_FRONT_ENCRYPTION_KEY".into(), "canary".into())]);
        let shown = format!("{children:?}");
        assert!(shown.contains("MCP_FRONT_ENCRYPTION_KEY") && !shown.contains("canary"), "{shown}");
    }
}
