//! One stream, from its opening to its end.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::jsonrpc::InvalidMessage;
use crate::relay::exchange::Outgoing;
use crate::relay::legacy::Epoch;
use crate::relay::reconnect::suspended;
use crate::relay::{Failure, Inner};
use crate::upstream::legacy_sse::{LegacySse, MessageEndpoint};
use crate::upstream::streamable_http::{EventStream, Reply};

/// What is said of a server that may speak another transport than the one that was named.
const NO_STREAM: &str = "it opens no event stream, which `--transport sse` asks for; without that option the \
                         transport is found out";

/// A stream that was opened, and where its session's messages go. Clones are the same.
#[derive(Debug, Clone)]
pub(in crate::relay::legacy) struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: MessageEndpoint,
    epoch: Epoch,
    since: Instant,
    ended: CancellationToken,
    cause: OnceLock<String>,
}

impl Connection {
    fn new(endpoint: MessageEndpoint, epoch: Epoch) -> Self {
        Self(Arc::new(Shared {
            endpoint,
            epoch,
            since: Instant::now(),
            ended: CancellationToken::new(),
            cause: OnceLock::new(),
        }))
    }

    /// Where messages go.
    pub(in crate::relay::legacy) fn endpoint(&self) -> &MessageEndpoint {
        &self.0.endpoint
    }

    /// The session that it is.
    pub(super) fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// When it was opened.
    pub(super) fn since(&self) -> Instant {
        self.0.since
    }

    /// Whether the stream still stands.
    pub(super) fn stands(&self) -> bool {
        !self.0.ended.is_cancelled()
    }

    /// Resolves once the stream has ended.
    pub(super) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// What became of a request whose answer had not come by then.
    pub(super) fn failure(&self) -> Failure {
        Failure::StreamLost(self.0.cause.get().cloned())
    }

    /// Ends the stream, unless it has ended.
    pub(super) fn end(&self, cause: Option<String>) {
        if let Some(cause) = cause {
            // The first cause is the cause.
            let _is_known = self.0.cause.set(cause);
        }
        self.0.ended.cancel();
    }

    /// Whether both are one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Inner {
    /// Opens a stream and learns where its messages go. Nobody reads it yet.
    pub(super) async fn open_stream(
        &self,
        opening: Outgoing<'_>,
    ) -> Result<(Connection, EventStream), Failure> {
        let mut stream = match self.send(opening).await?.reply {
            Reply::Events(stream) => stream,
            Reply::Rejected(mut rejection) | Reply::SessionGone(mut rejection) => {
                if !rejection.may_pass() && !self.legacy.sse.may_be_left() {
                    rejection.reason.get_or_insert(NO_STREAM.into());
                }
                return Err(rejection.into());
            }
            _ => return Err(Failure::NoAnswer("the server opened no event stream")),
        };
        let endpoint = LegacySse::new(&self.upstream).endpoint(&mut stream, &self.known()).await?;
        Ok((Connection::new(endpoint, self.legacy.handshake.epoch()), stream))
    }

    /// Reads a stream for as long as it stands.
    pub(super) fn start_reading(self: &Arc<Self>, connection: &Connection, stream: EventStream) {
        self.spawn_until_closing(Arc::clone(self).read(connection.clone(), stream));
    }

    async fn read(self: Arc<Self>, connection: Connection, mut stream: EventStream) {
        let mut woken = Box::pin(suspended());
        let cause = loop {
            // Not while one is handed on: what was taken from the table has to reach the host.
            let next = tokio::select! {
                biased;
                () = connection.ended() => break None,
                next = stream.next() => next,
                () = &mut woken => {
                    if !self.pending.is_any_sent() {
                        break Some("the machine was suspended".to_owned());
                    }
                    // The stream may have lived through it, and an answer with it.
                    woken = Box::pin(suspended());
                    continue;
                }
            };
            match next {
                None => break None,
                Some(Err(error)) => break Some(error.to_string()),
                Some(Ok(event)) => {
                    if let Some(frame) = event.message {
                        self.deliver_from_stream(frame).await;
                    }
                }
            }
        };
        drop(stream);
        tracing::debug!(cause, "the event stream ended");
        connection.end(cause);
        self.stream_ended(&connection);
    }

    /// One message. What addresses nobody is taken for the answer to the one request that is under
    /// way, where there is one.
    async fn deliver_from_stream(&self, frame: Bytes) {
        let only = self.pending.only_sent();
        let refused = self.deliver_event(frame, only.as_ref()).await;
        if let (Err(invalid @ InvalidMessage::Repeated { id: None, is_answer: true, .. }), Some(only)) =
            (refused, only)
        {
            self.fail(&only, invalid.into()).await;
        }
    }
}
