//! The server's log, whose level a modern host names with each request that wants to read it
//! (2026-07-28, logging), and a legacy session has once for all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::retired::LOG_LEVELS;
use super::{Out, Turn, UNANSWERED, cancellation};
use crate::jsonrpc::{Id, Message, code, edit};

/// How many requests may wait for a level to be set.
const WAITING: usize = 1000;
/// How long a server may take to set a level, before what waits for it goes all the same.
const SETTING_LIMIT: Duration = Duration::from_secs(10);

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Severity(usize);

impl Severity {
    /// Reads a level's JSON text; `None` where there is no such level.
    pub(super) fn of(text: &str) -> Option<Self> {
        let level: String = serde_json::from_str(text).ok()?;
        LOG_LEVELS.iter().position(|known| *known == level).map(Self)
    }
}

/// The level that the session has, and the requests that wait for another.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// Whether the server has a log whose level can be set.
    can_be_set: bool,
    level: Option<Severity>,
    setting: Option<Setting>,
}

/// A level that is being set.
#[derive(Debug)]
struct Setting {
    /// What sets it.
    id: Id,
    since: Instant,
    /// The requests that go behind it.
    waiting: VecDeque<Message>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It goes to the server.
    Goes,
    /// It waits for this to be answered.
    Waits { first: Option<String> },
    /// Too many wait.
    Refused,
}

impl Logs {
    /// Starts with what the server offers.
    pub(super) fn new(can_be_set: bool) -> Self {
        Self { can_be_set, ..Self::default() }
    }

    /// Says when a request goes for which the session needs this level: what it wants to read itself, or
    /// more, where another that is under way does.
    pub(super) fn admit(&mut self, request: &Message, level: Severity, turn: &mut Turn<'_>) -> Then {
        match &mut self.setting {
            Some(setting) if setting.waiting.len() >= WAITING => Then::Refused,
            Some(setting) => {
                setting.waiting.push_back(request.clone());
                Then::Waits { first: None }
            }
            None if !self.can_be_set || self.level == Some(level) => Then::Goes,
            None => {
                let id = turn.names.id();
                let frame = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"method":"logging/setLevel","params":{{"level":"{}"}}}}"#,
                    id.as_json(),
                    LOG_LEVELS[level.0],
                );
                let waiting = VecDeque::from([request.clone()]);
                self.setting = Some(Setting { id, since: turn.now, waiting });
                self.level = Some(level);
                Then::Waits { first: Some(frame) }
            }
        }
    }

    /// The answer to the request `id`; the requests that waited for it, `None` where it is none of
    /// these. A server that knows no such request is not asked again.
    pub(super) fn answered(&mut self, id: &Id, answer: &Message) -> Option<VecDeque<Message>> {
        let set = self.setting.take_if(|setting| setting.id == *id)?;
        self.can_be_set &= code::of(answer.bytes()) != Some(code::METHOD_NOT_FOUND);
        Some(set.waiting)
    }

    /// When the level has not been set in time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.setting.as_ref().map(|setting| setting.since + SETTING_LIMIT)
    }

    /// What has waited long enough for a level to be set, and the word that calls that off. A server that does
    /// not answer is not asked again.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(Out, VecDeque<Message>)> {
        let is_late = |setting: &mut Setting| now.saturating_duration_since(setting.since) >= SETTING_LIMIT;
        let Setting { id, waiting, .. } = self.setting.take_if(is_late)?;
        self.can_be_set = false;
        Some((cancellation(&id, UNANSWERED), waiting))
    }

    /// The level was not set. What waited for it goes all the same; what comes later asks again.
    pub(super) fn doubt(&mut self) {
        self.level = self.level.filter(|_| self.setting.is_some());
    }

    /// Whether the host's request `id` waits.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.waiting().any(|request| request.head().request_id() == Some(id))
    }

    /// Lets go of the host's request `id`; false where it does not wait.
    pub(super) fn cancel(&mut self, id: &Id) -> bool {
        let Some(Setting { waiting, .. }) = &mut self.setting else { return false };
        let before = waiting.len();
        waiting.retain(|request| request.head().request_id() != Some(id));
        waiting.len() < before
    }

    /// The session is another one, whose server has such a log or not, where it says so; the level is said
    /// again there.
    pub(super) fn renewed(&mut self, can_be_set: Option<bool>) {
        self.can_be_set = can_be_set.unwrap_or(self.can_be_set);
    }

    /// The ids of the requests that wait; they wait no more.
    pub(super) fn end(&mut self) -> Vec<Id> {
        let waiting = self.waiting().filter_map(|request| request.head().request_id().cloned()).collect();
        self.setting = None;
        waiting
    }

    fn waiting(&self) -> impl Iterator<Item = &Message> {
        self.setting.iter().flat_map(|setting| &setting.waiting)
    }
}

/// How grave a message of the server's is; `None` where it does not say so in the known words.
pub(super) fn severity(notification: &Message) -> Option<Severity> {
    let level = edit::member_at(notification.text(), &["params", "level"]).ok()??;
    Severity::of(level)
}
