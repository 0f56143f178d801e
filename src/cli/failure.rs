//! What went wrong, told to a person and to a script.
//!
//! One match maps each kind of failure to its exit code and its hint: 0 ok, 1 failed, 2 usage,
//! 3 service unreachable or refused, 4 login required or denied, 5 credential store, 6 lock or
//! time limit, 130 interrupted. The text is `error: …`, then `caused by: …` for each cause, then
//! `hint: …`.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::terminal::InputError;
use crate::config::ConfigError;
use crate::demo::DemoError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Flags, environment or arguments.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A question without an answer.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The system refused something small.
    #[error("cannot {doing}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What a failure means outside.
struct Verdict {
    exit: u8,
    hint: Option<String>,
}

impl Failure {
    /// stdout could not be written.
    pub(super) fn write(source: io::Error) -> Self {
        Self::Io { doing: "write to stdout", source }
    }

    /// The process's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.verdict().exit
    }

    /// What stderr says, line by line. Nothing for an interruption: the person knows.
    pub(super) fn text(&self) -> String {
        let Verdict { exit, hint } = self.verdict();
        let mut text = String::new();
        if exit == INTERRUPTED {
            return text;
        }
        let _ = writeln!(text, "error: {self}");
        let mut last = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Some libraries repeat their cause in their own text.
            let line = error.to_string();
            if !last.ends_with(&line) {
                let _ = writeln!(text, "caused by: {line}");
            }
            last = line;
            cause = error.source();
        }
        if let Some(hint) = hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Config(error) => config(error),
            Self::Input(InputError::Interrupted) | Self::Demo(DemoError::Interrupted) => {
                Verdict { exit: INTERRUPTED, hint: None }
            }
            Self::Input(InputError::NotAsked { instead, .. }) => Verdict::of(USAGE, *instead),
            Self::Input(_) | Self::Demo(_) | Self::Io { .. } => Verdict { exit: FAILED, hint: None },
        }
    }
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const STORE: u8 = 5;
const INTERRUPTED: u8 = 130;

impl Verdict {
    fn of(exit: u8, hint: impl Into<String>) -> Self {
        Self { exit, hint: Some(hint.into()) }
    }
}

fn config(error: &ConfigError) -> Verdict {
    match error {
        ConfigError::UnknownService { near, .. } if !near.is_empty() => {
            Verdict::of(USAGE, format!("did you mean {}?", listed(near)))
        }
        ConfigError::UnknownService { .. } => {
            Verdict::of(USAGE, "`mcp-front tokens list` shows the names; a new service is added by its URL")
        }
        ConfigError::StorePinned { name, pinned, .. } => Verdict::of(
            USAGE,
            format!(
                "leave the choice out, or give --store {pinned}; to move it, first run `mcp-front tokens delete {name}`"
            ),
        ),
        ConfigError::Url(crate::server_uri::ServerUriError::PlainHttp(_)) => {
            Verdict::of(USAGE, "--allow-http permits it where the network is trusted")
        }
        ConfigError::Place(_) => Verdict { exit: STORE, hint: None },
        _ => Verdict { exit: USAGE, hint: None },
    }
}

/// Names in a sentence: `a`, `b` or `c`.
fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
