//! The answer that an interrupted refresh left in the journal, before somebody writes over it: the only
//! refresh token that still works may be in it.

use super::turn::generation_of;
use crate::credential::Credential;
use crate::lock::ServiceLock;
use crate::store::index::Index;
use crate::store::{JournalEntry, Patience, Store, StoreError, returned};

/// Makes the answer that the journal holds for `record` the record, so that what is written next takes its
/// place as a whole or not at all. Returns the lock and the record as it is by then; the journal stays.
///
/// # Errors
/// [`StoreError`] where the answer cannot be saved or looked for; what is stored is as it was.
pub(super) async fn bring_home(
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
