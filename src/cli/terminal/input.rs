//! Lines from stdin, asked for or awaited while something else goes on.
//!
//! Stdin cannot be read with a limit in time on every platform, so a thread of its own blocks on
//! it; it holds nothing that has to be given back, and ends with the process.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::Terminal;
use super::hidden::Hidden;
use super::line::{Line, Step};
use crate::redact::{ExposeSecret, Secret};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum InputError {
    /// Nothing may be asked: stdin is no terminal, or `--no-input` was given.
    #[error("{what} is needed, and nothing can be asked here")]
    NotAsked {
        /// What is missing.
        what: &'static str,
        /// How to give it without being asked, as a hint.
        instead: &'static str,
    },
    /// What was typed cannot be used.
    #[error("{what}: {problem}")]
    Unusable {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with it; never the text itself.
        problem: &'static str,
    },
    /// The person ended the input.
    #[error("interrupted")]
    Interrupted,
    /// The terminal or stdin failed.
    #[error("cannot read from the terminal")]
    Io(#[from] io::Error),
}

/// What is asked for, and how to give it where nothing can be asked.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Question {
    /// The prompt.
    pub(in crate::cli) prompt: &'static str,
    /// What it asks for, in a sentence.
    pub(in crate::cli) what: &'static str,
    /// How to give it without being asked, as a hint.
    pub(in crate::cli) instead: &'static str,
}

impl Question {
    /// The error where it cannot be asked.
    pub(in crate::cli) fn unasked(self) -> InputError {
        InputError::NotAsked { what: self.what, instead: self.instead }
    }
}

/// The lines of stdin.
pub(in crate::cli) struct Input {
    lines: mpsc::Receiver<Result<Secret, &'static str>>,
}

impl Input {
    /// Starts to read stdin; from now on nothing else in this process may.
    pub(in crate::cli) fn open() -> Self {
        let (sender, lines) = mpsc::channel(4);
        std::thread::spawn(move || read_lines(io::stdin(), &sender));
        Self { lines }
    }

    /// The next line, or `None` at the end of input. Cancel-safe.
    pub(in crate::cli) async fn next(&mut self) -> Option<Result<Secret, &'static str>> {
        self.lines.recv().await
    }

    /// Asks for a line that may be seen; an empty answer is asked for again.
    ///
    /// # Errors
    /// [`InputError`]; [`InputError::NotAsked`] unless `terminal` permits a question.
    pub(in crate::cli) async fn ask(
        &mut self,
        terminal: &Terminal,
        question: Question,
    ) -> Result<String, InputError> {
        permit(terminal, question)?;
        loop {
            if let Some(answer) = self.answer(question.prompt, question.what).await? {
                return Ok(answer.expose_secret().to_owned());
            }
        }
    }

    /// Asks for a line that is not shown; an empty answer is asked for again.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(in crate::cli) async fn ask_hidden(
        &mut self,
        terminal: &Terminal,
        question: Question,
    ) -> Result<Secret, InputError> {
        loop {
            if let Some(answer) = self.ask_hidden_or_none(terminal, question).await? {
                return Ok(answer);
            }
        }
    }

    /// Asks for a line that is not shown; `None` for an empty one.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(in crate::cli) async fn ask_hidden_or_none(
        &mut self,
        terminal: &Terminal,
        question: Question,
    ) -> Result<Option<Secret>, InputError> {
        permit(terminal, question)?;
        let hidden = Hidden::begin().map_err(|_| question.unasked())?;
        let answer = self.answer(question.prompt, question.what).await;
        drop(hidden);
        writeln!(io::stderr())?;
        answer
    }

    /// Asks a question that only `y` or `yes` affirms.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(in crate::cli) async fn confirm(
        &mut self,
        terminal: &Terminal,
        question: Question,
    ) -> Result<bool, InputError> {
        permit(terminal, question)?;
        let answer = self.answer(&format!("{} [y/N]", question.prompt), question.what).await?;
        let affirms = |answer: Secret| matches!(answer.expose_secret(), "y" | "Y" | "yes" | "Yes" | "YES");
        Ok(answer.is_some_and(affirms))
    }

    async fn answer(&mut self, prompt: &str, what: &'static str) -> Result<Option<Secret>, InputError> {
        write!(io::stderr(), "{prompt}: ")?;
        let line = self.next().await.ok_or(InputError::Interrupted)?;
        let line = line.map_err(|problem| InputError::Unusable { what, problem })?;
        let text = line.expose_secret().trim();
        Ok((!text.is_empty()).then(|| Secret::from(text.to_owned())))
    }
}

fn permit(terminal: &Terminal, question: Question) -> Result<(), InputError> {
    if terminal.may_ask { Ok(()) } else { Err(question.unasked()) }
}

fn read_lines(mut input: impl Read, sender: &mpsc::Sender<Result<Secret, &'static str>>) {
    let mut line = Line::default();
    let mut buffer = Zeroizing::new([0; 1024]);
    loop {
        let count = match input.read(&mut buffer[..]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let ended = if count == 0 { Some(line.end()) } else { None };
        let steps = buffer[..count].iter().map(|byte| line.push(*byte));
        for step in steps.collect::<Vec<_>>().into_iter().chain(ended) {
            let sent = match step {
                Step::More => continue,
                Step::Line(text) => sender.blocking_send(Ok(text)),
                Step::Unusable(why) => sender.blocking_send(Err(why)),
                Step::End => return,
            };
            if sent.is_err() {
                return;
            }
        }
        if count == 0 {
            return;
        }
    }
}
