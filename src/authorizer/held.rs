//! What an interruption left of a login, before somebody writes over it: an answer in the journal, in which
//! the only refresh token that still works may be, and a record that the index does not list.

use super::turn::generation_of;
use crate::credential::Credential;
use crate::lock::ServiceLock;
use crate::store::index::{Entry, Index};
use crate::store::{JournalEntry, Patience, Store, StoreError, returned};

/// Makes the answer that the journal holds for `record` the record, and lists it, so that what is written
/// next takes its place as a whole or not at all. Returns the lock and the record as it is by then; the
/// journal stays.
///
/// # Errors
/// [`StoreError`] where the answer cannot be saved or looked for. The journal still has it then.
pub(super) async fn bring_home(
    store: &Store,
    index: &Index,
    lock: ServiceLock,
    record: Option<Credential>,
    patience: Patience,
) -> Result<(ServiceLock, Option<Credential>), StoreError> {
    let (lock, record) = promote(store, index, lock, record, patience).await?;
    if let Some(record) = &record {
        list(store, index, &lock, record);
    }
    Ok((lock, record))
}

async fn promote(
    store: &Store,
    index: &Index,
    lock: ServiceLock,
    record: Option<Credential>,
    patience: Patience,
) -> Result<(ServiceLock, Option<Credential>), StoreError> {
    let kind = match store.journal(&lock, patience).await {
        Ok(Some(JournalEntry::AnswerHeld { succeeds, kind, .. }))
            if generation_of(&record) == succeeds.as_ref() =>
        {
            kind
        }
        Ok(_) => return Ok((lock, record)),
        Err(error) if error.is_unreadable_item() => return Ok((lock, record)),
        Err(error) => return Err(error),
    };
    let listed = index.get(lock.key()).ok().flatten();
    if listed.is_some_and(|entry| entry.deleted || entry.admit(&kind).is_err()) {
        return Ok((lock, record));
    }
    let (lock, saved) = returned(store.save(lock, kind, patience).await, patience)?;
    Ok((lock, Some(saved)))
}

/// Brings the entry in line with the record, where it admits it: an announcement that alone makes it do so
/// may be the next to go.
fn list(store: &Store, index: &Index, lock: &ServiceLock, record: &Credential) {
    let is_its_own = |entry: &Entry| {
        !entry.deleted && entry.identity.store == store.kind() && entry.admit(&record.kind).is_ok()
    };
    let Some(entry) = index.get(lock.key()).ok().flatten().filter(is_its_own) else { return };
    if let Err(error) = index.repair(lock, entry.identity, record) {
        tracing::warn!(%error, "cannot list the stored login");
    }
}
