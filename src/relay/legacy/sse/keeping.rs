//! A stream in place of one that ended: tried for as long as the session lasts, ever more rarely, and
//! soon where somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Connection, Sse};
use crate::authorizer::AuthorizerError;
use crate::jsonrpc::Message;
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::legacy::handshake::Replay;
use crate::relay::reconnect::{Pause, Reconnects};
use crate::relay::{Failure, Inner};
use crate::upstream::legacy_sse::EndpointError;
use crate::upstream::streamable_http::{EventStream, Rejection, Reply};

/// The shortest pause between two attempts, and the longest where somebody waits.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MOST_AWAITED: Duration = Duration::from_secs(1);
/// How long one attempt may take, a login and the replay included.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(40);
/// For how long an outage is taken for one that passes: messages wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
/// A stream that stood for this long was a good one.
const STOOD: Duration = Duration::from_secs(10);

/// Whether there is a stream, and how it went where there is none.
#[derive(Debug, Default)]
pub(super) struct Standing {
    connection: Option<Connection>,
    /// How many attempts failed so far.
    failed: Failed,
    /// What the last one failed for.
    lost: Option<Lost>,
    /// Since when there is none.
    since: Option<Instant>,
    /// How many streams in a row did not stand for long.
    brief: u32,
    /// Whether there will be none: the server speaks something else.
    left: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failed {
    all: u64,
    /// Of these, the ones that a person waited for.
    attended: u64,
}

impl Failed {
    /// How many of those that tell whoever waits so.
    fn of(self, attendance: Attendance) -> u64 {
        match attendance {
            Attendance::Person => self.attended,
            Attendance::Nobody => self.all,
        }
    }
}

/// Why there is no stream.
#[derive(Debug, Clone)]
enum Lost {
    /// What a person has to see to.
    Authorizer(AuthorizerError),
    /// What may pass.
    Passing(String),
    /// What waiting will not mend.
    Lasting(String),
}

impl Standing {
    fn current(&self) -> Option<Connection> {
        self.connection.clone().filter(Connection::stands)
    }

    /// There will be no stream any more.
    pub(super) fn leave(&mut self) {
        *self = Self { left: true, ..Self::default() };
    }

    /// Whether somebody who waits is told what the last attempt failed for.
    fn is_hopeless(&self) -> bool {
        let is_passing = matches!(self.lost, None | Some(Lost::Passing(_)));
        !is_passing || self.since.is_some_and(|since| since.elapsed() > PATIENCE)
    }

    fn failure(&self) -> Failure {
        match self.lost.clone() {
            Some(Lost::Authorizer(error)) => error.into(),
            Some(Lost::Passing(cause) | Lost::Lasting(cause)) => Failure::SessionLost(Some(cause)),
            None => Failure::SessionLost(None),
        }
    }
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        let passes = match &failure {
            Failure::Http(_) | Failure::StreamLost(_) | Failure::SessionLost(_) => true,
            Failure::Endpoint(error) => matches!(error, EndpointError::Missing(_)),
            Failure::Rejected { status, .. } => Rejection::passes(*status),
            _ => false,
        };
        match failure {
            Failure::Authorizer(error) => Self::Authorizer(error),
            failure if passes => Self::Passing(failure.to_string()),
            failure => Self::Lasting(failure.to_string()),
        }
    }
}

impl Sse {
    /// A new session of the host's leaves behind whatever stood.
    fn begin(&self) {
        let mut state = self.state();
        if let Some(kept) = state.kept.take() {
            kept.cancel();
        }
        self.standing.send_modify(|standing| {
            if let Some(connection) = std::mem::take(standing).connection {
                connection.end(Some("a new `initialize` took its place".to_owned()));
            }
        });
    }

    fn stands(&self, connection: &Connection) {
        let mut state = self.state();
        state.spoken = true;
        state.kept = None;
        self.standing.send_modify(|standing| {
            *standing = Standing { brief: standing.brief, failed: standing.failed, ..Standing::default() };
            standing.connection = Some(connection.clone());
        });
    }

    fn failed(&self, failure: Failure, attendance: Attendance) {
        tracing::debug!(%failure, "no event stream");
        self.standing.send_modify(|standing| {
            standing.failed.all += 1;
            standing.failed.attended += u64::from(attendance == Attendance::Person);
            standing.lost = Some(failure.into());
            standing.since.get_or_insert_with(Instant::now);
        });
    }

    /// A stream is over; false where another one has taken its place.
    fn ended(&self, connection: &Connection) -> bool {
        self.standing.send_if_modified(|standing| {
            let is_it = standing.connection.as_ref().is_some_and(|current| current.is(connection));
            if is_it {
                let was_brief = connection.since().elapsed() < STOOD;
                standing.brief = if was_brief { standing.brief.saturating_add(1) } else { 0 };
                standing.connection = None;
                standing.since = Some(Instant::now());
            }
            is_it
        })
    }

    fn attendance(&self) -> Attendance {
        match self.waiting.load(Ordering::Relaxed) {
            0 => Attendance::Nobody,
            _ => Attendance::Person,
        }
    }
}

/// Counts somebody who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    /// Opens the stream of a new session of the host's.
    pub(in crate::relay::legacy) async fn connect(
        self: &Arc<Self>,
        authorized_by: Option<tokio::time::Instant>,
    ) -> Result<Connection, Failure> {
        self.legacy.sse.begin();
        let opening = Outgoing { authorized_by, ..Outgoing::open(Attendance::Person) };
        let (connection, stream) = self.open_stream(opening).await?;
        self.stands(&connection, stream);
        Ok(connection)
    }

    /// Opens a stream in which the host's session is begun again.
    pub(in crate::relay::legacy) async fn connect_again(
        self: &Arc<Self>,
        attendance: Attendance,
    ) -> Result<(), Failure> {
        let (connection, stream) = self.open_next(attendance).await?;
        self.stands(&connection, stream);
        Ok(())
    }

    /// The server speaks this transport, and this stream stands.
    fn stands(self: &Arc<Self>, connection: &Connection, stream: EventStream) {
        self.eras.learn_sse(true);
        self.legacy.sse.stands(connection);
        self.start_reading(connection, stream);
    }

    /// The stream that the next message belongs to. Where there is none, waits for one that is being
    /// opened, unless there is no hope of one; `None` where the server turns out to speak something
    /// else, and the session is begun there.
    pub(in crate::relay::legacy) async fn connected(
        self: &Arc<Self>,
        attendance: Attendance,
    ) -> Result<Option<Connection>, Failure> {
        let sse = &self.legacy.sse;
        let mut standing = sse.standing.subscribe();
        let failed = {
            let now = standing.borrow();
            if now.left {
                return Ok(None);
            }
            if let Some(connection) = now.current() {
                return Ok(Some(connection));
            }
            now.failed.of(attendance)
        };
        let _waiting = (attendance == Attendance::Person).then(|| Waiting::new(&sse.waiting));
        self.keep();
        sse.wanted.notify_one();
        let decided = standing.wait_for(|standing| {
            standing.left
                || standing.current().is_some()
                || (standing.failed.of(attendance) > failed && standing.is_hopeless())
        });
        match tokio::time::timeout(ATTEMPT_LIMIT, decided).await {
            Ok(Ok(standing)) if standing.left => Ok(None),
            Ok(Ok(standing)) => standing.current().map(Some).ok_or_else(|| standing.failure()),
            // The sender is ours: it cannot be gone.
            Ok(Err(_)) | Err(_) => Err(sse.standing.borrow().failure()),
        }
    }

    /// A stream has ended: another one is opened, unless the session had not begun.
    pub(super) fn stream_ended(self: &Arc<Self>, connection: &Connection) {
        if self.legacy.sse.ended(connection) && self.legacy.handshake.is_settled() {
            self.keep();
        }
    }

    /// Sees to it that there is a stream, once.
    fn keep(self: &Arc<Self>) {
        let mut state = self.legacy.sse.state();
        if state.kept.is_some() {
            return;
        }
        let kept = CancellationToken::new();
        state.kept = Some(kept.clone());
        let inner = Arc::clone(self);
        self.spawn_until_closing(async move {
            // A new session of the host's ends this wherever it is.
            let _is_over = Box::pin(kept.run_until_cancelled(inner.open_again())).await;
        });
    }

    async fn open_again(self: &Arc<Self>) {
        let sse = &self.legacy.sse;
        // Streams that end as soon as they are open are no better than none.
        let mut reconnects = Reconnects::new(PAUSE).after(sse.standing.borrow().brief);
        loop {
            let is_awaited = sse.attendance() == Attendance::Person;
            tokio::select! {
                () = reconnects.pause(Pause::Passing(None)) => {}
                () = tokio::time::sleep(PAUSE_MOST_AWAITED), if is_awaited => {}
                () = sse.wanted.notified() => {}
            }
            let attendance = sse.attendance();
            let opening = tokio::time::timeout(ATTEMPT_LIMIT, self.open_next(attendance));
            match opening.await.unwrap_or(Err(Failure::SessionLost(None))) {
                Ok((connection, stream)) => {
                    return self.stands(&connection, stream);
                }
                Err(failure)
                    if failure.is_end_of_sse()
                        && sse.may_be_left()
                        && Box::pin(self.begin_elsewhere(attendance)).await =>
                {
                    return;
                }
                Err(failure) => sse.failed(failure, attendance),
            }
        }
    }

    /// Opens a stream and says in it what the host has said to begin its session.
    async fn open_next(&self, attendance: Attendance) -> Result<(Connection, EventStream), Failure> {
        let replay = self.legacy.handshake.restart();
        let (connection, mut stream) = self.open_stream(Outgoing::open(attendance)).await?;
        if let Some(Replay { initialize, initialized }) = replay {
            let to = |message| Outgoing { attendance, ..Outgoing::to(connection.endpoint(), message) };
            let first = Outgoing { within: Within::NoSession, ..to(initialize.bytes()) };
            self.initialize_again(first, &mut stream, &initialize).await?;
            if let Some(initialized) = initialized {
                let outgoing = to(initialized.bytes());
                if let Reply::SessionGone(_) | Reply::Rejected(_) = self.send(outgoing).await?.reply {
                    return Err(Failure::SessionLost(None));
                }
            }
            self.renewed();
        }
        Ok((connection, stream))
    }

    async fn initialize_again(
        &self,
        first: Outgoing<'_>,
        stream: &mut EventStream,
        initialize: &Message,
    ) -> Result<(), Failure> {
        let posting = async {
            let answer = match self.send(first).await?.reply {
                Reply::Accepted => None,
                Reply::Message(body) => {
                    let message = Message::parse(body).ok();
                    message.and_then(|message| self.accept_answer(initialize, &message))
                }
                Reply::Events(mut stream) => Some(self.swallow_answer_on(&mut stream, initialize).await),
                Reply::Rejected(rejection) | Reply::SessionGone(rejection) => Some(Err(rejection.into())),
                Reply::Unauthorized(_) | Reply::Forbidden(_) => Some(Err(Failure::SessionLost(None))),
            };
            match answer {
                Some(answer) => answer,
                // It comes on the stream.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answered = self.swallow_answer_on(stream, initialize) => answered,
            answered = posting => answered,
        }
    }
}
