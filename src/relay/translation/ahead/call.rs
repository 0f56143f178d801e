//! One request of a modern host's on a legacy server, and who waits for whom.

use std::time::Instant;

use super::super::requests::ambiguous;
use super::envelope::Envelope;
use super::pages;
use super::{Out, Turn, cancellation, results};
use crate::jsonrpc::{ErrorResponse, Id, Message, code};
use crate::relay::Failure;

/// What a server hears that asks at the wrong time.
pub(super) const CANNOT_ASK: &str = "the host can be asked nothing now: it waits for no call that could ask";

/// One request that the server works on.
pub(super) struct Call {
    /// Which one it is, in the order of their beginnings.
    pub(super) number: u64,
    /// What the host sent first.
    pub(super) request: Message,
    /// What its latest attempt says.
    pub(super) envelope: Envelope,
    /// The token that the server knows, as JSON text.
    pub(super) progress_token: Option<String>,
    pub(super) stage: Stage,
}

/// Who waits for whom.
pub(super) enum Stage {
    /// The host's request with this id, for the server's answer.
    Awaited(Id),
    /// The server, for the host's next attempt.
    Parked(Box<Parked>),
}

pub(super) struct Parked {
    /// What the next attempt has to bring.
    pub(super) state: String,
    /// What the host was asked, by the keys that it was given.
    pub(super) questions: Vec<(String, Message)>,
    /// What the server has asked since.
    pub(super) later: Vec<Message>,
    /// The answer that came while nobody waited for it.
    pub(super) answer: Option<Message>,
    /// Whether that is what the host is asked in place of: the next attempt is a request of its own.
    pub(super) begins_again: bool,
    pub(super) since: Instant,
}

impl Call {
    pub(super) fn new(number: u64, host: &Id, request: &Message, envelope: Envelope) -> Self {
        Self {
            number,
            request: request.clone(),
            progress_token: envelope.progress_token.clone(),
            envelope,
            stage: Stage::Awaited(host.clone()),
        }
    }

    fn method(&self) -> &str {
        self.request.head().method().unwrap_or_default()
    }

    /// Whether the host can be asked in answer to this (2026-07-28, "Supported Requests").
    pub(super) fn may_ask(&self) -> bool {
        matches!(self.method(), "tools/call" | "prompts/get" | "resources/read") && !self.is_answered()
    }

    fn is_answered(&self) -> bool {
        self.parked().is_some_and(|parked| parked.answer.is_some())
    }

    pub(super) fn awaited(&self) -> Option<&Id> {
        match &self.stage {
            Stage::Awaited(host) => Some(host),
            Stage::Parked(_) => None,
        }
    }

    pub(super) fn parked(&self) -> Option<&Parked> {
        match &self.stage {
            Stage::Parked(parked) => Some(parked),
            Stage::Awaited(_) => None,
        }
    }

    /// Tells the host, whose request `host` waits, what the server wants to know.
    pub(super) fn ask(&mut self, host: Id, questions: Vec<Message>, turn: &mut Turn<'_>) -> Vec<Out> {
        if questions.is_empty() {
            self.stage = Stage::Awaited(host);
            return Vec::new();
        }
        let named: Vec<_> = questions.into_iter().map(|question| (turn.names.next(), question)).collect();
        let asked = turn.names.secret().and_then(|state| {
            let frame = results::input_required(&host, &named, &state).ok()?;
            Some((state, frame))
        });
        let Some((state, frame)) = asked else {
            self.stage = Stage::Awaited(host);
            return named.iter().filter_map(|(_, question)| unasked(question, CANNOT_ASK)).collect();
        };
        self.stage = Stage::Parked(Box::new(Parked {
            state,
            questions: named,
            later: Vec::new(),
            answer: None,
            begins_again: false,
            since: turn.now,
        }));
        vec![Out::host(frame)]
    }

    /// Answers the host's request `host`, or asks what has to be done before it comes again.
    pub(super) fn settle(&mut self, host: &Id, answer: &Message, turn: &mut Turn<'_>) -> Vec<Out> {
        let pages = self.may_ask().then(|| pages::asked_for(answer).ok().flatten()).flatten();
        match pages {
            Some(_) if !self.envelope.offers.urls => vec![pages::not_offered(host)],
            Some(pages) => self.ask_before(host, pages, answer, turn),
            None => vec![self.answer(host, answer)],
        }
    }

    /// Asks the host to open pages, in place of the `answer` that wants them opened.
    pub(super) fn ask_before(
        &mut self,
        host: &Id,
        pages: Vec<Message>,
        answer: &Message,
        turn: &mut Turn<'_>,
    ) -> Vec<Out> {
        let asked = self.ask(host.clone(), pages, turn);
        match &mut self.stage {
            Stage::Parked(parked) => {
                (parked.answer, parked.begins_again) = (Some(answer.clone()), true);
                asked
            }
            Stage::Awaited(_) => vec![self.answer(host, answer)],
        }
    }

    /// The answer to the host's request `host`.
    pub(super) fn answer(&self, host: &Id, answer: &Message) -> Out {
        match results::for_host(answer.text(), self.method(), host) {
            Ok(answer) => Out::host(answer.into_owned()),
            Err(repeated) => {
                Out::Host(Failure::from(ambiguous(host, repeated)).to_response(host.clone()).into_bytes())
            }
        }
    }

    /// Calls it off with the server, which knows it by `id`.
    pub(super) fn called_off(&self, id: &Id, reason: &str) -> Vec<Out> {
        if self.is_answered() {
            return Vec::new();
        }
        let mut out = Vec::new();
        if let Some(parked) = self.parked() {
            let asked = parked.questions.iter().map(|(_, question)| question);
            out.extend(asked.chain(&parked.later).filter_map(|question| unasked(question, reason)));
        }
        out.push(cancellation(id, reason));
        out
    }
}

/// The answer to a question that the host will not answer.
pub(super) fn unasked(question: &Message, reason: &str) -> Option<Out> {
    let id = question.head().request_id()?;
    Some(Out::Server(ErrorResponse::new(id.clone(), code::METHOD_NOT_FOUND, reason).into_bytes()))
}
