//! Which way each of the host's messages takes. The era is seen in the message itself: requests of
//! 2026-07-28 name their version, and whoever begins with `initialize` is of the era before
//! (2026-07-28, versioning).

use std::sync::Arc;

use super::batch::Destination;
use super::pending::{Registered, Ticket};
use super::{Failure, Inner, Session};
use crate::jsonrpc::{ErrorResponse, Head, Id, Message, code};
use crate::wire::WITH_INITIALIZE;

/// The way of a request.
#[derive(Clone, Copy)]
enum Way {
    /// It starts a session.
    Initialize,
    /// It belongs to the session; so many notifications go before it.
    Session { earlier: u64 },
    /// It finds out the server's era.
    Probe,
    /// It stands for itself.
    Modern,
    /// It opens a stream that lasts.
    Subscription,
}

impl Session {
    /// Routes one message; an answer to it goes to `destination`.
    pub(super) async fn dispatch(&self, message: Message, destination: Destination) {
        let inner = &self.0;
        match message.head() {
            Head::Request { id, .. } => {
                let id = id.clone();
                let way = inner.way(&message);
                self.start_request(message, id, way, destination).await;
            }
            Head::Notification { method, parameters } => match (method.as_str(), &parameters.request_id) {
                ("notifications/cancelled", Some(request)) => {
                    let request = request.clone();
                    self.cancel(message, &request).await;
                }
                ("notifications/initialized", _) => {
                    inner.spawn_awaited(Arc::clone(inner).send_initialized(message));
                }
                _ => inner.legacy.notifications.queue(message).await,
            },
            Head::Response { .. } if inner.host_version().is_some() => {
                // Servers of that era ask nothing, and take no answers (stdio, "Sending Messages").
                tracing::warn!("the host answered a question that nobody asked");
            }
            Head::Response { id, .. } if inner.translation.pair().is_some() => {
                inner.translation.answered(&id.clone(), message);
            }
            Head::Response { id, .. } => {
                let asked = inner.legacy.questions.answered(id, inner.legacy.handshake.epoch());
                inner.spawn_awaited(Arc::clone(inner).send_word(message, Some(asked)));
            }
        }
    }

    async fn start_request(&self, message: Message, id: Id, way: Way, destination: Destination) {
        if let Way::Initialize = way {
            self.call_off_hanging_initialize().await;
        }
        let request = match self.0.pending.register(id.clone()) {
            Registered::Fresh(request) => request,
            Registered::InUse => {
                let reason = "a request with this id is under way already";
                let answer = ErrorResponse::new(id, code::INVALID_REQUEST, reason);
                return self.0.send_to(destination, answer.into_bytes()).await;
            }
            Registered::TooMany => {
                let reason = "too many requests are under way: try again later";
                let answer = ErrorResponse::new(id, code::INTERNAL_ERROR, reason);
                return self.0.send_to(destination, answer.into_bytes()).await;
            }
        };
        self.0.pending.address(&request, destination);
        let (inner, ticket) = (Arc::clone(&self.0), request.clone());
        let carrying = async move {
            if let Err(failure) = inner.carry(&message, &request, way).await {
                inner.fail(&request, failure).await;
            }
        };
        let task = match way {
            // A host that leaves does not wait for what never ends.
            Way::Subscription => self.0.spawn_until_closing(carrying).abort_handle(),
            _ => self.0.spawn_awaited(carrying).abort_handle(),
        };
        self.0.pending.attach(&ticket, task);
    }

    /// Hosts start over where the first attempt hangs.
    async fn call_off_hanging_initialize(&self) {
        let Some(hanging) = self.0.legacy.handshake.initialize_id() else { return };
        if let Some(cancelled) = self.0.pending.cancel(&hanging) {
            let why = "a new `initialize` took its place";
            let failure = Failure::CalledOff { why, sent: cancelled.sent };
            cancelled.stop();
            self.0.answer(failure.to_response(hanging)).await;
        }
    }

    /// Passes a cancellation on, and lets go of the request.
    async fn cancel(&self, message: Message, request: &Id) {
        let Some(cancelled) = self.0.pending.cancel(request) else {
            if self.0.host_version().is_none() {
                self.0.legacy.notifications.queue(message).await;
            }
            return;
        };
        if !cancelled.wants_word {
            return cancelled.stop();
        }
        let inner = Arc::clone(&self.0);
        self.0.spawn_awaited(async move {
            // Disconnecting is no cancellation in these revisions, so the word goes first.
            inner.send_word(message, None).await;
            cancelled.stop();
        });
    }
}

impl Inner {
    fn way(&self, message: &Message) -> Way {
        let Head::Request { method, parameters, .. } = message.head() else {
            return Way::Session { earlier: 0 };
        };
        match method.as_str() {
            "initialize" => {
                self.modern.host_initializes();
                return Way::Initialize;
            }
            "server/discover" if !self.eras.is_modern() => return Way::Probe,
            _ => {}
        }
        let names_its_era = parameters.protocol_version.as_deref().is_some_and(|version| {
            // Within a session it may be said again what was agreed on at its beginning.
            !(WITH_INITIALIZE.contains(&version) && self.legacy.handshake.can_restart())
        });
        // Of a request that says less than it must, the server is the judge.
        if !names_its_era && self.host_version().is_none() {
            return Way::Session { earlier: self.legacy.notifications.queued() };
        }
        self.modern.host_sent(message);
        if method == "subscriptions/listen" { Way::Subscription } else { Way::Modern }
    }

    async fn carry(self: &Arc<Self>, message: &Message, request: &Ticket, way: Way) -> Result<(), Failure> {
        match way {
            Way::Initialize => self.initialize(message, request).await,
            Way::Session { earlier } => self.request(message, request, earlier).await,
            Way::Probe => self.probe(message, request).await,
            Way::Modern => self.pass_request(message, request).await,
            Way::Subscription => self.subscribe(message, request).await,
        }
    }
}
