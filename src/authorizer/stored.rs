//! What a person changes in the store directly: a static token set, a service forgotten.
//!
//! Both happen under the service's lock and leave the index telling the truth: a save writes the
//! store, then the index; a deletion marks the index first, so that running bridges notice before
//! the record goes, and a repeated one finishes what was interrupted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::held::bring_home;
use crate::clock;
use crate::credential::{Credential, Kind, StaticToken};
use crate::lock::{LockError, Purpose, ServiceLock};
use crate::paths::Paths;
use crate::redact::Secret;
use crate::server_uri::ServiceKey;
use crate::store::index::{Entry, EntryKind, Identity, Index, IndexError};
use crate::store::{Lent, Patience, Store, StoreConfig, StoreError, StoreKind, returned};

/// How long a refresh that is under way may hold the lock before a person is told: longer than a token
/// endpoint is listened to, its one repetition included.
const WAIT: Duration = Duration::from_secs(190);

/// A person waits, and may unlock the keychain.
const PATIENCE: Patience = Patience::Person;

/// Why nothing was changed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Another process held the service's lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The credential store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index refused.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The login is revoked, and not all that is stored of it is deleted.
    #[error("{by} revoked the login, and what is stored of it here could not all be deleted")]
    RevokedOnly {
        /// The authorization server's host, safe to print.
        by: String,
        /// Why not.
        source: Box<ChangeError>,
    },
    /// A login is stored, which a token would throw away without revoking it.
    #[error("a login is stored for this service, which a token would replace without revoking it")]
    LoginKept,
}

/// A static token that is to be stored.
#[derive(Debug)]
pub struct NewToken {
    /// The token.
    pub value: Secret,
    /// Who the service is.
    pub identity: Identity,
    /// Whether the person chose the name in it; else the service keeps the one that it has by then.
    pub is_named: bool,
    /// The store that keeps what is stored until now, where the token goes elsewhere.
    pub former: Option<StoreKind>,
    /// Whether it may take the place of a login.
    pub replaces_login: bool,
}

/// What a token that was set found and left.
#[derive(Debug)]
pub struct Set {
    /// What it took the place of.
    pub replaced: Option<EntryKind>,
    /// The store that still holds something of before, where the token moved and that store could
    /// not be cleared.
    pub left_behind: Option<StoreKind>,
    /// The key file that was generated for it, where one was.
    pub generated_key: Option<PathBuf>,
}

/// Finds out whether the store would take a token, so that no person is asked for one in vain.
///
/// # Errors
/// [`ChangeError`].
///
/// # Cancel safety
/// It only reads.
pub async fn check_storable(config: StoreConfig, key: &ServiceKey) -> Result<(), ChangeError> {
    let index = Index::open(config.paths.clone());
    let store = Store::open(config);
    match store.load(key, PATIENCE).await {
        // What cannot be read is set aside.
        Err(StoreError::Corrupt { .. }) => {}
        loaded => drop(loaded?),
    }
    store.check_key(PATIENCE).await?;
    Ok(index.check_room()?)
}

/// Stores a static token in place of whatever was stored, where it moves from as well. `waits` is told how
/// long another process is waited for at most, where one has the lock.
///
/// # Errors
/// [`ChangeError`].
///
/// # Cancel safety
/// A write that has begun goes on to its end; the index is then repaired by whoever comes next.
pub async fn set_token(
    config: StoreConfig,
    key: &ServiceKey,
    token: NewToken,
    waits: impl FnOnce(Duration),
) -> Result<Set, ChangeError> {
    let NewToken { value, identity, is_named, former, replaces_login } = token;
    let index = Index::open(config.paths.clone());
    let former = former.map(|kind| Store::open(StoreConfig { kind, ..config.clone() }));
    let lock = take_turn(&config.paths, key, waits).await?;
    let store = Store::open(config);
    let token = StaticToken { value, set_at: clock::now() };
    let record = match store.load(key, PATIENCE).await {
        // What cannot be read is set aside.
        Err(StoreError::Corrupt { .. }) => None,
        loaded => loaded?,
    };
    let (lock, record) = bring_home(&store, &index, lock, record, PATIENCE).await?;
    let replaced = stored_kind(record.as_ref(), index.get(key).ok().flatten().as_ref());
    if replaced == Some(EntryKind::Oauth) && !replaces_login {
        return Err(ChangeError::LoginKept);
    }
    announce_move(&index, &lock, &store);
    // An answer that a refresh left behind must not come back over the token.
    let (lock, ()) = returned(store.clear_journal(lock, PATIENCE).await, PATIENCE)?;
    let (lock, credential) = returned(store.save(lock, Kind::Token(token), PATIENCE).await, PATIENCE)?;
    let identity = if is_named { identity } else { index.under_its_name(key, identity) };
    index.repair(&lock, identity, &credential)?;
    let left_behind = match &former {
        Some(former) => clear(&index, former, lock).await,
        None => None,
    };
    let generated_key = store.generated_key().map(Path::to_owned);
    Ok(Set { replaced, left_behind, generated_key })
}

/// What is stored for a service. What a deletion left that was interrupted is nothing.
fn stored_kind(record: Option<&Credential>, listed: Option<&Entry>) -> Option<EntryKind> {
    if listed.is_some_and(|entry| entry.deleted) {
        return None;
    }
    let kept = record.map(|record| match &record.kind {
        Kind::Oauth(_) => EntryKind::Oauth,
        Kind::Token(_) => EntryKind::Token,
    });
    kept.or(listed.map(|entry| entry.kind))
}

/// Notes that a service is about to lie in `store`, where it moves there and that can be noted.
pub(super) fn announce_move(index: &Index, lock: &ServiceLock, store: &Store) {
    if let Err(error) = index.announce_move(lock, store.kind()) {
        tracing::warn!(%error, "cannot note the store that the service moves to");
    }
}

/// Erases what a store holds of a service that is kept elsewhere by now, without asking anybody;
/// the store's kind, where that fails.
pub(super) async fn clear(index: &Index, store: &Store, lock: ServiceLock) -> Option<StoreKind> {
    let (lent, left) = sweep(store, lock).await;
    if left.is_none()
        && let Lent::Back(lock) = &lent
    {
        note_erased(index, lock, store);
    }
    left
}

fn note_erased(index: &Index, lock: &ServiceLock, store: &Store) {
    if let Err(error) = index.note_erased(lock, store.kind()) {
        tracing::warn!(%error, "cannot note that the store holds nothing of the service any more");
    }
}

async fn sweep(store: &Store, lock: ServiceLock) -> (Lent, Option<StoreKind>) {
    // What does not answer is not given the lock.
    let (lent, erased) = match store.holds(lock.key(), Patience::Bridge).await {
        Ok(false) => return (Lent::Back(lock), None),
        Ok(true) => store.erase(lock, Patience::Bridge).await,
        Err(error) => (Lent::Back(lock), Err(error)),
    };
    let left = erased.err().map(|error| {
        tracing::info!(%error, "another store than the service's may still hold something of it");
        store.kind()
    });
    (lent, left)
}

/// The store that may hold something of the service of `entry` too, beside the one of `config`.
pub(super) fn other_store(entry: Option<&Entry>, config: &StoreConfig) -> Option<Store> {
    let kind = entry?.also_in.filter(|kind| *kind != config.kind)?;
    Some(Store::open(StoreConfig { kind, ..config.clone() }))
}

/// Whether there is anything to forget of a service.
///
/// # Errors
/// [`ChangeError::Store`].
///
/// # Cancel safety
/// It only reads.
pub async fn is_known(
    config: StoreConfig,
    key: &ServiceKey,
    patience: Patience,
) -> Result<bool, ChangeError> {
    // A damaged entry is something.
    if !matches!(Index::open(config.paths.clone()).get(key), Ok(None)) {
        return Ok(true);
    }
    match Store::open(config).holds(key, patience).await {
        Err(StoreError::Absent { .. }) => Ok(false),
        found => Ok(found?),
    }
}

/// What a deletion found and left.
#[derive(Debug)]
pub struct Deleted {
    /// Whether there was anything.
    pub any: bool,
    /// Another store that may still hold something of the service: it could not be erased there.
    pub left_behind: Option<StoreKind>,
}

/// Forgets a service: journal, record and index entry, and what another store holds of it. `waits` is told
/// how long another process is waited for at most, where one has the lock.
///
/// # Errors
/// [`ChangeError`]; a repeat finishes what was interrupted.
pub async fn delete(
    config: StoreConfig,
    key: &ServiceKey,
    patience: Patience,
    waits: impl FnOnce(Duration),
) -> Result<Deleted, ChangeError> {
    let index = Index::open(config.paths.clone());
    let store = Store::open(config.clone());
    wait_for_access(&index, &store, key, patience).await?;
    let lock = take_turn(&config.paths, key, waits).await?;
    let before = index.mark_deleted(&lock)?;
    erase_marked(&index, &config, lock, before, patience).await
}

/// Waits until the store gives access, before a deletion begins: whoever gives up meanwhile, or has no
/// access, has deleted nothing. Anything else that is wrong with the store shows at the erasure.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::Unresponsive`], and [`StoreError::Absent`] where the index lists
/// something.
pub(super) async fn wait_for_access(
    index: &Index,
    store: &Store,
    key: &ServiceKey,
    patience: Patience,
) -> Result<(), StoreError> {
    match store.holds(key, patience).await {
        Err(error @ (StoreError::Locked | StoreError::Unresponsive { .. })) => Err(error),
        // Without a keychain, nothing can lie in it that the index does not know of.
        Err(error @ StoreError::Absent { .. }) if matches!(index.get(key), Ok(Some(_))) => Err(error),
        _ => Ok(()),
    }
}

/// Waits until no other process refreshes or writes the service's login; `waits` as for [`delete`].
pub(super) async fn take_turn(
    paths: &Paths,
    key: &ServiceKey,
    waits: impl FnOnce(Duration),
) -> Result<ServiceLock, LockError> {
    if let Some(lock) = ServiceLock::try_acquire(paths, key, Purpose::Refresh)? {
        return Ok(lock);
    }
    waits(WAIT);
    ServiceLock::acquire(paths, key, Purpose::Refresh, Instant::now() + WAIT).await
}

/// Ends a deletion that the index is marked with; `before` is the entry as it was, where there was one.
pub(super) async fn erase_marked(
    index: &Index,
    config: &StoreConfig,
    lock: ServiceLock,
    before: Option<Entry>,
    patience: Patience,
) -> Result<Deleted, ChangeError> {
    let known = before.is_some();
    let store = Store::open(config.clone());
    let written = store.erase(lock, patience).await;
    if let ((Lent::Back(lock), Err(StoreError::NewerSchema { .. })), Some(before)) = (&written, &before) {
        // Nothing is gone, and a newer version will want it listed.
        index.unmark_deleted(lock, before)?;
    }
    let (lock, erased) = match returned(written, patience) {
        // Without a keychain, nothing can lie in it that the index does not know of.
        Err(StoreError::Absent { .. }) if !known => return Ok(Deleted { any: false, left_behind: None }),
        outcome => outcome?,
    };
    let (_, left_behind) = unlist(index, config, lock, before.as_ref()).await?;
    Ok(Deleted { any: known || erased, left_behind })
}

/// Removes the entry, and before it what another store holds, of which it alone knows. Says whether it is
/// removed, which it is not while that store has the lock, and which store may hold something still.
async fn unlist(
    index: &Index,
    config: &StoreConfig,
    lock: ServiceLock,
    entry: Option<&Entry>,
) -> Result<(bool, Option<StoreKind>), IndexError> {
    let (lent, left_behind) = match other_store(entry, config) {
        Some(other) => sweep(&other, lock).await,
        None => (Lent::Back(lock), None),
    };
    let removed = match lent {
        Lent::Back(lock) => index.remove(&lock)?,
        Lent::Away(_) => false,
    };
    Ok((removed, left_behind))
}

/// Forgets a service without asking the store that keeps it, which may be out of reach: what lies there
/// stays.
///
/// # Errors
/// [`ChangeError`].
pub async fn forget(config: &StoreConfig, key: &ServiceKey) -> Result<Deleted, ChangeError> {
    let index = Index::open(config.paths.clone());
    let lock = ServiceLock::acquire(&config.paths, key, Purpose::Refresh, Instant::now() + WAIT).await?;
    let entry = index.get(key).ok().flatten();
    let (removed, left_behind) = unlist(&index, config, lock, entry.as_ref()).await?;
    Ok(Deleted { any: removed || left_behind.is_some(), left_behind })
}

/// Erases what another store than the service's holds of it, and says whether it held anything; what has
/// become the service's store meanwhile stays as it is.
///
/// # Errors
/// [`ChangeError`].
pub async fn erase_leftover(config: StoreConfig, key: &ServiceKey) -> Result<bool, ChangeError> {
    let lock = ServiceLock::acquire(&config.paths, key, Purpose::Refresh, Instant::now() + WAIT).await?;
    let (index, store) = (Index::open(config.paths.clone()), Store::open(config));
    let listed = index.get(key).ok().flatten();
    if listed.is_some_and(|entry| entry.identity.store == store.kind() && !entry.deleted) {
        return Ok(false);
    }
    let (lock, erased) = returned(store.erase(lock, PATIENCE).await, PATIENCE)?;
    note_erased(&index, &lock, &store);
    Ok(erased)
}
