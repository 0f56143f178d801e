//! A store that could not be read, noted in the index, where `status` finds it without asking the store.
//!
//! It is noted once, with the time of the first failure, and taken back by whoever reads the store next. A
//! note that lasts is worth more: a refreshed login that waits to be saved, a token that the service refuses.

use super::failure::Failure;
use super::keeper::Keeper;
use crate::clock;
use crate::lock::{Purpose, ServiceLock};
use crate::redact::with_causes;
use crate::store::StoreKind;
use crate::store::index::{Entry, LastError, STORE_UNREADABLE, State, UNSAVED_ROTATION};

impl Keeper {
    /// Notes that the store, which keeps what `listed` is about, could not be read.
    pub(super) fn note_unreadable(&self, listed: Option<&Entry>, failure: &Failure) {
        let Some(listed) = listed.filter(|entry| is_worth_it(entry)) else { return };
        let text = failure.clone().reason();
        let error = LastError { at: clock::now(), code: STORE_UNREADABLE.to_owned(), text };
        // Reading took its time, in which another process may have written.
        self.change_note(|entry| {
            if entry.generation == listed.generation && is_worth_it(entry) {
                entry.last_error = Some(error);
            }
        });
    }

    /// Takes that back: the store can be read.
    pub(super) fn note_readable(&self, listed: Option<&Entry>) {
        if listed.is_some_and(is_unreadable) {
            self.change_note(|entry| {
                if is_unreadable(entry) {
                    entry.last_error = None;
                }
            });
        }
    }

    /// Nobody waits for a note: whoever has the lock may be renewing the login, and the next one is as good.
    fn change_note(&self, change: impl FnOnce(&mut Entry)) {
        let changed = match ServiceLock::try_acquire(&self.config.store.paths, &self.key, Purpose::Refresh) {
            Ok(Some(lock)) => self.index.note(&lock, change).map_err(|error| with_causes(&error)),
            Ok(None) => Ok(()),
            Err(error) => Err(with_causes(&error)),
        };
        if let Err(error) = changed {
            tracing::warn!(error, "cannot note how the store is");
        }
    }
}

/// Whether the entry should say that its store cannot be read.
fn is_worth_it(entry: &Entry) -> bool {
    let lasts = |error: &LastError| matches!(error.code.as_str(), UNSAVED_ROTATION | STORE_UNREADABLE);
    !entry.deleted
        && entry.identity.store != StoreKind::Memory
        && entry.state == State::Valid
        && !entry.last_error.as_ref().is_some_and(lasts)
}

fn is_unreadable(entry: &Entry) -> bool {
    entry.last_error.as_ref().is_some_and(|error| error.code == STORE_UNREADABLE)
}
