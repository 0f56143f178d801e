//! The index: what is known of each service and is not secret.
//!
//! One file a service, `<state>/services/<key>.json`. It maps names to URLs, and lets `tokens
//! list` and a running bridge see a change without touching the keychain: each save and delete
//! changes the entry's generation. The record in the credential store wins; whoever holds the
//! service's lock repairs the entry from it.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::credential::{Binding, Credential, Generation};
use crate::lock::{LockError, ServiceLock};
use crate::paths::Paths;
use crate::server_uri::ServiceKey;
use crate::store::StoreKind;

/// The newest schema that this version reads and writes.
pub const SCHEMA: u32 = 1;

/// Who a service is: what the user typed, and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name that commands take; unique within the profile.
    pub name: String,
    /// The profile.
    pub profile: String,
    /// The endpoint, canonical.
    pub url: Url,
    /// The store that was chosen at login.
    pub store: StoreKind,
}

/// One service, as `tokens list` shows it. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA`] of the version that wrote it.
    pub schema: u32,
    /// The service's key, which also names the file.
    #[serde(with = "key_text")]
    pub key: ServiceKey,
    /// Who it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// What its record keeps.
    pub kind: EntryKind,
    /// The record's generation, or the stamp of the deletion.
    pub generation: Generation,
    /// A delete has begun; a repeated one finishes it.
    #[serde(default)]
    pub deleted: bool,
    /// Whether the login renews by itself: there is a refresh token.
    pub renews: bool,
    /// When the access token expires, where known.
    pub access_expires_at: Option<Timestamp>,
    /// When the refresh token ends, where the server said so.
    pub refresh_expires_at: Option<Timestamp>,
    /// When the person logged in, or set the token.
    pub logged_in_at: Timestamp,
    /// When a refresh last succeeded.
    pub last_refresh_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// Whether it can be used.
    pub state: State,
    /// What the login is bound to; `None` for a static token.
    pub binding: Option<Binding>,
    /// Scopes granted.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// What a service's record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An OAuth login.
    Oauth,
    /// A static API token.
    Token,
}

/// Whether a login can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can, as far as is known.
    Valid,
    /// The server ended it.
    LoginRequired {
        /// A sentence for people.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
}

/// The last thing that went wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// A short code, for instance `invalid_grant` or `timeout`.
    pub code: String,
    /// A sentence for people, without any secret.
    pub text: String,
}

/// Why the index did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// Another service of the profile has the name.
    #[error("the name `{name}` is taken by {url}: choose another with --name")]
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

/// The index of all services.
#[derive(Debug)]
pub struct Index;

#[allow(missing_docs, clippy::todo)]
impl Index {
    pub fn open(paths: Paths) -> Self {
        let _ = paths;
        todo!()
    }
    pub fn list(&self) -> Result<Vec<Entry>, IndexError> {
        todo!()
    }
    pub fn get(&self, key: &ServiceKey) -> Result<Option<Entry>, IndexError> {
        let _ = key;
        todo!()
    }
    pub fn find(&self, profile: &str, name: &str) -> Result<Option<Entry>, IndexError> {
        let _ = (profile, name);
        todo!()
    }
    pub fn generation(&self, key: &ServiceKey) -> Option<Generation> {
        let _ = key;
        todo!()
    }
    /// Replaces the entry of the lock's service.
    pub fn put(&self, lock: &ServiceLock, entry: Entry) -> Result<(), IndexError> {
        let _ = (lock, entry);
        todo!()
    }
    /// Brings the entry in line with the record: called after each save, and by whoever finds the
    /// two to differ. Keeps what the record does not know (last refresh, last error).
    pub fn repair(
        &self,
        lock: &ServiceLock,
        identity: Identity,
        credential: &Credential,
    ) -> Result<(), IndexError> {
        let _ = (lock, identity, credential);
        todo!()
    }
    /// Notes the last refresh or error without changing the generation.
    pub fn note(&self, lock: &ServiceLock, change: impl FnOnce(&mut Entry)) -> Result<(), IndexError> {
        let _ = (lock, change);
        todo!()
    }
    pub fn mark_deleted(&self, lock: &ServiceLock) -> Result<bool, IndexError> {
        let _ = lock;
        todo!()
    }
    pub fn remove(&self, lock: &ServiceLock) -> Result<bool, IndexError> {
        let _ = lock;
        todo!()
    }
}

/// A service's key as text.
mod key_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::server_uri::ServiceKey;

    pub(super) fn serialize<S: Serializer>(key: &ServiceKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(key.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServiceKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        ServiceKey::from_hex(&text).ok_or_else(|| D::Error::custom("no service key"))
    }
}
