//! The index: what is known of each service and is not secret.
//!
//! One file a service, `<state>/services/<key>.json`. It maps names to URLs, and lets `tokens
//! list` and a running bridge see a change without touching the keychain: each save and delete
//! changes the entry's generation. The record in the credential store wins; whoever holds the
//! service's lock repairs the entry from it. It loses where it is bound elsewhere than the entry
//! ([`Entry::admit`]), until a login is made anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::credential::{Credential, Generation, Kind};
use crate::lock::{LockError, NamedLock, ServiceLock, Shared};
use crate::paths::{self, Paths};
use crate::server_uri::ServiceKey;
use crate::store::StoreKind;

mod entry;
mod glance;

pub use entry::{
    Announcement, Entry, EntryKind, Identity, LastError, SCHEMA, STORE_UNREADABLE, State, TOKEN_REJECTED,
    UNSAVED_ROTATION,
};
use glance::Glances;

/// What a login writes at most, as a rule: record, journal, entry and perhaps a key.
const LOGIN_BYTES: usize = 32 << 10;

/// How long a write waits for the index lock, which is only ever held for a few file operations.
const GUARD_LIMIT: Duration = Duration::from_secs(2);

/// Why the index did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// Another service of the profile has the name.
    #[error("the name `{name}` is taken by {url}")]
    NameTaken {
        /// The name.
        name: String,
        /// The service that has it.
        url: String,
    },
    /// A newer version of the program wrote the entry. It is not overwritten.
    #[error("a newer mcp-front wrote {} (schema {found}): update mcp-front", path.display())]
    NewerSchema {
        /// The entry's file.
        path: PathBuf,
        /// The schema that was found.
        found: u32,
    },
    /// The entry's file is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The entry's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The index lock was not to be had.
    #[error(transparent)]
    Lock(Arc<LockError>),
    /// The system refused.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
}

/// The index of all services. Clones share what they have seen.
#[derive(Debug, Clone)]
pub struct Index {
    paths: Paths,
    glances: Arc<Glances>,
}

impl Index {
    /// The index below `paths`. Touches no file.
    pub fn open(paths: Paths) -> Self {
        Self { paths, glances: Arc::default() }
    }

    /// All entries, by profile and name, those whose deletion is unfinished included. An entry
    /// that cannot be read is left out with a warning, so that one does not hide the others.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, IndexError> {
        let (entries, unreadable) = self.survey()?;
        for error in unreadable {
            tracing::warn!(%error, "left out of the list");
        }
        Ok(entries)
    }

    /// As [`list`](Self::list), with what is wrong with each entry that is left out.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn survey(&self) -> Result<(Vec<Entry>, Vec<IndexError>), IndexError> {
        let directory = self.paths.services();
        let files = match fs::read_dir(&directory) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(IndexError::io(directory)(error)),
        };
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        for file in files {
            let name = file.map_err(IndexError::io(&directory))?.file_name();
            let Some(key) =
                name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(ServiceKey::from_hex)
            else {
                continue;
            };
            match self.get(&key) {
                Ok(entry) => entries.extend(entry),
                Err(error) => unreadable.push(error),
            }
        }
        let order = |entry: &Entry| (entry.identity.profile.clone(), entry.identity.name.clone());
        entries.sort_by_cached_key(order);
        Ok((entries, unreadable))
    }

    /// The entry of `key`, if there is one.
    ///
    /// # Errors
    /// Where it is damaged, newer than this version, or unreadable.
    pub fn get(&self, key: &ServiceKey) -> Result<Option<Entry>, IndexError> {
        let path = self.path(key);
        let corrupt = |reason: String| IndexError::Corrupt { path: path.clone(), reason };
        let read = paths::read_private(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::FileTooLarge || is_no_file(&path) {
                corrupt(error.to_string())
            } else {
                IndexError::io(&path)(error)
            }
        });
        let Some(bytes) = read? else {
            return Ok(None);
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if head.schema > SCHEMA {
            return Err(IndexError::NewerSchema { path, found: head.schema });
        }
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if entry.key != *key {
            return Err(corrupt("it is another service's entry".to_owned()));
        }
        Ok(Some(entry))
    }

    /// The entry that has `name` in `profile`; one whose deletion is unfinished only where no
    /// other has the name.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn find(&self, profile: &str, name: &str) -> Result<Option<Entry>, IndexError> {
        let is_it = |entry: &Entry| entry.identity.profile == profile && entry.identity.name == name;
        Ok(self.list()?.into_iter().filter(is_it).min_by_key(|entry| entry.deleted))
    }

    /// The service of `profile` that has `name` and is not `other_than`. One whose deletion has
    /// begun holds no name any more.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn holder_of(
        &self,
        profile: &str,
        name: &str,
        other_than: &ServiceKey,
    ) -> Result<Option<Entry>, IndexError> {
        Ok(self.find(profile, name)?.filter(|entry| entry.key != *other_than && !entry.deleted))
    }

    /// The generation of `key`'s entry; `None` where there is no readable one, which counts as a
    /// change. Costs one `stat` while nothing changed, so that a bridge can ask at every request.
    pub fn generation(&self, key: &ServiceKey) -> Option<Generation> {
        self.glances.look(key, &self.path(key)).map(|glance| glance.generation)
    }

    /// Whether `key`'s entry said, when its [`generation`](Self::generation) was last asked for, that the
    /// service refuses the token. Costs nothing.
    pub fn showed_refusal(&self, key: &ServiceKey) -> bool {
        self.glances.last(key).is_some_and(|glance| glance.is_refused)
    }

    /// `identity` under the name that the service is listed with, for whoever was not asked to name it.
    pub fn under_its_name(&self, key: &ServiceKey, identity: Identity) -> Identity {
        match self.get(key) {
            Ok(Some(entry)) if !entry.deleted => Identity { name: entry.identity.name, ..identity },
            Ok(_) | Err(_) => identity,
        }
    }

    /// Brings the entry in line with the record that was just saved or found. The record wins;
    /// what it does not know (the last error, a refusal) stays while the generation is the same.
    ///
    /// # Errors
    /// [`IndexError::NameTaken`], and whatever keeps the entry from being written.
    pub fn repair(
        &self,
        lock: &ServiceLock,
        identity: Identity,
        credential: &Credential,
    ) -> Result<(), IndexError> {
        let mut entry = Entry::of(lock.key(), identity, credential);
        let _guard = self.guard()?;
        if let Some(old) = self.replaceable(lock.key())? {
            if old.generation == entry.generation {
                entry.last_error = old.last_error.clone().or(entry.last_error);
                entry.retry_at = old.retry_at;
                if entry.state == State::Valid {
                    entry.state = old.state.clone();
                }
            }
            let is_coming = |coming: &&Announcement| coming.succeeds.as_ref() == Some(&entry.generation);
            entry.coming = old.coming.as_ref().filter(is_coming).cloned();
            entry.follow(&old);
            if old == entry {
                return Ok(());
            }
        }
        self.write(&entry)
    }

    /// Notes what a login is bound to that is about to succeed the record of generation `succeeds`, where
    /// the entry would not admit it: an interruption between the record and the entry leaves a login that
    /// works.
    ///
    /// # Errors
    /// Whatever keeps the entry from being read, and from being written where that is called for.
    pub fn announce(
        &self,
        lock: &ServiceLock,
        kind: &Kind,
        succeeds: Option<&Generation>,
    ) -> Result<(), IndexError> {
        let Kind::Oauth(oauth) = kind else { return Ok(()) };
        let listed = self.replaceable(lock.key())?;
        let Some(entry) = listed.filter(|entry| entry.admit(kind).is_err()) else { return Ok(()) };
        let coming = Announcement { binding: oauth.binding.clone(), succeeds: succeeds.cloned() };
        let _guard = self.guard()?;
        self.put(&Entry { coming: Some(coming), ..entry })
    }

    /// Notes that `store` is about to hold something of the service, where it is not the listed one: an
    /// interruption before the service is listed there leaves nothing that a deletion would not find.
    ///
    /// # Errors
    /// As [`announce`](Self::announce).
    pub fn announce_move(&self, lock: &ServiceLock, store: StoreKind) -> Result<(), IndexError> {
        let listed = self.replaceable(lock.key())?;
        let Some(entry) = listed.filter(|entry| entry.identity.store != store) else { return Ok(()) };
        let _guard = self.guard()?;
        self.put(&Entry { also_in: Some(store), ..entry })
    }

    /// Notes that `store` holds nothing of the service any more.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub fn note_erased(&self, lock: &ServiceLock, store: StoreKind) -> Result<(), IndexError> {
        self.note(lock, |entry| entry.also_in = entry.also_in.filter(|other| *other != store))
    }

    /// Notes something in the entry that changes no generation, for instance the last error. Does
    /// nothing where there is no entry.
    ///
    /// # Errors
    /// Whatever keeps the entry from being written.
    pub fn note(&self, lock: &ServiceLock, change: impl FnOnce(&mut Entry)) -> Result<(), IndexError> {
        let _guard = self.guard()?;
        let Some(mut entry) = self.get(lock.key())? else {
            return Ok(());
        };
        let before = entry.clone();
        change(&mut entry);
        if entry == before { Ok(()) } else { self.write(&entry) }
    }

    /// Marks that the service refuses the token in the record of `generation`. It changes no
    /// generation, for the record is as it was, and does nothing where another record is listed or
    /// a login is required already.
    ///
    /// # Errors
    /// Whatever keeps the entry from being written.
    pub fn mark_refused(
        &self,
        lock: &ServiceLock,
        generation: &Generation,
        refusal: LastError,
    ) -> Result<(), IndexError> {
        let _guard = self.guard()?;
        let listed = self.get(lock.key())?.filter(|entry| entry.generation == *generation && !entry.deleted);
        match listed {
            Some(mut entry) if entry.state == State::Valid => {
                entry.refuse(refusal, true);
                self.write(&entry)
            }
            _ => Ok(()),
        }
    }

    /// Takes a refusal back, and with it the last error: the service takes the token in the record
    /// of `generation` after all.
    ///
    /// # Errors
    /// Whatever keeps the entry from being written.
    pub fn clear_refusal(&self, lock: &ServiceLock, generation: &Generation) -> Result<(), IndexError> {
        let _guard = self.guard()?;
        let listed = self.get(lock.key())?.filter(|entry| entry.generation == *generation && !entry.deleted);
        match listed {
            Some(entry) if entry.state != State::Valid => {
                self.write(&Entry { state: State::Valid, last_error: None, ..entry })
            }
            _ => Ok(()),
        }
    }

    /// Finds out whether there is room for what a login brings, so that nobody logs in for nothing.
    /// Nothing of it stays.
    ///
    /// # Errors
    /// Whatever would keep an entry from being written.
    pub fn check_room(&self) -> Result<(), IndexError> {
        let directory = self.paths.services();
        paths::check_room(&directory, LOGIN_BYTES).map_err(IndexError::io(&directory))
    }

    /// Begins a deletion: gives the entry a new stamp and marks it, so that running bridges notice
    /// before the record goes. Returns the entry as it was, if there was one. A full disk takes no mark,
    /// and a deletion is what makes room there: bridges then notice at its end.
    ///
    /// # Errors
    /// Whatever keeps the entry from being written.
    pub fn mark_deleted(&self, lock: &ServiceLock) -> Result<Option<Entry>, IndexError> {
        let _guard = self.guard()?;
        let Some(before) = self.replaceable(lock.key())? else {
            return Ok(None);
        };
        let mut entry = before.clone();
        let path = self.path(lock.key());
        let stamp = Generation::draw().map_err(|error| IndexError::io(&path)(io::Error::other(error)))?;
        entry.generation = stamp;
        entry.deleted = true;
        match self.write(&entry) {
            Err(error) if error.is_want_of_room() => tracing::warn!(%error, "deleting without a mark"),
            written => written?,
        }
        Ok(Some(before))
    }

    /// Takes a deletion back that the store refused: `before` is what
    /// [`mark_deleted`](Self::mark_deleted) returned under this lock.
    ///
    /// # Errors
    /// Whatever keeps the entry from being written.
    pub fn unmark_deleted(&self, _lock: &ServiceLock, before: &Entry) -> Result<(), IndexError> {
        let _guard = self.guard()?;
        self.write(before)
    }

    /// Ends a deletion: removes the entry, and says whether there was one.
    ///
    /// # Errors
    /// Where a newer version wrote it, and what the system refuses.
    pub fn remove(&self, lock: &ServiceLock) -> Result<bool, IndexError> {
        let _guard = self.guard()?;
        self.replaceable(lock.key())?;
        let path = self.path(lock.key());
        paths::remove_private(&path).map_err(IndexError::io(&path))
    }

    fn path(&self, key: &ServiceKey) -> PathBuf {
        self.paths.services().join(format!("{key}.json"))
    }

    fn guard(&self) -> Result<NamedLock, IndexError> {
        NamedLock::acquire(&self.paths, Shared::Index, GUARD_LIMIT)
            .map_err(|error| IndexError::Lock(Arc::new(error)))
    }

    /// The entry that may be replaced; a damaged one counts as none, since the record can repair
    /// it, and a newer one is refused.
    fn replaceable(&self, key: &ServiceKey) -> Result<Option<Entry>, IndexError> {
        match self.get(key) {
            Err(error @ IndexError::Corrupt { .. }) => {
                tracing::warn!(%error, "replacing the entry");
                Ok(None)
            }
            read => read,
        }
    }

    /// Checks the name and writes; the caller holds the index lock.
    fn write(&self, entry: &Entry) -> Result<(), IndexError> {
        if !entry.deleted
            && let Some(other) = self.holder_of(&entry.identity.profile, &entry.identity.name, &entry.key)?
        {
            return Err(IndexError::NameTaken { url: other.identity.address(), name: other.identity.name });
        }
        self.put(entry)
    }

    /// Writes an entry whose name is its own; the caller holds the index lock.
    fn put(&self, entry: &Entry) -> Result<(), IndexError> {
        let path = self.path(&entry.key);
        let bytes = serde_json::to_vec_pretty(entry).map_err(|error| IndexError::io(&path)(error.into()))?;
        if is_no_file(&path) {
            paths::remove_private(&path).map_err(IndexError::io(&path))?;
        }
        paths::write_private(&path, &bytes).map_err(IndexError::io(&path))
    }
}

impl IndexError {
    /// Whether a disk is full, or the user's share of it is.
    fn is_want_of_room(&self) -> bool {
        matches!(self, Self::Io { source, .. } if paths::is_want_of_room(source))
    }

    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source: Arc::new(source) }
    }
}

/// Whether something else than a file, which is never an entry, has an entry's name.
fn is_no_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

/// What every version's entry has.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

#[cfg(test)]
mod tests;
