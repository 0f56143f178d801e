//! The requests that wait for their one answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedRwLockWriteGuard, watch};
use tokio::task::AbortHandle;

use super::batch::Destination;
use super::legacy::{Epoch, Wish};
use crate::jsonrpc::Id;

/// How many requests may be under way at once.
const LIMIT: usize = 4096;

/// The table of pending requests.
#[derive(Default)]
pub(super) struct Pending(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: HashMap<Id, Entry>,
    registered: u64,
}

/// One registration. A host may use an id again once it has its answer; the ticket of the first use
/// is no ticket for the second.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    id: Id,
    number: u64,
}

impl Ticket {
    /// The request's id.
    pub(super) fn id(&self) -> &Id {
        &self.id
    }
}

#[derive(Default)]
struct Entry {
    number: u64,
    task: Option<AbortHandle>,
    /// Whether the server may have seen the request.
    sent: bool,
    /// Whether it was seen within a session, where disconnecting cancels nothing.
    in_session: bool,
    /// What the request keeps back until it is settled.
    gate: Option<OwnedRwLockWriteGuard<()>>,
    /// Where its answer goes.
    destination: Destination,
    /// What it asks of the session.
    wish: Option<Wish>,
    /// Held until the answer has gone to the host.
    settlement: Option<watch::Sender<()>>,
}

/// What became of a registration.
#[derive(Debug)]
pub(super) enum Registered {
    Fresh(Ticket),
    /// The id is that of a pending request.
    InUse,
    TooMany,
}

/// A request that the host has cancelled.
pub(super) struct Cancelled {
    /// Whether the server may have seen it.
    pub(super) sent: bool,
    /// Whether the server has to be told, or sees that nobody listens any more.
    pub(super) wants_word: bool,
    task: Option<AbortHandle>,
}

/// A request that has its answer. What it kept back goes on once this is dropped, which is to be
/// behind the answer.
#[must_use]
pub(super) struct Settled {
    /// Where the answer goes.
    pub(super) destination: Destination,
    /// What it asked of the session.
    pub(super) wish: Option<Wish>,
    _settlement: Option<watch::Sender<()>>,
    _gate: Option<OwnedRwLockWriteGuard<()>>,
}

/// The moment at which a request is answered or cancelled.
pub(super) struct Settlement(watch::Receiver<()>);

impl Settlement {
    /// Resolves behind the answer, or with the cancellation.
    pub(super) async fn reached(mut self) {
        // Nothing is ever sent: the end is the sign.
        while self.0.changed().await.is_ok() {}
    }
}

/// A request that was under way when all were stopped.
pub(super) struct Drained {
    pub(super) id: Id,
    /// Whether the server may have seen it.
    pub(super) sent: bool,
    pub(super) settled: Settled,
}

impl Cancelled {
    /// Lets go of the request.
    pub(super) fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }
}

impl Pending {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request into the table.
    pub(super) fn register(&self, id: Id) -> Registered {
        let mut table = self.table();
        if table.entries.contains_key(&id) {
            return Registered::InUse;
        }
        if table.entries.len() >= LIMIT {
            return Registered::TooMany;
        }
        table.registered += 1;
        let number = table.registered;
        table.entries.insert(id.clone(), Entry { number, ..Entry::default() });
        Registered::Fresh(Ticket { id, number })
    }

    /// Says where the answer to a request goes; to the host by itself where nothing is said.
    pub(super) fn address(&self, ticket: &Ticket, destination: Destination) {
        if let Some(entry) = self.table().entry(ticket) {
            entry.destination = destination;
        }
    }

    /// Notes what a request asks of the session.
    pub(super) fn keep_wish(&self, ticket: &Ticket, wish: Wish) {
        if let Some(entry) = self.table().entry(ticket) {
            entry.wish = Some(wish);
        }
    }

    /// Forgets wishes that nobody has any more; their requests wait on.
    pub(super) fn drop_wishes(&self, is_void: impl Fn(&Wish) -> bool) {
        for entry in self.table().entries.values_mut() {
            entry.wish.take_if(|wish| is_void(wish));
        }
    }

    /// Notes the task that carries a request, so that a cancellation can stop it.
    pub(super) fn attach(&self, ticket: &Ticket, task: AbortHandle) {
        if let Some(entry) = self.table().entry(ticket) {
            entry.task = Some(task);
        }
    }

    /// Notes that the server may see the request from now on, in this session if in any; false where it is
    /// settled or cancelled already, and must not go out.
    pub(super) fn mark_sent(&self, ticket: &Ticket, session: Option<Epoch>) -> bool {
        let mut table = self.table();
        let Some(entry) = table.entry(ticket) else { return false };
        (entry.sent, entry.in_session) = (true, session.is_some());
        if let (Some(wish), Some(epoch)) = (&mut entry.wish, session) {
            wish.goes_out_in(epoch);
        }
        true
    }

    /// Notes that the server has not acted on the request.
    pub(super) fn mark_unsent(&self, ticket: &Ticket) {
        if let Some(entry) = self.table().entry(ticket) {
            entry.sent = false;
        }
    }

    /// Whether the server may have seen the request; `None` where it is settled or cancelled.
    pub(super) fn is_sent(&self, ticket: &Ticket) -> Option<bool> {
        self.table().entry(ticket).map(|entry| entry.sent)
    }

    /// Whether the server may have seen any.
    pub(super) fn is_any_sent(&self) -> bool {
        self.table().entries.values().any(|entry| entry.sent)
    }

    /// The one request that the server may have seen, where there is one and no more.
    pub(super) fn only_sent(&self) -> Option<Ticket> {
        let table = self.table();
        let mut sent = table.entries.iter().filter(|(_, entry)| entry.sent);
        let (id, entry) = sent.next()?;
        sent.next().is_none().then(|| Ticket { id: id.clone(), number: entry.number })
    }

    /// Lets somebody wait until a request is answered or cancelled; `None` where it is.
    pub(super) fn settlement(&self, ticket: &Ticket) -> Option<Settlement> {
        let mut table = self.table();
        let entry = table.entry(ticket)?;
        let settlement = entry.settlement.get_or_insert_with(|| watch::Sender::new(()));
        Some(Settlement(settlement.subscribe()))
    }

    /// Holds the gate until the request is settled.
    pub(super) fn hold_gate(&self, ticket: &Ticket, gate: OwnedRwLockWriteGuard<()>) {
        if let Some(entry) = self.table().entry(ticket) {
            entry.gate = Some(gate);
        }
    }

    /// Whether the request still waits for its answer.
    pub(super) fn waits(&self, ticket: &Ticket) -> bool {
        self.table().entry(ticket).is_some()
    }

    /// Takes a request out of the table for its one answer; `None` where it is settled or
    /// cancelled already.
    pub(super) fn settle(&self, ticket: &Ticket) -> Option<Settled> {
        let mut table = self.table();
        table.entry(ticket)?;
        table.entries.remove(&ticket.id).map(Entry::settled)
    }

    /// The same for whichever request has this id now.
    pub(super) fn settle_id(&self, id: &Id) -> Option<Settled> {
        self.table().entries.remove(id).map(Entry::settled)
    }

    /// Takes a request out of the table without an answer.
    pub(super) fn cancel(&self, id: &Id) -> Option<Cancelled> {
        self.table().entries.remove(id).map(|mut entry| entry.cancelled())
    }

    /// Empties the table, stopping all that is under way.
    pub(super) fn drain(&self) -> Vec<Drained> {
        let entries = std::mem::take(&mut self.table().entries);
        let stopped = entries.into_iter().map(|(id, mut entry)| {
            entry.cancelled().stop();
            Drained { id, sent: entry.sent, settled: entry.settled() }
        });
        stopped.collect()
    }
}

impl Entry {
    fn cancelled(&mut self) -> Cancelled {
        Cancelled { sent: self.sent, wants_word: self.sent && self.in_session, task: self.task.take() }
    }

    fn settled(self) -> Settled {
        Settled {
            destination: self.destination,
            wish: self.wish,
            _settlement: self.settlement,
            _gate: self.gate,
        }
    }
}

impl Table {
    fn entry(&mut self, ticket: &Ticket) -> Option<&mut Entry> {
        self.entries.get_mut(&ticket.id).filter(|entry| entry.number == ticket.number)
    }
}
