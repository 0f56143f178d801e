//! Saving what a login brought, under the service's refresh lock.
//!
//! What an interrupted refresh of the old credential left in the journal becomes the record first, so
//! that a login which comes to nothing takes nothing along. The index is told what the new credential is
//! bound to, and that one is journalled: a process that dies before the record has not lost what the
//! person did in the browser, unless it took the place of what nobody renews any more, and one that dies
//! before the index leaves a login that works, unless it moves to another store. The code is spent by
//! now: the lock is waited for as long as a refresh that cannot save may keep it, and an index that
//! cannot be written keeps no login from being saved that it would admit.

use std::time::Duration;

use tokio::time::Instant;

use super::{Config, LoginError};
use crate::authorizer::held::bring_home;
use crate::authorizer::stored::{announce_move, clear};
use crate::authorizer::turn::generation_of;
use crate::credential::{Credential, Generation, Kind, OauthCredential};
use crate::lock::{LockError, Purpose, ServiceLock};
use crate::paths::Paths;
use crate::server_uri::ServiceKey;
use crate::store::index::{Identity, Index, IndexError, State};
use crate::store::{
    JournalEntry, Lent, Patience, Store, StoreConfig, StoreError, StoreKind, Written, returned,
};
use crate::{clock, failpoint};

/// How long the refresh lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(660);
/// The same where nothing would be lost.
const ALIGN_PATIENCE: Duration = Duration::from_secs(60);

/// A person waits, and may unlock the keychain.
const PATIENCE: Patience = Patience::Person;

/// Where a login's credential goes.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) paths: Paths,
    pub(super) store: Store,
    /// The store that keeps the login until now, where it moves.
    pub(super) former: Option<Store>,
    pub(super) index: Index,
    pub(super) key: ServiceKey,
    /// Who the service is, as far as the person said, or was known at the start.
    pub(super) identity: Identity,
    /// Whether the person chose the name in it.
    pub(super) is_named: bool,
}

impl Home {
    /// Where the credential of the login that `config` describes goes.
    pub(super) fn of(config: &Config) -> Self {
        let Config { server, profile, store, options, .. } = config;
        Self {
            paths: store.paths.clone(),
            store: Store::open(store.clone()),
            former: options.former.map(|kind| Store::open(StoreConfig { kind, ..store.clone() })),
            index: Index::open(store.paths.clone()),
            key: ServiceKey::new(profile, server),
            identity: config.identity(),
            is_named: options.named,
        }
    }

    /// Who the service is: it may have been renamed since the start.
    pub(super) fn identity(&self) -> Identity {
        match self.is_named {
            true => self.identity.clone(),
            false => self.index.under_its_name(&self.key, self.identity.clone()),
        }
    }

    /// The record, where there is one. A damaged one is an error unless `replacing`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn load(&self, replacing: bool) -> Result<Option<Credential>, StoreError> {
        let loaded = self.store.load(&self.key, PATIENCE).await;
        let admitted = loaded.and_then(|record| match &record {
            Some(found) => self.admit(&found.kind).map(|()| record),
            None => Ok(None),
        });
        match admitted {
            Err(error @ StoreError::Corrupt { .. }) if replacing => {
                tracing::warn!(%error, "the stored login will be replaced");
                Ok(None)
            }
            loaded => loaded,
        }
    }

    /// Refuses what is bound elsewhere than the login that was made here.
    fn admit(&self, kind: &Kind) -> Result<(), StoreError> {
        match self.index.get(&self.key) {
            Ok(Some(entry)) => entry.admit(kind),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Refuses a login that could not be stored for want of a key or of room.
    ///
    /// # Errors
    /// [`LoginError::Store`] and [`LoginError::Index`].
    pub(super) async fn check_storable(&self) -> Result<(), LoginError> {
        self.store.check_key(PATIENCE).await?;
        Ok(self.index.check_room()?)
    }

    /// The record in the store that the login moves away from, whose client may serve again; none
    /// where that store gives no access, which may well be why it moves.
    pub(super) async fn load_former(&self) -> Option<Credential> {
        let loaded = self.former.as_ref()?.load(&self.key, Patience::Bridge).await;
        loaded.inspect_err(|error| tracing::info!(%error, "the former store is not read")).ok().flatten()
    }

    /// Saves what the journal holds of the old credential; announces, journals, saves and reads back the
    /// new one, brings the index in line, and clears the store that the login leaves. Returns that store's
    /// kind, where it could not be cleared.
    ///
    /// # Errors
    /// [`LoginError::Lock`], [`LoginError::Store`] and [`LoginError::Index`]. Where it is certain that the
    /// new credential is not the record, what was stored before stands, or its successor from the journal;
    /// else the new one is listed, or promoted, by whoever comes next.
    ///
    /// # Cancel safety
    /// A write that has begun goes on to its end. After the journal's, the new credential is
    /// promoted by whoever refreshes next.
    pub(super) async fn keep(&self, oauth: OauthCredential) -> Result<Option<StoreKind>, LoginError> {
        let lock = self.lock(LOCK_PATIENCE).await?;
        let old = self.load(true).await?;
        let (lock, old) = bring_home(&self.store, &self.index, lock, old, PATIENCE).await?;
        let kind = Kind::Oauth(Box::new(oauth));
        let succeeds = generation_of(&old).cloned();
        self.index.announce(&lock, &kind, succeeds.as_ref())?;
        announce_move(&self.index, &lock, &self.store);
        let held =
            JournalEntry::AnswerHeld { succeeds: succeeds.clone(), at: clock::now(), kind: kind.clone() };
        let (lent, saved) = self.write(lock, held, kind).await;
        let credential = match saved {
            Ok(credential) => credential,
            Err(error) => {
                if let Lent::Back(lock) = lent {
                    self.call_off(lock, succeeds.as_ref()).await;
                }
                return Err(error.into());
            }
        };
        let lock = self.relocked(lent).await?;
        self.index.repair(&lock, self.identity(), &credential)?;
        let lock = self.forget_journal(lock).await;
        Ok(match (&self.former, lock) {
            (Some(former), Some(lock)) => clear(&self.index, former, lock).await,
            (former, _) => former.as_ref().map(Store::kind),
        })
    }

    /// Saves a first login that was killed before its record and stands in the journal alone; the
    /// record, where there is one by now. What an interrupted deletion left is no login.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    ///
    /// # Cancel safety
    /// As [`keep`](Self::keep).
    pub(super) async fn recover(&self) -> Result<Option<Credential>, LoginError> {
        let lock = self.lock(LOCK_PATIENCE).await?;
        let record = self.load(false).await?;
        if record.is_some() || self.is_deleted()? {
            return Ok(record);
        }
        let kind = match self.store.journal(&lock, PATIENCE).await {
            Ok(Some(JournalEntry::AnswerHeld { succeeds: None, kind, .. })) if self.admit(&kind).is_ok() => {
                kind
            }
            Ok(_) => return Ok(None),
            Err(error) if error.is_unreadable_item() => {
                tracing::warn!(%error, "the journal will be replaced");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let (lock, credential) = returned(self.store.save(lock, kind, PATIENCE).await, PATIENCE)?;
        self.index.repair(&lock, self.identity(), &credential)?;
        self.forget_journal(lock).await;
        Ok(Some(credential))
    }

    /// The name that the service was kept under until now, where that is another one.
    pub(super) fn former_name(&self) -> Option<String> {
        let entry = self.index.get(&self.key).ok().flatten().filter(|entry| !entry.deleted)?;
        Some(entry.identity.name).filter(|name| *name != self.identity().name)
    }

    /// Brings the index in line with a stored login that is kept as it is: its name, what was lost
    /// of its entry, and what was noted against it where it is `proven` that the service takes it.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub(super) async fn align(&self, stored: &Credential, proven: bool) -> Result<(), LoginError> {
        if self.is_in_line(stored, proven) {
            return Ok(());
        }
        let lock = self.lock(ALIGN_PATIENCE).await?;
        // A deletion that began meanwhile, and was interrupted, is not taken back.
        if self.is_deleted()? {
            return Ok(());
        }
        if let Some(record) = self.load(false).await? {
            self.index.repair(&lock, self.identity(), &record)?;
            if proven {
                self.index.clear_refusal(&lock, &stored.generation)?;
            }
        }
        Ok(())
    }

    fn is_in_line(&self, stored: &Credential, proven: bool) -> bool {
        let Ok(Some(entry)) = self.index.get(&self.key) else { return false };
        entry.identity == self.identity()
            && entry.generation == stored.generation
            && (entry.state == State::Valid || !proven)
    }

    /// Whether a deletion was begun: what is left then is no login.
    ///
    /// # Errors
    /// [`IndexError`]; a damaged entry is not one, for the record wins.
    pub(super) fn is_deleted(&self) -> Result<bool, IndexError> {
        match self.index.get(&self.key) {
            Err(IndexError::Corrupt { .. }) => Ok(false),
            read => Ok(read?.is_some_and(|entry| entry.deleted)),
        }
    }

    async fn lock(&self, patience: Duration) -> Result<ServiceLock, LockError> {
        let deadline = Instant::now() + patience;
        ServiceLock::acquire(&self.paths, &self.key, Purpose::Refresh, deadline).await
    }

    async fn relocked(&self, lent: Lent) -> Result<ServiceLock, LockError> {
        match lent {
            Lent::Back(lock) => Ok(lock),
            Lent::Away(_) => self.lock(LOCK_PATIENCE).await,
        }
    }

    async fn write(&self, lock: ServiceLock, held: JournalEntry, kind: Kind) -> Written<Credential> {
        match self.store.write_journal(lock, held, PATIENCE).await {
            (Lent::Back(lock), Ok(())) => {
                failpoint::reached("before-record");
                self.store.save(lock, kind, PATIENCE).await
            }
            (lent, Ok(())) => (lent, Err(StoreError::Unresponsive { after: PATIENCE.limit() })),
            (lent, Err(error)) => (lent, Err(error)),
        }
    }

    /// Forgets a login that could not be saved, if the record still is the one that it was to succeed: a
    /// save may fail after the record was replaced.
    async fn call_off(&self, lock: ServiceLock, succeeds: Option<&Generation>) {
        match self.store.load(&self.key, PATIENCE).await {
            Ok(record) if generation_of(&record) == succeeds => {}
            Ok(_) | Err(_) => return,
        }
        if let Err(error) = self.index.note(&lock, |entry| entry.coming = None) {
            tracing::warn!(%error, "cannot take back what was announced");
        }
        self.forget_journal(lock).await;
    }

    /// What is left of the journal would be judged by its generation.
    async fn forget_journal(&self, lock: ServiceLock) -> Option<ServiceLock> {
        let (lent, cleared) = self.store.clear_journal(lock, PATIENCE).await;
        if let Err(error) = cleared {
            tracing::warn!(%error, "cannot clear the journal");
        }
        lent.back()
    }
}
