//! Credential stores: the OS keychain, encrypted files, memory.
//!
//! A store keeps one record a service and, beside it, a journal entry while a refresh is under
//! way; [`index`] keeps what is not secret. The store never asks an authorization server anything,
//! never downgrades to another kind, and never writes without the service's lock: the lock moves
//! into the writing thread and comes back with the outcome.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::credential::{Credential, Generation, Kind};
use crate::lock::ServiceLock;
use crate::paths::Paths;
use crate::redact::SecretSlice;
use crate::server_uri::ServiceKey;

mod attempt;
mod error;
mod file;
pub mod index;
mod items;
mod key;
mod keychain;
mod memory;
mod parts;
mod record;
#[cfg(test)]
pub(crate) mod samples;

use attempt::Attempts;
use file::{FileItems, GeneratedKey};
use items::Items;
use keychain::KeychainItems;
use memory::MemoryItems;
use record::Connect;

pub use error::{KeyError, StoreError};

/// Which kind of store keeps a service's record; chosen at login and kept from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// The keychain of the operating system.
    #[default]
    Keyring,
    /// Files encrypted with AES-256-GCM.
    File,
    /// This process's memory: gone when it ends.
    Memory,
}

/// Where the encrypted files' key comes from, where it is not the generated key file.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file that holds it (`MCP_FRONT_ENCRYPTION_KEY_FILE`).
    File(PathBuf),
    /// The value itself, any bytes (`MCP_FRONT_ENCRYPTION_KEY`).
    Inline(SecretSlice<u8>),
    /// Nowhere: the variable that should tell is set, and empty. No other key is taken instead.
    Empty {
        /// The variable's name.
        variable: &'static str,
    },
}

/// What a [`Store`] is opened with.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The kind of store.
    pub kind: StoreKind,
    /// Where its files are.
    pub paths: Paths,
    /// The encrypted files' key, where the user gave one.
    pub encryption_key: Option<KeySource>,
}

/// How long a call may take, and whether it may ask a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Four seconds, and no question: a host waits for an answer within five.
    Bridge,
    /// Five minutes: a person may unlock the keychain meanwhile, asked or not.
    Person,
    /// As long, for a person who is asked; where nobody can be, it is over at once.
    Prompt,
}

/// What is known of a refresh that is, or was, under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalEntry {
    /// The refresh token is about to be sent. Found under the lock, it means that the answer is
    /// lost: whoever sent it kept the lock until the answer was saved.
    RequestSent {
        /// The record that the refresh started from; `None` at a first login.
        succeeds: Option<Generation>,
        /// When it was sent.
        at: Timestamp,
    },
    /// The answer is here, and may not have reached the record yet.
    AnswerHeld {
        /// The record that it may replace, and no other.
        succeeds: Option<Generation>,
        /// When it came.
        at: Timestamp,
        /// What the record is to keep.
        kind: Kind,
    },
}

/// The lock that a write took along.
#[derive(Debug)]
pub enum Lent {
    /// It is back.
    Back(ServiceLock),
    /// The write did not answer in time, and has it until it ends; it comes back then, or is freed where
    /// nobody waits for it.
    Away(oneshot::Receiver<ServiceLock>),
}

impl Lent {
    /// The lock, where it is back.
    pub fn back(self) -> Option<ServiceLock> {
        match self {
            Self::Back(lock) => Some(lock),
            Self::Away(_) => None,
        }
    }
}

/// What a write hands back: the lock and the outcome.
pub type Written<T> = (Lent, Result<T, StoreError>);

/// The lock and the value of a write that was waited for with `patience`.
///
/// # Errors
/// The write's own; [`StoreError::Unresponsive`] where the lock did not come back.
pub fn returned<T>((lent, outcome): Written<T>, patience: Patience) -> Result<(ServiceLock, T), StoreError> {
    let value = outcome?;
    lent.back().map(|lock| (lock, value)).ok_or(StoreError::Unresponsive { after: patience.limit() })
}

/// A credential store. Clones share it. Opening does nothing; each call makes its own attempt, on
/// a thread of its own that a stalled keychain can hold without holding up the process's end.
#[derive(Clone)]
pub struct Store {
    kind: StoreKind,
    place: Arc<str>,
    attempts: Attempts,
    generated: GeneratedKey,
}

impl Store {
    /// The store that `config` names.
    pub fn open(config: StoreConfig) -> Self {
        let kind = config.kind;
        let place = place(&config).into();
        let generated = GeneratedKey::default();
        let noted = Arc::clone(&generated);
        let connector = move |patience: Patience| -> Result<Box<dyn Items>, StoreError> {
            Ok(match kind {
                StoreKind::Keyring => {
                    Box::new(KeychainItems::connect(patience, config.paths.installation())?)
                }
                StoreKind::File => {
                    let key = config.encryption_key.as_ref();
                    Box::new(FileItems::of(&config.paths, key, Arc::clone(&noted)))
                }
                StoreKind::Memory => Box::new(MemoryItems::of(config.paths.state())),
            })
        };
        Self { kind, place, attempts: Attempts::new(connector), generated }
    }

    /// Which kind it is.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Where the secrets lie, for people: `the keychain (Secret Service)`, or a directory.
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// The key file that was generated for what was written here, where one was: a person should
    /// know of it, for it lies beside what it protects.
    pub fn generated_key(&self) -> Option<&Path> {
        self.generated.get().map(PathBuf::as_path)
    }

    /// Reads the service's record; `None` where there is none. Cancel-safe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load(&self, key: &ServiceKey, patience: Patience) -> Result<Option<Credential>, StoreError> {
        let key = key.clone();
        self.attempts.read(patience, move |connect| record::load(connect, &key)).await
    }

    /// Whether there is a record or a journal of the service, readable or not. Cancel-safe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn holds(&self, key: &ServiceKey, patience: Patience) -> Result<bool, StoreError> {
        let key = key.clone();
        self.attempts.read(patience, move |connect| record::is_there(connect, &key)).await
    }

    /// Finds out whether the store has the key that a new record needs, so that nobody logs in for
    /// nothing. Nothing is written, and no key is made. Cancel-safe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn check_key(&self, patience: Patience) -> Result<(), StoreError> {
        self.attempts.read(patience, |connect| connect()?.check_key()).await
    }

    /// Whether what is written here is gone when the person logs out of this machine. Cancel-safe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_forgetful(&self, patience: Patience) -> Result<bool, StoreError> {
        self.attempts.read(patience, |connect| connect()?.is_forgetful()).await
    }

    /// Writes the record of the lock's service under a new generation, reads it back, compares and
    /// returns it. Dropping the future does not end the write: it goes on, with the lock, to its end.
    ///
    /// # Errors
    /// [`StoreError::Untrusted`] where the store did not keep it; otherwise what kept the record
    /// from being written, so that the old one still stands, or the new one from being read back. After
    /// [`StoreError::Unresponsive`] the lock does not come back before the write has ended.
    pub async fn save(&self, lock: ServiceLock, kind: Kind, patience: Patience) -> Written<Credential> {
        let save = |connect: Connect<'_>, key: &ServiceKey| record::save(connect, key, kind);
        self.attempts.write(lock, patience, save).await
    }

    /// Erases the service's journal and record, and says whether there was either. Not undone by
    /// dropping the future, as [`save`](Self::save).
    ///
    /// # Errors
    /// [`StoreError`]; a repeat finishes what was interrupted.
    pub async fn erase(&self, lock: ServiceLock, patience: Patience) -> Written<bool> {
        self.attempts.write(lock, patience, record::erase).await
    }

    /// Reads the service's journal. Cancel-safe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn journal(
        &self,
        lock: &ServiceLock,
        patience: Patience,
    ) -> Result<Option<JournalEntry>, StoreError> {
        let key = lock.key().clone();
        self.attempts.read(patience, move |connect| record::journal(connect, &key)).await
    }

    /// Writes the service's journal, as [`save`](Self::save) does the record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write_journal(
        &self,
        lock: ServiceLock,
        entry: JournalEntry,
        patience: Patience,
    ) -> Written<()> {
        let write = |connect: Connect<'_>, key: &ServiceKey| record::write_journal(connect, key, entry);
        self.attempts.write(lock, patience, write).await
    }

    /// Erases the service's journal, as [`erase`](Self::erase) does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear_journal(&self, lock: ServiceLock, patience: Patience) -> Written<()> {
        self.attempts.write(lock, patience, record::clear_journal).await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("kind", &self.kind).field("place", &self.place).finish()
    }
}

fn place(config: &StoreConfig) -> String {
    match config.kind {
        StoreKind::Keyring => keychain::PLACE.to_owned(),
        StoreKind::File => format!("{} (encrypted files)", config.paths.credentials().display()),
        StoreKind::Memory => "the memory of this process".to_owned(),
    }
}

impl Patience {
    /// How long a call may take.
    pub fn limit(self) -> Duration {
        match self {
            Self::Bridge => Duration::from_secs(4),
            Self::Person | Self::Prompt => Duration::from_secs(300),
        }
    }

    fn may_prompt(self) -> bool {
        matches!(self, Self::Person | Self::Prompt)
    }
}

/// Whether the encrypted files hold a record of the service, for whoever does not know which store keeps
/// it. No key is needed to tell.
pub fn lies_in_files(paths: &Paths, key: &ServiceKey) -> bool {
    FileItems::of(paths, None, GeneratedKey::default()).has_record(key)
}

/// Whether the encrypted files certainly hold nothing of the service. No key is needed to tell.
pub fn is_gone_from_files(paths: &Paths, key: &ServiceKey) -> bool {
    FileItems::of(paths, None, GeneratedKey::default()).has_nothing(key)
}

/// Finds out whether the encrypted files may get a new key: what is there already, it could not open.
///
/// # Errors
/// [`KeyError::Missing`] where a file needs another one, and what keeps that from being found out.
pub fn check_new_key(paths: &Paths) -> Result<(), StoreError> {
    FileItems::of(paths, None, GeneratedKey::default()).refuse_if_any()
}

/// Whether the encrypted files hold a journal of the service: a refresh is under way, or was interrupted.
/// No key is needed to tell.
pub fn journal_lies_in_files(paths: &Paths, key: &ServiceKey) -> bool {
    FileItems::of(paths, None, GeneratedKey::default()).has_journal(key)
}

/// A text that names no kind of store.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no store: choose keyring, file or memory")]
pub struct UnknownStore(String);

impl fmt::Display for StoreKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Memory => "memory",
        })
    }
}

impl FromStr for StoreKind {
    type Err = UnknownStore;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "keyring" => Ok(Self::Keyring),
            "file" => Ok(Self::File),
            "memory" => Ok(Self::Memory),
            other => Err(UnknownStore(crate::redact::printable(other))),
        }
    }
}

#[cfg(test)]
mod tests;
