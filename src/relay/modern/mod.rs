//! A server of 2026-07-28, to a host of the same era: requests pass through, each as a POST of its
//! own that intermediaries can route by its headers. There is no session to open, renew or end, no
//! stream but those that answer a request, and no word but the end of such a stream that cancels it.
//!
//! Frames stay to the byte, but for the tools that the specification bids to leave out of a list.

mod annotations;
mod calls;
mod headers;
mod probe;
mod replies;
mod stand_in;
mod subscription;
mod tools;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::exchange::{Outgoing, Within};
use super::in_place;
use super::pending::Ticket;
use super::{Failure, Inner};
use crate::jsonrpc::{Head, Message, edit};
use crate::upstream::streamable_http::Reply;
use crate::wire::TOOLS_CHANGED;
pub(super) use replies::Replies;
pub(super) use tools::Asked;
use tools::Tools;

/// How long a notification may take.
const NOTIFICATION_LIMIT: Duration = Duration::from_secs(30);

/// What is kept of a conversation in which nobody keeps a session.
#[derive(Default)]
pub(super) struct Modern {
    tools: Tools,
    /// Held by the one that asks for the tools again.
    refreshing: tokio::sync::Mutex<()>,
    /// The version that the host's last request of this era named; `None` where its last word was of
    /// the era before.
    host: Mutex<Option<Arc<str>>>,
    /// Whether the host was let in before there was a login.
    stands_in: AtomicBool,
}

impl Modern {
    fn host(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the version that a request of the host's names, where it names one.
    pub(super) fn host_sent(&self, request: &Message) {
        let Head::Request { parameters, .. } = request.head() else { return };
        let Some(version) = parameters.protocol_version.as_deref() else { return };
        let mut host = self.host();
        if host.as_deref() != Some(version) {
            *host = Some(version.into());
        }
    }

    /// The host began in the era before.
    pub(super) fn host_initializes(&self) {
        *self.host() = None;
    }

    /// To be asked when a request goes out, for [`learn_from`](Self::learn_from).
    pub(super) fn ask_tools(&self) -> Asked {
        self.tools.ask()
    }

    /// Takes note of what the answer to a request teaches; gives the answer without the tools that
    /// no client may offer. `shown` makes a name that the server chose safe to print.
    pub(super) fn learn_from(
        &self,
        answer: Message,
        request: &Message,
        asked: Asked,
        shown: impl Fn(&str) -> String,
    ) -> Bytes {
        let lists_tools = request.head().method() == Some("tools/list");
        match answer.head() {
            Head::Response { successful: true, .. } if lists_tools => self.tools.learn(answer, asked, shown),
            _ => answer.into_bytes(),
        }
    }

    /// Takes note of what a notification of the server's means here.
    pub(super) fn heard(&self, method: &str) {
        if method == TOOLS_CHANGED {
            self.tools.changed();
        }
    }
}

impl Inner {
    /// The version that a host of this era speaks; `None` where it is of the era before. A session that
    /// stands binds the process, whatever single requests of this era go beside it (2026-07-28,
    /// versioning).
    pub(super) fn host_version(&self) -> Option<Arc<str>> {
        if self.legacy.handshake.is_settled() { None } else { self.modern.host().clone() }
    }

    /// A request of a host of this era.
    pub(super) async fn pass_request(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
    ) -> Result<(), Failure> {
        let asked = self.modern.ask_tools();
        let mut replies = match self.ask(message, request).await {
            Err(failure @ Failure::Authorizer(_)) if self.modern.stands_in.load(Ordering::Relaxed) => {
                self.stand_in_modern(message, request, &failure).await;
                return Ok(());
            }
            Ok(_) if self.is_late(message) => {
                self.reply(request, &in_place::relieved()).await;
                return Ok(());
            }
            replies => replies?,
        };
        while let Some(reply) = replies.next().await? {
            match reply.head() {
                Head::Response { .. } => {
                    self.unlearn(&reply);
                    let answer = self.modern.learn_from(reply, message, asked, self.shown());
                    self.answer_with(answer, request).await;
                }
                _ => self.hand_on(reply, request).await,
            }
        }
        Ok(())
    }

    /// Takes back that the server is of the era before, where only one of this era answers so.
    fn unlearn(&self, answer: &Message) {
        let is_modern = || edit::member_at(answer.text(), &["result", "resultType"]);
        if self.eras.modern() == Some(false) && matches!(is_modern(), Ok(Some(_))) {
            self.eras.learn_modern(true);
        }
    }

    /// Hands on one message that came in answer to `request`.
    pub(super) async fn hand_on(&self, message: Message, request: &Ticket) {
        match message.head() {
            Head::Response { .. } => return self.answer_with(message.into_bytes(), request).await,
            Head::Notification { method, .. } => self.modern.heard(method),
            // Servers of this era have no requests; the host is to know of one that has.
            Head::Request { .. } => {}
        }
        self.emit(message.into_bytes()).await;
    }

    /// Answers `request`, unless it is settled or cancelled.
    pub(super) async fn answer_with(&self, answer: Bytes, request: &Ticket) {
        if let Some(settled) = self.pending.settle(request) {
            self.respond(settled, answer).await;
        }
    }

    /// A notification of a host of this era, which speaks `version`.
    pub(super) async fn pass_notification(&self, message: &Message, version: &str) {
        let headers = headers::routing(message.head(), Some(version));
        let outgoing = Outgoing { within: Within::Routed(&headers), ..Outgoing::message(message.bytes()) };
        let method = message.head().method();
        match tokio::time::timeout(NOTIFICATION_LIMIT, self.send(outgoing)).await {
            Ok(Ok(answer)) => {
                if let Reply::Rejected(rejection) | Reply::SessionGone(rejection) = answer.reply {
                    tracing::warn!(method, status = %rejection.status, "the server refused a notification");
                }
            }
            Ok(Err(failure)) => tracing::warn!(method, %failure, "a notification did not reach the server"),
            Err(_) => tracing::warn!(method, "a notification took too long"),
        }
    }
}
