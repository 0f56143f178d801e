//! The host's messages over HTTP+SSE: out by POST, answered on the stream.

use std::sync::Arc;
use std::time::Duration;

use super::Connection;
use super::fallback::answers;
use crate::http::HttpError;
use crate::jsonrpc::Message;
use crate::relay::exchange::{Attendance, Outgoing};
use crate::relay::legacy::{Epoch, Position};
use crate::relay::pending::Ticket;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Rejection, Reply};

/// How long a POST may go on once the answer has come on the stream, so that its connection can be
/// used again.
const TAIL_LIMIT: Duration = Duration::from_secs(1);

/// How many streams may end under a request that has not gone out.
const STREAMS: usize = 8;

/// What became of a request that was to go out.
enum Carried {
    /// It is settled.
    Settled,
    /// The stream broke before it went out.
    NotSent,
    /// The server does not know the session, and has not acted.
    SessionGone(Rejection),
}

impl Inner {
    /// The host's `initialize`, in a stream of its own.
    pub(in crate::relay::legacy) async fn initialize_on(
        self: &Arc<Self>,
        connection: &Connection,
        message: &Message,
        request: &Ticket,
    ) -> Result<(), Failure> {
        match self.carry_over_sse(connection, message, request).await? {
            Carried::Settled => Ok(()),
            Carried::NotSent => Err(Failure::SessionLost(None)),
            Carried::SessionGone(rejection) => self.deliver_rejection(rejection, request).await,
        }
    }

    /// Any other request; false where the server turns out to speak something else, and it has not
    /// gone out.
    pub(in crate::relay::legacy) async fn request_over_sse(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
    ) -> Result<bool, Failure> {
        let mut renewed = false;
        for _ in 0..STREAMS {
            let Some(connection) = self.connected(Attendance::Person).await? else { return Ok(false) };
            self.legacy.wishes.precede(message).await;
            match self.carry_over_sse(&connection, message, request).await? {
                Carried::Settled => return Ok(true),
                Carried::NotSent => {}
                Carried::SessionGone(rejection) if renewed => {
                    self.deliver_rejection(rejection, request).await?;
                    return Ok(true);
                }
                Carried::SessionGone(_) => {
                    renewed = true;
                    connection.end(Some("the server does not know the session".to_owned()));
                }
            }
        }
        Err(Failure::SessionLost(Some("its streams end as soon as they are open".to_owned())))
    }

    /// Sends a request and waits for its answer, or for the stream's end.
    async fn carry_over_sse(
        self: &Arc<Self>,
        connection: &Connection,
        message: &Message,
        request: &Ticket,
    ) -> Result<Carried, Failure> {
        let Some(settlement) = self.pending.settlement(request) else { return Ok(Carried::Settled) };
        tokio::pin! {
            let settled = settlement.reached();
            let posting = self.post_request(connection, message, request);
        }
        let posted = tokio::select! {
            biased;
            () = &mut settled => {
                let _late = tokio::time::timeout(TAIL_LIMIT, posting).await;
                return Ok(Carried::Settled);
            }
            posted = &mut posting => posted,
            () = connection.ended() => return self.cut_off(connection, request),
        };
        match posted {
            Ok(Some(rejection)) => return Ok(Carried::SessionGone(rejection)),
            Ok(None) => {}
            // The server went away, and its stream with it.
            Err(Failure::Http(HttpError::NotSent { .. })) if !connection.stands() => {
                return Ok(Carried::NotSent);
            }
            Err(failure) => return Err(failure),
        }
        tokio::select! {
            biased;
            () = settled => Ok(Carried::Settled),
            () = connection.ended() => self.cut_off(connection, request),
        }
    }

    /// What a stream's end means to a request without an answer.
    fn cut_off(&self, connection: &Connection, request: &Ticket) -> Result<Carried, Failure> {
        match self.pending.is_sent(request) {
            Some(true) => Err(connection.failure()),
            Some(false) => Ok(Carried::NotSent),
            None => Ok(Carried::Settled),
        }
    }

    /// POSTs a request. Where servers answer it right there, that is its answer; the refusal that
    /// comes back says that the session is unknown.
    async fn post_request(
        self: &Arc<Self>,
        connection: &Connection,
        message: &Message,
        request: &Ticket,
    ) -> Result<Option<Rejection>, Failure> {
        let outgoing =
            Outgoing { request: Some(request), ..Outgoing::to(connection.endpoint(), message.bytes()) };
        match self.send(outgoing).await?.reply {
            Reply::Accepted => {}
            Reply::Message(body) => self.deliver_body(body).await,
            Reply::Events(stream) => self.follow(stream, Some(request), &mut Position::default()).await,
            Reply::SessionGone(rejection) if !answers(&rejection, request.id()) => {
                return Ok(Some(rejection));
            }
            reply => self.settle(reply, request).await?,
        }
        Ok(None)
    }

    /// A notification, or an answer to the question that the session `asked`; false as above.
    pub(in crate::relay::legacy) async fn send_unanswered_over_sse(
        self: &Arc<Self>,
        message: &Message,
        asked: Option<Epoch>,
    ) -> Result<bool, Failure> {
        let mut renewed = false;
        loop {
            let Some(connection) = self.connected(Attendance::Person).await? else { return Ok(false) };
            // In another session the same id may be another question's.
            if asked.is_some_and(|asked| asked != connection.epoch()) {
                return Err(Failure::SessionLost(None));
            }
            match self.send(Outgoing::to(connection.endpoint(), message.bytes())).await?.reply {
                Reply::SessionGone(_) if asked.is_none() && !renewed => {
                    renewed = true;
                    connection.end(Some("the server does not know the session".to_owned()));
                }
                Reply::SessionGone(rejection) | Reply::Rejected(rejection) => return Err(rejection.into()),
                reply => {
                    self.deliver_unasked(reply).await;
                    return Ok(true);
                }
            }
        }
    }
}
