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
mod notifications;
mod pending;
mod questions;
mod renewal;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{RwLock, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authorizer::{Authorization, Authorizer};
use crate::jsonrpc::{ErrorResponse, Head, Id, InvalidMessage, Message, code};
use crate::upstream::streamable_http::StreamableHttp;
use failure::Failure;
use handshake::Handshake;
use notifications::Notifications;
use pending::{Pending, Registered};
use questions::Questions;

/// How long what is pending may go on after the host has closed its side.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long telling server and host that the session is over may take: hosts kill 500 ms after
/// SIGINT.
const LEAVE_LIMIT: Duration = Duration::from_millis(300);
/// How long a cancellation or an answer to the server may take.
const WORD_LIMIT: Duration = Duration::from_secs(5);

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
    questions: Questions,
    notifications: Notifications,
    /// Held for writing while `initialize` or `notifications/initialized` is under way, in the
    /// order of their arrival: what follows them has to reach the server after them.
    gate: Arc<RwLock<()>>,
    /// Held by the one that renews a lost session.
    renewal: tokio::sync::Mutex<()>,
    /// What the last request carried, for a farewell that must not wait for anything.
    last_authorization: Mutex<Option<Authorization>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Session {
    /// Starts a session; nothing is sent before the host's first frame. Must be called within a
    /// tokio runtime.
    pub fn new(upstream: StreamableHttp, authorizer: Authorizer, outbox: mpsc::Sender<Bytes>) -> Self {
        let (notifications, queue) = Notifications::new();
        let session = Self(Arc::new(Inner {
            upstream,
            authorizer,
            outbox,
            pending: Pending::default(),
            handshake: Handshake::default(),
            questions: Questions::default(),
            notifications,
            gate: Arc::default(),
            renewal: tokio::sync::Mutex::default(),
            last_authorization: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }));
        session.0.spawn_until_closing(Arc::clone(&session.0).send_notifications(queue));
        session
    }

    /// Takes one frame from the host. Waits only where the host does not read its answers.
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
        let elements = match self.0.handshake.allows_batches().then(|| Message::split_batch(frame)) {
            Some(Ok(Some(elements))) => elements,
            Some(Err(invalid)) => return self.0.answer(invalid.to_response()).await,
            Some(Ok(None)) | None => return self.0.answer(invalid.to_response()).await,
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
                    inner.spawn_awaited(Arc::clone(inner).send_initialized(message));
                }
                _ => inner.notifications.queue(message).await,
            },
            Head::Response { id, .. } => match inner.questions.answered(id, inner.handshake.epoch()) {
                true => {
                    inner.spawn_awaited(Arc::clone(inner).send_word(message));
                }
                // In the new session this id may be another question's.
                false => tracing::info!("the host answered a question of a session that is gone"),
            },
        }
    }

    async fn start_request(&self, message: Message, id: Id, initialize: bool) {
        if initialize && let Some(hanging) = self.0.handshake.unsettled(&self.0.pending) {
            // Hosts start over where the first attempt hangs.
            if let Some(cancelled) = self.0.pending.cancel(&hanging) {
                let why = "a new `initialize` took its place";
                let failure = Failure::CalledOff { why, sent: cancelled.sent };
                cancelled.stop();
                self.0.answer(failure.to_response(hanging)).await;
            }
        }
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
        let (task_id, earlier) = (id.clone(), inner.notifications.queued());
        let task = self.0.spawn_awaited(async move {
            let outcome = match initialize {
                true => inner.initialize(&message, &task_id).await,
                false => inner.request(&message, &task_id, earlier).await,
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
            return self.0.notifications.queue(message).await;
        };
        if !cancelled.sent {
            return cancelled.stop();
        }
        let inner = Arc::clone(&self.0);
        self.0.spawn_awaited(async move {
            // Disconnecting is no cancellation in these revisions, so the word goes first.
            inner.send_word(message).await;
            cancelled.stop();
        });
    }

    /// Ends the session: what is pending finishes or is answered with an error, and the server is
    /// told. Takes at most 2.3 s, or 300 ms in a hurry.
    ///
    /// # Cancel safety
    /// May be called again, in a hurry, where the first call was dropped.
    pub async fn close(&self, leave: Leave) {
        let inner = &self.0;
        inner.tasks.close();
        if leave == Leave::Peaceful {
            let _still_pending = tokio::time::timeout(DRAIN_LIMIT, inner.drained()).await;
        }
        inner.closing.cancel();
        let last_words = async {
            for (id, sent) in inner.pending.drain() {
                let failure = Failure::CalledOff { why: "the bridge is shutting down", sent };
                inner.answer(failure.to_response(id)).await;
            }
        };
        let leaving = async { tokio::join!(last_words, inner.end_session()) };
        if tokio::time::timeout(LEAVE_LIMIT, leaving).await.is_err() {
            tracing::debug!("the session's end did not reach everybody in time");
        }
    }
}

impl Inner {
    /// Everything that was accepted has been sent, and every request settled.
    async fn drained(&self) {
        self.notifications.drained().await;
        self.tasks.wait().await;
    }

    /// Runs something that lasts for as long as the session does.
    fn spawn_until_closing(&self, lasting: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.closing.clone().run_until_cancelled_owned(lasting));
    }

    /// Runs something that a host that leaves in peace waits for; `None` is what comes of it where
    /// the session ends first.
    fn spawn_awaited<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        self.tasks.spawn(self.closing.clone().run_until_cancelled_owned(task))
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
        if let Some(settled) = self.pending.settle(id) {
            self.answer(failure.to_response(id.clone())).await;
            settled.release();
        }
    }
}
