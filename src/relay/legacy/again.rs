//! What the host had asked of a lost session, said again in the one that takes its place.
//!
//! It goes out as requests of the bridge's own: under ids that nobody else has, and their answers reach
//! nobody else. A session that is lost in the midst of it is renewed, and it all begins anew; but one that
//! is lost so at once again is left to whoever finds it lost next.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;

use super::Epoch;
use super::sse::answers;
use super::wishes::Subject;
use crate::jsonrpc::edit::Edit;
use crate::jsonrpc::{Head, Id, Message, code};
use crate::relay::batch::Destination;
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::pending::{Pending, Registered, Ticket};
use crate::relay::translation::Translated;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::Reply;

/// How many are under way at once.
const AT_ONCE: usize = 4;
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long all of them may take.
const LIMIT_OF_ALL: Duration = Duration::from_secs(120);

/// What became of one.
enum Said {
    /// The server agrees, or nobody wants it any more.
    Done,
    Refused(String),
    /// There is no use in saying more.
    Failed(Failure),
}

/// A request of the bridge's own. Dropped, nobody waits for its answer any more.
struct Own<'a> {
    pending: &'a Pending,
    ticket: Ticket,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        drop(self.pending.settle(&self.ticket));
    }
}

impl Inner {
    /// Tells each session that takes a lost one's place what the host had asked. One that is lost meanwhile
    /// is renewed for that, but no two in a row: the server may mean something else.
    pub(in crate::relay) async fn say_wishes_again(self: Arc<Self>) {
        let mut owed = self.legacy.wishes.owed();
        let mut was_lost = false;
        while let Ok(next) = owed.wait_for(Option::is_some).await.map(|owed| *owed) {
            let Some(owed) = next else { continue };
            let Some(superseded) = self.legacy.handshake.superseded(owed.epoch) else {
                self.legacy.wishes.settled(owed);
                continue;
            };
            let saying = tokio::time::timeout(LIMIT_OF_ALL, self.say_all(owed.epoch));
            let failed = match superseded.run_until_cancelled(saying).await {
                Some(Ok(said)) => said.err(),
                Some(Err(_late)) => Some(Failure::NoAnswer("the server takes too long")),
                None => None,
            };
            let is_lost = matches!(failed, Some(Failure::SessionLost(_)));
            if is_lost && !was_lost {
                // Who finds it lost later renews it where this fails.
                let _renewed = self.renew(owed.epoch, Attendance::Nobody).await;
            } else if let Some(failure) = failed {
                tracing::warn!(%failure, "what the host had asked of its lost session was not said again");
            }
            was_lost = is_lost;
            self.legacy.wishes.settled(owed);
        }
    }

    async fn say_all(self: &Arc<Self>, epoch: Epoch) -> Result<(), Failure> {
        let wishes = self.legacy.wishes.granted_so_far().into_iter().map(|(subject, frame)| {
            let inner = Arc::clone(self);
            async move { (inner.say_again(&subject, &frame, epoch).await, subject) }
        });
        let mut saying = stream::iter(wishes).buffer_unordered(AT_ONCE);
        let (mut refusals, mut first, mut outcome) = (0, None, Ok(()));
        while let Some((said, subject)) = saying.next().await {
            match said {
                Said::Refused(reason) if self.legacy.wishes.refused(&subject) => {
                    refusals += 1;
                    first.get_or_insert(reason);
                }
                Said::Done | Said::Refused(_) => {}
                Said::Failed(failure) => {
                    outcome = Err(failure);
                    break;
                }
            }
        }
        if let Some(reason) = first {
            tracing::warn!(
                refusals,
                reason,
                "the server refuses in a new session what it granted in the lost one"
            );
        }
        outcome
    }

    async fn say_again(self: &Arc<Self>, subject: &Subject, frame: &str, epoch: Epoch) -> Said {
        if !self.legacy.wishes.holds(subject) {
            return Said::Done;
        }
        let Some((message, mut answered, own)) = self.own_request(frame) else {
            return Said::Refused("it cannot be asked now".to_owned());
        };
        let carrying = async {
            match self.carry_own(&message, &own.ticket, epoch).await {
                // The answer is on its way.
                Ok(()) => std::future::pending().await,
                Err(failure) => failure,
            }
        };
        let saying = async {
            tokio::select! {
                biased;
                answer = &mut answered => answer.map_err(|_| Failure::SessionLost(None)),
                failure = carrying => Err(failure),
            }
        };
        match tokio::time::timeout(LIMIT, saying).await {
            Ok(Ok(answer)) => Said::of(answer),
            Ok(Err(failure @ (Failure::Authorizer(_) | Failure::Http(_) | Failure::SessionLost(_)))) => {
                Said::Failed(failure)
            }
            Ok(Err(failure)) => Said::Refused(failure.message()),
            Err(_) => Said::Refused("no answer came".to_owned()),
        }
    }

    /// The host's request under an id of ours, and where its answer comes.
    fn own_request(&self, frame: &str) -> Option<(Message, oneshot::Receiver<Bytes>, Own<'_>)> {
        // What the host calls its own requests is the host's to choose, at any time.
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let id = Id::of_text(&format!("mcp-front-{}", crate::hex::hex(&random)));
        let Registered::Fresh(ticket) = self.pending.register(id) else { return None };
        let own = Own { pending: &self.pending, ticket };
        let (answer, answered) = oneshot::channel();
        self.pending.address(&own.ticket, Destination::Bridge(answer));
        let frame = Edit::of(frame)?.set("id", own.ticket.id().as_json()).finish().ok()?.into_owned();
        Some((Message::parse(frame.into()).ok()?, answered, own))
    }

    /// Sends a request of our own within the session `epoch` alone.
    async fn carry_own(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
        epoch: Epoch,
    ) -> Result<(), Failure> {
        if let Some(pair) = self.translation.pair() {
            return match self.translate_request(&pair, message, request).await? {
                Translated::Answered => Ok(()),
                Translated::WantsSession(_) => Err(Failure::SessionLost(None)),
            };
        }
        let connection = match self.legacy.is_over_sse() {
            true => self.connected(Attendance::Nobody).await?,
            false => None,
        };
        let outgoing = match &connection {
            Some(connection) => Outgoing::to(connection.endpoint(), message.bytes()),
            None => Outgoing::message(message.bytes()),
        };
        let (within, attendance) = (Within::Only(epoch), Attendance::Nobody);
        let outgoing = Outgoing { request: Some(request), within, attendance, ..outgoing };
        match self.send(outgoing).await?.reply {
            // The answer comes on the stream.
            Reply::Accepted if connection.is_some() => Ok(()),
            Reply::SessionGone(rejection) if !answers(&rejection, request.id()) => {
                Err(Failure::SessionLost(None))
            }
            reply => self.settle(reply, request).await,
        }
    }
}

impl Said {
    fn of(answer: Bytes) -> Self {
        let Ok(answer) = Message::parse(answer) else {
            return Self::Refused("the answer cannot be read".to_owned());
        };
        if matches!(answer.head(), Head::Response { successful: true, .. }) {
            return Self::Done;
        }
        // Its message may repeat what it was sent, the token included.
        let code = code::of(answer.bytes());
        Self::Refused(code.map_or_else(|| "an error".to_owned(), |code| format!("error {code}")))
    }
}
