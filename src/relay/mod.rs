//! One host session on one service.
//!
//! The host's frames come in one by one, replies go to the outbox; between the two stands a table
//! of pending requests, each of which is settled exactly once: by the server's answer or by an
//! error of ours. Retrying lives here and nowhere else: once after a refused token, once after a
//! lost session, after a step-up, and where a connection never stood. A request that the server
//! may have executed is never sent again.

mod delivery;
mod exchange;
mod failure;
mod handshake;
mod listening;
mod pending;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, RwLock, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authorizer::Authorizer;
use crate::jsonrpc::{ErrorResponse, Head, Id, InvalidMessage, Message, code};
use crate::upstream::streamable_http::StreamableHttp;
use failure::Failure;
use handshake::Handshake;
use pending::{Pending, Registered};

/// How many notifications may wait for their turn.
const NOTIFICATION_QUEUE: usize = 64;
/// How long one notification may take before the next has its turn.
const NOTIFICATION_LIMIT: Duration = Duration::from_secs(30);
/// How long `notifications/initialized` holds back what follows it.
const INITIALIZED_LIMIT: Duration = Duration::from_secs(10);
/// How long what is pending may go on after the host has closed its side.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long the server has to end the session when the host leaves in peace.
const LEAVE_LIMIT: Duration = Duration::from_millis(500);
/// As [`LEAVE_LIMIT`], when the host is about to kill: hosts do so 500 ms after SIGINT.
const HURRIED_LEAVE_LIMIT: Duration = Duration::from_millis(300);

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The host closed its side: what is pending may finish.
    Peaceful,
    /// A signal, or nobody left to answer to.
    Hurried,
}

/// One host session. Clones are the same session.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    upstream: StreamableHttp,
    authorizer: Authorizer,
    outbox: mpsc::Sender<Bytes>,
    pending: Pending,
    handshake: Handshake,
    /// Held for writing while `initialize` or `notifications/initialized` is under way, in the
    /// order of their arrival: what follows them has to reach the server after them.
    gate: Arc<RwLock<()>>,
    /// Held by the one that renews a lost session.
    renewal: Mutex<()>,
    notifications: mpsc::Sender<Message>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Session {
    /// Starts a session; nothing is sent before the host's first frame. Must be called within a
    /// tokio runtime.
    pub fn new(upstream: StreamableHttp, authorizer: Authorizer, outbox: mpsc::Sender<Bytes>) -> Self {
        let (notifications, queue) = mpsc::channel(NOTIFICATION_QUEUE);
        let session = Self(Arc::new(Inner {
            upstream,
            authorizer,
            outbox,
            pending: Pending::default(),
            handshake: Handshake::default(),
            gate: Arc::default(),
            renewal: Mutex::default(),
            notifications,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }));
        let closing = session.0.closing.clone();
        let worker = Arc::clone(&session.0).send_notifications(queue);
        tokio::spawn(async move { closing.run_until_cancelled(worker).await });
        session
    }

    /// Takes one frame from the host. Waits only where too much is under way already.
    ///
    /// # Cancel safety
    /// A frame whose acceptance is dropped may be lost.
    pub async fn accept(&self, frame: Bytes) {
        match Message::parse(frame.clone()) {
            Ok(message) => self.dispatch(message).await,
            Err(invalid) => self.accept_batch(&frame, invalid).await,
        }
    }

    /// A batch, where the negotiated revision has batches; an error elsewhere.
    async fn accept_batch(&self, frame: &Bytes, invalid: InvalidMessage) {
        let elements = match Message::split_batch(frame) {
            Ok(Some(elements)) if self.0.handshake.allows_batches() => elements,
            Ok(_) => return self.0.answer(invalid.to_response()).await,
            Err(invalid) => return self.0.answer(invalid.to_response()).await,
        };
        for element in elements {
            match Message::parse(element) {
                Ok(message) => self.dispatch(message).await,
                Err(invalid) => self.0.answer(invalid.to_response()).await,
            }
        }
    }

    async fn dispatch(&self, message: Message) {
        let inner = &self.0;
        match message.head() {
            Head::Request { id, method, .. } if method == "server/discover" => {
                // A probe for the 2026-07-28 era: any error that is not a modern server's own
                // sends the host to `initialize` on this same process.
                let answer = ErrorResponse::new(id.clone(), code::METHOD_NOT_FOUND, "Method not found");
                inner.answer(answer).await;
            }
            Head::Request { id, method, .. } => {
                let (id, initialize) = (id.clone(), method == "initialize");
                self.start_request(message, id, initialize).await;
            }
            Head::Notification { method, parameters } => match (method.as_str(), &parameters.request_id) {
                ("notifications/cancelled", Some(request)) => {
                    let request = request.clone();
                    self.cancel(message, &request).await;
                }
                ("notifications/initialized", _) => {
                    inner.tasks.spawn(Arc::clone(inner).send_initialized(message));
                }
                _ => inner.queue_notification(message).await,
            },
            Head::Response { .. } => {
                let inner = Arc::clone(inner);
                let tasks = inner.tasks.clone();
                tasks.spawn(async move { inner.send_unanswered(&message).await });
            }
        }
    }

    async fn start_request(&self, message: Message, id: Id, initialize: bool) {
        match self.0.pending.register(id.clone()) {
            Registered::Fresh => {}
            Registered::InUse => {
                let reason = "a request with this id is under way already";
                return self.0.answer(ErrorResponse::new(id, code::INVALID_REQUEST, reason)).await;
            }
            Registered::TooMany => {
                let reason = "too many requests are under way: try again later";
                return self.0.answer(ErrorResponse::new(id, code::INTERNAL_ERROR, reason)).await;
            }
        }
        let inner = Arc::clone(&self.0);
        let task_id = id.clone();
        let task = self.0.tasks.spawn(async move {
            let outcome = match initialize {
                true => inner.initialize(&message, &task_id).await,
                false => inner.request(&message, &task_id).await,
            };
            if let Err(failure) = outcome {
                inner.fail(&task_id, failure).await;
            }
        });
        self.0.pending.attach(&id, task.abort_handle());
    }

    /// Passes a cancellation on, and lets go of the request.
    async fn cancel(&self, message: Message, request: &Id) {
        let Some(cancelled) = self.0.pending.cancel(request) else {
            return self.0.queue_notification(message).await;
        };
        if !cancelled.sent {
            return cancelled.stop();
        }
        let inner = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            // Disconnecting is no cancellation in these revisions, so the word goes first.
            inner.send_unanswered(&message).await;
            cancelled.stop();
        });
    }

    /// Ends the session: what is pending finishes or is answered with an error, and the server is
    /// told. Takes at most two and a half seconds, or 300 ms in a hurry.
    pub async fn close(&self, leave: Leave) {
        let inner = &self.0;
        inner.tasks.close();
        if leave == Leave::Peaceful {
            let _still_pending = tokio::time::timeout(DRAIN_LIMIT, inner.drained()).await;
        }
        inner.closing.cancel();
        for id in inner.pending.drain() {
            let answer = ErrorResponse::new(id, code::INTERNAL_ERROR, "the bridge is shutting down");
            // A full outbox means that nobody reads any more.
            let _unread = inner.outbox.try_send(answer.into_bytes());
        }
        let limit = match leave {
            Leave::Peaceful => LEAVE_LIMIT,
            Leave::Hurried => HURRIED_LEAVE_LIMIT,
        };
        if tokio::time::timeout(limit, inner.end_session()).await.is_err() {
            tracing::debug!("the server did not end the session in time");
        }
    }
}

impl Inner {
    /// Everything that was accepted has been sent, and every request settled.
    async fn drained(&self) {
        let _queue_is_empty = self.notifications.reserve_many(NOTIFICATION_QUEUE).await;
        self.tasks.wait().await;
    }

    /// Hands one frame to the host, at the host's pace.
    async fn emit(&self, frame: Bytes) {
        if self.outbox.send(frame).await.is_err() {
            tracing::debug!("a message for a host that has gone");
        }
    }

    async fn answer(&self, response: ErrorResponse) {
        self.emit(response.into_bytes()).await;
    }

    /// Answers a request with an error of ours, unless it is settled or cancelled.
    async fn fail(&self, id: &Id, failure: Failure) {
        tracing::debug!(%failure, "a request failed");
        if self.pending.settle(id) {
            self.answer(failure.to_response(id.clone())).await;
        }
    }

    async fn queue_notification(&self, message: Message) {
        if self.notifications.send(message).await.is_err() {
            tracing::warn!("a notification came after the end of the session");
        }
    }

    /// Sends notifications in the order in which they came.
    async fn send_notifications(self: Arc<Self>, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.recv().await {
            let inner = Arc::clone(&self);
            let sending = self.tasks.spawn(async move {
                drop(inner.gate.read().await);
                let sending = inner.send_unanswered(&message);
                if tokio::time::timeout(NOTIFICATION_LIMIT, sending).await.is_err() {
                    tracing::warn!(method = message.head().method(), "a notification took too long");
                }
            });
            // One after the other: their order is part of what they say.
            let _sent = sending.await;
        }
    }

    async fn send_initialized(self: Arc<Self>, message: Message) {
        let gate = Arc::clone(&self.gate).write_owned().await;
        self.handshake.record_initialized(message.clone());
        let sending = self.send_unanswered(&message);
        if tokio::time::timeout(INITIALIZED_LIMIT, sending).await.is_err() {
            tracing::warn!("the server does not answer to notifications/initialized");
        }
        drop(gate);
        self.start_listening();
    }
}
