//! The requests that wait for their one answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedRwLockWriteGuard;
use tokio::task::AbortHandle;

use crate::jsonrpc::Id;

/// How many requests may be under way at once.
const LIMIT: usize = 4096;

/// The table of pending requests.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<Id, Entry>>);

#[derive(Default)]
struct Entry {
    task: Option<AbortHandle>,
    /// Whether the server may have seen the request.
    sent: bool,
    /// What the request keeps back until it is settled.
    gate: Option<OwnedRwLockWriteGuard<()>>,
}

/// What became of a registration.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Registered {
    Fresh,
    /// The id is that of a pending request.
    InUse,
    TooMany,
}

/// A request that the host has cancelled.
pub(super) struct Cancelled {
    /// Whether the server may have seen it.
    pub(super) sent: bool,
    task: Option<AbortHandle>,
}

/// A request that has its answer. What it kept back goes on once this is released, behind the
/// answer.
pub(super) struct Settled {
    _gate: Option<OwnedRwLockWriteGuard<()>>,
}

impl Settled {
    /// Lets go on what the request kept back.
    pub(super) fn release(self) {}
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
    fn table(&self) -> MutexGuard<'_, HashMap<Id, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request into the table.
    pub(super) fn register(&self, id: Id) -> Registered {
        let mut table = self.table();
        if table.contains_key(&id) {
            Registered::InUse
        } else if table.len() >= LIMIT {
            Registered::TooMany
        } else {
            table.insert(id, Entry::default());
            Registered::Fresh
        }
    }

    /// Notes the task that carries a request, so that a cancellation can stop it.
    pub(super) fn attach(&self, id: &Id, task: AbortHandle) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.task = Some(task);
        }
    }

    /// Notes that the server may see the request from now on; false where it is settled or
    /// cancelled already, and must not go out.
    pub(super) fn mark_sent(&self, id: &Id) -> bool {
        self.table().get_mut(id).map(|entry| entry.sent = true).is_some()
    }

    /// Holds the gate until the request is settled.
    pub(super) fn hold_gate(&self, id: &Id, gate: OwnedRwLockWriteGuard<()>) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.gate = Some(gate);
        }
    }

    /// Whether the request still waits for its answer.
    pub(super) fn waits(&self, id: &Id) -> bool {
        self.table().contains_key(id)
    }

    /// Takes a request out of the table for its one answer; `None` where it is settled or
    /// cancelled already.
    pub(super) fn settle(&self, id: &Id) -> Option<Settled> {
        self.table().remove(id).map(|entry| Settled { _gate: entry.gate })
    }

    /// Takes a request out of the table without an answer.
    pub(super) fn cancel(&self, id: &Id) -> Option<Cancelled> {
        let entry = self.table().remove(id)?;
        Some(Cancelled { sent: entry.sent, task: entry.task })
    }

    /// Empties the table, stopping all that is under way; tells of each whether the server may have
    /// seen it.
    pub(super) fn drain(&self) -> Vec<(Id, bool)> {
        let entries = std::mem::take(&mut *self.table());
        let stopped = entries.into_iter().map(|(id, entry)| {
            Cancelled { sent: entry.sent, task: entry.task }.stop();
            (id, entry.sent)
        });
        stopped.collect()
    }
}
