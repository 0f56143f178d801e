//! The operating system's keychain.
//!
//! An item's attributes are the service name `mcp-front` and a user name, which is the item's name and the
//! installation's, both hashes: nothing tells whose login it is or where. What two installations keep for
//! one service are two logins, for neither's locks guard the other's. Each attempt connects anew, so that
//! a keychain that was absent or locked is found once it is there.

#[cfg_attr(all(unix, not(target_os = "macos")), path = "keychain/secret_service.rs")]
#[cfg_attr(not(all(unix, not(target_os = "macos"))), path = "keychain/native.rs")]
mod platform;

use keyring_core::Error;

use crate::store::StoreError;
use crate::store::items::ItemName;

pub(super) use platform::{KeychainItems, PLACE};

/// The service attribute of every item.
const SERVICE: &str = "mcp-front";

/// The user name of an installation's item.
fn user(name: &ItemName, installation: &str) -> String {
    format!("{name}@{installation}")
}

/// What the keychain's refusal means.
fn failed(doing: &str, error: Error) -> StoreError {
    match error {
        Error::NoStorageAccess(_) => StoreError::Locked,
        // Their texts would show what the item holds.
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            StoreError::platform(doing, "the item is not readable")
        }
        error => StoreError::platform(doing, error),
    }
}
