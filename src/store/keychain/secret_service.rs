//! The Secret Service of the session bus (freedesktop.org Secret Service API, draft 0.2).
//!
//! Items go through keyring's store for it. What that store cannot tell is asked first: whether
//! the service is there at all, and whether an item that seems to be missing may only be locked
//! away. Without leave to prompt, nothing is ever unlocked: the caller gets [`StoreError::Locked`]
//! instead of a question that nobody answers.
//!
//! The bus is found at `DBUS_SESSION_BUS_ADDRESS`, else at `$XDG_RUNTIME_DIR/bus`, else at
//! `/run/user/<uid>/bus`: hosts pass on none of the two.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};
use secret_service::EncryptionType;
use secret_service::blocking::SecretService;
use zbus_secret_service_keyring_store::Store;
use zeroize::Zeroizing;

use super::{SERVICE, failed};
use crate::store::StoreError;
use crate::store::items::{Bytes, ItemName, Items};

/// The keychain's name, for people.
pub(in crate::store) const PLACE: &str = "the keychain (Secret Service)";

/// What a person sees in a keychain browser.
const LABEL: &str = "mcp-front login";

/// The collection that the API keeps for what a session's end may erase.
const VOLATILE: &str = "/org/freedesktop/secrets/collection/session";

/// The keychain's items, over two connections of their own.
pub(in crate::store) struct KeychainItems {
    service: SecretService<'static>,
    store: Arc<Store>,
    may_prompt: bool,
}

impl KeychainItems {
    /// Connects to the session bus and the secret service.
    pub(in crate::store) fn connect(may_prompt: bool) -> Result<Self, StoreError> {
        // No secret crosses this connection, so its session needs no encryption.
        let service = SecretService::connect(EncryptionType::Plain).map_err(StoreError::absent)?;
        let store = Store::new().map_err(StoreError::absent)?;
        Ok(Self { service, store, may_prompt })
    }

    /// The item's entry, once it is certain that using it neither prompts without leave nor takes
    /// a locked item for a missing one.
    fn entry(&self, name: &ItemName) -> Result<Entry, StoreError> {
        let user = name.to_string();
        let attributes = HashMap::from([("service", SERVICE), ("username", user.as_str())]);
        let found = self.service.search_items(attributes).map_err(asked)?;
        if !found.locked.is_empty() {
            // Used with leave, keyring's store asks for the item itself.
            self.leave_to_prompt()?;
        } else if found.unlocked.is_empty() {
            self.unlock_default()?;
        }
        let label = HashMap::from([("label", LABEL)]);
        self.store.build(SERVICE, &user, Some(&label)).map_err(|error| failed("naming an item", error))
    }

    /// Unlocks the default collection where it is locked: the item may be in there, unseen.
    fn unlock_default(&self) -> Result<(), StoreError> {
        let collection = match self.service.get_default_collection() {
            Ok(collection) => collection,
            Err(secret_service::Error::NoResult) => return Ok(()),
            Err(error) => return Err(asked(error)),
        };
        if collection.is_locked().map_err(asked)? {
            self.leave_to_prompt()?;
            collection.unlock().map_err(asked)?;
        }
        Ok(())
    }

    /// Makes sure that there is a default collection to put new items into.
    fn require_default(&self) -> Result<(), StoreError> {
        match self.service.get_default_collection() {
            Ok(collection) => {
                if collection.collection_path.as_str() == VOLATILE {
                    tracing::warn!("the keychain's default collection is a session's: it forgets at logout");
                }
                Ok(())
            }
            Err(secret_service::Error::NoResult) if self.may_prompt => {
                self.service.create_collection("Default", "default").map_err(asked).map(|_| ())
            }
            Err(error @ secret_service::Error::NoResult) => Err(StoreError::absent(error)),
            Err(error) => Err(asked(error)),
        }
    }

    fn leave_to_prompt(&self) -> Result<(), StoreError> {
        if self.may_prompt { Ok(()) } else { Err(StoreError::Locked) }
    }
}

impl Items for KeychainItems {
    fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError> {
        match self.entry(name)?.get_secret() {
            Ok(value) => Ok(Some(Zeroizing::new(value))),
            Err(Error::NoEntry) => Ok(None),
            Err(Error::Ambiguous(entries)) => Err(StoreError::Corrupt {
                item: name.to_string(),
                reason: format!("the keychain holds {} items of this name", entries.len()),
            }),
            Err(error) => Err(failed("reading an item", error)),
        }
    }

    fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError> {
        let entry = self.entry(name)?;
        self.require_default()?;
        entry.set_secret(value).map_err(|error| failed("writing an item", error))
    }

    fn erase(&self, name: &ItemName) -> Result<bool, StoreError> {
        let erased = match self.entry(name)?.delete_credential() {
            Err(Error::Ambiguous(entries)) => entries.iter().try_for_each(Entry::delete_credential),
            erased => erased,
        };
        match erased {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(failed("erasing an item", error)),
        }
    }
}

/// What a question to the service came to.
fn asked(error: secret_service::Error) -> StoreError {
    use secret_service::Error::{Locked, Prompt, PromptDisconnected};
    match error {
        Locked | Prompt | PromptDisconnected => StoreError::Locked,
        error => StoreError::platform("asking the secret service", error),
    }
}
