//! The demo's transcript: what happened and when, for people to read.
//!
//! Lines are written whole and at once, so that the transcript can be followed as it grows. What a
//! process or server chose to say passes through [`printable`].

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::redact::printable;

/// How wide the first column is.
const SUBJECT: usize = 22;

/// How many characters of a quoted line are shown where no terminal shows them.
const QUOTE: usize = 100;

/// What stands before a quoted line.
const MARGIN: usize = 12;

/// The transcript and where it goes.
pub(super) struct Transcript {
    out: Box<dyn Write + Send>,
    colour: bool,
    countdown: bool,
    quote: usize,
    started: Instant,
    chapters: u32,
}

/// How a piece of a line looks where colour is wanted (ECMA-48 "select graphic rendition").
#[derive(Clone, Copy)]
enum Look {
    Bold,
    Faint,
    Good,
}

impl Transcript {
    /// Starts the clock. `countdown` says that standard error is the terminal that shows the transcript,
    /// which has so many `columns`.
    pub(super) fn new(
        out: Box<dyn Write + Send>,
        colour: bool,
        countdown: bool,
        columns: Option<u16>,
    ) -> Self {
        // The character that stands for the rest takes a column too.
        let quote = columns.map_or(QUOTE, |columns| usize::from(columns).saturating_sub(MARGIN + 1));
        Self { out, colour, countdown, quote, started: Instant::now(), chapters: 0 }
    }

    /// Opens a numbered chapter; `command` is what a person would type after `mcp-front`.
    pub(super) fn chapter(&mut self, title: &str, command: Option<&[&str]>) -> io::Result<()> {
        self.chapters += 1;
        let title = self.look(Look::Bold, &format!("{}. {title}", self.chapters));
        self.line(&format!("\n{title}"))?;
        match command {
            Some(arguments) => self.line(&format!("   $ mcp-front {}", printable(&arguments.join(" ")))),
            None => Ok(()),
        }
    }

    /// Writes a line of the demo's own, not tied to a moment.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.line(text)
    }

    /// Notes that `subject` just happened, and what came of it.
    pub(super) fn note(&mut self, subject: &str, text: &str) -> io::Result<()> {
        let clock = self.look(Look::Faint, &format!("{:>6.2} s", self.started.elapsed().as_secs_f64()));
        let subject = format!("{:<SUBJECT$}", printable(subject));
        self.line(&format!("{clock}  {subject} {}", printable(text)))
    }

    /// Repeats a line that a process or the server wrote, cut where it would not fit.
    pub(super) fn quote(&mut self, line: &str) -> io::Result<()> {
        let bar = self.look(Look::Faint, "│");
        let mut shown = printable(line.trim_end());
        if let Some((end, _)) = shown.char_indices().nth(self.quote) {
            shown.truncate(end);
            shown.push('…');
        }
        self.line(format!("          {bar} {shown}").trim_end())
    }

    /// Closes the transcript with the time that all took.
    pub(super) fn finish(&mut self, text: &str) -> io::Result<()> {
        let took = self.started.elapsed().as_secs_f64();
        let text = self.look(Look::Good, &format!("{text}, in {took:.1} s"));
        self.line(&format!("\n{text}"))
    }

    /// Waits until `moment`, with a countdown where a terminal shows it.
    pub(super) async fn wait(&mut self, moment: Instant, subject: &str) {
        let countdown = self.countdown.then(|| Countdown);
        while let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            let Some(countdown) = &countdown else {
                tokio::time::sleep(left).await;
                continue;
            };
            countdown.show(subject, left);
            tokio::time::sleep(left.min(Duration::from_millis(100))).await;
        }
    }

    fn look(&self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Bold => 1,
            Look::Faint => 2,
            Look::Good => 32,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes())?;
        self.out.flush()
    }
}

/// A line on the terminal's error stream that is written over and over, and gone when this is
/// dropped: the transcript itself stays free of rewritten lines.
struct Countdown;

impl Countdown {
    fn show(&self, subject: &str, left: Duration) {
        let _ =
            io::stderr().write_all(format!("\r          {subject} {:.1} s ", left.as_secs_f64()).as_bytes());
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        let _ = io::stderr().write_all(b"\r\x1b[2K");
    }
}
