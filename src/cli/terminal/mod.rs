//! What the terminal can, and who is there to answer.
//!
//! Everything for people goes to stderr; stdout carries data alone.

mod hidden;
mod input;
mod line;

use std::io::{self, IsTerminal};

use clap::builder::styling::Style;

use crate::config::{ColorChoice, Settings};

pub(super) use hidden::Hidden;
pub(super) use input::{Input, InputError, Question};

/// How many columns stdout's terminal has; `None` where it is none, or does not tell.
pub(super) fn columns() -> Option<u16> {
    columns_of(io::stdout())
}

/// The same of stderr's.
pub(super) fn stderr_columns() -> Option<u16> {
    columns_of(io::stderr())
}

#[cfg(unix)]
fn columns_of(stream: impl std::os::fd::AsFd) -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// Elsewhere nothing here asks: what is wide then wraps.
#[cfg(not(unix))]
fn columns_of<S>(_stream: S) -> Option<u16> {
    None
}

/// The terminal as this run finds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// Whether questions may be asked: a person is at stdin and stderr, and `--no-input` is absent.
    pub(super) may_ask: bool,
    /// Whether stdin is a terminal.
    pub(super) stdin: bool,
    /// Whether stderr is a terminal that can move its cursor: spinners are possible.
    pub(super) animated: bool,
    /// Whether stdout shows colours.
    pub(super) colored_stdout: bool,
    /// Whether stderr shows colours.
    pub(super) colored_stderr: bool,
    hyperlinks: bool,
}

impl Terminal {
    /// Looks at the standard streams.
    pub(super) fn new(settings: &Settings) -> Self {
        let (stdin, stdout, stderr) =
            (io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal());
        let colored = |terminal: bool| match settings.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal,
        };
        Self {
            may_ask: settings.input && stdin && stderr,
            stdin,
            animated: stderr && settings.capable_terminal,
            colored_stdout: colored(stdout),
            colored_stderr: colored(stderr),
            hyperlinks: stderr && settings.hyperlinks,
        }
    }

    /// `text` in `style`, for stderr where that shows colours.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if self.colored_stderr { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// As [`paint`](Self::paint), for stdout.
    pub(super) fn paint_stdout(&self, style: Style, text: &str) -> String {
        if self.colored_stdout { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A URL on one line of stderr; where the terminal can, also as one link however it wraps.
    pub(super) fn link(&self, url: &str) -> String {
        if self.hyperlinks { format!("\x1b]8;;{url}\x1b\\{url}\x1b]8;;\x1b\\") } else { url.to_owned() }
    }
}
