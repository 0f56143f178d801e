//! In the server's place, while there is no login that opens it.
//!
//! Hosts connect once, at their start, and give up on a server that refuses. So the host is let in:
//! it finds empty lists and one tool that says what to run. As soon as the login is there, the
//! host's own `initialize` is replayed to the server, the host is told that the lists have changed
//! (MCP tools, prompts, resources: "List Changed Notification"), and the server speaks for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::json;
use tokio::sync::{Mutex, Notify, watch};

use crate::authorizer::AuthorizerError;
use crate::jsonrpc::{Head, Message, edit, result_response};
use crate::relay::exchange::Attendance;
use crate::relay::in_place;
use crate::relay::pending::Ticket;
use crate::relay::tells::Tells;
use crate::relay::{Failure, Inner};
use crate::wire::negotiated;

/// How long `initialize` waits for something to carry, before it is answered in the server's place.
pub(super) const AUTHORIZATION_LIMIT: Duration = Duration::from_millis(1500);
/// How long a request waits for what has become of the login.
const NEWS_LIMIT: Duration = Duration::from_secs(1);
/// The same where that is worth waiting for: a refresh is under way, or a browser may be opened.
const GOOD_NEWS_LIMIT: Duration = Duration::from_secs(25);
/// How often the login is looked for where none is there: a look costs a `stat`.
const PAUSE: Duration = Duration::from_millis(500);
/// How seldom it is looked for where a look asks the keychain or the network.
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// Whether the host is answered in the server's place, and why.
#[derive(Default)]
pub(in crate::relay) struct StandIn {
    /// Why the server cannot be reached; `None` where it speaks for itself.
    cause: watch::Sender<Option<Arc<Failure>>>,
    /// Whether the host was ever answered so.
    has_stood: AtomicBool,
    /// Counts the beginnings, so that an old search ends where a new one has begun.
    turn: AtomicU64,
    /// Somebody wants to know what has become of the login.
    asked: Notify,
    /// A person waits for it.
    attended: AtomicBool,
    /// Held by whoever answers in the server's place, and while the server takes over: no stale
    /// answer comes behind the word that the lists have changed.
    speaking: Mutex<()>,
}

impl StandIn {
    /// Whether the host is answered in the server's place.
    pub(in crate::relay) fn stands(&self) -> bool {
        self.cause.borrow().is_some()
    }

    /// Whether nothing but a login is missing.
    fn wants_login(&self) -> bool {
        let cause = self.cause.borrow();
        matches!(cause.as_deref(), Some(Failure::Authorizer(AuthorizerError::LoginRequired { .. })))
    }

    /// Whether a refresh is under way.
    fn is_refreshing(&self) -> bool {
        let cause = self.cause.borrow();
        matches!(cause.as_deref(), Some(Failure::Authorizer(AuthorizerError::Busy { .. })))
    }

    /// The host starts over: whatever was said in the server's place is void.
    pub(super) fn dismiss(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        self.cause.send_replace(None);
    }
}

impl Inner {
    /// Answers `initialize` in the server's place.
    pub(super) async fn let_in(self: &Arc<Self>, message: &Message, request: &Ticket, failure: Failure) {
        let stand_in = &self.legacy.stand_in;
        let help = self.help(&failure);
        tracing::warn!("{help}");
        // The session that the host knows of is one that the server has yet to learn of.
        self.legacy.handshake.restart();
        let answer = json!({
            "protocolVersion": revision(message),
            "capabilities": in_place::capabilities(),
            "serverInfo": in_place::server_info(),
            "instructions": help,
        });
        if let Ok(answer) = Message::parse(result_response(request.id(), &answer)) {
            self.legacy.handshake.record_answer(&answer);
        }
        stand_in.has_stood.store(true, Ordering::Relaxed);
        stand_in.cause.send_replace(Some(Arc::new(failure)));
        let turn = stand_in.turn.load(Ordering::Relaxed);
        self.spawn_until_closing(Arc::clone(self).look_for_login(turn));
        self.reply(request, &answer).await;
    }

    /// Answers a request in the server's place; false where the server speaks for itself.
    pub(super) async fn stand_in(&self, message: &Message, request: &Ticket) -> bool {
        let stand_in = &self.legacy.stand_in;
        let Head::Request { method, parameters, .. } = message.head() else { return false };
        if !stand_in.has_stood.load(Ordering::Relaxed) {
            return false;
        }
        let is_call = method == "tools/call";
        if stand_in.stands() {
            self.ask_for_news(is_call).await;
        }
        let _speaking = stand_in.speaking.lock().await;
        let cause = stand_in.cause.borrow().clone();
        match cause {
            Some(failure) => {
                match in_place::result(method, &self.help(&failure)) {
                    Some(result) => self.reply(request, &result).await,
                    None => self.refuse(request, &failure).await,
                }
                true
            }
            // A host that has not listed anew.
            None if is_call && parameters.name.as_deref() == Some(in_place::TOOL) => {
                self.reply(request, &in_place::relieved()).await;
                true
            }
            None => false,
        }
    }

    /// Has the login looked for, and waits a moment for what comes of it.
    async fn ask_for_news(&self, attended: bool) {
        let stand_in = &self.legacy.stand_in;
        let mut cause = stand_in.cause.subscribe();
        let login = attended && self.authorizer.may_open_browser();
        // Where none can open, every request of the host's is worth a question to the server.
        stand_in.attended.fetch_or(login || !self.authorizer.may_open_browser(), Ordering::Relaxed);
        stand_in.asked.notify_one();
        let limit = if login || stand_in.is_refreshing() { GOOD_NEWS_LIMIT } else { NEWS_LIMIT };
        let _none = tokio::time::timeout(limit, cause.changed()).await;
    }

    /// Tries to reach the server, until it speaks for itself.
    async fn look_for_login(self: Arc<Self>, turn: u64) {
        let pauses = ExponentialBuilder::default().with_min_delay(PAUSE).with_max_delay(PAUSE_MOST);
        let mut pauses = pauses.without_max_times().with_jitter().build();
        let stand_in = &self.legacy.stand_in;
        loop {
            let pause = if stand_in.wants_login() { PAUSE } else { pauses.next().unwrap_or(PAUSE_MOST) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stand_in.asked.notified() => {}
            }
            let attendance = match stand_in.attended.swap(false, Ordering::Relaxed) {
                true => Attendance::Person,
                false => Attendance::Nobody,
            };
            if stand_in.turn.load(Ordering::Relaxed) != turn {
                return;
            }
            let outcome = self.renew(self.legacy.handshake.epoch(), attendance).await;
            let _speaking = stand_in.speaking.lock().await;
            if stand_in.turn.load(Ordering::Relaxed) != turn {
                return;
            }
            let Err(failure) = outcome else { return self.relieve().await };
            stand_in.cause.send_replace(Some(Arc::new(failure)));
        }
    }

    /// Lets the server speak for itself, and says so.
    async fn relieve(&self) {
        self.legacy.stand_in.cause.send_replace(None);
        tracing::info!("the login is there: the server speaks for itself");
        self.tell_list_changes(Tells { tools: true, prompts: true, resources: true, updates: false }).await;
    }
}

/// The revision to answer `initialize` in: the host's own, where it is known.
fn revision(initialize: &Message) -> &'static str {
    let asked = edit::member_at(initialize.text(), &["params", "protocolVersion"]);
    let asked = asked.ok().flatten().and_then(edit::decoded);
    negotiated(asked.as_deref().and_then(|asked| std::str::from_utf8(asked).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_answered_in_its_own_revision() {
        for (asked, answered) in [
            (r#"{"protocolVersion":"2025-03-26"}"#, "2025-03-26"),
            (r#"{"protocolVersion":"2099-01-01"}"#, "2025-11-25"),
            (r#"{"protocolVersion":7}"#, "2025-11-25"),
            ("[]", "2025-11-25"),
        ] {
            let frame = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{asked}}}"#);
            assert_eq!(revision(&Message::parse(frame.into()).unwrap()), answered, "{asked}");
        }
    }
}
