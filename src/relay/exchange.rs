//! One message out: authorization, retries, and the session beneath.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use std::sync::Arc;

use super::handshake::{Epoch, Replay};
use super::{Failure, Inner};
use crate::http::HttpError;
use crate::jsonrpc::{Id, Message};
use crate::upstream::streamable_http::{Answer, Rejection, Reply};

/// What goes out.
pub(super) enum Outgoing<'a> {
    /// A message within the session.
    Post(&'a Bytes),
    /// The message that starts a session.
    Initialize(&'a Bytes),
    /// The GET stream, from behind an event.
    Listen(Option<&'a str>),
}

impl Inner {
    /// The host's `initialize`.
    pub(super) async fn initialize(self: &Arc<Self>, message: &Message, id: &Id) -> Result<(), Failure> {
        let gate = Arc::clone(&self.gate).write_owned().await;
        if let Some(left) = self.handshake.begin(message.clone()) {
            let inner = Arc::clone(self);
            self.tasks.spawn(async move {
                // The server would forget it in time; telling is a courtesy.
                let _forgotten = inner.upstream.end_session(left).await;
            });
        }
        self.pending.hold_gate(id, gate);
        self.pending.mark_sent(id);
        let answer = self.send(Outgoing::Initialize(message.bytes())).await?;
        self.handshake.assign(answer.session_id);
        self.settle(answer.reply, id).await
    }

    /// Any other request.
    pub(super) async fn request(self: &Arc<Self>, message: &Message, id: &Id) -> Result<(), Failure> {
        drop(self.gate.read().await);
        let mut renewed = false;
        loop {
            let epoch = self.handshake.epoch();
            let answer = self.send_marked(message.bytes(), id).await?;
            match answer.reply {
                Reply::SessionGone if !renewed => self.renew(epoch).await?,
                reply => return self.settle(reply, id).await,
            }
            renewed = true;
        }
    }

    async fn send_marked(&self, bytes: &Bytes, id: &Id) -> Result<Answer, Failure> {
        self.pending.mark_sent(id);
        self.send(Outgoing::Post(bytes)).await
    }

    /// A notification, or an answer to the server: nobody waits for what comes back.
    pub(super) async fn send_unanswered(self: &Arc<Self>, message: &Message) {
        let mut renewed = false;
        let failure = loop {
            let epoch = self.handshake.epoch();
            match self.send(Outgoing::Post(message.bytes())).await {
                Ok(Answer { reply: Reply::SessionGone, .. }) if !renewed => {
                    renewed = true;
                    if let Err(failure) = self.renew(epoch).await {
                        break failure;
                    }
                }
                Ok(Answer { reply: Reply::SessionGone, .. }) => break Failure::SessionLost,
                Ok(Answer { reply: Reply::Rejected(rejection), .. }) => break rejection.into(),
                // Some servers answer what wants no answer; it goes where their messages go.
                Ok(Answer { reply: Reply::Message(body), .. }) => return self.deliver_body(body).await,
                Ok(Answer { reply: Reply::Events(stream), .. }) => return self.deliver_stream(stream).await,
                Ok(_) => return,
                Err(failure) => break failure,
            }
        };
        tracing::warn!(method = message.head().method(), %failure, "a message did not reach the server");
    }

    /// Sends one thing, with authorization. Comes back with any reply but a refused authorization.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, Failure> {
        let mut authorization = self.authorizer.authorize().await?;
        let mut reconnects = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_factor(4.0)
            .with_max_times(2)
            .with_jitter()
            .build();
        let (mut refused, mut stepped_up) = (false, false);
        loop {
            let mut headers = match outgoing {
                Outgoing::Initialize(_) => http::HeaderMap::new(),
                Outgoing::Post(_) | Outgoing::Listen(_) => self.handshake.headers(),
            };
            authorization.apply(&mut headers);
            let sent = match outgoing {
                Outgoing::Post(bytes) | Outgoing::Initialize(bytes) => {
                    self.upstream.post(headers, bytes.clone()).await
                }
                Outgoing::Listen(last_event_id) => self.upstream.listen(headers, last_event_id).await,
            };
            let answer = match sent {
                Ok(answer) => answer,
                Err(error @ HttpError::NotSent { .. }) => match reconnects.next() {
                    Some(delay) => {
                        tokio::time::sleep(delay).await;
                        continue;
                    }
                    None => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            };
            match answer.reply {
                Reply::Unauthorized(challenge) => {
                    // The second refusal is the authorizer's to judge; it is never sent a third time.
                    let renewed = self.authorizer.refused(&authorization, &challenge).await?;
                    if std::mem::replace(&mut refused, true) {
                        return Err(Failure::NoAnswer("the server refused two access tokens in a row"));
                    }
                    authorization = renewed;
                }
                Reply::Forbidden(challenge) => {
                    let renewed = self.authorizer.step_up(&authorization, &challenge).await?;
                    if std::mem::replace(&mut stepped_up, true) {
                        return Err(Failure::NoAnswer("the server asks for more scope than it grants"));
                    }
                    authorization = renewed;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Starts a new session in place of the one that `lost` counts, by replaying the host's own
    /// `initialize` and `initialized`. Of many that find it lost, one does so.
    pub(super) async fn renew(self: &Arc<Self>, lost: Epoch) -> Result<(), Failure> {
        let _one_at_a_time = self.renewal.lock().await;
        if self.handshake.epoch() != lost {
            return Ok(());
        }
        let Replay { initialize, initialized } = self.handshake.restart().ok_or(Failure::SessionLost)?;
        tracing::info!("the server lost the session: starting a new one");
        let answer = self.send(Outgoing::Initialize(initialize.bytes())).await?;
        self.handshake.assign(answer.session_id);
        self.swallow_initialize(answer.reply, &initialize).await?;
        if let Some(initialized) = initialized {
            let answer = self.send(Outgoing::Post(initialized.bytes())).await?;
            if let Reply::SessionGone | Reply::Rejected(_) = answer.reply {
                return Err(Failure::SessionLost);
            }
            self.start_listening();
        }
        Ok(())
    }

    /// Tells the server that the session is over, where there is one.
    pub(super) async fn end_session(&self) {
        let mut headers = self.handshake.headers();
        if !headers.contains_key(crate::upstream::streamable_http::SESSION_ID) {
            return;
        }
        let Ok(authorization) = self.authorizer.authorize().await else { return };
        authorization.apply(&mut headers);
        match self.upstream.end_session(headers).await {
            Ok(status) => tracing::debug!(%status, "the session is over"),
            Err(error) => tracing::debug!(%error, "the server was not told that the session is over"),
        }
    }
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
