//! `subscriptions/listen`: a stream that lasts (2026-07-28, subscriptions). It has no limit of ours,
//! and where it breaks the same request is sent again, for as long as the bridge lives: the server
//! keeps nothing of a stream that broke, and the host does not see that it did.
//!
//! So nor does the host see that it missed something, for which a host that listens over HTTP itself has
//! the break ("Graceful Closure"). In its place it is told that the lists may have changed, under the id of
//! its own subscription, once the server has agreed to the repeated request: of those lists that the host
//! asked for and the server agreed to, and of no other ("Opening a Stream", "Acknowledgment"); and no more
//! often than its [`Repose`] allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Replies, headers};
use crate::authorizer::AuthorizerError;
use crate::jsonrpc::{Head, Id, Message, code};
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::pending::Ticket;
use crate::relay::reconnect::{Pause, Reconnects, suspended};
use crate::relay::tells::Repose;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Rejection, Reply};
use crate::wire::ACKNOWLEDGED;

/// The shortest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// A stream that stood for this long was a good one, even if nothing came.
const STOOD: Duration = Duration::from_secs(10);
/// How often a login is looked for: a look costs a `stat`.
const LOOK: Duration = Duration::from_millis(500);

/// How a stream ended.
enum End {
    /// The subscription is over.
    Over,
    /// The stream broke; whether it had brought anything.
    Broke { was_good: bool },
}

/// The server's word that it tells the host of changes.
#[derive(Default)]
enum Word {
    /// The host has not had it.
    #[default]
    Awaited,
    /// The host has had it.
    Given,
    /// It was given, and broken since.
    Missed,
    /// It was given again, in these words; the host is owed one about what it may have missed.
    Renewed(Box<Message>),
}

/// What the host has heard of its subscription.
#[derive(Default)]
struct Told {
    word: Word,
    repose: Repose,
}

impl Told {
    /// Resolves when the host is to hear what it may have missed.
    async fn is_due(&self) {
        match &self.word {
            Word::Renewed(_) => self.repose.over().await,
            _ => std::future::pending().await,
        }
    }
}

impl Inner {
    /// Keeps a subscription of the host's.
    pub(in crate::relay) async fn subscribe(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
    ) -> Result<(), Failure> {
        let headers = headers::routing(message.head(), None);
        let mut reconnects = Reconnects::new(PAUSE);
        let (mut has_stood, mut owes_changes) = (false, false);
        let mut told = Told::default();
        loop {
            // A person who is asked to log in has asked for something.
            let outgoing = Outgoing {
                within: Within::Routed(&headers),
                attendance: if has_stood { Attendance::Nobody } else { Attendance::Person },
                ..Outgoing::request(message.bytes(), request)
            };
            let pause = match self.send(outgoing).await.map(|answer| answer.reply) {
                Ok(Reply::Events(stream)) => {
                    let stream = Reply::Events(stream.ended_by(suspended()));
                    let replies = Replies::of(stream, request.id())?;
                    let again = std::mem::replace(&mut has_stood, true);
                    if std::mem::take(&mut owes_changes) {
                        self.tell_changes(message, None).await;
                        told.repose.begin();
                    }
                    if again {
                        // What changed meanwhile was told to nobody.
                        self.modern.tools.changed();
                    }
                    match self.follow_subscription(replies, message, request, &mut told).await {
                        End::Over => return Ok(()),
                        End::Broke { was_good: true } => reconnects.stood(),
                        End::Broke { was_good: false } => {}
                    }
                    Pause::Passing(None)
                }
                Ok(Reply::Rejected(rejection) | Reply::SessionGone(rejection))
                    if has_stood && !is_of_server(&rejection) =>
                {
                    Pause::behind(&rejection)
                }
                Err(Failure::Authorizer(error)) if has_stood && owes_changes => {
                    Pause::Passing(matches!(error, AuthorizerError::LoginRequired { .. }).then_some(LOOK))
                }
                Err(Failure::Http(_) | Failure::Authorizer(_)) if has_stood => Pause::Passing(None),
                Err(Failure::Authorizer(_)) if self.modern.stands_in.load(Ordering::Relaxed) => {
                    self.acknowledge(message).await;
                    (has_stood, owes_changes, told.word) = (true, true, Word::Given);
                    Pause::Passing(None)
                }
                answer => {
                    let answer = answer?;
                    // The lists that it was let in with are not the server's, whatever this is.
                    if owes_changes {
                        self.tell_changes(message, None).await;
                    }
                    let mut replies = Replies::of(answer, request.id())?;
                    while let Some(reply) = replies.next().await? {
                        self.hand_on(reply, request).await;
                    }
                    return Ok(());
                }
            };
            reconnects.pause(pause).await;
        }
    }

    /// Hands on what the stream brings, but for an acknowledgement where the host has had one: there it
    /// stands for what the host may have missed.
    async fn follow_subscription(
        &self,
        mut replies: Replies,
        subscription: &Message,
        request: &Ticket,
        told: &mut Told,
    ) -> End {
        let since = Instant::now();
        let mut messages = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = told.is_due() => None,
                next = replies.next() => Some(next),
            };
            let Some(next) = next else {
                self.tell_missed(subscription, told).await;
                continue;
            };
            let message = match next {
                Ok(Some(message)) => message,
                Ok(None) => return End::Over,
                Err(failure) => {
                    tracing::debug!(%failure, "a subscription's stream broke off");
                    if !matches!(told.word, Word::Awaited) {
                        told.word = Word::Missed;
                    }
                    return End::Broke { was_good: messages > 1 || since.elapsed() > STOOD };
                }
            };
            messages += 1;
            if message.head().method() == Some(ACKNOWLEDGED) {
                match std::mem::replace(&mut told.word, Word::Given) {
                    Word::Awaited => {}
                    Word::Given => continue,
                    Word::Missed | Word::Renewed(_) => {
                        told.word = Word::Renewed(message.into());
                        continue;
                    }
                }
            }
            let is_end = ends(&message, request.id());
            self.hand_on(message, request).await;
            if is_end {
                // The host has heard of the end, and wants no answer on top of it.
                drop(self.pending.settle(request));
                return End::Over;
            }
        }
    }

    /// Tells the host of the lists that may have changed while the server's word was broken.
    async fn tell_missed(&self, subscription: &Message, told: &mut Told) {
        if let Word::Renewed(agreed) = std::mem::replace(&mut told.word, Word::Given) {
            self.tell_changes(subscription, Some(&agreed)).await;
            told.repose.begin();
        }
    }
}

/// Whether a refusal is the server's own and for good, and not of a moment or of somebody on the way.
fn is_of_server(rejection: &Rejection) -> bool {
    !rejection.may_pass() && rejection.body.as_deref().and_then(code::of).is_some()
}

/// Whether the server ends the subscription with a word in place of an answer (2026-07-28,
/// cancellation).
fn ends(message: &Message, subscription: &Id) -> bool {
    match message.head() {
        Head::Notification { method, parameters } => {
            method == "notifications/cancelled" && parameters.request_id.as_ref() == Some(subscription)
        }
        _ => false,
    }
}
