//! Asking the host what the server needs before it can answer (2026-07-28, multi round-trip
//! requests).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::json;
use tokio::sync::mpsc;

use super::rounds::{Asks, Round, Unaskable};
use crate::jsonrpc::edit::{self, Repeated};
use crate::jsonrpc::{ErrorResponse, Head, Id, Message, code};
use crate::relay::Inner;

/// How often a server may ask the host something before it answers one request.
const ASKED_MOST: u32 = 10;
/// How often it may put us off without a question.
const PUT_OFF_MOST: u32 = 1000;
/// The pauses where there was no question, which by themselves would end the haste.
const PAUSE_LEAST: Duration = Duration::from_millis(250);
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// Why the server does not get what it needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmet {
    /// It cannot be asked for.
    #[error(transparent)]
    Unaskable(#[from] Unaskable),
    /// The host answered with an error, which is kept to the letter.
    #[error("the server asked the host something ({method}), and the host answered with an error")]
    Refused { method: &'static str, error: Option<String> },
    /// It is asked for again and again.
    #[error("the server asked for input {0} times and still gave no answer")]
    Endless(u32),
}

impl From<Repeated> for Unmet {
    fn from(repeated: Repeated) -> Self {
        Self::Unaskable(repeated.into())
    }
}

impl Unmet {
    /// The error response for the host's request with this id.
    pub(super) fn to_response(&self, id: &Id) -> ErrorResponse {
        let reason = match self {
            Self::Unaskable(Unaskable::NotOffered(_)) => "input_not_offered",
            Self::Unaskable(_) => "invalid_answer",
            Self::Refused { .. } => "input_refused",
            Self::Endless(_) => "input_endless",
        };
        // The server has seen the request, and stopped before its end.
        let mut data = json!({"source": "mcp-front", "reason": reason, "mayHaveExecuted": true});
        if let Self::Refused { error: Some(error), .. } = self {
            data["hostError"] = serde_json::from_str(error).unwrap_or_default();
        }
        ErrorResponse::new(id.clone(), code::INTERNAL_ERROR, self.to_string()).with_data(data)
    }
}

/// How much of its patience a request has used.
#[derive(Debug, Default)]
pub(super) struct Patience {
    asked: u32,
    put_off: u32,
}

impl Patience {
    /// Counts a round; gives how long to wait before the request goes again.
    fn count(&mut self, round: &Round<'_>) -> Result<Duration, Unmet> {
        let (count, most) = match round.questions.is_empty() {
            false => (&mut self.asked, ASKED_MOST),
            true => (&mut self.put_off, PUT_OFF_MOST),
        };
        *count += 1;
        if *count > most {
            return Err(Unmet::Endless(most));
        }
        Ok(match round.questions.is_empty() {
            false => Duration::ZERO,
            true => (PAUSE_LEAST * 2_u32.pow((self.put_off - 1).min(8))).min(PAUSE_MOST),
        })
    }
}

impl Inner {
    /// Asks the host what a round asks for, and gives the request that goes to the server next.
    ///
    /// # Cancel safety
    /// Questions that are open are withdrawn.
    pub(super) async fn meet(
        &self,
        round: &Round<'_>,
        patience: &mut Patience,
        request: &str,
    ) -> Result<String, Unmet> {
        let pause = patience.count(round)?;
        tokio::time::sleep(pause).await;
        let answers = self.ask_host(round).await?;
        Ok(round.retry(request, &self.translation.next_id(), &answers)?)
    }

    /// Asks all at once; gives the answers in the order of the questions.
    async fn ask_host(&self, round: &Round<'_>) -> Result<Vec<String>, Unmet> {
        let mut open = Vec::new();
        for question in &round.questions {
            let frame = question.frame(&self.translation.next_id())?;
            let read = Message::parse(frame.into()).ok();
            let Some((frame, id)) =
                read.and_then(|frame| Some((frame.clone(), frame.head().request_id()?.clone())))
            else {
                return Err(Unaskable::Malformed("an input request that is no request").into());
            };
            open.push((question.asks, self.translation.questions.ask(id)));
            self.emit(frame.into_bytes()).await;
        }
        // Where one cannot be had, the others are of no use.
        let answers =
            open.into_iter().map(|(asks, mut question)| async move { read(asks, question.answer().await) });
        try_join_all(answers).await
    }

    /// Calls off with the host what nobody waits for any more.
    pub(in crate::relay) async fn withdraw_questions(
        self: Arc<Self>,
        mut withdrawn: mpsc::UnboundedReceiver<Id>,
    ) {
        while let Some(id) = withdrawn.recv().await {
            let frame = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{}}}}}"#,
                id.as_json()
            );
            self.emit(frame.into()).await;
        }
    }
}

/// What the host's answer is to the server.
fn read(asks: Asks, answer: Option<Message>) -> Result<String, Unmet> {
    let refused = |error| Unmet::Refused { method: asks.method(), error };
    let answer = answer.ok_or_else(|| refused(None))?;
    if matches!(answer.head(), Head::Response { successful: true, .. }) {
        return Ok(edit::member(answer.text(), "result")?.unwrap_or("{}").to_owned());
    }
    match asks.instead_of_error() {
        Some(instead) => Ok(instead.to_owned()),
        None => Err(refused(edit::member(answer.text(), "error")?.map(str::to_owned))),
    }
}
