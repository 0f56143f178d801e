//! One host session on one service.
//!
//! The host's frames come in one by one, replies go to the outbox; between the two stands a table
//! of pending requests, each of which is settled exactly once: by the server's answer or by an
//! error of ours. Retrying lives here and nowhere else: once after a refused token, once after a
//! lost session, after a step-up, and where a connection never stood. A request that the server
//! may have executed is never sent again.

mod batch;
mod conversation;
mod delivery;
mod dispatch;
mod era;
mod exchange;
mod failure;
mod in_place;
mod legacy;
mod modern;
mod pending;
mod reconnect;
mod tells;
mod translation;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authorizer::{Authorization, Authorizer};
use crate::jsonrpc::{ErrorResponse, Head, Id, InvalidMessage, Message, code};
use crate::upstream::Transport;
use crate::upstream::streamable_http::StreamableHttp;
use batch::{Batch, Destination};
pub use conversation::Conversation;
pub use era::Eras;
use failure::Failure;
use legacy::Legacy;
use modern::Modern;
use pending::{Drained, Pending, Settled, Ticket};
use translation::{Ahead, Translation};

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

/// What a session works with.
pub struct Config {
    /// The MCP endpoint.
    pub upstream: StreamableHttp,
    /// The keeper of its login.
    pub authorizer: Authorizer,
    /// What the service is called towards people.
    pub service: String,
    /// Whether a host that has no login is refused, instead of being let in and told what to run.
    pub strict: bool,
    /// What is known of its eras.
    pub eras: Eras,
    /// The transport that is spoken.
    pub transport: Transport,
    /// The era of the host.
    pub era: HostEra,
}

/// In which era a host is served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostEra {
    /// In the server's where the host can speak in both, else in its own.
    #[default]
    Auto,
    /// In the one of 2026-07-28, whatever the server's is.
    Modern,
}

/// One host session. Clones are the same session.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    upstream: StreamableHttp,
    authorizer: Authorizer,
    service: String,
    strict: bool,
    outbox: mpsc::Sender<Bytes>,
    pending: Pending,
    eras: Eras,
    legacy: Legacy,
    modern: Modern,
    translation: Translation,
    /// What the last request carried, for a farewell that must not wait for anything.
    last_authorization: Mutex<Option<Authorization>>,
    tasks: TaskTracker,
    /// Batches of the host's that wait for their last answer.
    batches: TaskTracker,
    closing: CancellationToken,
}

impl Session {
    /// Starts a session; nothing is sent before the host's first frame. Must be called within a
    /// tokio runtime.
    pub fn new(config: Config, outbox: mpsc::Sender<Bytes>) -> Self {
        let (legacy, queue) = Legacy::new(config.transport);
        let (translation, withdrawn) = Translation::new();
        let tended = config.authorizer.clone().tend();
        let session = Self(Arc::new(Inner {
            upstream: config.upstream,
            authorizer: config.authorizer,
            service: config.service,
            strict: config.strict,
            outbox,
            pending: Pending::default(),
            eras: config.eras,
            legacy,
            modern: Modern::default(),
            translation,
            last_authorization: Mutex::default(),
            tasks: TaskTracker::new(),
            batches: TaskTracker::new(),
            closing: CancellationToken::new(),
        }));
        session.0.spawn_until_closing(tended);
        session.0.spawn_until_closing(Arc::clone(&session.0).send_notifications(queue));
        session.0.spawn_until_closing(Arc::clone(&session.0).withdraw_questions(withdrawn));
        session.0.spawn_until_closing(Arc::clone(&session.0).tell_what_was_missed());
        session.0.spawn_until_closing(Arc::clone(&session.0).say_wishes_again());
        session
    }

    /// Takes one frame from the host. Waits only where the host does not read its answers.
    ///
    /// # Cancel safety
    /// A frame whose acceptance is dropped may be lost.
    pub async fn accept(&self, frame: Bytes) {
        match Message::parse(frame.clone()) {
            Ok(message) => self.dispatch(message, Destination::Host).await,
            Err(invalid) => {
                if let InvalidMessage::Repeated { id: Some(id), is_answer: true, .. } = &invalid {
                    self.0.translation.answered_badly(id);
                }
                self.accept_batch(&frame, invalid).await;
            }
        }
    }

    /// The request of the host's in answer to which the server asked the question with this id;
    /// `None` where the question came by itself.
    fn asker(&self, question: &Id) -> Option<Id> {
        self.0.legacy.questions.asker(question)
    }

    /// Tells when a new session with the server stands in place of a lost one.
    fn renewals(&self) -> watch::Receiver<()> {
        self.0.legacy.handshake.renewals()
    }

    /// The server's latest answer to `initialize`.
    fn introduction(&self) -> Option<Message> {
        self.0.legacy.handshake.answer()
    }

    /// A batch, where the negotiated revision has batches; an error elsewhere.
    async fn accept_batch(&self, frame: &Bytes, invalid: InvalidMessage) {
        let elements = match self.0.legacy.handshake.allows_batches().then(|| Message::split_batch(frame)) {
            Some(Ok(Some(elements))) => elements,
            Some(Err(invalid)) => return self.0.answer(invalid.to_response()).await,
            Some(Ok(None)) | None => return self.0.answer(invalid.to_response()).await,
        };
        let batch = Batch::new();
        for element in elements {
            match Message::parse(element) {
                Ok(message) => self.dispatch_element(message, &batch).await,
                Err(invalid) => batch.place(Id::Null).fill(invalid.to_response().into_bytes()),
            }
        }
        let inner = Arc::clone(&self.0);
        self.0.batches.spawn(async move {
            if let Some(answers) = batch.collected().await {
                inner.emit(answers).await;
            }
        });
    }

    async fn dispatch_element(&self, message: Message, batch: &Batch) {
        let Head::Request { id, method, .. } = message.head() else {
            return self.dispatch(message, Destination::Host).await;
        };
        let place = batch.place(id.clone());
        if method == "initialize" {
            // Nothing else is possible before it is answered (2025-03-26, lifecycle).
            let reason = "`initialize` is no part of a batch";
            return place.fill(ErrorResponse::new(id.clone(), code::INVALID_REQUEST, reason).into_bytes());
        }
        self.dispatch(message, Destination::Batch(place)).await;
    }

    /// Ends the session: what is pending finishes or is answered with an error, and the server is
    /// told. Takes at most 2.3 s, or 300 ms in a hurry.
    ///
    /// # Cancel safety
    /// May be called again, in a hurry, where the first call was dropped.
    pub async fn close(&self, leave: Leave) {
        let inner = &self.0;
        inner.tasks.close();
        inner.batches.close();
        if leave == Leave::Peaceful {
            let _still_pending = tokio::time::timeout(DRAIN_LIMIT, inner.drained()).await;
        }
        inner.closing.cancel();
        let last_words = async {
            for Drained { id, sent, settled } in inner.pending.drain() {
                let failure = Failure::CalledOff { why: "the bridge is shutting down", sent };
                inner.answer_failure(settled, &id, &failure).await;
            }
            inner.batches.wait().await;
        };
        let leaving = async { tokio::join!(last_words, inner.end_session(), inner.eras.written()) };
        if tokio::time::timeout(LEAVE_LIMIT, leaving).await.is_err() {
            tracing::debug!("the session's end did not reach everybody in time");
        }
    }
}

impl Inner {
    /// Everything that was accepted has been sent, and every request settled.
    async fn drained(&self) {
        self.legacy.notifications.drained().await;
        self.tasks.wait().await;
        self.batches.wait().await;
    }

    /// Runs something that lasts for as long as the session does.
    fn spawn_until_closing(
        &self,
        lasting: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<Option<()>> {
        tokio::spawn(self.closing.clone().run_until_cancelled_owned(lasting))
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

    /// Sends an answer where it goes.
    async fn send_to(&self, destination: Destination, answer: Bytes) {
        match destination {
            Destination::Host => self.emit(answer).await,
            Destination::Batch(place) => place.fill(answer),
            Destination::Bridge(asker) => {
                // It may have given up.
                let _gone = asker.send(answer);
            }
        }
    }

    /// Gives a request its one answer.
    async fn respond(&self, mut settled: Settled, answer: Bytes) {
        if let Some(wish) = settled.wish.take()
            && let Ok(Head::Response { successful: true, .. }) =
                Message::parse(answer.clone()).as_ref().map(Message::head)
        {
            self.legacy.wishes.granted(wish, self.legacy.handshake.standing());
        }
        self.send_to(std::mem::take(&mut settled.destination), answer).await;
        drop(settled);
    }

    /// Answers a request with an error of ours, unless it is settled or cancelled.
    async fn fail(&self, request: &Ticket, failure: Failure) {
        tracing::debug!(%failure, "a request failed");
        if let Some(settled) = self.pending.settle(request) {
            self.answer_failure(settled, request.id(), &failure).await;
        }
    }

    async fn answer_failure(&self, settled: Settled, id: &Id, failure: &Failure) {
        self.respond(settled, failure.to_response(id.clone()).into_bytes()).await;
    }
}
