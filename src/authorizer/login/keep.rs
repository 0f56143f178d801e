//! Saving what a login brought, under the service's refresh lock.
//!
//! The new credential is journalled first: a process that dies between the journal and the record
//! has not lost what the person did in the browser. Journalling it also erases what an interrupted
//! refresh of the old credential left there. The lock is waited for as long as a refresh that
//! cannot save may keep it, for the code is spent by now.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::LoginError;
use crate::credential::{Credential, Kind, OauthCredential};
use crate::lock::{LockError, Purpose, ServiceLock};
use crate::paths::Paths;
use crate::server_uri::ServiceKey;
use crate::store::index::{Identity, Index};
use crate::store::{JournalEntry, Patience, Store, StoreError, returned};

/// How long the refresh lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(660);

/// A person waits, and may unlock the keychain.
const PATIENCE: Patience = Patience::Person;

/// Where a login's credential goes.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) paths: Paths,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) key: ServiceKey,
    pub(super) identity: Identity,
}

impl Home {
    /// The record, where there is one. A damaged one is an error unless `replacing`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn load(&self, replacing: bool) -> Result<Option<Credential>, StoreError> {
        match self.store.load(&self.key, PATIENCE).await {
            Err(error @ StoreError::Corrupt { .. }) if replacing => {
                tracing::warn!(%error, "the stored login will be replaced");
                Ok(None)
            }
            loaded => loaded,
        }
    }

    /// Journals, saves, reads back, and brings the index in line.
    ///
    /// # Errors
    /// [`LoginError::Lock`], [`LoginError::Store`] and [`LoginError::Index`]. Unless it is the
    /// index that failed, what was stored before stands.
    ///
    /// # Cancel safety
    /// A write that has begun goes on to its end. After the journal's, the new credential is
    /// promoted by whoever refreshes next.
    pub(super) async fn keep(&self, oauth: OauthCredential) -> Result<(), LoginError> {
        let lock = self.lock().await?;
        let old = self.load(true).await?;
        let mut credential = Credential {
            schema: crate::credential::SCHEMA,
            generation: crate::credential::Generation::draw().map_err(no_randomness)?,
            kind: Kind::Oauth(Box::new(oauth)),
        };
        let held = JournalEntry::AnswerHeld {
            succeeds: old.map(|old| old.generation),
            at: Timestamp::now(),
            credential: credential.clone(),
        };
        let (lock, ()) = returned(self.store.write_journal(lock, held, PATIENCE).await, PATIENCE)?;
        let (lock, saved) = self.store.save(lock, credential.clone(), PATIENCE).await;
        let generation = match saved {
            Ok(generation) => generation,
            Err(error) => {
                if let Some(lock) = lock {
                    self.forget_journal(lock).await;
                }
                return Err(error.into());
            }
        };
        credential.generation = generation;
        let lock = self.relocked(lock).await?;
        self.index.repair(&lock, self.identity.clone(), &credential)?;
        self.forget_journal(lock).await;
        Ok(())
    }

    async fn lock(&self) -> Result<ServiceLock, LockError> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        ServiceLock::acquire(&self.paths, &self.key, Purpose::Refresh, deadline).await
    }

    async fn relocked(&self, lock: Option<ServiceLock>) -> Result<ServiceLock, LockError> {
        match lock {
            Some(lock) => Ok(lock),
            None => self.lock().await,
        }
    }

    /// What is left of the journal would be judged by its generation.
    async fn forget_journal(&self, lock: ServiceLock) {
        let (_, cleared) = self.store.clear_journal(lock, PATIENCE).await;
        if let Err(error) = cleared {
            tracing::warn!(%error, "cannot clear the journal");
        }
    }
}

fn no_randomness(error: getrandom::Error) -> StoreError {
    StoreError::Platform { doing: "draw a random number".to_owned(), source: std::sync::Arc::new(error) }
}
