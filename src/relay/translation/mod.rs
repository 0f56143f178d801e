//! A host and a server of different eras: what one side says, as the other understands it.
//!
//! Here a host that opens with `initialize` (2025-11-25 and earlier, "legacy") meets a server that
//! knows nothing of it (2026-07-28, "modern"; the specification calls this pair a failure). Only
//! what must change is changed:
//!
//! | from the host | becomes |
//! |---|---|
//! | `initialize` | `server/discover` of ours, whose result becomes the host's `InitializeResult`: `protocolVersion` and `serverInfo` are set, `supportedVersions`, `resultType`, `ttlMs` and `cacheScope` removed |
//! | a request | the same with version, client information, client capabilities and log level in `params._meta` |
//! | a request, again | the same with `inputResponses`, `requestState` and an id of ours, once the host has answered what the server asked |
//! | an answer to what we asked | its `result`, a member of `inputResponses` |
//! | `ping`, `logging/setLevel`, `resources/subscribe`, `resources/unsubscribe` | nothing: answered here |
//! | `notifications/cancelled` of a request | the end of its response stream |
//! | `notifications/initialized`, `notifications/roots/list_changed`, `notifications/progress` | nothing |
//!
//! | from the server | becomes |
//! |---|---|
//! | a complete result | the same; a legacy result may hold more than it has to (`resultType`, `ttlMs`, `cacheScope`) |
//! | `structuredContent` that is no object | nothing: the legacy schema has objects alone, and the content says the same as text |
//! | a tool's `outputSchema` that is not of type object | nothing, for the same reason |
//! | `true` and `false` among a schema's `properties` | `{}` and `{"not":{}}`, which say the same as objects |
//! | `input_required` | requests of ours to the host: the server's own with `jsonrpc` and `id`, and an `elicitationId` where one asks to open a URL |
//! | the answer to a request that went again | the same with the host's id |
//! | a change notification | the same without the id of our subscription |
//! | `notifications/subscriptions/acknowledged` | nothing |
//!
//! The other direction, for hosts that know no `initialize`, is that of [`ahead`].
//!
//! Two readings of one frame are refused here as everywhere: a member that is looked at or changed
//! may stand there once.

mod ahead;
mod asking;
mod changes;
mod introduction;
mod listening;
mod opening;
mod questions;
mod requests;
mod results;
mod retired;
mod rounds;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::jsonrpc::{Id, Message};
use crate::relay::tells::Tells;
pub(super) use ahead::Ahead;
use introduction::{Introduction, Offers};
use listening::Subscription;
pub(super) use opening::Opened;
use questions::Questions;
pub(super) use requests::Translated;

/// Whether, and between whom, this session translates.
pub(super) struct Translation {
    pair: Mutex<Option<Arc<Pair>>>,
    questions: Questions,
    /// How many ids of ours were given out.
    named: AtomicU64,
}

/// A legacy host and a modern server that know each other.
pub(super) struct Pair {
    introduction: Arc<Introduction>,
    /// What the host lets servers ask of it.
    offers: Offers,
    log_level: Mutex<Option<&'static str>>,
    subscription: Subscription,
}

impl Translation {
    /// No translation, and the queue of questions that are withdrawn from the host.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Id>) {
        let (questions, withdrawn) = Questions::new();
        (Self { pair: Mutex::default(), questions, named: AtomicU64::default() }, withdrawn)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Pair>>> {
        self.pair.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The two sides, where they are of different eras.
    pub(super) fn pair(&self) -> Option<Arc<Pair>> {
        self.slot().clone()
    }

    /// The two sides know each other from here on.
    fn begin(&self, introduction: Introduction, offers: Offers, tells: Tells) {
        *self.slot() = Some(Arc::new(Pair {
            introduction: Arc::new(introduction),
            offers,
            log_level: Mutex::default(),
            subscription: Subscription::new(tells),
        }));
    }

    /// From here on there is nothing to translate, until two sides know each other again.
    pub(super) fn end(&self) {
        *self.slot() = None;
    }

    /// Hands the host's answer to whoever asked in a server's name.
    pub(super) fn answered(&self, id: &Id, answer: Message) {
        if !self.questions.answered(id, answer) {
            tracing::debug!("the host answered a question that is closed");
        }
    }

    /// The host's answer could be read in two ways: whoever asked gets none.
    pub(super) fn answered_badly(&self, id: &Id) {
        self.questions.close(id);
    }

    /// An id for a request of ours, to either side.
    fn next_id(&self) -> String {
        format!("mcp-front-{}", self.named.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Pair {
    fn log_level(&self) -> Option<&'static str> {
        *self.log_level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_log_level(&self, level: &'static str) {
        *self.log_level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }
}
