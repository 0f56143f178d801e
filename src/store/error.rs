//! What can go wrong with a credential store, by what the caller would do about it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why a store did not do what it was asked. Cheap to clone, so that waiters can share one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no keychain here: no session bus, no secret service, no collection. The user
    /// chooses another store, or starts one.
    #[error("no keychain is available here")]
    Absent {
        /// What the platform said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The keychain is locked, and nobody unlocked it.
    #[error("the keychain is locked")]
    Locked,
    /// The store did not answer in time: it stalls, or it asks a person who is not there. A write
    /// may still happen; its lock stays held until then.
    #[error("the credential store did not answer within {} s", after.as_secs())]
    Unresponsive {
        /// How long the call waited.
        after: Duration,
    },
    /// What was saved reads back differently: the store must not be trusted with it.
    #[error("the credential store did not keep `{item}`: what it reads back is not what was saved")]
    Untrusted {
        /// The item's name.
        item: String,
    },
    /// An item is damaged or not ours. It is left as it is.
    #[error("the stored item `{item}` is damaged: {reason}")]
    Corrupt {
        /// The item's name, or its file.
        item: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version of the program wrote it. It is neither read nor overwritten.
    #[error("a newer mcp-front stored this (schema {found}): update mcp-front")]
    NewerSchema {
        /// The schema that was found.
        found: u32,
    },
    /// The encrypted files' key is missing, malformed or another one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The platform refused, for instance for lack of space or permission.
    #[error("the credential store failed: {doing}")]
    Platform {
        /// What was attempted.
        doing: String,
        /// What the platform said.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// What is wrong with the encrypted files' key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// The key's file cannot be read.
    #[error("cannot read the encryption key from {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// What is there is no key.
    #[error("{place} holds no encryption key: a key is 32 bytes, raw or in base64")]
    Malformed {
        /// The variable or file, by name.
        place: String,
    },
    /// A variable that names or holds the key is set, and empty: a slip that must not lead to another
    /// key.
    #[error("{variable} is set, and empty")]
    Empty {
        /// The variable's name.
        variable: &'static str,
    },
    /// There are encrypted files, and no key. None is generated: it could not open them.
    #[error("the encryption key {needed} is missing from {place}: {needed_by} was encrypted with it")]
    Missing {
        /// The missing key's id.
        needed: String,
        /// One of the files.
        needed_by: String,
        /// Where a key is looked for.
        place: String,
    },
    /// The key is not the one that the file was encrypted with. The file is left as it is.
    #[error("{item} was encrypted with the key {needed}, and {place} holds the key {given}")]
    Other {
        /// The file.
        item: String,
        /// The id of the key that it needs.
        needed: String,
        /// The id of the key in hand.
        given: String,
        /// Where the key in hand came from.
        place: String,
    },
}

impl StoreError {
    /// No keychain, in the platform's words.
    pub(super) fn absent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Absent { source: Arc::from(source.into()) }
    }

    /// What the platform refused while `doing` something.
    pub(super) fn platform(
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Platform { doing: doing.into(), source: Arc::from(source.into()) }
    }

    /// Whether an item is there and can never be read with the key at hand: it is damaged, or was
    /// sealed with another key.
    pub fn is_unreadable_item(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Key(KeyError::Other { .. }))
    }
}
