//! Replies back: bodies and streams, until the request they belong to is settled.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exchange::Outgoing;
use super::{Failure, Inner};
use crate::jsonrpc::{Head, Id, InvalidMessage, Message};
use crate::upstream::streamable_http::{Answer, EventStream, EventStreamError, Rejection, Reply, resumable};

/// How long a stream may stay open behind the answer, so that its connection can be used again.
const TAIL_LIMIT: Duration = Duration::from_secs(1);
/// How long to wait before resuming where the server did not say (`retry`).
const RETRY_DEFAULT: Duration = Duration::from_secs(1);
/// The shortest pause before a reconnect, and where its growth ends while nothing comes.
const RETRY_LEAST: Duration = Duration::from_millis(100);
const RETRY_GROWN: Duration = Duration::from_secs(2);
/// The longest `retry` that is obeyed.
const RETRY_MOST: Duration = Duration::from_secs(300);

/// Where a stream stands when it ends.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The last event's id; `None` where the stream cannot be resumed.
    pub(super) last_event_id: Option<String>,
    retry: Option<Duration>,
    /// Reconnects in a row that brought no message.
    idle: u32,
    /// Why it broke, where it broke.
    cause: Option<String>,
    /// The first message that was refused, or that answered nobody: it may have been the answer.
    refused: Option<InvalidMessage>,
}

impl Position {
    /// How long a reconnect waits: as long as the server wants, and longer the more often nothing
    /// came of it.
    pub(super) fn pause(&self) -> Duration {
        let grown = RETRY_LEAST * 2_u32.saturating_pow(self.idle.min(8));
        self.retry.unwrap_or(RETRY_DEFAULT).min(RETRY_MOST).max(grown.min(RETRY_GROWN))
    }

    /// The connection's end, where it was none of the server's.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl Inner {
    /// Settles a request with what came back for it.
    pub(super) async fn settle(self: &Arc<Self>, reply: Reply, id: &Id) -> Result<(), Failure> {
        match reply {
            Reply::Message(body) => {
                self.deliver_answer(body, id).await?;
                match self.pending.waits(id) {
                    true => Err(Failure::NoAnswer("the server answered another request than it was asked")),
                    false => Ok(()),
                }
            }
            Reply::Events(stream) => self.follow_until_settled(stream, id).await,
            Reply::Rejected(rejection) | Reply::SessionGone(rejection) => {
                self.deliver_rejection(rejection, id).await
            }
            Reply::Accepted => Err(Failure::NoAnswer("the server accepted the request and gave no answer")),
            Reply::Unauthorized(_) | Reply::Forbidden(_) => {
                Err(Failure::NoAnswer("the server refused the authorization"))
            }
        }
    }

    /// A JSON body in answer to the request `id`: one message, or a batch where there are batches.
    async fn deliver_answer(&self, body: Bytes, id: &Id) -> Result<(), Failure> {
        match Message::parse(body.clone()) {
            Ok(message) => {
                self.deliver(addressed(message, id)).await;
            }
            Err(invalid) if !self.deliver_batch(&body).await => return Err(invalid.into()),
            Err(_) => {}
        }
        Ok(())
    }

    /// The elements of a batch, where there are batches; false where it is none.
    async fn deliver_batch(&self, body: &Bytes) -> bool {
        let split = self.handshake.allows_batches().then(|| Message::split_batch(body));
        let Some(Ok(Some(elements))) = split else { return false };
        for element in elements {
            match Message::parse(element) {
                Ok(message) => {
                    self.deliver(message).await;
                }
                Err(invalid) => tracing::warn!(%invalid, "a message in a batch is refused"),
            }
        }
        true
    }

    /// A refusal: the server's own error where the body holds one, else one of ours.
    async fn deliver_rejection(&self, rejection: Rejection, id: &Id) -> Result<(), Failure> {
        let Some(body) = &rejection.body else { return Err(rejection.into()) };
        let message = match Message::parse(body.clone()) {
            Ok(message) if matches!(message.head(), Head::Response { id: answered, .. } if answered == id) => {
                Some(message)
            }
            Err(InvalidMessage::Repeated { .. } | InvalidMessage::NotJson(_)) => None,
            _ => readdressed(body, id),
        };
        match message {
            Some(message) => {
                self.deliver(message).await;
                Ok(())
            }
            None => Err(rejection.into()),
        }
    }

    /// Messages in a body that answers nothing in particular.
    pub(super) async fn deliver_body(&self, body: Bytes) {
        match Message::parse(body.clone()) {
            Ok(message) => {
                self.deliver(message).await;
            }
            Err(_) if self.deliver_batch(&body).await => {}
            // Servers acknowledge notifications with all sorts of bodies.
            Err(invalid) => tracing::debug!(%invalid, "a body that is no message"),
        }
    }

    /// Messages of a stream that answers nothing in particular.
    pub(super) async fn deliver_stream(self: Arc<Self>, stream: EventStream) {
        self.follow(stream, None, &mut Position::default()).await;
    }

    /// Hands one message of the server's to the host, settling the request that it answers; false
    /// where it answers nobody.
    pub(super) async fn deliver(&self, message: Message) -> bool {
        match message.head() {
            Head::Response { id, protocol_version, .. } => {
                let Some(settled) = self.pending.settle(id) else {
                    tracing::debug!("the server answered a request that is not pending");
                    return false;
                };
                self.handshake.record_version(id, protocol_version.as_deref());
                self.emit(message.into_bytes()).await;
                settled.release();
            }
            Head::Request { id, .. } => {
                self.questions.asked(id.clone(), self.handshake.epoch());
                self.emit(message.into_bytes()).await;
            }
            Head::Notification { .. } => self.emit(message.into_bytes()).await,
        }
        true
    }

    /// Follows a request's stream, and resumes it, until its answer has come.
    async fn follow_until_settled(self: &Arc<Self>, stream: EventStream, id: &Id) -> Result<(), Failure> {
        let epoch = self.handshake.epoch();
        let mut position = Position::default();
        self.follow(stream, Some(id), &mut position).await;
        let backoff = ExponentialBuilder::default().with_max_times(5).with_jitter();
        let mut outages = backoff.build();
        while self.pending.waits(id) {
            if let Some(refused) = position.refused.take() {
                return Err(refused.into());
            }
            // A stream of another session would be another stream.
            let resumable = position.last_event_id.clone().filter(|_| self.handshake.epoch() == epoch);
            let Some(last_event_id) = resumable else { return Err(Failure::StreamLost(position.cause)) };
            tokio::time::sleep(position.pause()).await;
            if self.handshake.epoch() != epoch {
                continue;
            }
            let outage = match self.send(Outgoing::Resume(&last_event_id, id)).await {
                Ok(Answer { reply: Reply::Events(stream), .. }) => {
                    outages = backoff.build();
                    self.follow(stream, Some(id), &mut position).await;
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

    /// Hands on what a stream brings until it ends, or until the request that it belongs to is
    /// settled and the stream's tail has been read.
    pub(super) async fn follow(&self, mut stream: EventStream, id: Option<&Id>, position: &mut Position) {
        position.idle += 1;
        position.cause = None;
        loop {
            let settled = id.is_some_and(|id| !self.pending.waits(id));
            let next = match settled {
                true => tokio::time::timeout(TAIL_LIMIT, stream.next()).await.ok().flatten(),
                false => stream.next().await,
            };
            let event = match next {
                None => return,
                Some(Ok(event)) => event,
                Some(Err(error)) => {
                    if matches!(error, EventStreamError::Unreadable(_)) {
                        // Resumed, it would bring the same again.
                        position.last_event_id = None;
                    }
                    position.cause = Some(error.to_string());
                    return;
                }
            };
            if let Some(event_id) = event.id {
                position.last_event_id = Some(event_id).filter(|event_id| resumable(event_id));
            }
            position.retry = event.retry.or(position.retry);
            if let Some(frame) = event.message {
                position.idle = 0;
                if let Err(refused) = self.deliver_event(frame, id).await {
                    position.refused.get_or_insert(refused);
                }
            }
        }
    }

    /// One message of a stream. The error is what may have been the answer that the stream's
    /// request waits for.
    async fn deliver_event(&self, frame: Bytes, id: Option<&Id>) -> Result<(), InvalidMessage> {
        let invalid = match Message::parse(frame.clone()) {
            Ok(message) => {
                let message = match id {
                    Some(id) => addressed(message, id),
                    None => message,
                };
                return match self.deliver(message).await {
                    true => Ok(()),
                    false => Err(InvalidMessage::NotJsonRpc {
                        id: None,
                        reason: "an answer that nobody waits for",
                    }),
                };
            }
            Err(invalid) => invalid,
        };
        if self.deliver_batch(&frame).await {
            return Ok(());
        }
        tracing::warn!(%invalid, "a message of the server's is refused");
        // An ambiguous answer still names its request.
        if let InvalidMessage::Repeated { id: Some(answered), is_answer: true, .. } = &invalid {
            self.fail(answered, invalid.clone().into()).await;
        }
        Err(invalid)
    }
}

/// The message as it came, but for an error that names no request: servers answer so what they
/// refuse unread, and the host has to learn which request that was.
fn addressed(message: Message, id: &Id) -> Message {
    match message.head() {
        Head::Response { id: Id::Null, successful: false, .. } if *id != Id::Null => {
            readdressed(message.bytes(), id).unwrap_or(message)
        }
        _ => message,
    }
}

/// An answer with the error of `body`, to the letter, for the request `id`; `None` where the body
/// holds no JSON-RPC error.
fn readdressed(body: &Bytes, id: &Id) -> Option<Message> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct JsonRpcError {
        #[serde(rename = "code")]
        _code: i64,
        #[serde(rename = "message")]
        _message: String,
    }
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    serde_json::from_str::<JsonRpcError>(body.error.get()).ok()?;
    let frame = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{}}}"#, id.as_json(), body.error.get());
    Message::parse(frame.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_an_address_gets_one_and_stays_to_the_letter() {
        let id = Message::parse(Bytes::from_static(br#"{"jsonrpc":"2.0","id":"a","method":"m"}"#)).unwrap();
        let id = id.head().request_id().unwrap();
        for (body, frame) in [
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32000, "message":"no","data":{"n":1e400}},"id":null}"#,
                Some(
                    r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32000, "message":"no","data":{"n":1e400}}}"#,
                ),
            ),
            (r#"{"error":"invalid_token"}"#, None),
            (r#"{"error":{"message":"no code"}}"#, None),
            ("[]", None),
        ] {
            let found = readdressed(&Bytes::from_static(body.as_bytes()), id);
            assert_eq!(
                found.map(|message| message.into_bytes()).as_deref(),
                frame.map(str::as_bytes),
                "{body}"
            );
        }
    }
}
