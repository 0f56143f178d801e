//! The Secret Service of the session bus (freedesktop.org Secret Service API, draft 0.2).
//!
//! Items go through keyring's store for it. What that store cannot tell is asked first: whether
//! the service is there at all, and whether an item that seems to be missing may only be locked
//! away. Without leave to prompt, nothing is ever unlocked: the caller gets [`StoreError::Locked`]
//! instead of a question that nobody answers. With leave, and where no prompt can be shown (over ssh,
//! without a display), the keychain's being unlocked some other way is waited for.
//!
//! The bus is found at `DBUS_SESSION_BUS_ADDRESS`, else at `$XDG_RUNTIME_DIR/bus`, else at
//! `/run/user/<uid>/bus`: hosts pass on none of the two.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};
use secret_service::EncryptionType;
use secret_service::blocking::{Collection, SecretService};
use zbus_secret_service_keyring_store::Store;
use zeroize::Zeroizing;

use super::{SERVICE, failed, user};
use crate::store::items::{Bytes, ItemName, Items};
use crate::store::{Patience, StoreError};

/// The keychain's name, for people.
pub(in crate::store) const PLACE: &str = "the keychain (Secret Service)";

/// What a person sees in a keychain browser.
const LABEL: &str = "mcp-front login";

/// The collection that the API keeps for what a session's end may erase.
const VOLATILE: &str = "/org/freedesktop/secrets/collection/session";

/// Said once: a login writes several items.
static FORGETS: Once = Once::new();

/// The Secret Service tells a prompt that could not be shown from one that a person dismissed by nothing
/// but the time it took: nobody reads and answers a question in less.
const QUICKER_THAN_A_PERSON: Duration = Duration::from_secs(1);

/// How often a keychain that nobody can be asked for is looked at.
const LOOKING: Duration = Duration::from_millis(500);

/// How long before the caller's patience is over the waiting ends, so that its outcome is heard.
const MARGIN: Duration = Duration::from_secs(5);

/// The keychain's items.
pub(in crate::store) struct KeychainItems {
    /// Made anew while a keychain is waited for: whoever unlocks it may start it anew.
    connection: RefCell<Connection>,
    patience: Patience,
    until: Instant,
    installation: String,
}

/// Two connections to the keychain, each with a session of its own.
struct Connection {
    service: SecretService<'static>,
    store: Arc<Store>,
}

impl KeychainItems {
    /// Connects to the session bus and the secret service.
    pub(in crate::store) fn connect(patience: Patience, installation: String) -> Result<Self, StoreError> {
        let until = Instant::now() + patience.limit().saturating_sub(MARGIN);
        Ok(Self { connection: RefCell::new(Connection::open()?), patience, until, installation })
    }

    /// The item's entry, unlocked.
    fn entry(&self, name: &ItemName) -> Result<Entry, StoreError> {
        let asked = Instant::now();
        let user = user(name, &self.installation);
        let entry = self.connection.borrow().entry(&user, self.patience.may_prompt());
        match entry {
            Err(StoreError::Locked)
                if self.patience == Patience::Person && asked.elapsed() < QUICKER_THAN_A_PERSON =>
            {
                self.entry_once_unlocked(&user)
            }
            entry => entry,
        }
    }

    /// Waits until somebody unlocks the keychain, or patience is over. Nobody is asked.
    fn entry_once_unlocked(&self, user: &str) -> Result<Entry, StoreError> {
        tracing::warn!(
            "the keychain is locked and cannot ask for its password here; waiting up to {} minutes until it is \
             unlocked elsewhere: in a desktop session, or by `gnome-keyring-daemon --replace --unlock` with its \
             password on stdin (Ctrl-C ends this; with --store file, a login needs no keychain)",
            self.patience.limit().as_secs() / 60
        );
        loop {
            thread::sleep(LOOKING);
            let entry = Connection::open().and_then(|connection| {
                let entry = connection.entry(user, false)?;
                *self.connection.borrow_mut() = connection;
                Ok(entry)
            });
            match entry {
                // Absent is what it is while it is started anew.
                Err(StoreError::Locked | StoreError::Absent { .. }) if Instant::now() < self.until => {}
                entry => return entry,
            }
        }
    }

    fn require_default(&self) -> Result<(), StoreError> {
        self.connection.borrow().require_default(self.patience.may_prompt())
    }
}

impl Connection {
    fn open() -> Result<Self, StoreError> {
        // No secret crosses this connection, so its session needs no encryption.
        let service = SecretService::connect(EncryptionType::Plain).map_err(StoreError::absent)?;
        let store = Store::new().map_err(StoreError::absent)?;
        Ok(Self { service, store })
    }

    /// The item's entry, once it is certain that using it neither prompts nor takes a locked item
    /// for a missing one. What is locked is asked for where that `may_prompt`.
    fn entry(&self, user: &str, may_prompt: bool) -> Result<Entry, StoreError> {
        let attributes = HashMap::from([("service", SERVICE), ("username", user)]);
        let found = self.service.search_items(attributes).map_err(asked)?;
        if !found.locked.is_empty() {
            leave(may_prompt)?;
            self.service.unlock_all(&found.locked.iter().collect::<Vec<_>>()).map_err(asked)?;
        } else if found.unlocked.is_empty() {
            self.unlock_default(may_prompt)?;
        }
        let label = HashMap::from([("label", LABEL)]);
        self.store.build(SERVICE, user, Some(&label)).map_err(|error| failed("naming an item", error))
    }

    /// Unlocks the default collection where it is locked: the item may be in there, unseen.
    fn unlock_default(&self, may_prompt: bool) -> Result<(), StoreError> {
        let collection = match self.service.get_default_collection() {
            Ok(collection) => collection,
            Err(secret_service::Error::NoResult) => return Ok(()),
            Err(error) => return Err(asked(error)),
        };
        if collection.is_locked().map_err(asked)? {
            leave(may_prompt)?;
            collection.unlock().map_err(asked)?;
        }
        Ok(())
    }

    /// Makes sure that there is a default collection to put new items into.
    fn require_default(&self, may_prompt: bool) -> Result<(), StoreError> {
        use secret_service::Error::{NoResult, Prompt};
        match self.service.get_default_collection() {
            Ok(collection) => {
                if is_volatile(&collection) {
                    FORGETS.call_once(|| {
                        tracing::warn!(
                            "the keychain's default collection is a session's: it forgets at logout"
                        );
                    });
                }
                Ok(())
            }
            Err(NoResult) if may_prompt => match self.service.create_collection("Default", "default") {
                Ok(_) => Ok(()),
                // There is nothing that could be unlocked later.
                Err(error @ Prompt) => Err(StoreError::absent(error)),
                Err(error) => Err(asked(error)),
            },
            Err(error @ NoResult) => Err(StoreError::absent(error)),
            Err(error) => Err(asked(error)),
        }
    }
}

fn is_volatile(collection: &Collection<'_>) -> bool {
    collection.collection_path.as_str() == VOLATILE
}

fn leave(may_prompt: bool) -> Result<(), StoreError> {
    if may_prompt { Ok(()) } else { Err(StoreError::Locked) }
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

    fn is_forgetful(&self) -> Result<bool, StoreError> {
        match self.connection.borrow().service.get_default_collection() {
            Ok(collection) => Ok(is_volatile(&collection)),
            Err(secret_service::Error::NoResult) => Ok(false),
            Err(error) => Err(asked(error)),
        }
    }

    /// A keychain without any collection has to be given its first one, and its password.
    fn check_key(&self) -> Result<(), StoreError> {
        self.require_default()
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
