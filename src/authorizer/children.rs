//! Helper processes of our own binary: one for a refresh, one for a login with its browser open.
//!
//! What must not be interrupted runs in a process and a session of its own, so that neither a
//! cancelled request nor a host that kills its bridge cuts it off. A request goes in as one JSON
//! line on stdin, the answer comes back as one line on stdout: no secret is ever in an argument or
//! in the environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

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

/// Beginnings of further such names.
const PREFIXES: [&str; 3] = ["XDG_", "LC_", "MCP_FRONT_"];

/// Variables that a browser needs besides.
const DESKTOP: [&str; 12] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "BROWSER",
    "DESKTOP_SESSION",
    "GNOME_DESKTOP_SESSION_ID",
    "KDE_FULL_SESSION",
    "KDE_SESSION_VERSION",
    "WSL_DISTRO_NAME",
    "WSL_INTEROP",
    "DESKTOP_STARTUP_ID",
    "XMODIFIERS",
];

/// How helper processes are started.
#[derive(Clone)]
pub struct Children {
    executable: PathBuf,
    environment: Vec<(OsString, OsString)>,
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
        let environment = environment.into_iter().filter(|(name, _)| is_passed_on(name)).collect();
        Self { executable, environment }
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
    PLAIN.contains(&name.as_str())
        || DESKTOP.contains(&name.as_str())
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
