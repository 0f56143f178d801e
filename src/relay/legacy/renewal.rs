//! A new session in place of one that the server has lost.

use std::sync::Arc;
use std::time::Duration;

use super::Epoch;
use super::handshake::Replay;
use super::sse::may_mean_sse;
use crate::jsonrpc::{Head, Message};
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::tells::{Repose, Respite};
use crate::relay::translation::Opened;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{EventStream, Reply};

/// How long a renewal may take.
const LIMIT: Duration = Duration::from_secs(20);

impl Inner {
    /// Gives the session that the next message belongs to, renewed where it is known to be lost.
    pub(super) async fn current_session(self: &Arc<Self>) -> Result<Epoch, Failure> {
        // One that is being renewed is no session yet.
        drop(self.legacy.renewal.lock().await);
        let epoch = self.legacy.handshake.epoch();
        if self.legacy.handshake.is_lost() {
            self.renew(epoch, Attendance::Person).await?;
        }
        Ok(self.legacy.handshake.epoch())
    }

    /// Starts a new session in place of `lost`, by replaying the host's own `initialize` and
    /// `initialized`. Of many that find it lost, one does so. What fails is tried again by the
    /// next message.
    ///
    /// # Cancel safety
    /// The renewal goes on.
    pub(in crate::relay) async fn renew(
        self: &Arc<Self>,
        lost: Epoch,
        attendance: Attendance,
    ) -> Result<(), Failure> {
        let inner = Arc::clone(self);
        let renewal = self.spawn_awaited(async move {
            let replaying = inner.replay(lost, attendance);
            tokio::time::timeout(LIMIT, replaying).await.unwrap_or(Err(Failure::SessionLost(None)))
        });
        match renewal.await {
            Ok(Some(Err(failure @ (Failure::Authorizer(_) | Failure::SessionLost(_))))) => Err(failure),
            // What failed is the replay: the message itself has not been acted on.
            Ok(Some(Err(failure))) => Err(Failure::SessionLost(Some(failure.to_string()))),
            Ok(Some(Ok(()))) => Ok(()),
            Ok(None) | Err(_) => Err(Failure::SessionLost(None)),
        }
    }

    async fn replay(self: &Arc<Self>, lost: Epoch, attendance: Attendance) -> Result<(), Failure> {
        if self.legacy.sse.is_spoken() {
            return self.connected(attendance).await.map(drop);
        }
        let _one_at_a_time = self.legacy.renewal.lock().await;
        if self.legacy.handshake.epoch() != lost && !self.legacy.handshake.is_lost() {
            return Ok(());
        }
        self.begin_again(attendance).await
    }

    /// Begins the session of a server that has no stream of HTTP+SSE any more as one with any other
    /// server; false where nobody takes it.
    pub(super) async fn begin_elsewhere(self: &Arc<Self>, attendance: Attendance) -> bool {
        let _one_at_a_time = self.legacy.renewal.lock().await;
        let beginning = tokio::time::timeout(LIMIT, self.begin_again(attendance)).await;
        match beginning.unwrap_or(Err(Failure::SessionLost(None))) {
            Ok(()) => true,
            Err(failure) => {
                tracing::debug!(%failure, "nor is the server there over Streamable HTTP");
                false
            }
        }
    }

    /// The server speaks Streamable HTTP, whatever it spoke before.
    fn leave_sse(&self) {
        if self.legacy.sse.is_spoken() {
            tracing::info!("the server does not speak HTTP+SSE any more");
            self.legacy.sse.leave();
            self.eras.learn_sse(false);
        }
    }

    /// Says the host's own `initialize` and `initialized` to a server that is new to it.
    async fn begin_again(self: &Arc<Self>, attendance: Attendance) -> Result<(), Failure> {
        let Replay { initialize, initialized } =
            self.legacy.handshake.restart().ok_or(Failure::SessionLost(None))?;
        if !self.legacy.stand_in.stands() {
            tracing::info!("the server lost the session: starting a new one");
        }
        let within = Within::NoSession;
        let first = Outgoing { within, attendance, ..Outgoing::message(initialize.bytes()) };
        let answer = match self.open(&initialize, first).await? {
            Opened::Session(answer) => answer,
            Opened::Translated(_) => {
                self.leave_sse();
                self.renewed();
                if initialized.is_some() {
                    self.start_listening_to_changes();
                }
                return Ok(());
            }
        };
        let may_mean_sse = |id| self.legacy.sse.may_be_spoken() && may_mean_sse(&answer.reply, id);
        if initialize.head().request_id().is_some_and(may_mean_sse) {
            match self.connect_again(attendance).await.inspect(|()| self.translation.end()) {
                Err(failure) if failure.is_no_sign_of_sse() => {}
                outcome => return outcome,
            }
        }
        self.legacy.handshake.assign(answer.session_id);
        self.swallow_answer(answer.reply, &initialize).await?;
        self.translation.end();
        self.leave_sse();
        if let Some(initialized) = &initialized {
            let initialized = Outgoing { attendance, ..Outgoing::message(initialized.bytes()) };
            let answer = self.send(initialized).await?;
            if let Reply::SessionGone(_) | Reply::Rejected(_) = answer.reply {
                return Err(Failure::SessionLost(None));
            }
        }
        self.renewed();
        if initialized.is_some() {
            self.start_listening();
        }
        Ok(())
    }

    /// A new session stands in place of a lost one: it knows nothing of what the host had asked of that,
    /// and what changed in between was told to nobody.
    pub(super) fn renewed(&self) {
        self.legacy.handshake.renewed();
        self.legacy.wishes.owe(self.legacy.handshake.epoch());
        // Who takes over from the stand-in says so itself.
        if !self.legacy.handshake.is_initialized() || self.legacy.stand_in.stands() {
            return;
        }
        match self.legacy.is_over_sse() {
            // Where a stream is a session, whoever cuts streams ends sessions.
            true => self.legacy.missed.notify_one(),
            false => self.legacy.replaced.notify_one(),
        }
    }

    /// Tells the host that the lists may have changed: where another session took the place of its own, as
    /// often as the [`Respite`] allows, and where a stream broke, as often as the [`Repose`] does.
    pub(in crate::relay) async fn tell_what_was_missed(self: Arc<Self>) {
        let (mut repose, mut respite) = (Repose::default(), Respite::default());
        loop {
            let replaced = async {
                respite.over().await;
                self.legacy.replaced.notified().await;
            };
            let missed = async {
                repose.over().await;
                self.legacy.missed.notified().await;
            };
            let is_replaced = tokio::select! {
                () = replaced => true,
                () = missed => false,
            };
            self.tell_list_changes(self.legacy.handshake.tells()).await;
            repose.begin();
            if is_replaced {
                respite.begin();
            }
        }
    }

    /// Reads the server's answer to a replayed `initialize`; the host has had one already.
    async fn swallow_answer(self: &Arc<Self>, reply: Reply, initialize: &Message) -> Result<(), Failure> {
        match reply {
            Reply::Message(body) => {
                let answer = Message::parse(body)?;
                self.accept_answer(initialize, &answer).unwrap_or(Err(Failure::SessionLost(None)))
            }
            Reply::Events(mut stream) => self.swallow_answer_on(&mut stream, initialize).await,
            Reply::Rejected(rejection) => Err(rejection.into()),
            _ => Err(Failure::SessionLost(None)),
        }
    }

    /// The same from a stream that brings other messages too.
    pub(super) async fn swallow_answer_on(
        &self,
        stream: &mut EventStream,
        initialize: &Message,
    ) -> Result<(), Failure> {
        loop {
            let event = stream.next().await.and_then(Result::ok).ok_or(Failure::SessionLost(None))?;
            let Some(message) = event.message.and_then(|frame| Message::parse(frame).ok()) else {
                continue;
            };
            match self.accept_answer(initialize, &message) {
                Some(accepted) => return accepted,
                None => {
                    self.deliver(message, None).await;
                }
            }
        }
    }

    /// Takes what the answer to a replayed `initialize` settles; `None` where it is something else.
    pub(super) fn accept_answer(
        &self,
        initialize: &Message,
        message: &Message,
    ) -> Option<Result<(), Failure>> {
        let Head::Response { id, successful, .. } = message.head() else { return None };
        if initialize.head().request_id() != Some(id) {
            return None;
        }
        if !successful {
            return Some(Err(Failure::SessionLost(None)));
        }
        self.legacy.handshake.record_answer(message);
        Some(Ok(()))
    }
}
