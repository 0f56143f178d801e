//! Credential stores: the OS keychain, encrypted files, memory.
//!
//! A store keeps one record a service and, beside it, a journal entry while a refresh is under
//! way; [`index`] keeps what is not secret. The store never asks an authorization server anything,
//! never downgrades to another kind, and never writes without the service's lock: the lock moves
//! into the writing thread and comes back with the outcome.

use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::SecretSlice;
use serde::{Deserialize, Serialize};

use crate::credential::{Credential, Generation};
use crate::lock::ServiceLock;
use crate::paths::Paths;
use crate::server_uri::ServiceKey;

mod error;
pub mod index;
#[cfg(test)]
pub(crate) mod samples;

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
    /// Five minutes: a person may unlock the keychain meanwhile.
    Person,
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
        /// The record to be.
        credential: Credential,
    },
}

/// What a write hands back: the lock, unless the write still runs and keeps it, and the outcome.
pub type Written<T> = (Option<ServiceLock>, Result<T, StoreError>);

/// A credential store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store;

#[allow(missing_docs, clippy::unused_async, clippy::todo)]
impl Store {
    pub fn open(config: StoreConfig) -> Self {
        let _ = config;
        todo!()
    }
    pub fn kind(&self) -> StoreKind {
        todo!()
    }
    pub fn place(&self) -> String {
        todo!()
    }
    pub async fn load(&self, key: &ServiceKey, patience: Patience) -> Result<Option<Credential>, StoreError> {
        let _ = (key, patience);
        todo!()
    }
    pub async fn save(
        &self,
        lock: ServiceLock,
        credential: Credential,
        patience: Patience,
    ) -> Written<Generation> {
        let _ = (lock, credential, patience);
        todo!()
    }
    pub async fn erase(&self, lock: ServiceLock, patience: Patience) -> Written<bool> {
        let _ = (lock, patience);
        todo!()
    }
    pub async fn journal(
        &self,
        lock: &ServiceLock,
        patience: Patience,
    ) -> Result<Option<JournalEntry>, StoreError> {
        let _ = (lock, patience);
        todo!()
    }
    pub async fn write_journal(
        &self,
        lock: ServiceLock,
        entry: JournalEntry,
        patience: Patience,
    ) -> Written<()> {
        let _ = (lock, entry, patience);
        todo!()
    }
    pub async fn clear_journal(&self, lock: ServiceLock, patience: Patience) -> Written<()> {
        let _ = (lock, patience);
        todo!()
    }
}

/// A text that names no kind of store.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no store: choose keyring, file or memory")]
pub struct UnknownStore(String);

impl std::fmt::Display for StoreKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Memory => "memory",
        })
    }
}

impl std::str::FromStr for StoreKind {
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
