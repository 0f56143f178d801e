//! One message out: authorization, and what may be sent again.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::HeaderMap;

use super::{Failure, Inner, WORD_LIMIT};
use crate::jsonrpc::{Head, Id, Message};
use crate::upstream::streamable_http::{Answer, Rejection, Reply};
use crate::wire::SESSION_ID;

/// What goes out.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    /// A request of the host's within the session.
    Request(&'a Bytes, &'a Id),
    /// The host's `initialize`, which starts a session.
    FirstRequest(&'a Bytes, &'a Id),
    /// A replayed `initialize`.
    Initialize(&'a Bytes),
    /// A notification, or an answer to the server.
    Message(&'a Bytes),
    /// The stream that a request resumes, from behind an event.
    Resume(&'a str, &'a Id),
    /// The stream of what the server sends of itself, perhaps from behind an event.
    Listen(Option<&'a str>),
}

impl Outgoing<'_> {
    /// The request of the host's that waits for it.
    fn request(&self) -> Option<&Id> {
        match self {
            Self::Request(_, id) | Self::FirstRequest(_, id) | Self::Resume(_, id) => Some(id),
            Self::Initialize(_) | Self::Message(_) | Self::Listen(_) => None,
        }
    }

    fn starts_session(&self) -> bool {
        matches!(self, Self::FirstRequest(..) | Self::Initialize(_))
    }
}

impl Inner {
    /// The host's `initialize`.
    pub(super) async fn initialize(self: &Arc<Self>, message: &Message, id: &Id) -> Result<(), Failure> {
        let gate = Arc::clone(&self.gate).write_owned().await;
        if let Some(left) = self.handshake.begin(message.clone()) {
            let inner = Arc::clone(self);
            self.spawn_awaited(async move { inner.leave(left).await });
        }
        self.pending.hold_gate(id, gate);
        let answer = self.send(Outgoing::FirstRequest(message.bytes(), id)).await?;
        self.handshake.assign(answer.session_id);
        self.settle(answer.reply, id).await
    }

    /// Any other request; the first `earlier` notifications go before it.
    pub(super) async fn request(
        self: &Arc<Self>,
        message: &Message,
        id: &Id,
        earlier: u64,
    ) -> Result<(), Failure> {
        // A ping asks whether somebody is there, and that may be while the handshake hangs.
        if message.head().method() != Some("ping") {
            drop(self.gate.read().await);
        }
        self.notifications.precede(earlier).await;
        let mut renewed = false;
        loop {
            let epoch = self.current_session().await?;
            let answer = self.send(Outgoing::Request(message.bytes(), id)).await?;
            match answer.reply {
                Reply::SessionGone(_) if !renewed && self.handshake.can_restart() => {
                    self.renew(epoch).await?
                }
                reply => return self.settle(reply, id).await,
            }
            renewed = true;
        }
    }

    /// A cancellation, or an answer to a question of the server's: sent soon, or not at all.
    pub(super) async fn send_word(self: Arc<Self>, message: Message) {
        if tokio::time::timeout(WORD_LIMIT, self.send_unanswered(&message)).await.is_err() {
            tracing::warn!(method = message.head().method(), "a message took too long");
        }
    }

    /// A notification, or an answer to the server: nobody waits for what comes back.
    pub(super) async fn send_unanswered(self: &Arc<Self>, message: &Message) {
        if let Err(failure) = self.try_send_unanswered(message).await {
            tracing::warn!(method = message.head().method(), %failure, "a message did not reach the server");
        }
    }

    async fn try_send_unanswered(self: &Arc<Self>, message: &Message) -> Result<(), Failure> {
        // An answer belongs to the session that asked.
        let may_renew = !matches!(message.head(), Head::Response { .. });
        let mut renewed = false;
        loop {
            let epoch = self.current_session().await?;
            match self.send(Outgoing::Message(message.bytes())).await?.reply {
                Reply::SessionGone(_) if may_renew && !renewed && self.handshake.can_restart() => {
                    renewed = true;
                    self.renew(epoch).await?;
                }
                Reply::SessionGone(rejection) | Reply::Rejected(rejection) => return Err(rejection.into()),
                // Some servers answer what wants no answer; it goes where their messages go.
                Reply::Message(body) => {
                    self.deliver_body(body).await;
                    return Ok(());
                }
                Reply::Events(stream) => {
                    self.spawn_until_closing(Arc::clone(self).deliver_stream(stream));
                    return Ok(());
                }
                Reply::Accepted | Reply::Unauthorized(_) | Reply::Forbidden(_) => return Ok(()),
            }
        }
    }

    /// Sends one thing, with authorization. Comes back with any reply but a refused authorization.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, Failure> {
        let authorizer = match outgoing {
            Outgoing::Listen(_) => self.authorizer.unattended(),
            _ => self.authorizer.clone(),
        };
        let mut authorization = authorizer.authorize().await?;
        let mut reconnects = None;
        let (mut refused, mut stepped_up) = (false, false);
        loop {
            // All that was awaited took time, in which the host may have cancelled.
            if outgoing.request().is_some_and(|id| !self.pending.mark_sent(id)) {
                return Err(Failure::CalledOff { why: "the host has cancelled the request", sent: false });
            }
            let mut headers =
                if outgoing.starts_session() { HeaderMap::new() } else { self.handshake.headers() };
            authorization.apply(&mut headers);
            *self.last_authorization.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(authorization.clone());
            let answer = match self.put_on_the_wire(outgoing, headers).await {
                Ok(answer) => answer,
                Err(error) if error.is_worth_repeating() => {
                    match reconnects.get_or_insert_with(reconnect_pauses).next() {
                        Some(pause) => {
                            tokio::time::sleep(pause).await;
                            continue;
                        }
                        None => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            };
            match answer.reply {
                Reply::Unauthorized(challenge) => {
                    // The second refusal is the authorizer's to judge; it is never sent a third time.
                    let renewed = authorizer.refused(&authorization, &challenge).await?;
                    if std::mem::replace(&mut refused, true) {
                        return Err(Failure::NoAnswer("the server refused two access tokens in a row"));
                    }
                    authorization = renewed;
                }
                Reply::Forbidden(challenge) => {
                    let renewed = authorizer.step_up(&authorization, &challenge).await?;
                    if std::mem::replace(&mut stepped_up, true) {
                        return Err(Failure::NoAnswer("the server asks for more scope than it grants"));
                    }
                    authorization = renewed;
                }
                _ => return Ok(answer),
            }
        }
    }

    async fn put_on_the_wire(
        &self,
        outgoing: Outgoing<'_>,
        headers: HeaderMap,
    ) -> Result<Answer, crate::http::HttpError> {
        match outgoing {
            Outgoing::Request(bytes, _)
            | Outgoing::FirstRequest(bytes, _)
            | Outgoing::Initialize(bytes)
            | Outgoing::Message(bytes) => self.upstream.post(headers, bytes.clone()).await,
            Outgoing::Resume(last_event_id, _) => self.upstream.listen(headers, Some(last_event_id)).await,
            Outgoing::Listen(last_event_id) => self.upstream.listen(headers, last_event_id).await,
        }
    }

    /// Tells the server that the session is over, where there is one.
    pub(super) async fn end_session(&self) {
        let headers = self.handshake.headers();
        if headers.contains_key(SESSION_ID) {
            self.leave(headers).await;
        }
    }

    /// Ends the session that `headers` name, with what the last request carried: a farewell waits
    /// for no refresh.
    async fn leave(&self, mut headers: HeaderMap) {
        let held = self.last_authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(authorization) = held {
            authorization.apply(&mut headers);
        }
        match self.upstream.end_session(headers).await {
            Ok(answer) => tracing::debug!(reply = ?answer.reply, "told the server that the session is over"),
            Err(error) => tracing::debug!(%error, "the server was not told that the session is over"),
        }
    }
}

/// The pauses before a connection is tried again that never stood.
fn reconnect_pauses() -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_factor(4.0);
    pauses.with_max_times(2).with_jitter().build()
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected {
            status: rejection.status,
            retry_after: rejection.retry_after,
            reason: rejection.reason,
        }
    }
}
