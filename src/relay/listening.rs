//! The GET stream, on which the server speaks of itself (MCP transports, "Listening for Messages
//! from the Server").

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::delivery::Position;
use super::exchange::Outgoing;
use super::handshake::Epoch;
use super::{Failure, Inner};
use crate::upstream::streamable_http::{Answer, Reply};

/// The longest pause between two attempts to listen.
const PAUSE_MOST: Duration = Duration::from_secs(60);

impl Inner {
    /// Listens for as long as this session lasts.
    pub(super) fn start_listening(self: &Arc<Self>) {
        let Some(epoch) = self.handshake.claim_listening() else { return };
        let closing = self.closing.clone();
        let listening = Arc::clone(self).listen(epoch);
        tokio::spawn(async move { closing.run_until_cancelled(listening).await });
    }

    async fn listen(self: Arc<Self>, epoch: Epoch) {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(PAUSE_MOST)
            .without_max_times()
            .with_jitter();
        let mut pauses = backoff.build();
        let mut position = Position::default();
        while self.handshake.epoch() == epoch {
            let last_event_id = position.last_event_id.clone();
            let mut pause = None;
            let sent = self.send(Outgoing::Listen(last_event_id.as_deref())).await;
            if self.handshake.epoch() != epoch {
                return;
            }
            match sent {
                Ok(Answer { reply: Reply::Events(stream), .. }) => {
                    position.moved = false;
                    if let Some(cause) = self.follow(stream, None, &mut position).await {
                        tracing::debug!(cause, "the stream of server messages broke off");
                    }
                    if position.moved {
                        pauses = backoff.build();
                        pause = Some(position.delay());
                    }
                }
                Ok(Answer { reply: Reply::Rejected(rejection), .. })
                    if rejection.status.is_server_error() || rejection.status.as_u16() == 429 =>
                {
                    pause = rejection.retry_after;
                }
                Err(Failure::Http(_) | Failure::Authorizer(_)) => {}
                // 405 says that there is no such stream; so do other refusals, in effect.
                Ok(_) | Err(_) => return,
            }
            tokio::time::sleep(pause.or_else(|| pauses.next()).unwrap_or(PAUSE_MOST)).await;
        }
    }
}
