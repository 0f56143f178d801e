//! A legacy host's messages to a modern server, and what comes back for them.

use std::borrow::Cow;
use std::sync::Arc;

use super::Pair;
use super::asking::Patience;
use super::introduction::Unsayable;
use super::results::{Said, said};
use super::retired::{self, Fate};
use super::rounds::Round;
use crate::jsonrpc::edit::Repeated;
use crate::jsonrpc::{ErrorResponse, Head, Id, InvalidMessage, Message, code};
use crate::relay::modern::{Asked, Replies};
use crate::relay::pending::Ticket;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Rejection, Reply};

/// What became of a translated request.
pub(in crate::relay) enum Translated {
    /// The host has its answer.
    Answered,
    /// The server says that a session is missing: where it is of the era before by now, it has not acted.
    WantsSession(Rejection),
}

impl Inner {
    /// A request of the host's, other than `initialize`.
    pub(in crate::relay) async fn translate_request(
        self: &Arc<Self>,
        pair: &Arc<Pair>,
        message: &Message,
        request: &Ticket,
    ) -> Result<Translated, Failure> {
        let refusal = match Fate::of(message) {
            Fate::Goes => return self.translate_and_send(pair, message, request).await,
            Fate::Done => None,
            Fate::LogLevel(level) => {
                pair.set_log_level(level);
                None
            }
            Fate::Subscribe(uri) => self.subscribe_to(pair, uri, request.id()).await,
            Fate::Unsubscribe(uri) => {
                pair.subscription.forget(&uri);
                None
            }
            Fate::Wrong(what) => Some(ErrorResponse::new(request.id().clone(), code::INVALID_PARAMS, what)),
        };
        let answer = refusal.map_or_else(|| retired::done(request.id()).into(), ErrorResponse::into_bytes);
        self.answer_with(answer, request).await;
        Ok(Translated::Answered)
    }

    /// A notification of the host's, other than a cancellation.
    pub(in crate::relay) async fn translate_notification(
        self: &Arc<Self>,
        pair: &Arc<Pair>,
        message: &Message,
    ) {
        let method = message.head().method().unwrap_or_default();
        if method == "notifications/initialized" {
            self.start_listening_for(pair);
        }
        if retired::is_retired(method) {
            return tracing::debug!(method, "a notification that the server has no use for");
        }
        match pair.introduction.stamp(message.text(), None) {
            Ok(stamped) => {
                if let Ok(stamped) = Message::parse(stamped.into()) {
                    self.pass_notification(&stamped, crate::wire::WITHOUT_INITIALIZE).await;
                }
            }
            Err(error) => tracing::warn!(method, %error, "a notification is left out"),
        }
    }

    async fn translate_and_send(
        &self,
        pair: &Pair,
        message: &Message,
        request: &Ticket,
    ) -> Result<Translated, Failure> {
        let stamped = match pair.introduction.stamp(message.text(), pair.log_level()) {
            Ok(stamped) => stamped,
            Err(unsayable) => {
                self.answer_with(refusal(&unsayable, request.id()).into_bytes(), request).await;
                return Ok(Translated::Answered);
            }
        };
        let method = message.head().method().unwrap_or_default();
        let mut patience = Patience::default();
        let mut outgoing = Message::parse(stamped.clone().into())?;
        loop {
            let asked = self.modern.ask_tools();
            let renamed = outgoing.head().request_id() != Some(request.id());
            let reply = match self.ask_with_headers(&outgoing, request).await? {
                // What was asked in between was part of the work.
                Reply::SessionGone(rejection) if !renamed => return Ok(Translated::WantsSession(rejection)),
                reply => reply,
            };
            let answer = self.answer_in(reply, &outgoing, request, asked).await?;
            let repeated = |repeated| ambiguous(request.id(), repeated);
            let result = match said(&answer).map_err(repeated)? {
                Said::Other(_) if !pair.offers.extensions => {
                    return Err(Failure::NoAnswer(
                        "the server answered with a type of result that nobody knows",
                    ));
                }
                Said::All(said) | Said::Other(said) => {
                    let id = renamed.then(|| request.id().as_json());
                    let answer = match said.for_host(method, id).map_err(repeated)? {
                        Cow::Borrowed(_) => answer.bytes().clone(),
                        Cow::Owned(changed) => changed.into(),
                    };
                    self.answer_with(answer, request).await;
                    return Ok(Translated::Answered);
                }
                Said::InputRequired(result) => result,
            };
            let next = match Round::of(result, pair.offers) {
                Ok(round) => self.meet(&round, &mut patience, &stamped).await,
                Err(unaskable) => Err(unaskable.into()),
            };
            outgoing = match next {
                Ok(next) => Message::parse(next.into())?,
                Err(unmet) => {
                    tracing::debug!(%unmet, "a request failed");
                    self.answer_with(unmet.to_response(request.id()).into_bytes(), request).await;
                    return Ok(Translated::Answered);
                }
            };
        }
    }

    /// The answer to what went out in place of the host's `request`, with an id of its own. What comes before
    /// the answer is the host's.
    async fn answer_in(
        &self,
        reply: Reply,
        message: &Message,
        request: &Ticket,
        asked: Asked,
    ) -> Result<Message, Failure> {
        let mut replies = Replies::of(reply, message.head().request_id().unwrap_or(request.id()))?;
        while let Some(reply) = replies.next().await? {
            match reply.head() {
                Head::Response { .. } => {
                    self.read_tail(replies);
                    let answer = self.modern.learn_from(reply, message, asked, self.shown());
                    return Ok(Message::parse(answer)?);
                }
                // The answer to it would have nowhere to go (Streamable HTTP, "Sending Messages").
                Head::Request { method, .. } => {
                    let method = self.shown()(method);
                    tracing::warn!(method, "the server sent a request of its own")
                }
                Head::Notification { .. } => self.hand_on(reply, request).await,
            }
        }
        Err(Failure::NoAnswer("the server gave no answer"))
    }

    /// Lets a stream end by itself, so that its connection can be used again.
    fn read_tail(&self, mut replies: Replies) {
        self.spawn_until_closing(async move { while let Ok(Some(_)) = replies.next().await {} });
    }
}

fn refusal(unsayable: &Unsayable, id: &Id) -> ErrorResponse {
    let code = match unsayable {
        Unsayable::Repeated(_) => code::INVALID_REQUEST,
        Unsayable::NotAnObject(_) => code::INVALID_PARAMS,
    };
    ErrorResponse::new(id.clone(), code, unsayable.to_string())
}

/// An answer that could be read in two ways.
pub(super) fn ambiguous(id: &Id, Repeated(member): Repeated) -> InvalidMessage {
    InvalidMessage::Repeated { id: Some(id.clone()), is_answer: true, member }
}
