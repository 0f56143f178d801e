//! Streams that broke off, and go on behind their last event (MCP transports, "Resumability and
//! Redelivery").

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::jsonrpc::InvalidMessage;
use crate::relay::exchange::Outgoing;
use crate::relay::pending::Ticket;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Answer, Event, EventStream, EventStreamError, Reply, resumable};

/// How long to wait before resuming where the server did not say (`retry`).
const RETRY_DEFAULT: Duration = Duration::from_secs(1);
/// The shortest pause before a reconnect, and where its growth ends while nothing comes.
const RETRY_LEAST: Duration = Duration::from_millis(100);
const RETRY_GROWN: Duration = Duration::from_secs(2);
/// The longest `retry` that is obeyed.
const RETRY_MOST: Duration = Duration::from_secs(300);
/// A stream without any event that ended within this says nothing.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How many such streams in a row say that there is nothing to resume. A server that lets its clients
/// poll sends a `retry` before it closes (2025-11-25), if it has nothing else to send.
const BARREN_MOST: u32 = 6;

/// Where a stream stands when it ends.
#[derive(Debug, Default)]
pub(in crate::relay) struct Position {
    /// The last event's id; `None` where the stream cannot be resumed.
    pub(in crate::relay) last_event_id: Option<String>,
    retry: Option<Duration>,
    /// Reconnects in a row that brought no message.
    idle: u32,
    /// Streams in a row that ended at once, and without any event.
    barren: u32,
    /// When the stream began that brought no event so far.
    began: Option<Instant>,
    /// Why it broke, where it broke.
    cause: Option<String>,
    /// The first message that was refused, or that answered nobody: it may have been the answer.
    refused: Option<InvalidMessage>,
}

impl Position {
    /// How long a reconnect waits: as long as the server wants, and longer the more often nothing
    /// came of it.
    pub(in crate::relay) fn pause(&self) -> Duration {
        let grown = RETRY_LEAST * 2_u32.saturating_pow(self.idle.min(8));
        self.retry.unwrap_or(RETRY_DEFAULT).min(RETRY_MOST).max(grown.min(RETRY_GROWN))
    }

    /// A stream begins, anew or behind where the last one broke off.
    pub(in crate::relay) fn reconnected(&mut self) {
        self.idle += 1;
        self.began = Some(Instant::now());
        self.cause = None;
    }

    /// The server ended the stream.
    pub(in crate::relay) fn ended(&mut self) {
        let was_barren = self.began.is_some_and(|began| began.elapsed() < AT_ONCE);
        self.barren = if was_barren { self.barren + 1 } else { 0 };
    }

    /// An event came.
    pub(in crate::relay) fn reached(&mut self, event: &Event) {
        if let Some(id) = &event.id {
            self.last_event_id = Some(id.clone()).filter(|id| resumable(id));
        }
        self.retry = event.retry.or(self.retry);
        self.began = None;
        if event.message.is_some() {
            self.idle = 0;
        }
    }

    /// Whether the last stream ended at once, and without any event.
    pub(in crate::relay) fn is_barren(&self) -> bool {
        self.barren > 0
    }

    /// A message was refused, or answered nobody.
    pub(in crate::relay) fn refused(&mut self, refused: InvalidMessage) {
        self.refused.get_or_insert(refused);
    }

    /// The stream broke.
    pub(in crate::relay) fn broken(&mut self, error: &EventStreamError) {
        if matches!(error, EventStreamError::Unreadable(_)) {
            // Resumed, it would bring the same again.
            self.last_event_id = None;
        }
        self.cause = Some(error.to_string());
    }

    /// The connection's end, where it was none of the server's.
    pub(in crate::relay) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl Inner {
    /// Follows a request's stream, and resumes it, until its answer has come.
    pub(in crate::relay) async fn follow_until_settled(
        self: &Arc<Self>,
        stream: EventStream,
        request: &Ticket,
    ) -> Result<(), Failure> {
        let epoch = self.legacy.handshake.epoch();
        let mut position = Position::default();
        self.follow(stream, Some(request), &mut position).await;
        let backoff = ExponentialBuilder::default().with_max_times(5).with_jitter();
        let mut outages = backoff.build();
        while self.pending.waits(request) {
            if let Some(refused) = position.refused.take() {
                return Err(refused.into());
            }
            // A stream of another session would be another stream.
            let resumable = position.last_event_id.clone().filter(|_| self.legacy.handshake.epoch() == epoch);
            let Some(last_event_id) = resumable else { return Err(Failure::StreamLost(position.cause)) };
            if position.barren >= BARREN_MOST {
                return Err(Failure::StreamLost(Some("the server has nothing to resume".to_owned())));
            }
            tokio::time::sleep(position.pause()).await;
            if self.legacy.handshake.epoch() != epoch {
                continue;
            }
            let outage = match self.send(Outgoing::resume(&last_event_id, request)).await {
                Ok(Answer { reply: Reply::Events(stream), .. }) => {
                    outages = backoff.build();
                    self.follow(stream, Some(request), &mut position).await;
                    continue;
                }
                Ok(Answer { reply: Reply::Rejected(rejection), .. }) if rejection.may_pass() => {
                    Failure::from(rejection)
                }
                Err(failure @ Failure::Http(_)) => failure,
                Err(failure) => return Err(failure),
                Ok(_) => return Err(Failure::StreamLost(Some("the server would not resume it".to_owned()))),
            };
            match outages.next() {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(Failure::StreamLost(Some(outage.to_string()))),
            }
        }
        Ok(())
    }
}
