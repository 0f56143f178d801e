//! The GET stream, on which the server speaks of itself (MCP transports, "Listening for Messages
//! from the Server"). Where it breaks and cannot be resumed, the host is told what it may have missed.
//!
//! Servers without such a stream say so with 405, as the specification demands. Any other refusal may be
//! of somebody on the way, or of a moment: the stream is asked for again as long as the session lasts.
//!
//! It is opened behind `notifications/initialized`, and no request waits for it: one that follows at once
//! may reach the server first, as it may from the public SDKs' clients. To wait for the stream's head
//! would hold every session's first request for as long as some proxy keeps heads back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::{Epoch, Position};
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::reconnect::{Pause, Reconnects, suspended};
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::Reply;

/// The shortest pause between two attempts to listen.
const PAUSE: Duration = Duration::from_secs(1);
/// A stream that stood for this long was a good one, even if nothing came.
const STOOD: Duration = Duration::from_secs(10);

/// What is left to do where no stream came.
enum Left {
    /// To ask again. Whether the position in the stream before is to be forgotten: it may be the event
    /// that the server knows no more.
    Again { pause: Pause, forgets: bool },
    /// To renew the session: the server has lost it.
    Renewal,
    /// Nothing: there is no such stream, or no such session any more.
    Nothing,
}

impl Left {
    fn of(sent: Result<Reply, Failure>, has_stood: bool) -> Self {
        let again = |pause| Self::Again { pause, forgets: false };
        match sent {
            Ok(Reply::Rejected(rejection)) if rejection.status == StatusCode::METHOD_NOT_ALLOWED => {
                Self::Nothing
            }
            // Servers without such a stream answer 404 too: only one that had it lost more.
            Ok(Reply::SessionGone(_)) if has_stood => Self::Renewal,
            Ok(Reply::Rejected(rejection) | Reply::SessionGone(rejection)) => {
                let forgets = rejection.status.is_client_error() && !rejection.may_pass();
                Self::Again { pause: Pause::behind(&rejection), forgets }
            }
            Ok(_) => again(Pause::Refused(None)),
            Err(Failure::Http(_) | Failure::Authorizer(_)) => again(Pause::Passing(None)),
            Err(Failure::NoAnswer(_)) => again(Pause::Refused(None)),
            Err(_) => Self::Nothing,
        }
    }
}

impl Inner {
    /// Listens for as long as this session lasts.
    pub(super) fn start_listening(self: &Arc<Self>) {
        // Over HTTP+SSE, all that the server says comes on the session's stream.
        if !self.legacy.stand_in.stands()
            && !self.legacy.sse.is_spoken()
            && let Some((epoch, superseded)) = self.legacy.handshake.claim_listening()
        {
            self.spawn_until_closing(Arc::clone(self).listen(epoch, superseded));
        }
    }

    async fn listen(self: Arc<Self>, epoch: Epoch, superseded: CancellationToken) {
        let begun = Instant::now();
        let mut reconnects = Reconnects::new(PAUSE);
        let mut position = Position::default();
        let (mut has_stood, mut has_missed) = (false, false);
        loop {
            let last_event_id = position.last_event_id.clone();
            let within = Within::Only(epoch);
            let outgoing = Outgoing { within, ..Outgoing::listen(last_event_id.as_deref()) };
            let Some(sent) = superseded.run_until_cancelled(self.send(outgoing)).await else { return };
            let pause = match sent.map(|answer| answer.reply) {
                Ok(Reply::Events(stream)) => {
                    if std::mem::take(&mut has_missed) && last_event_id.is_none() {
                        self.legacy.missed.notify_one();
                    }
                    let (since, before) = (Instant::now(), last_event_id);
                    let is_over = superseded.clone();
                    let ended = async move {
                        is_over.run_until_cancelled(suspended()).await;
                    };
                    self.follow(stream.ended_by(ended), None, &mut position).await;
                    if let Some(cause) = position.cause() {
                        tracing::debug!(cause, "the stream of server messages broke off");
                    }
                    // A stream that ended as soon as it began is no stream.
                    (has_stood, has_missed) = (true, !position.is_barren());
                    let was_good = since.elapsed() > STOOD || position.last_event_id != before;
                    if was_good {
                        reconnects.stood();
                    }
                    Pause::Passing(was_good.then(|| position.pause()))
                }
                sent => match Left::of(sent, has_stood) {
                    Left::Again { pause, forgets } => {
                        if forgets {
                            position.last_event_id = None;
                        }
                        tracing::debug!(?pause, "no stream of server messages; it is asked for again");
                        // What the server says meanwhile is told to nobody.
                        has_missed = true;
                        pause
                    }
                    Left::Renewal => return self.renew_unattended(epoch, begun.elapsed()).await,
                    Left::Nothing => return,
                },
            };
            if superseded.run_until_cancelled(reconnects.pause(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Renews a session that nobody may be using: the host would hear of nothing any more. Where sessions
    /// are lost as soon as their stream ends, the next one has to wait, longer each time.
    async fn renew_unattended(self: &Arc<Self>, lost: Epoch, lasted: Duration) {
        if lasted > STOOD {
            self.legacy.short_lived.store(0, Ordering::Relaxed);
        }
        let former = self.legacy.short_lived.fetch_add(1, Ordering::Relaxed);
        let mut reconnects = Reconnects::new(PAUSE).after(former);
        if former > 0 {
            reconnects.pause(Pause::Passing(None)).await;
        }
        while let Err(failure) = self.renew(lost, Attendance::Nobody).await {
            tracing::debug!(%failure, "the lost session was not renewed");
            reconnects.pause(Pause::Refused(None)).await;
        }
    }
}
