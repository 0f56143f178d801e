//! One message out: authorization, and what may be sent again.

use std::cell::LazyCell;
use std::sync::PoisonError;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::legacy::Epoch;
use super::pending::Ticket;
use super::{Failure, Inner};
use crate::authorizer::{Authorization, AuthorizerError};
use crate::http::HttpError;
use crate::redact::{Known, printable};
use crate::upstream::legacy_sse::{LegacySse, MessageEndpoint};
use crate::upstream::streamable_http::{Answer, Rejection, Reply};
use crate::wire::METHOD;

/// One thing that goes out.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// How it travels.
    pub(super) carrier: Carrier<'a>,
    /// What its headers say of the conversation that it belongs to.
    pub(super) within: Within<'a>,
    /// The request of the host's that waits for it.
    pub(super) request: Option<&'a Ticket>,
    /// Who waits for it.
    pub(super) attendance: Attendance,
    /// Until when it waits for an authorization; `None` for as long as the authorizer takes.
    pub(super) authorized_by: Option<Instant>,
}

/// Who waits for something that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attendance {
    /// Perhaps a person, for whom a browser may be opened.
    Person,
    /// Nobody.
    Nobody,
}

/// How something travels.
#[derive(Clone, Copy)]
pub(super) enum Carrier<'a> {
    /// A POST of one frame.
    Post(&'a Bytes),
    /// A GET for an event stream, perhaps from behind an event.
    Get {
        /// The last event's id.
        last_event_id: Option<&'a str>,
    },
    /// A POST of one frame to where a stream of HTTP+SSE wants it.
    PostTo(&'a MessageEndpoint, &'a Bytes),
    /// A GET for such a stream.
    Open,
}

/// What the headers say of the conversation.
#[derive(Clone, Copy)]
pub(super) enum Within<'a> {
    /// Nothing: it starts a session.
    NoSession,
    /// There is no session: these headers, which the frame itself gives.
    Routed(&'a HeaderMap),
    /// Session id and version of whichever session stands when it goes out.
    Session,
    /// The same of this session, and of no other.
    Only(Epoch),
}

impl<'a> Outgoing<'a> {
    /// A frame within the session, for which no request waits.
    pub(super) fn message(frame: &'a Bytes) -> Self {
        Self {
            carrier: Carrier::Post(frame),
            within: Within::Session,
            request: None,
            attendance: Attendance::Person,
            authorized_by: None,
        }
    }

    /// The same for a request of the host's.
    pub(super) fn request(frame: &'a Bytes, request: &'a Ticket) -> Self {
        Self { request: Some(request), ..Self::message(frame) }
    }

    /// The stream of what the server says of itself.
    pub(super) fn listen(last_event_id: Option<&'a str>) -> Self {
        Self {
            carrier: Carrier::Get { last_event_id },
            within: Within::Session,
            request: None,
            attendance: Attendance::Nobody,
            authorized_by: None,
        }
    }

    /// A frame within the session of a stream of HTTP+SSE.
    pub(super) fn to(endpoint: &'a MessageEndpoint, frame: &'a Bytes) -> Self {
        Self { carrier: Carrier::PostTo(endpoint, frame), ..Self::message(frame) }
    }

    /// Such a stream.
    pub(super) fn open(attendance: Attendance) -> Self {
        let (carrier, within) = (Carrier::Open, Within::NoSession);
        Self { carrier, within, attendance, request: None, authorized_by: None }
    }

    /// The stream that a request of the host's resumes.
    pub(super) fn resume(last_event_id: &'a str, request: &'a Ticket) -> Self {
        let attendance = Attendance::Person;
        Self { request: Some(request), attendance, ..Self::listen(Some(last_event_id)) }
    }
}

impl Inner {
    /// What the last request carried.
    pub(super) fn last_authorization(&self) -> Option<Authorization> {
        self.last_authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the server was sent, and may repeat in what is told of it.
    pub(super) fn known(&self) -> Known {
        let headers = self.last_authorization().map(|authorization| authorization.headers());
        self.upstream.secrets_sent_with(headers.unwrap_or_default())
    }

    /// What makes names that the server chose safe to print; only the first one costs.
    pub(super) fn shown(&self) -> impl Fn(&str) -> String {
        let known = LazyCell::new(|| self.known());
        move |name| printable(&known.hide(name))
    }

    /// Sends one thing, with authorization. Comes back with any reply but a refused authorization.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, Failure> {
        let authorizer = match outgoing.attendance {
            Attendance::Person => self.authorizer.clone(),
            Attendance::Nobody => self.authorizer.unattended(),
        };
        let by = outgoing.authorized_by;
        let mut authorization = within(by, authorizer.authorize()).await?;
        let mut reconnects = None;
        let (mut refusals, mut stepped_up) = (0, false);
        loop {
            let mut headers = self.headers(outgoing.within)?;
            // All that was awaited took time, in which the host may have cancelled.
            let in_session = !matches!(outgoing.within, Within::Routed(_));
            let session = in_session.then(|| self.legacy.handshake.epoch());
            if outgoing.request.is_some_and(|request| !self.pending.mark_sent(request, session)) {
                return Err(Failure::CalledOff { why: "the host has cancelled the request", sent: false });
            }
            authorization.apply(&mut headers);
            *self.last_authorization.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(authorization.clone());
            let answer = match self.put_on_the_wire(outgoing.carrier, headers).await {
                Ok(answer) => answer,
                Err(error) if error.is_worth_repeating() => {
                    self.mark_unsent(&outgoing);
                    match reconnects.get_or_insert_with(reconnect_pauses).next() {
                        Some(pause) => {
                            tokio::time::sleep(pause).await;
                            continue;
                        }
                        None => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            };
            match answer.reply {
                Reply::Unauthorized(challenge) => {
                    self.mark_unsent(&outgoing);
                    // The second refusal is the authorizer's to judge. A login that the request waited for is
                    // worth a third attempt, and no further one is started for it.
                    let judge = if refusals < 2 { authorizer.clone() } else { authorizer.unattended() };
                    authorization = within(by, judge.refused(&authorization, &challenge)).await?;
                    refusals += 1;
                    if refusals > 2 {
                        return Err(judge.rejection().into());
                    }
                }
                Reply::Forbidden(challenge) => {
                    self.mark_unsent(&outgoing);
                    // A login whose token this request cannot carry any more is not its to start.
                    let stepper = if stepped_up { authorizer.unattended() } else { authorizer.clone() };
                    let renewed = within(by, stepper.step_up(&authorization, &challenge)).await?;
                    if std::mem::replace(&mut stepped_up, true) {
                        return Err(stepper.lack_of_scope(&authorization, &challenge).into());
                    }
                    authorization = renewed;
                }
                Reply::Accepted | Reply::Message(_) | Reply::Events(_) => {
                    authorizer.accepted(&authorization);
                    return Ok(answer);
                }
                Reply::SessionGone(_) | Reply::Rejected(_) => return Ok(answer),
            }
        }
    }

    /// The server has not acted on it.
    fn mark_unsent(&self, outgoing: &Outgoing<'_>) {
        // What resumes a request's stream says nothing of the request itself.
        if let (Some(request), Carrier::Post(_) | Carrier::PostTo(..)) = (outgoing.request, outgoing.carrier)
        {
            self.pending.mark_unsent(request);
        }
    }

    fn headers(&self, within: Within<'_>) -> Result<HeaderMap, Failure> {
        let handshake = &self.legacy.handshake;
        match within {
            // Whoever routes by it, in a server of another era, finds what there is to find.
            Within::NoSession => Ok(HeaderMap::from_iter([(METHOD, HeaderValue::from_static("initialize"))])),
            Within::Routed(headers) => Ok(headers.clone()),
            Within::Session => Ok(handshake.headers()),
            Within::Only(epoch) => handshake.headers_of(epoch).ok_or(Failure::SessionLost(None)),
        }
    }

    async fn put_on_the_wire(&self, carrier: Carrier<'_>, headers: HeaderMap) -> Result<Answer, HttpError> {
        match carrier {
            Carrier::Post(frame) => self.upstream.post(headers, frame.clone()).await,
            Carrier::Get { last_event_id } => self.upstream.listen(headers, last_event_id).await,
            Carrier::PostTo(endpoint, frame) => {
                LegacySse::new(&self.upstream).post(endpoint, headers, frame.clone()).await
            }
            Carrier::Open => LegacySse::new(&self.upstream).open(headers).await,
        }
    }
}

/// What the authorizer says, if it says so in time; it goes on in any case.
async fn within<T>(
    by: Option<Instant>,
    asked: impl Future<Output = Result<T, AuthorizerError>>,
) -> Result<T, AuthorizerError> {
    let Some(by) = by else { return asked.await };
    let since = Instant::now();
    let late = |_| Err(AuthorizerError::Busy { waited: since.elapsed() });
    tokio::time::timeout_at(by, asked).await.unwrap_or_else(late)
}

/// The pauses before a connection is tried again that never stood.
fn reconnect_pauses() -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_factor(4.0);
    pauses.with_max_times(2).with_jitter().build()
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected {
            status: rejection.status,
            retry_after: rejection.retry_after,
            reason: rejection.reason,
        }
    }
}
