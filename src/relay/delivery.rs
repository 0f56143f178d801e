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
use crate::upstream::streamable_http::{Answer, EventStream, Rejection, Reply};

/// How long a stream may stay open behind the answer, so that its connection can be used again.
const TAIL_LIMIT: Duration = Duration::from_secs(1);
/// How long to wait before resuming where the server did not say (`retry`).
const RETRY_DEFAULT: Duration = Duration::from_secs(1);
/// The longest `retry` that is obeyed.
const RETRY_MOST: Duration = Duration::from_secs(300);

/// Where a stream stands when it ends.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The last event's id; `None` where the stream cannot be resumed.
    pub(super) last_event_id: Option<String>,
    /// How long to wait before a reconnect.
    pub(super) retry: Option<Duration>,
    /// Whether any event came.
    pub(super) moved: bool,
}

impl Position {
    /// How long the server wants a reconnect to wait.
    pub(super) fn delay(&self) -> Duration {
        self.retry.unwrap_or(RETRY_DEFAULT).min(RETRY_MOST)
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
            Reply::Rejected(rejection) => self.deliver_rejection(rejection, id).await,
            Reply::SessionGone => Err(Failure::SessionLost),
            Reply::Accepted => Err(Failure::NoAnswer("the server accepted the request and gave no answer")),
            Reply::Unauthorized(_) | Reply::Forbidden(_) => {
                Err(Failure::NoAnswer("the server refused the authorization"))
            }
        }
    }

    /// A JSON body in answer to the request `id`: one message, or a batch where there are batches.
    async fn deliver_answer(&self, body: Bytes, id: &Id) -> Result<(), Failure> {
        match Message::parse(body.clone()) {
            Ok(message) => self.deliver(addressed(message, id)).await,
            Err(invalid) => match Message::split_batch(&body) {
                Ok(Some(elements)) if self.handshake.allows_batches() => {
                    for element in elements {
                        self.deliver(Message::parse(element)?).await;
                    }
                }
                _ => return Err(invalid.into()),
            },
        }
        Ok(())
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
        match Message::parse(body) {
            Ok(message) => self.deliver(message).await,
            // Servers acknowledge notifications with all sorts of bodies.
            Err(invalid) => tracing::debug!(%invalid, "a body that is no message"),
        }
    }

    /// Messages of a stream that answers nothing in particular.
    pub(super) async fn deliver_stream(&self, stream: EventStream) {
        self.follow(stream, None, &mut Position::default()).await;
    }

    /// Hands one message of the server's to the host, settling the request that it answers.
    async fn deliver(&self, message: Message) {
        if let Head::Response { id, protocol_version, .. } = message.head() {
            self.handshake.record_version(id, protocol_version.as_deref());
            if !self.pending.settle(id) {
                tracing::debug!("the server answered a request that is not pending");
                return;
            }
        }
        self.emit(message.into_bytes()).await;
    }

    /// Follows a request's stream, and resumes it, until its answer has come.
    async fn follow_until_settled(self: &Arc<Self>, stream: EventStream, id: &Id) -> Result<(), Failure> {
        let mut position = Position::default();
        let mut cause = self.follow(stream, Some(id), &mut position).await;
        let backoff = ExponentialBuilder::default().with_max_times(5).with_jitter();
        let mut outages = backoff.build();
        while self.pending.waits(id) {
            let Some(last_event_id) = position.last_event_id.clone() else {
                return Err(Failure::StreamLost(cause));
            };
            tokio::time::sleep(position.delay()).await;
            match self.send(Outgoing::Listen(Some(&last_event_id))).await {
                Ok(Answer { reply: Reply::Events(stream), .. }) => {
                    outages = backoff.build();
                    cause = self.follow(stream, Some(id), &mut position).await;
                }
                Err(failure @ Failure::Authorizer(_)) => return Err(failure),
                Err(failure) => match outages.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(Failure::StreamLost(Some(failure.to_string()))),
                },
                Ok(Answer { reply: Reply::Rejected(rejection), .. })
                    if rejection.status.is_server_error() =>
                {
                    match outages.next() {
                        Some(delay) => tokio::time::sleep(delay).await,
                        None => return Err(Failure::StreamLost(Some(Failure::from(rejection).to_string()))),
                    }
                }
                Ok(_) => return Err(Failure::StreamLost(Some("the server would not resume it".to_owned()))),
            }
        }
        Ok(())
    }

    /// Hands on what a stream brings until it ends, or until the request that it belongs to is
    /// settled and the stream's tail has been read. Says why it broke, where it broke.
    pub(super) async fn follow(
        &self,
        mut stream: EventStream,
        id: Option<&Id>,
        position: &mut Position,
    ) -> Option<String> {
        loop {
            let settled = id.is_some_and(|id| !self.pending.waits(id));
            let next = match settled {
                true => tokio::time::timeout(TAIL_LIMIT, stream.next()).await.ok()?,
                false => stream.next().await,
            };
            let event = match next? {
                Ok(event) => event,
                Err(error) => return Some(error.to_string()),
            };
            position.moved = true;
            position.last_event_id = event.id.or(position.last_event_id.take());
            position.retry = event.retry.or(position.retry);
            if let Some(frame) = event.message {
                self.deliver_event(frame, id).await;
            }
        }
    }

    async fn deliver_event(&self, frame: Bytes, id: Option<&Id>) {
        let invalid = match Message::parse(frame.clone()) {
            Ok(message) => {
                let message = match id {
                    Some(id) => addressed(message, id),
                    None => message,
                };
                return self.deliver(message).await;
            }
            Err(invalid) => invalid,
        };
        if let Ok(Some(elements)) = Message::split_batch(&frame)
            && self.handshake.allows_batches()
        {
            for message in elements.into_iter().filter_map(|element| Message::parse(element).ok()) {
                self.deliver(message).await;
            }
            return;
        }
        tracing::warn!(%invalid, "a message of the server's is refused");
        // An ambiguous answer still names its request; what is no message at all may have been
        // the answer to the one that this stream belongs to, and its end will tell.
        if let InvalidMessage::Repeated { id: Some(answered), .. } = &invalid {
            let answered = answered.clone();
            self.fail(&answered, invalid.into()).await;
        }
    }

    /// Reads the server's answer to a replayed `initialize`; the host has had one already.
    pub(super) async fn swallow_initialize(&self, reply: Reply, initialize: &Message) -> Result<(), Failure> {
        let answers = |message: &Message| match message.head() {
            Head::Response { id, successful, protocol_version } => {
                let ours = initialize.head().request_id() == Some(id);
                ours.then(|| (*successful, protocol_version.clone()))
            }
            _ => None,
        };
        let (successful, version) = match reply {
            Reply::Message(body) => answers(&Message::parse(body)?).ok_or(Failure::SessionLost)?,
            Reply::Events(mut stream) => loop {
                let event = stream.next().await.and_then(Result::ok).ok_or(Failure::SessionLost)?;
                let Some(message) = event.message.and_then(|frame| Message::parse(frame).ok()) else {
                    continue;
                };
                match answers(&message) {
                    Some(answer) => break answer,
                    None => self.deliver(message).await,
                }
            },
            Reply::Rejected(rejection) => return Err(rejection.into()),
            _ => return Err(Failure::SessionLost),
        };
        if let Some(id) = initialize.head().request_id() {
            self.handshake.record_version(id, version.as_deref());
        }
        if successful { Ok(()) } else { Err(Failure::SessionLost) }
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
