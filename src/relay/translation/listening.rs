//! The subscription that is kept open for a legacy host (2026-07-28, subscriptions): what was told on
//! a session's stream, and of single resources, is told on the stream of a `subscriptions/listen`
//! of ours. Where it breaks it is opened again for as long as the session lasts, and the host is told
//! what it may have missed. Only the server itself can say that it keeps none: a refusal by anybody else is
//! taken for one that passes. Where the host wants to hear of something else, another takes its place,
//! and the first ends when that stands.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::Pair;
use super::changes::{Filter, Heard, RESOURCES, heard};
use super::introduction::Introduction;
use crate::jsonrpc::{ErrorResponse, Id, Message, code};
use crate::relay::modern::Replies;
use crate::relay::reconnect::{Pause, Reconnects, suspended};
use crate::relay::tells::Tells;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::Reply;

/// The shortest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// A stream that stood for this long was a good one, even if nothing came.
const STOOD: Duration = Duration::from_secs(10);
/// How long a new stream may take before the one before it ends regardless, and before the host is
/// told that its subscription stands: it will, once the server is there again.
const OPENING_LIMIT: Duration = Duration::from_secs(10);
/// How long a stream goes on behind its successor's beginning, for what is on its way.
const OVERLAP: Duration = Duration::from_millis(100);

/// What the host wants to hear of, and the task that listens.
pub(super) struct Subscription {
    wanted: watch::Sender<Filter>,
    standing: watch::Sender<Standing>,
    task: OnceLock<AbortOnDropHandle<Option<()>>>,
}

/// What became of the latest request for a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Standing {
    /// The resources that it asked for.
    asked: BTreeSet<String>,
    verdict: Verdict,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet.
    #[default]
    Open,
    /// It stands, for these resources where the server said which.
    Stands(Option<BTreeSet<String>>),
    /// The server does no such thing.
    Refused,
}

/// How a stream ended.
enum End {
    /// It was over; whether it had been a good one.
    Broke { was_good: bool },
    /// There was none.
    Declined(Option<Duration>),
    /// The server keeps none: it said so.
    Refused,
}

/// A request for a stream that is made again and again.
struct Listening {
    filter: Filter,
    standing: watch::Sender<Standing>,
    /// Whether the server has ever agreed to it.
    has_stood: bool,
}

impl Listening {
    /// Says what became of it, unless another one took its place.
    fn say(&self, verdict: Verdict) {
        self.standing.send_if_modified(|standing| {
            let ours = standing.asked == self.filter.resources;
            if ours {
                standing.verdict = verdict;
            }
            ours
        });
    }
}

impl Subscription {
    /// Nothing is listened to yet.
    pub(super) fn new(tells: Tells) -> Self {
        let filter = Filter { tells, ..Filter::default() };
        let (wanted, standing) = (watch::Sender::new(filter), watch::Sender::default());
        Self { wanted, standing, task: OnceLock::new() }
    }

    /// Adds a resource; false where there are too many.
    fn want(&self, uri: &str) -> bool {
        let mut has_room = true;
        self.wanted.send_if_modified(|filter| {
            has_room = filter.resources.len() < RESOURCES || filter.resources.contains(uri);
            has_room && filter.resources.insert(uri.to_owned())
        });
        has_room
    }

    /// The host wants to hear of this resource no more.
    pub(super) fn forget(&self, uri: &str) {
        self.wanted.send_if_modified(|filter| filter.resources.remove(uri));
    }
}

impl Inner {
    /// Listens, where two sides know each other.
    pub(in crate::relay) fn start_listening_to_changes(self: &Arc<Self>) {
        if let Some(pair) = self.translation.pair() {
            self.start_listening_for(&pair);
        }
    }

    /// Listens for as long as the two sides know each other.
    pub(super) fn start_listening_for(self: &Arc<Self>, pair: &Pair) {
        pair.subscription.task.get_or_init(|| {
            let (wanted, standing) =
                (pair.subscription.wanted.subscribe(), pair.subscription.standing.clone());
            let listening = Arc::clone(self).keep_listening(Arc::clone(&pair.introduction), wanted, standing);
            AbortOnDropHandle::new(self.spawn_until_closing(listening))
        });
    }

    /// Adds a resource to those that the host hears of, and waits for the server to agree. Gives the
    /// error where it does not.
    pub(super) async fn subscribe_to(
        self: &Arc<Self>,
        pair: &Pair,
        uri: String,
        id: &Id,
    ) -> Option<ErrorResponse> {
        let refusal = |code, reason: &str| Some(ErrorResponse::new(id.clone(), code, reason));
        let subscription = &pair.subscription;
        if !subscription.wanted.borrow().tells.updates {
            return refusal(code::METHOD_NOT_FOUND, "Method not found");
        }
        let standing = subscription.standing.subscribe();
        if !subscription.want(&uri) {
            return refusal(code::INTERNAL_ERROR, "too many subscriptions");
        }
        self.start_listening_for(pair);
        match decided(standing, |asked| asked.contains(&uri)).await {
            Verdict::Refused => {
                subscription.forget(&uri);
                refusal(code::METHOD_NOT_FOUND, "Method not found")
            }
            Verdict::Stands(Some(told)) if !told.contains(&uri) => {
                subscription.forget(&uri);
                refusal(code::INVALID_PARAMS, "the server does not tell of changes of this resource")
            }
            Verdict::Stands(_) | Verdict::Open => None,
        }
    }

    async fn keep_listening(
        self: Arc<Self>,
        introduction: Arc<Introduction>,
        mut wanted: watch::Receiver<Filter>,
        standing: watch::Sender<Standing>,
    ) {
        let mut stream = None;
        loop {
            let filter = wanted.borrow_and_update().clone();
            let next = (!filter.is_empty()).then(|| {
                let (asked, introduction) = (filter.resources.clone(), Arc::clone(&introduction));
                standing.send_replace(Standing { asked, verdict: Verdict::Open });
                let listening = Listening { filter, standing: standing.clone(), has_stood: false };
                let listening = Arc::clone(&self).listen_for(introduction, listening);
                AbortOnDropHandle::new(self.spawn_until_closing(listening))
            });
            if next.is_some() {
                decided(standing.subscribe(), |_| true).await;
                if stream.is_some() {
                    tokio::time::sleep(OVERLAP).await;
                }
            }
            // The one before it ends here.
            stream = next;
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }

    /// Keeps one stream open.
    async fn listen_for(self: Arc<Self>, introduction: Arc<Introduction>, mut listening: Listening) {
        let mut reconnects = Reconnects::new(PAUSE);
        let params = listening.filter.params();
        loop {
            let id = self.translation.next_id();
            let Ok(request) = introduction.request(&id, "subscriptions/listen", &params) else { return };
            let Ok(request) = Message::parse(request.into()) else { return };
            let pause = match self.ask_alone(&request).await.map(|answer| answer.reply) {
                Ok(Reply::Rejected(rejection)) if rejection.may_pass() => {
                    Pause::Passing(rejection.retry_after)
                }
                Err(Failure::Http(_) | Failure::Authorizer(_)) => Pause::Passing(None),
                reply => match self.hear(reply, &request, &mut listening).await {
                    End::Refused => return listening.say(Verdict::Refused),
                    End::Broke { was_good } => {
                        if was_good {
                            reconnects.stood();
                        }
                        Pause::Passing(None)
                    }
                    End::Declined(wish) => Pause::Refused(wish),
                },
            };
            reconnects.pause(pause).await;
        }
    }

    /// Hands on what one stream brings.
    async fn hear(&self, reply: Result<Reply, Failure>, request: &Message, listening: &mut Listening) -> End {
        let (since, mut changes) = (Instant::now(), 0);
        let Some(id) = request.head().request_id() else { return End::Refused };
        let reply = reply.map(|reply| match reply {
            Reply::Events(stream) => Reply::Events(stream.ended_by(suspended())),
            reply => reply,
        });
        let mut replies = match reply.and_then(|reply| Replies::of(reply, id)) {
            Ok(replies) => replies,
            Err(failure) => {
                tracing::debug!(%failure, "no stream of changes");
                return End::Declined(match failure {
                    Failure::Rejected { retry_after, .. } => retry_after,
                    _ => None,
                });
            }
        };
        loop {
            let message = match replies.next().await {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(failure) => {
                    tracing::debug!(%failure, "the stream of changes broke off");
                    break;
                }
            };
            match heard(&message, id) {
                Ok(Heard::Acknowledged(told)) => {
                    if std::mem::replace(&mut listening.has_stood, true) {
                        self.legacy.missed.notify_one();
                    }
                    listening.say(Verdict::Stands(told));
                }
                Ok(Heard::Change(change)) => {
                    changes += 1;
                    self.modern.heard(message.head().method().unwrap_or_default());
                    self.emit(bytes::Bytes::copy_from_slice(change.as_bytes())).await;
                }
                Ok(Heard::Ended) if !listening.has_stood => {
                    if code::of(message.bytes()) == Some(code::METHOD_NOT_FOUND) {
                        return End::Refused;
                    }
                    // A server that ends what it never began does no such thing, as far as the host is
                    // concerned.
                    listening.say(Verdict::Refused);
                    return End::Declined(None);
                }
                Ok(Heard::Ended) => break,
                Ok(Heard::Foreign) => tracing::warn!("a message that is no business of a subscription"),
                Err(repeated) => tracing::warn!(%repeated, "a message of the server's is refused"),
            }
        }
        End::Broke { was_good: changes > 0 || since.elapsed() > STOOD }
    }
}

/// Waits for the verdict on a request for resources that are the `right` ones; open where it takes
/// too long.
async fn decided(
    mut standing: watch::Receiver<Standing>,
    right: impl Fn(&BTreeSet<String>) -> bool,
) -> Verdict {
    let decided = standing.wait_for(|standing| standing.verdict != Verdict::Open && right(&standing.asked));
    match tokio::time::timeout(OPENING_LIMIT, decided).await {
        Ok(Ok(standing)) => standing.verdict.clone(),
        _ => Verdict::Open,
    }
}
