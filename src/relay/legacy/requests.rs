//! The host's messages within a session, and the session's end.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::Epoch;
use super::sse::{may_have_left, may_mean_sse};
use super::stand_in::AUTHORIZATION_LIMIT;
use super::wishes::Wishes;
use crate::jsonrpc::{Message, code};
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::pending::Ticket;
use crate::relay::translation::{Opened, Translated};
use crate::relay::{Failure, Inner, WORD_LIMIT};
use crate::upstream::streamable_http::Reply;
use crate::wire::SESSION_ID;

/// What a refusal may say of the server, which a new session would show: the request is sent once more
/// where it did not act.
#[derive(Clone, Copy)]
enum Sign {
    /// The session is lost.
    SessionGone,
    /// It wants one, though the last era that it spoke has none.
    WantsSession,
    /// It serves no revision with sessions any more.
    WantsNoSession,
    /// It does not speak this transport any more.
    OtherTransport,
}

impl Inner {
    /// The host's `initialize`.
    pub(in crate::relay) async fn initialize(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
    ) -> Result<(), Failure> {
        let gate = Arc::clone(&self.legacy.gate).write_owned().await;
        self.legacy.stand_in.dismiss();
        if let Some(left) = self.legacy.handshake.begin(message.clone()) {
            let inner = Arc::clone(self);
            self.spawn_awaited(async move { inner.leave(left).await });
        }
        self.pending.hold_gate(request, gate);
        self.translation.end();
        self.legacy.wishes.begin();
        // A login in the browser is worth waiting for; hosts wait for half a minute.
        let hurried = !self.strict && !self.authorizer.may_open_browser();
        let authorized_by = hurried.then(|| Instant::now() + AUTHORIZATION_LIMIT);
        match self.begin_session(message, request, authorized_by).await {
            Err(failure @ Failure::Authorizer(_)) if !self.strict => {
                self.let_in(message, request, failure).await;
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The host's `initialize`, over the transport that the server turns out to speak.
    async fn begin_session(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
        authorized_by: Option<Instant>,
    ) -> Result<(), Failure> {
        let sse = &self.legacy.sse;
        if sse.is_spoken() || (sse.may_be_spoken() && self.eras.sse() == Some(true)) {
            match self.connect(authorized_by).await {
                Ok(connection) => return self.initialize_on(&connection, message, request).await,
                Err(failure) if failure.is_sign_against_sse() && sse.may_be_left() => {
                    tracing::info!(%failure, "the server does not speak HTTP+SSE any more");
                    sse.leave();
                    self.eras.learn_sse(false);
                }
                Err(failure) => return Err(failure),
            }
        }
        let first = Outgoing {
            within: Within::NoSession,
            authorized_by,
            ..Outgoing::request(message.bytes(), request)
        };
        let answer = match self.open(message, first).await? {
            Opened::Session(answer) => answer,
            Opened::Translated(answer) => {
                self.answer_with(answer.into(), request).await;
                return Ok(());
            }
        };
        if sse.may_be_spoken() && may_mean_sse(&answer.reply, request.id()) {
            match self.connect(authorized_by).await {
                Ok(connection) => return self.initialize_on(&connection, message, request).await,
                Err(failure) if failure.is_no_sign_of_sse() => {
                    tracing::debug!(%failure, "nor does the server speak HTTP+SSE");
                }
                Err(failure) => return Err(failure),
            }
        }
        self.legacy.handshake.assign(answer.session_id);
        self.settle(answer.reply, request).await
    }

    /// Any other request; the first `earlier` notifications go before it.
    pub(in crate::relay) async fn request(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
        earlier: u64,
    ) -> Result<(), Failure> {
        // A ping asks whether somebody is there, and that may be while the handshake hangs.
        if message.head().method() != Some("ping") {
            drop(self.legacy.gate.read().await);
        }
        self.legacy.notifications.precede(earlier).await;
        self.note_wish(message, request);
        if self.stand_in(message, request).await {
            return Ok(());
        }
        let mut renewed = false;
        loop {
            // The server may come to speak another transport at any time.
            if self.legacy.sse.is_spoken() && self.request_over_sse(message, request).await? {
                return Ok(());
            }
            let mut epoch = self.current_session().await?;
            self.insist_on_initialized().await?;
            if self.legacy.wishes.precede(message).await {
                epoch = self.current_session().await?;
            }
            let (reply, sign) = match self.translation.pair() {
                Some(pair) => match self.translate_request(&pair, message, request).await? {
                    Translated::Answered => return Ok(()),
                    Translated::WantsSession(rejection) => {
                        (Reply::Rejected(rejection), Some(Sign::WantsSession))
                    }
                },
                None => {
                    let reply = self.send(Outgoing::request(message.bytes(), request)).await?.reply;
                    let sign = self.sign_in(&reply, request);
                    (reply, sign)
                }
            };
            let Some(sign) = sign.filter(|_| !renewed) else { return self.settle(reply, request).await };
            renewed = true;
            let renewal = self.renew(epoch, Attendance::Person).await;
            let translates = self.translation.pair().is_some();
            match (sign, renewal) {
                (Sign::SessionGone, renewal) => renewal?,
                (Sign::OtherTransport, Ok(())) => {}
                // Where the era did not change, it spoke of something else, and may have acted.
                (Sign::WantsSession, Ok(())) if !translates => {}
                (Sign::WantsNoSession, Ok(())) if translates => {}
                _ => return self.settle(reply, request).await,
            }
        }
    }

    /// Notes what a request asks of the session, or takes back.
    fn note_wish(&self, message: &Message, request: &Ticket) {
        if !Wishes::concerns(message) {
            return;
        }
        let standing = self.legacy.handshake.epoch();
        self.pending.drop_wishes(|wish| wish.is_overtaken(message, standing));
        if let Some(wish) = self.legacy.wishes.asked(message) {
            self.pending.keep_wish(request, wish);
        }
    }

    /// What the reply to a request within a session says of the server, if anything.
    fn sign_in(&self, reply: &Reply, request: &Ticket) -> Option<Sign> {
        let sign = match reply {
            Reply::SessionGone(_) => Sign::SessionGone,
            reply if knows_no_sessions(reply) => Sign::WantsNoSession,
            reply if self.legacy.sse.may_be_spoken() && may_have_left(reply, request.id()) => {
                Sign::OtherTransport
            }
            _ => return None,
        };
        self.legacy.handshake.can_restart().then_some(sign)
    }

    /// A cancellation, or an answer to the question that the session `asked`: sent soon, or not at
    /// all.
    pub(in crate::relay) async fn send_word(self: Arc<Self>, message: Message, asked: Option<Epoch>) {
        if tokio::time::timeout(WORD_LIMIT, self.send_unanswered(&message, asked)).await.is_err() {
            tracing::warn!(method = message.head().method(), "a message took too long");
        }
    }

    /// A notification, or an answer to the question that the session `asked`: nobody waits for what
    /// comes back.
    pub(super) async fn send_unanswered(self: &Arc<Self>, message: &Message, asked: Option<Epoch>) {
        if self.legacy.stand_in.stands() {
            tracing::debug!(method = message.head().method(), "nobody is there to take it yet");
        } else if let Err(failure) = self.try_send_unanswered(message, asked).await {
            tracing::warn!(method = message.head().method(), %failure, "a message did not reach the server");
        }
    }

    pub(super) async fn try_send_unanswered(
        self: &Arc<Self>,
        message: &Message,
        asked: Option<Epoch>,
    ) -> Result<(), Failure> {
        let mut renewed = false;
        loop {
            if self.legacy.sse.is_spoken() && self.send_unanswered_over_sse(message, asked).await? {
                return Ok(());
            }
            let epoch = self.current_session().await?;
            // In another session the same id may be another question's.
            let within = asked.map_or(Within::Session, Within::Only);
            let outgoing = Outgoing { within, ..Outgoing::message(message.bytes()) };
            match self.send(outgoing).await?.reply {
                Reply::SessionGone(_)
                    if asked.is_none() && !renewed && self.legacy.handshake.can_restart() =>
                {
                    renewed = true;
                    self.renew(epoch, Attendance::Person).await?;
                }
                Reply::SessionGone(rejection) | Reply::Rejected(rejection) => return Err(rejection.into()),
                reply => {
                    self.deliver_unasked(reply).await;
                    return Ok(());
                }
            }
        }
    }

    /// Some servers answer what wants no answer; it goes where their messages go.
    pub(super) async fn deliver_unasked(self: &Arc<Self>, reply: Reply) {
        match reply {
            Reply::Message(body) => self.deliver_body(body).await,
            Reply::Events(stream) => {
                self.spawn_until_closing(Arc::clone(self).deliver_stream(stream));
            }
            _ => {}
        }
    }

    /// Tells the server that the session is over, where there is one.
    pub(in crate::relay) async fn end_session(&self) {
        let headers = self.legacy.handshake.headers();
        if headers.contains_key(SESSION_ID) {
            self.leave(headers).await;
        }
    }

    /// Ends the session that `headers` name, with what the last request carried: a farewell waits
    /// for no refresh.
    async fn leave(&self, mut headers: HeaderMap) {
        if let Some(authorization) = self.last_authorization() {
            authorization.apply(&mut headers);
        }
        match self.upstream.end_session(headers).await {
            Ok(_) => tracing::debug!("told the server that the session is over"),
            Err(error) => tracing::debug!(%error, "the server was not told that the session is over"),
        }
    }
}

/// Whether this reply to a request of a session is that of a server which serves no revision with sessions
/// any more: it does not serve the request's version, or misses in its body what a header names. Such a
/// server has not acted (2026-07-28, Streamable HTTP, "Protocol Version Header").
fn knows_no_sessions(reply: &Reply) -> bool {
    let Reply::Rejected(rejection) = reply else { return false };
    let code = rejection.body.as_deref().and_then(code::of);
    rejection.status == StatusCode::BAD_REQUEST
        && matches!(code, Some(code::UNSUPPORTED_VERSION | code::HEADER_MISMATCH))
}
