//! What comes back for one request, message by message: a body, or an event stream that belongs to
//! this request alone (2026-07-28, Streamable HTTP, "Receiving Messages"). A stream that breaks off
//! cannot be resumed.

use bytes::Bytes;

use crate::jsonrpc::{Head, Id, InvalidMessage, Message};
use crate::relay::Failure;
use crate::relay::delivery::{TAIL_LIMIT, addressed, refusal};
use crate::upstream::streamable_http::{EventStream, Reply};

/// The messages that answer one request. Dropping it closes the stream, which cancels the request.
pub(in crate::relay) struct Replies {
    request: Id,
    source: Source,
    is_answered: bool,
    /// The first message that was refused: it may have been the answer.
    refused: Option<InvalidMessage>,
}

enum Source {
    Body(Message),
    Events(EventStream),
    Ended,
}

impl Replies {
    /// Reads a reply to the request with this id. A refusal whose body holds the server's own error
    /// is an answer like any other.
    ///
    /// # Errors
    /// Where the reply holds no message.
    pub(in crate::relay) fn of(reply: Reply, request: &Id) -> Result<Self, Failure> {
        let source = match reply {
            Reply::Message(body) => Source::Body(addressed(Message::parse(body)?, request)),
            Reply::Events(stream) => Source::Events(stream),
            Reply::Rejected(rejection) | Reply::SessionGone(rejection) => {
                Source::Body(refusal(rejection, request)?)
            }
            Reply::Accepted => {
                return Err(Failure::NoAnswer("the server accepted the request and gave no answer"));
            }
            Reply::Unauthorized(_) | Reply::Forbidden(_) => {
                return Err(Failure::NoAnswer("the server refused the authorization"));
            }
        };
        Ok(Self { request: request.clone(), source, is_answered: false, refused: None })
    }

    /// The next message; `None` where the answer has come, and nothing follows it. The only response
    /// among the messages is the answer.
    ///
    /// # Errors
    /// Where the end comes before the answer.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(in crate::relay) async fn next(&mut self) -> Result<Option<Message>, Failure> {
        let end = match &mut self.source {
            Source::Ended => Failure::NoAnswer("the server gave no answer"),
            Source::Body(_) => return self.body(),
            Source::Events(stream) => loop {
                let next = match self.is_answered {
                    true => tokio::time::timeout(TAIL_LIMIT, stream.next()).await.ok().flatten(),
                    false => stream.next().await,
                };
                let frame = match next {
                    None => break Failure::StreamLost(None),
                    Some(Err(error)) => break Failure::StreamLost(Some(error.to_string())),
                    Some(Ok(event)) => event.message,
                };
                let Some(frame) = frame else { continue };
                match read(frame, &self.request) {
                    Ok(message) => {
                        self.is_answered |= matches!(message.head(), Head::Response { .. });
                        return Ok(Some(message));
                    }
                    Err(invalid) => {
                        tracing::warn!(%invalid, "a message of the server's is refused");
                        let is_answer = invalid.answers(&self.request);
                        let refused = self.refused.get_or_insert(invalid).clone();
                        if is_answer && !self.is_answered {
                            break refused.into();
                        }
                    }
                }
            },
        };
        self.source = Source::Ended;
        match (self.is_answered, self.refused.take()) {
            (true, _) => Ok(None),
            (false, Some(refused)) => Err(refused.into()),
            (false, None) => Err(end),
        }
    }

    fn body(&mut self) -> Result<Option<Message>, Failure> {
        let Source::Body(message) = std::mem::replace(&mut self.source, Source::Ended) else {
            return Ok(None);
        };
        if let Head::Response { id, .. } = message.head() {
            if *id != self.request {
                return Err(Failure::NoAnswer("the server answered another request than it was asked"));
            }
            self.is_answered = true;
        }
        Ok(Some(message))
    }
}

/// One message of the stream that belongs to `request`.
fn read(frame: Bytes, request: &Id) -> Result<Message, InvalidMessage> {
    let message = addressed(Message::parse(frame)?, request);
    match message.head() {
        Head::Response { id, .. } if id != request => {
            Err(InvalidMessage::NotJsonRpc { id: None, reason: "an answer that nobody waits for" })
        }
        _ => Ok(message),
    }
}
