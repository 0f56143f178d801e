//! macOS Keychain Services and the Windows Credential Manager, through keyring's façade.

use keyring::{Entry, Error};
use zeroize::Zeroizing;

use super::{SERVICE, failed, user};
use crate::store::items::{Bytes, ItemName, Items};
use crate::store::{Patience, StoreError};

/// The keychain's name, for people.
pub(in crate::store) const PLACE: &str = if cfg!(windows) {
    "the keychain (Windows Credential Manager)"
} else {
    "the keychain (Keychain Services)"
};

/// `CRED_MAX_CREDENTIAL_BLOB_SIZE` of wincred.h.
const WINDOWS_LIMIT: usize = 2_560;

/// The keychain's items.
pub(in crate::store) struct KeychainItems {
    installation: String,
}

impl KeychainItems {
    /// Opens the keychain. The platform asks for what it needs by itself.
    pub(in crate::store) fn connect(_patience: Patience, installation: String) -> Result<Self, StoreError> {
        match Entry::store_status() {
            Ok(()) => Ok(Self { installation }),
            Err(error) => Err(StoreError::absent(error.to_string())),
        }
    }

    fn entry(&self, name: &ItemName) -> Result<Entry, StoreError> {
        Entry::new(SERVICE, &user(name, &self.installation)).map_err(|error| failed("naming an item", error))
    }
}

impl Items for KeychainItems {
    fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError> {
        match self.entry(name)?.get_secret() {
            Ok(value) => Ok(Some(Zeroizing::new(value))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failed("reading an item", error)),
        }
    }

    fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError> {
        self.entry(name)?.set_secret(value).map_err(|error| failed("writing an item", error))
    }

    fn erase(&self, name: &ItemName) -> Result<bool, StoreError> {
        match self.entry(name)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(failed("erasing an item", error)),
        }
    }

    fn limit(&self) -> usize {
        if cfg!(windows) { WINDOWS_LIMIT } else { usize::MAX }
    }
}
