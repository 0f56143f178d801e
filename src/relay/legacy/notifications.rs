//! The host's notifications, which reach the server in the order in which they came, and before
//! the requests that came after them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::jsonrpc::Message;
use crate::relay::{Failure, Inner};

/// How many may wait for their turn.
const QUEUE: usize = 1024;
/// How long the host is held up where the queue is full, before one is left out.
const QUEUE_LIMIT: Duration = Duration::from_millis(100);
/// How long one keeps its turn; a server that takes longer gets the next one meanwhile.
const TURN: Duration = Duration::from_secs(2);
/// How long one may take altogether.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a request waits for each of the notifications before it.
const PRECEDENCE_LIMIT: Duration = Duration::from_millis(100);
/// How long it waits for all of them.
const PRECEDENCE_LIMIT_OF_ALL: Duration = TURN;
/// How long `notifications/initialized` holds back what follows it.
const INITIALIZED_LIMIT: Duration = Duration::from_secs(10);

/// The lane on which notifications go out one after the other.
pub(in crate::relay) struct Notifications {
    lane: mpsc::Sender<Message>,
    queued: watch::Sender<u64>,
    sent: watch::Sender<u64>,
}

impl Notifications {
    pub(super) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (lane, queue) = mpsc::channel(QUEUE);
        (Self { lane, queued: watch::Sender::new(0), sent: watch::Sender::new(0) }, queue)
    }

    /// Puts one into the lane. Where a server takes none for long, one is left out, and that is
    /// said: what comes after it matters more.
    pub(in crate::relay) async fn queue(&self, message: Message) {
        match tokio::time::timeout(QUEUE_LIMIT, self.lane.reserve()).await {
            Ok(Ok(place)) => {
                self.queued.send_modify(|count| *count += 1);
                place.send(message);
            }
            _ => tracing::warn!(
                method = message.head().method(),
                "a notification is left out: the server does not take them"
            ),
        }
    }

    /// How many were queued so far.
    pub(in crate::relay) fn queued(&self) -> u64 {
        *self.queued.borrow()
    }

    /// Waits a moment for the first `count` to have gone out: for as long as they do, one after the other.
    pub(super) async fn precede(&self, count: u64) {
        let mut sent = self.sent.subscribe();
        let waiting = async {
            while *sent.borrow_and_update() < count {
                if tokio::time::timeout(PRECEDENCE_LIMIT, sent.changed()).await.is_err() {
                    return;
                }
            }
        };
        let _late = tokio::time::timeout(PRECEDENCE_LIMIT_OF_ALL, waiting).await;
    }

    /// Waits for all to have had their turn.
    pub(in crate::relay) async fn drained(&self) {
        let all = self.queued();
        // The sender is ours: it cannot be gone.
        let mut sent = self.sent.subscribe();
        let _always = sent.wait_for(|sent| *sent >= all).await;
    }
}

impl Inner {
    /// Gives each notification its turn.
    pub(in crate::relay) async fn send_notifications(self: Arc<Self>, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.recv().await {
            let inner = Arc::clone(&self);
            let sending = self.spawn_awaited(async move {
                let sending = async {
                    drop(inner.legacy.gate.read().await);
                    match (inner.host_version(), inner.translation.pair()) {
                        (Some(version), _) => inner.pass_notification(&message, &version).await,
                        (None, Some(pair)) => inner.translate_notification(&pair, &message).await,
                        (None, None) => inner.send_unanswered(&message, None).await,
                    }
                };
                if tokio::time::timeout(LIMIT, sending).await.is_err() {
                    tracing::warn!(method = message.head().method(), "a notification took too long");
                }
            });
            let _unfinished = tokio::time::timeout(TURN, sending).await;
            self.legacy.notifications.sent.send_modify(|count| *count += 1);
        }
    }

    /// Sends `notifications/initialized`, ahead of all that follows it, and starts to listen: a server
    /// that has nobody to ask yet loses what a call would have it ask.
    pub(in crate::relay) async fn send_initialized(self: Arc<Self>, message: Message) {
        let gate = Arc::clone(&self.legacy.gate).write_owned().await;
        self.legacy.handshake.record_initialized(message.clone());
        if let Some(pair) = self.translation.pair() {
            return self.translate_notification(&pair, &message).await;
        }
        self.say_initialized(&message).await;
        // What follows does not wait for the stream's head: a server, or a proxy before it, may hold that
        // back until there is something to say, and every session would start late for a message that is
        // rarely sent in that moment.
        self.start_listening();
        drop(gate);
    }

    /// Says `initialized`, and notes where the server has not taken it, though it may another time.
    async fn say_initialized(self: &Arc<Self>, message: &Message) -> Option<Failure> {
        if self.legacy.stand_in.stands() {
            return None;
        }
        let epoch = self.legacy.handshake.epoch();
        let sending = self.try_send_unanswered(message, None);
        match tokio::time::timeout(INITIALIZED_LIMIT, sending).await {
            Ok(Ok(())) => self.legacy.handshake.note_heard(),
            Ok(Err(failure)) => {
                tracing::warn!(%failure, "notifications/initialized did not reach the server");
                match failure.may_pass() {
                    true => self.legacy.handshake.note_unheard(epoch),
                    false => self.legacy.handshake.note_heard(),
                }
                return Some(failure);
            }
            Err(_) => {
                tracing::warn!("the server does not answer to notifications/initialized");
                self.legacy.handshake.note_heard();
            }
        }
        None
    }

    /// Says it again ahead of a request, where the server has not taken it: until then it need not answer
    /// any (2025-11-25, lifecycle, "Initialization").
    ///
    /// # Errors
    /// What a browser was opened for: the request would only wait for it as long once more.
    pub(super) async fn insist_on_initialized(self: &Arc<Self>) -> Result<(), Failure> {
        if self.legacy.handshake.unheard().is_none() {
            return Ok(());
        }
        let _in_turn = self.legacy.gate.write().await;
        let Some(message) = self.legacy.handshake.unheard() else { return Ok(()) };
        match self.say_initialized(&message).await {
            Some(failure @ Failure::Authorizer(_)) if self.authorizer.may_open_browser() => Err(failure),
            // The request finds out by itself.
            Some(_) => Ok(()),
            None => {
                self.start_listening();
                Ok(())
            }
        }
    }
}
