//! Finding out whether there is anything to translate: a host that speaks 2026-07-28 is served as it
//! asks by a server that does so too, and else by a session that is opened in its name.

use std::collections::VecDeque;
use std::time::Instant;

use super::envelope::Envelope;
use super::translator::Translator;
use super::{Names, Out, Turn, ambiguous, pong, refusal};
use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Head, Id, InvalidMessage, Message, code};

/// How many messages of the host's wait for the server's era.
const WAITING: usize = 1000;

/// All that is said, without the pipes that it is said on.
#[derive(Default)]
pub(super) struct Machine {
    phase: Phase,
    names: Names,
}

#[derive(Default)]
enum Phase {
    /// Nothing was found out.
    #[default]
    Unknown,
    /// The server's era is being found out, or a session opened.
    Opening(Box<Opening>),
    /// There is nothing to translate. The answer to a request of ours is nobody's.
    Passing {
        ours: Option<Id>,
    },
    Translating(Box<Translator>),
}

struct Opening {
    /// The request that is under way.
    asked: Id,
    /// Whether that is `initialize`, and no longer `server/discover`.
    initializes: bool,
    /// What the host said of itself first.
    envelope: Envelope,
    /// The host's own `server/discover`, where it waits for an answer.
    probe: Option<Message>,
    waiting: VecDeque<Message>,
}

impl Machine {
    /// Something of the host's.
    pub(super) fn host(&mut self, message: Message, now: Instant) -> Vec<Out> {
        if message.head().method() == Some("initialize") {
            return self.pass(message);
        }
        let mut turn = Turn { names: &mut self.names, now };
        let said = match &mut self.phase {
            Phase::Unknown => return self.begin(message),
            Phase::Passing { .. } => return vec![Out::Server(message.into_bytes())],
            Phase::Opening(opening) => return opening.wait(message),
            Phase::Translating(translator) => translator.host(&message, &mut turn),
        };
        said.unwrap_or_else(|repeated| ambiguous(&message, repeated))
    }

    /// Something of the host's that is no message. Only a session knows what a batch is to it.
    pub(super) fn invalid(&self, frame: bytes::Bytes, invalid: &InvalidMessage) -> Out {
        match &self.phase {
            Phase::Unknown | Phase::Passing { .. } => Out::Server(frame),
            Phase::Opening(_) | Phase::Translating(_) => Out::Host(invalid.to_response().into_bytes()),
        }
    }

    /// Something of the server's; where it came in answer to a request, that is `on`.
    pub(super) fn server(&mut self, message: Message, on: Option<&Id>, now: Instant) -> Vec<Out> {
        let mut turn = Turn { names: &mut self.names, now };
        match (&mut self.phase, message.head()) {
            (Phase::Translating(translator), _) => {
                let said = translator.server(&message, on, &mut turn);
                said.unwrap_or_else(|repeated| {
                    tracing::warn!(%repeated, "a message of the server's is refused");
                    Vec::new()
                })
            }
            (Phase::Opening(opening), Head::Response { id, .. }) if *id == opening.asked => {
                self.answered(&message, now)
            }
            (Phase::Opening(_), Head::Request { id, .. }) => {
                let reason = "nobody can be asked yet";
                vec![pong(&message).unwrap_or_else(|| refusal(id, code::METHOD_NOT_FOUND, reason).back())]
            }
            (Phase::Opening(_), Head::Notification { .. }) => Vec::new(),
            (Phase::Passing { ours }, Head::Response { id, .. }) if ours.as_ref() == Some(id) => Vec::new(),
            _ => vec![Out::Host(message.into_bytes())],
        }
    }

    /// What time brings.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Out> {
        match &mut self.phase {
            Phase::Translating(translator) => translator.expire(&mut Turn { names: &mut self.names, now }),
            _ => Vec::new(),
        }
    }

    /// When time brings something next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Translating(translator) => translator.deadline(),
            _ => None,
        }
    }

    /// The server has lost the session, and a new one stands in its place, begun with this `answer` to
    /// `initialize`.
    pub(super) fn renewed(&mut self, answer: Option<&Message>) {
        if let Phase::Translating(translator) = &mut self.phase {
            translator.renewed(answer.and_then(|answer| edit::member(answer.text(), "result").ok()?));
        }
    }

    /// The host has left, and will answer nothing more.
    pub(super) fn abandon(&mut self) -> Vec<Out> {
        match &mut self.phase {
            Phase::Translating(translator) => translator.abandon(),
            _ => Vec::new(),
        }
    }

    /// Ends all that is under way.
    pub(super) fn end(&mut self, reason: &'static str) -> Vec<Out> {
        match std::mem::take(&mut self.phase) {
            Phase::Translating(mut translator) => translator.end(reason),
            Phase::Opening(opening) => opening.fail(None, reason),
            Phase::Unknown | Phase::Passing { .. } => Vec::new(),
        }
    }

    /// A host that opens a session itself, be it that it gave up on what it asked before.
    fn pass(&mut self, initialize: Message) -> Vec<Out> {
        let ours = match &self.phase {
            Phase::Opening(opening) => opening.is_ours().then(|| opening.asked.clone()),
            _ => None,
        };
        let mut out = match &mut self.phase {
            // The server's answer is the host's.
            Phase::Opening(opening) if !opening.is_ours() => {
                opening.probe = None;
                Vec::new()
            }
            _ => Vec::new(),
        };
        out.extend(self.end("the host began a session of its own"));
        self.phase = Phase::Passing { ours };
        out.push(Out::Server(initialize.into_bytes()));
        out
    }

    /// The host's first message. What is not of 2026-07-28 is the session's to judge.
    fn begin(&mut self, message: Message) -> Vec<Out> {
        let Head::Request { id, method, parameters } = message.head() else {
            return vec![Out::Server(message.into_bytes())];
        };
        if parameters.protocol_version.is_none() {
            return vec![Out::Server(message.into_bytes())];
        }
        let envelope = match Envelope::of(&message) {
            Ok(envelope) => envelope,
            Err(repeated) => return ambiguous(&message, repeated),
        };
        let is_probe = method == "server/discover";
        let asked = if is_probe { id.clone() } else { self.names.id() };
        let mut opening =
            Opening { asked, initializes: false, envelope, probe: None, waiting: VecDeque::new() };
        let out = match is_probe {
            true => {
                opening.probe = Some(message.clone());
                Out::Server(message.into_bytes())
            }
            false => {
                opening.waiting.push_back(message);
                Out::server(opening.envelope.discover(&opening.asked))
            }
        };
        self.phase = Phase::Opening(Box::new(opening));
        vec![out]
    }

    /// The answer to what was asked of the server.
    fn answered(&mut self, answer: &Message, now: Instant) -> Vec<Out> {
        let Head::Response { successful, .. } = answer.head() else { return Vec::new() };
        let Phase::Opening(mut opening) = std::mem::take(&mut self.phase) else { return Vec::new() };
        if !opening.initializes {
            if *successful || code::of(answer.bytes()).is_some_and(code::is_modern) {
                return self.same_era(*opening, answer);
            }
            (opening.asked, opening.initializes) = (self.names.id(), true);
            let initialize = opening.envelope.initialize(&opening.asked);
            return match initialize {
                Ok(initialize) => {
                    self.phase = Phase::Opening(opening);
                    vec![Out::server(initialize)]
                }
                Err(Repeated(_)) => {
                    opening.fail(None, "what the host says of itself could be read in two ways")
                }
            };
        }
        let result = edit::member(answer.text(), "result").ok().flatten().filter(|_| *successful);
        match result.and_then(|result| Translator::new(result).ok()) {
            Some(translator) => self.translate(translator, *opening, now),
            None => opening.fail(Some(answer), "the server opened no session"),
        }
    }

    /// The server speaks as the host does.
    fn same_era(&mut self, opening: Opening, answer: &Message) -> Vec<Out> {
        self.phase = Phase::Passing { ours: None };
        let answer = opening.probe.map(|_| Out::Host(answer.bytes().clone()));
        let waiting = opening.waiting.into_iter().map(|message| Out::Server(message.into_bytes()));
        answer.into_iter().chain(waiting).collect()
    }

    /// A session stands.
    fn translate(&mut self, translator: Translator, opening: Opening, now: Instant) -> Vec<Out> {
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.phase = Phase::Translating(Box::new(translator));
        let mut out = vec![Out::server(initialized.to_owned())];
        for message in opening.probe.into_iter().chain(opening.waiting) {
            out.extend(self.host(message, now));
        }
        out
    }
}

impl Opening {
    /// Whether the request under way is not the host's own.
    fn is_ours(&self) -> bool {
        self.probe.as_ref().and_then(|probe| probe.head().request_id()) != Some(&self.asked)
    }

    /// Keeps a message until it is known what becomes of it.
    fn wait(&mut self, message: Message) -> Vec<Out> {
        if let Head::Notification { method, parameters } = message.head()
            && method == "notifications/cancelled"
            && let Some(cancelled) = &parameters.request_id
        {
            let is_it = |message: &Message| message.head().request_id() == Some(cancelled);
            // What is found out is of use all the same.
            self.probe.take_if(|probe| is_it(probe));
            self.waiting.retain(|message| !is_it(message));
            return Vec::new();
        }
        if self.waiting.len() < WAITING {
            self.waiting.push_back(message);
            return Vec::new();
        }
        let refused = |id| refusal(id, code::INTERNAL_ERROR, "too many requests are under way");
        message.head().request_id().map(refused).into_iter().collect()
    }

    /// No session is to be had: the host's probe hears what sends it to `initialize`, and what else
    /// it asked hears why, from the server itself where that has said so.
    fn fail(self, answer: Option<&Message>, reason: &str) -> Vec<Out> {
        let probe = self.probe.as_ref().and_then(|probe| probe.head().request_id());
        let probe = probe.map(|id| refusal(id, code::METHOD_NOT_FOUND, "Method not found"));
        let error = answer.and_then(|answer| Some((answer, edit::member(answer.text(), "error").ok()??)));
        let waiting = self.waiting.iter().filter_map(|message| message.head().request_id());
        let refused = waiting.map(|id| {
            let readdressed = error.and_then(|(answer, _)| {
                let mut frame = Edit::of(answer.text())?;
                Some(frame.set("id", id.as_json()).finish().ok()?.into_owned())
            });
            readdressed.map_or_else(|| refusal(id, code::INTERNAL_ERROR, reason), Out::host)
        });
        probe.into_iter().chain(refused).collect()
    }
}
