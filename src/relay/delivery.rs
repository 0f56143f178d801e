//! Replies back: bodies and streams, until the request they belong to is settled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::legacy::Position;
use super::pending::{Settled, Ticket};
use super::{Failure, Inner};
use crate::jsonrpc::{Head, Id, InvalidMessage, Message};
use crate::upstream::streamable_http::{EventStream, Rejection, Reply};

/// How long a stream may stay open behind the answer, so that its connection can be used again.
pub(super) const TAIL_LIMIT: Duration = Duration::from_secs(1);

impl Inner {
    /// Settles a request with what came back for it.
    pub(super) async fn settle(self: &Arc<Self>, reply: Reply, request: &Ticket) -> Result<(), Failure> {
        match reply {
            Reply::Message(body) => {
                self.deliver_answer(body, request).await?;
                match self.pending.waits(request) {
                    true => Err(Failure::NoAnswer("the server answered another request than it was asked")),
                    false => Ok(()),
                }
            }
            Reply::Events(stream) => self.follow_until_settled(stream, request).await,
            Reply::Rejected(rejection) | Reply::SessionGone(rejection) => {
                self.deliver_rejection(rejection, request).await
            }
            Reply::Accepted => Err(Failure::NoAnswer("the server accepted the request and gave no answer")),
            Reply::Unauthorized(_) | Reply::Forbidden(_) => {
                Err(Failure::NoAnswer("the server refused the authorization"))
            }
        }
    }

    /// A JSON body in answer to `request`: one message, or a batch where there are batches.
    async fn deliver_answer(&self, body: Bytes, request: &Ticket) -> Result<(), Failure> {
        match Message::parse(body.clone()) {
            Ok(message) => {
                self.deliver(addressed(message, request.id()), Some(request)).await;
            }
            Err(invalid) if !self.deliver_batch(&body, Some(request)).await => return Err(invalid.into()),
            Err(_) => {}
        }
        Ok(())
    }

    /// The elements of a batch, where there are batches; false where it is none.
    async fn deliver_batch(&self, body: &Bytes, request: Option<&Ticket>) -> bool {
        let split = self.legacy.handshake.allows_batches().then(|| Message::split_batch(body));
        let Some(Ok(Some(elements))) = split else { return false };
        for element in elements {
            match Message::parse(element) {
                Ok(message) => {
                    self.deliver(message, request).await;
                }
                Err(invalid) => tracing::warn!(%invalid, "a message in a batch is refused"),
            }
        }
        true
    }

    /// A refusal: the server's own error where the body holds one, else one of ours.
    pub(super) async fn deliver_rejection(
        &self,
        rejection: Rejection,
        request: &Ticket,
    ) -> Result<(), Failure> {
        let message = refusal(rejection, request.id())?;
        self.deliver(message, Some(request)).await;
        Ok(())
    }

    /// Messages in a body that answers nothing in particular.
    pub(super) async fn deliver_body(&self, body: Bytes) {
        match Message::parse(body.clone()) {
            Ok(message) => {
                self.deliver(message, None).await;
            }
            Err(_) if self.deliver_batch(&body, None).await => {}
            // Servers acknowledge notifications with all sorts of bodies.
            Err(invalid) => tracing::debug!(%invalid, "a body that is no message"),
        }
    }

    /// Messages of a stream that answers nothing in particular.
    pub(super) async fn deliver_stream(self: Arc<Self>, stream: EventStream) {
        self.follow(stream, None, &mut Position::default()).await;
    }

    /// Hands one message of the server's to the host, settling the request that it answers; false
    /// where it answers nobody. It came in answer to `request`, where it did not come by itself.
    pub(super) async fn deliver(&self, message: Message, request: Option<&Ticket>) -> bool {
        match message.head() {
            Head::Response { id, .. } => {
                let Some(settled) = self.settled_by(id, request) else {
                    tracing::debug!("the server answered a request that is not pending");
                    return false;
                };
                self.legacy.handshake.record_answer(&message);
                self.respond(settled, message.into_bytes()).await;
            }
            Head::Request { id, .. } => {
                let on = request.map(Ticket::id);
                self.legacy.questions.asked(id.clone(), self.legacy.handshake.epoch(), on);
                self.emit(message.into_bytes()).await;
            }
            Head::Notification { .. } => self.emit(message.into_bytes()).await,
        }
        true
    }

    /// Takes the request `answered` out of the table, for an answer that came in answer to
    /// `request`, where it did not come by itself.
    fn settled_by(&self, answered: &Id, request: Option<&Ticket>) -> Option<Settled> {
        match request {
            // Its id may be in use again; a late second answer is none to that.
            Some(request) if request.id() == answered => self.pending.settle(request),
            _ => self.pending.settle_id(answered),
        }
    }

    /// Hands on what a stream brings until it ends, or until the request that it belongs to is
    /// settled and the stream's tail has been read.
    pub(super) async fn follow(
        &self,
        mut stream: EventStream,
        request: Option<&Ticket>,
        position: &mut Position,
    ) {
        position.reconnected();
        loop {
            let settled = request.is_some_and(|request| !self.pending.waits(request));
            let next = match settled {
                true => tokio::time::timeout(TAIL_LIMIT, stream.next()).await.ok().flatten(),
                false => stream.next().await,
            };
            let event = match next {
                None => return position.ended(),
                Some(Ok(event)) => event,
                Some(Err(error)) => return position.broken(&error),
            };
            position.reached(&event);
            if let Some(frame) = event.message
                && let Err(refused) = self.deliver_event(frame, request).await
            {
                position.refused(refused);
            }
        }
    }

    /// One message of a stream. The error is what may have been the answer that the stream's
    /// request waits for.
    pub(super) async fn deliver_event(
        &self,
        frame: Bytes,
        request: Option<&Ticket>,
    ) -> Result<(), InvalidMessage> {
        let invalid = match Message::parse(frame.clone()) {
            Ok(message) => {
                let message = match request {
                    Some(request) => addressed(message, request.id()),
                    None => message,
                };
                return match self.deliver(message, request).await {
                    true => Ok(()),
                    false => Err(InvalidMessage::NotJsonRpc {
                        id: None,
                        reason: "an answer that nobody waits for",
                    }),
                };
            }
            Err(invalid) => invalid,
        };
        if self.deliver_batch(&frame, request).await {
            return Ok(());
        }
        tracing::warn!(%invalid, "a message of the server's is refused");
        // An ambiguous answer still names its request.
        if let InvalidMessage::Repeated { id: Some(answered), is_answer: true, .. } = &invalid
            && let Some(settled) = self.settled_by(answered, request)
        {
            self.answer_failure(settled, answered, &invalid.clone().into()).await;
        }
        Err(invalid)
    }
}

/// The server's own error for the request `id` in the body of a refusal.
///
/// # Errors
/// The refusal as such, where its body holds none.
pub(super) fn refusal(rejection: Rejection, id: &Id) -> Result<Message, Failure> {
    let Some(body) = &rejection.body else { return Err(rejection.into()) };
    let message = match Message::parse(body.clone()) {
        Ok(message) if matches!(message.head(), Head::Response { id: answered, .. } if answered == id) => {
            Some(message)
        }
        Err(InvalidMessage::Repeated { .. } | InvalidMessage::NotJson(_)) => None,
        _ => readdressed(body, id),
    };
    message.ok_or_else(|| rejection.into())
}

/// The message as it came, but for an error that names no request: servers answer so what they
/// refuse unread, and the host has to learn which request that was.
pub(super) fn addressed(message: Message, id: &Id) -> Message {
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
