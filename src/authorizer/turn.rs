//! One holder's turn with a service's lock: the store, the journal and the index under it.
//!
//! The lock travels through every write. A write that does not answer in time keeps it; then no
//! other write starts until that one has returned.

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::renewal::Place;
use crate::credential::{Credential, Generation, Kind};
use crate::lock::ServiceLock;
use crate::redact::with_causes;
use crate::store::index::{Entry, Index, IndexError, LastError};
use crate::store::{JournalEntry, Lent, Patience, StoreError, Written};
use crate::{clock, failpoint};

/// A host waits: nobody is asked anything.
const PATIENCE: Patience = Patience::Bridge;

/// The holder of a service's lock.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) place: Place,
    index: Index,
    /// `None` while a write is under way.
    lent: Option<Lent>,
    /// What whoever asked should log: nobody sees this process's log.
    pub(super) remark: Option<String>,
}

impl Turn {
    pub(super) fn new(place: Place, lock: ServiceLock) -> Self {
        Self { index: Index::open(place.paths.clone()), place, lent: Some(Lent::Back(lock)), remark: None }
    }

    /// The lock, unless a write that did not answer in time still has it.
    fn lock(&self) -> Option<&ServiceLock> {
        match &self.lent {
            Some(Lent::Back(lock)) => Some(lock),
            Some(Lent::Away(_)) | None => None,
        }
    }

    /// The same, for a write to take along.
    fn take_lock(&mut self) -> Result<ServiceLock, Failure> {
        match self.lent.take() {
            Some(Lent::Back(lock)) => Ok(lock),
            away => {
                self.lent = away;
                Err(self.failure(&stalled()))
            }
        }
    }

    /// The service's index entry.
    pub(super) fn entry(&self) -> Result<Option<Entry>, IndexError> {
        match self.index.get(&self.place.key) {
            // The record wins, and repairs it.
            Err(IndexError::Corrupt { .. }) => Ok(None),
            read => read,
        }
    }

    /// The record.
    pub(super) async fn load(&self) -> Result<Option<Credential>, Failure> {
        let loaded = self.place.store.load(&self.place.key, PATIENCE).await;
        let admitted = loaded.and_then(|record| match &record {
            Some(found) => self.admit(&found.kind).map(|()| record),
            None => Ok(None),
        });
        admitted.map_err(|error| self.failure(&error))
    }

    /// Refuses what is bound elsewhere than the login that was made here.
    fn admit(&self, kind: &Kind) -> Result<(), StoreError> {
        match self.entry() {
            Ok(Some(entry)) => entry.admit(kind),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// What an earlier refresh of `record` left behind. A journal that is damaged, bound elsewhere, or
    /// sealed with another key than the record, held an answer, perhaps: as with a lost one, the old token is
    /// tried; the next entry sets it aside.
    pub(super) async fn journal(
        &mut self,
        record: &Option<Credential>,
    ) -> Result<Option<JournalEntry>, Failure> {
        let Some(lock) = self.lock() else {
            return Err(self.failure(&stalled()));
        };
        let read = self.place.store.journal(lock, PATIENCE).await;
        let admitted = read.and_then(|journal| match &journal {
            Some(JournalEntry::AnswerHeld { kind, .. }) => self.admit(kind).map(|()| journal),
            Some(JournalEntry::RequestSent { .. }) | None => Ok(journal),
        });
        match admitted {
            Err(error) if error.is_unreadable_item() => {
                self.remark = Some(format!("going on without the journal of a refresh: {error}"));
                let succeeds = generation_of(record).cloned();
                Ok(Some(JournalEntry::RequestSent { succeeds, at: clock::now() }))
            }
            read => read.map_err(|error| self.failure(&error)),
        }
    }

    /// Notes a step of a refresh.
    pub(super) async fn write_journal(&mut self, entry: JournalEntry) -> Result<(), Failure> {
        let lock = self.take_lock()?;
        let written = self.place.store.write_journal(lock, entry, PATIENCE).await;
        self.returned(written)
    }

    /// Forgets the journal. What is left of it would be judged by its generation.
    pub(super) async fn clear_journal(&mut self) {
        let Ok(lock) = self.take_lock() else {
            return;
        };
        let cleared = self.place.store.clear_journal(lock, PATIENCE).await;
        if let Err(failure) = self.returned(cleared) {
            tracing::warn!(?failure, "cannot clear the journal");
        }
    }

    /// Saves the record and brings the index in line; returns the record.
    pub(super) async fn save(&mut self, kind: Kind) -> Result<Credential, Failure> {
        let lock = self.take_lock()?;
        let written = self.place.store.save(lock, kind, PATIENCE).await;
        let credential = self.returned(written)?;
        failpoint::reached("after-read-back");
        self.repair(&credential);
        Ok(credential)
    }

    /// Brings the index in line with the record.
    pub(super) fn repair(&mut self, credential: &Credential) {
        let Some(lock) = self.lock() else {
            return;
        };
        let identity = self.index.under_its_name(lock.key(), self.place.identity.clone());
        if let Err(error) = self.index.repair(lock, identity, credential) {
            let error = with_causes(&error);
            tracing::warn!(error, "cannot bring the index in line with the stored login");
            let remark = format!("`status` does not know of the latest change to the login: {error}");
            self.remark.get_or_insert(remark);
        }
    }

    /// Notes what went wrong, for `tokens list`.
    pub(super) fn note(&self, last: LastError) {
        self.note_until(last, None);
    }

    /// The same, and until when the token endpoint asks every process not to be asked.
    pub(super) fn note_until(&self, last: LastError, retry_at: Option<Timestamp>) {
        let Some(lock) = self.lock() else {
            return;
        };
        let noted = self.index.note(lock, |entry| {
            entry.last_error = Some(last);
            entry.retry_at = retry_at;
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "cannot note the failed refresh");
        }
    }

    /// Waits for the lock where a stalled write has kept it; whether it came. Nobody else has it meanwhile:
    /// what this turn holds unsaved may be in no journal yet.
    pub(super) async fn regain(&mut self, deadline: Instant) -> bool {
        if let Some(Lent::Away(lent)) = &mut self.lent
            && let Ok(Ok(lock)) = timeout_at(deadline, lent).await
        {
            self.lent = Some(Lent::Back(lock));
        }
        self.lock().is_some()
    }

    fn returned<T>(&mut self, (lent, result): Written<T>) -> Result<T, Failure> {
        self.lent = Some(lent);
        result.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &StoreError) -> Failure {
        Failure::of_store(error, &self.place.store.place())
    }
}

/// An earlier write still has the lock.
fn stalled() -> StoreError {
    StoreError::Unresponsive { after: PATIENCE.limit() }
}

/// The record's generation, where there is a record.
pub(super) fn generation_of(record: &Option<Credential>) -> Option<&Generation> {
    record.as_ref().map(|credential| &credential.generation)
}
