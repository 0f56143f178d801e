//! How a login under way looks: a spinner with the remaining time on a terminal, plain lines
//! elsewhere.

use std::future::pending;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use url::Url;

use crate::authorizer::login::{Event, Move};
use crate::cli::terminal::Terminal;
use crate::cli::{moment, talk};
use crate::clock;

/// How long one picture of the spinner stands.
const TURN: Duration = Duration::from_millis(120);

/// The person's view of one login.
pub(super) struct Progress {
    terminal: Terminal,
    name: String,
    spinner: Option<ProgressBar>,
    until: Option<Timestamp>,
}

impl Progress {
    pub(super) fn new(terminal: Terminal, name: &str) -> Self {
        Self { terminal, name: name.to_owned(), spinner: None, until: None }
    }

    /// Shows an event; `pasting` tells whether the answer may be pasted here.
    pub(super) fn show(&mut self, event: &Event, pasting: bool) {
        match event {
            Event::WaitingForOtherLogin => {
                self.begin(format!("Another mcp-front logs in to {} already; waiting for it", self.name));
            }
            Event::Discovered { authorization_host, scopes, moved } => {
                if let Some(Move { known, named }) = moved {
                    self.say(&format!(
                        "warning: the authorization server changed: the stored login is {known}'s, and the \
                         service now names {named}.\n\
                         Nothing of the stored login goes there. Sign in only if you expected this change."
                    ));
                }
                let scopes = if scopes.is_empty() {
                    String::new()
                } else {
                    format!(", asking for {}", scopes.join(" "))
                };
                self.say(&format!(
                    "Logging in to {} at {authorization_host}{scopes}.\n\
                     The login acts as whoever is signed in there.",
                    self.name
                ));
            }
            Event::Authorize { url, browser, redirect_uri, listening, until } => {
                let opening = match browser {
                    Some(Ok(())) => "Your browser opens. If it does not, open this address on this machine \
                         (from another one, run this with --no-browser):"
                        .to_owned(),
                    Some(Err(error)) => format!("{error}. Open this address in a browser:"),
                    None => "Open this address in a browser:".to_owned(),
                };
                self.say(&format!("{opening}\n\n{}\n", self.terminal.link(url.as_str())));
                self.say_how_to_answer(redirect_uri, *listening, pasting);
                self.until = Some(*until);
                self.begin("Waiting for the browser".to_owned());
            }
            Event::Refused(error) => {
                self.say(&format!("That does not answer this login: {error}. Still waiting."))
            }
            Event::Exchanging => {
                self.until = None;
                self.begin("Fetching the tokens".to_owned());
            }
            Event::Saving { place } => self.begin(format!("Saving in {place}")),
        }
    }

    /// Says that something pasted is of no use.
    pub(super) fn refuse(&self, problem: &str) {
        self.say(&format!("That cannot be used: {problem}. Still waiting."));
    }

    /// Turns the spinner once; never ends where there is none.
    pub(super) async fn turn(&mut self) {
        let Some(spinner) = &self.spinner else { return pending().await };
        tokio::time::sleep(TURN).await;
        if let Some(until) = self.until {
            let left = until.duration_since(clock::now()).as_secs().max(0);
            spinner.set_message(format!("Waiting for the browser, {}:{:02} left", left / 60, left % 60));
        }
        spinner.tick();
    }

    fn say_how_to_answer(&self, redirect_uri: &Url, listening: bool, pasting: bool) {
        match (listening, pasting) {
            (true, true) => self.say(
                "On another machine, the browser ends on an address that does not load: \
                 paste that address here and press Enter. It is not shown.",
            ),
            (false, true) => self.say(&format!(
                "The browser ends on an address that begins with {redirect_uri} and may not load: \
                 paste that address here and press Enter. It is not shown."
            )),
            (_, false) => {}
        }
    }

    /// Begins a step that takes time.
    fn begin(&mut self, doing: String) {
        if !self.terminal.animated {
            let until = self.until.map(|until| format!(" until {}", moment::shown(until, clock::now())));
            self.say(&format!("{doing}{}", until.unwrap_or_default()));
            return;
        }
        let spinner = self.spinner.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        spinner.set_message(doing);
        spinner.tick();
    }

    /// Writes a line above the spinner. A closed stderr stops no login.
    fn say(&self, line: &str) {
        let write = || talk::say(&format!("{line}\n"));
        match &self.spinner {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }
}

/// However the login ends, by Ctrl-C too, no picture of the spinner stays on the terminal.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
