//! The process's environment, read once.
//!
//! This is the one place that asks for environment variables, arguments and the program's own
//! path. What is empty counts as not set, but for a key. The snapshot may hold secrets and so has no
//! `Debug`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

/// The words of the command line, the program's name first.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The absolute path of the running program.
///
/// # Errors
/// Where the system does not tell.
pub fn executable() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// A snapshot of environment variables, and the word that started the program.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    program: Option<OsString>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect(), program: arguments().into_iter().next() }
    }

    /// The word that started the program, which starts it again where it was typed.
    pub fn program(&self) -> &OsStr {
        self.program.as_deref().filter(|word| !word.is_empty()).unwrap_or(OsStr::new("mcp-front"))
    }

    /// The value of `name`, unless it is missing or empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Whether `name` is set to nothing, where that is a slip and no wish for the default.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.variables.get(OsStr::new(name)).is_some_and(|value| value.is_empty())
    }

    /// Forgets `names`: no helper process gets them.
    pub fn forget<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.variables.remove(OsStr::new(name));
        }
    }

    /// What says how a terminal is written to, and nothing else.
    pub fn of_terminal(&self) -> Self {
        const TERMINAL: [&str; 3] = ["TERM", "NO_COLOR", "CLICOLOR_FORCE"];
        let known = |name: &str| Some((OsString::from(name), self.get(name)?.to_owned()));
        Self { variables: TERMINAL.into_iter().filter_map(known).collect(), program: self.program.clone() }
    }

    /// Every variable, for a helper process to choose from.
    pub fn iter(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.variables.clone().into_iter()
    }

    /// The value of `name` as text; `Some(Err(_))` where it is not Unicode.
    pub(super) fn text(&self, name: &str) -> Option<Result<&str, NotUnicode>> {
        self.get(name).map(|value| value.to_str().ok_or(NotUnicode))
    }
}

/// A variable's value is not Unicode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUnicode;

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, program: None }
    }
}
