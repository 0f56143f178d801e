//! The record and the journal, as items.
//!
//! Saving checks what it replaces (a newer schema is refused, damage is set aside), writes, and
//! reads back over a fresh connection: a store that does not return what it was given has lost it
//! (keychains with a broken cache or a volatile collection do).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credential::{self, Credential, Generation, Kind};
use crate::failpoint;
use crate::server_uri::ServiceKey;
use crate::store::items::{Bytes, ItemName, Items};
use crate::store::parts::{self, Found};
use crate::store::{JournalEntry, KeyError, StoreError};

/// Longer values would be reallocated while they are written, and leave copies behind.
const USUAL_BYTES: usize = 16 << 10;

/// Opens the store; each call makes a connection of its own.
pub(super) type Connect<'a> = &'a dyn Fn() -> Result<Box<dyn Items>, StoreError>;

/// The journal as it is stored.
#[derive(Serialize, Deserialize)]
struct Journal {
    schema: u32,
    entry: JournalEntry,
}

/// What every schema has.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Reads the record.
pub(super) fn load(connect: Connect<'_>, key: &ServiceKey) -> Result<Option<Credential>, StoreError> {
    let name = ItemName::record(key);
    let found = parts::read(&*connect()?, &name)?;
    found.value().map(|value| decode(&name, value)).transpose()
}

/// Whether there is a record or a journal, readable or not.
pub(super) fn is_there(connect: Connect<'_>, key: &ServiceKey) -> Result<bool, StoreError> {
    let items = connect()?;
    for name in [ItemName::record(key), ItemName::journal(key)] {
        match items.get(&name) {
            Ok(None) => {}
            Ok(Some(_))
            | Err(StoreError::Corrupt { .. } | StoreError::Key(_) | StoreError::NewerSchema { .. }) => {
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Writes the record under a new generation, reads it back, compares and returns it.
pub(super) fn save(connect: Connect<'_>, key: &ServiceKey, kind: Kind) -> Result<Credential, StoreError> {
    let name = ItemName::record(key);
    let generation =
        Generation::draw().map_err(|error| StoreError::platform("drawing a generation", error))?;
    let credential = Credential { schema: credential::SCHEMA, generation, kind };
    let value = encode(&credential)?;
    let items = connect()?;
    replace(&*items, &name, readable(&*items, &name)?, &value)?;
    failpoint::reached("after-store-write");
    match parts::read(&*connect()?, &name) {
        Ok(found) if found.value() == Some(&**value) => Ok(credential),
        Ok(_) | Err(StoreError::Corrupt { .. }) => Err(StoreError::Untrusted { item: name.to_string() }),
        Err(error) => Err(error),
    }
}

/// Erases the journal, then the record and what was set aside of it; says whether there was either.
pub(super) fn erase(connect: Connect<'_>, key: &ServiceKey) -> Result<bool, StoreError> {
    let items = connect()?;
    let (record, journal) = (ItemName::record(key), ItemName::journal(key));
    for name in [&journal, &record] {
        // A newer version's item is refused before anything is gone. A lost key is no hindrance.
        match readable(&*items, name) {
            Ok(_) | Err(StoreError::Key(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // A login that was killed before its record stands in the journal alone.
    let journalled = parts::erase(&*items, &journal)?;
    let erased = parts::erase(&*items, &record)? || journalled;
    for name in [&journal, &record] {
        items.erase(&name.damaged())?;
    }
    Ok(erased)
}

/// Reads the journal.
pub(super) fn journal(connect: Connect<'_>, key: &ServiceKey) -> Result<Option<JournalEntry>, StoreError> {
    let name = ItemName::journal(key);
    let found = parts::read(&*connect()?, &name)?;
    let journal = found.value().map(|value| decode::<Journal>(&name, value)).transpose()?;
    Ok(journal.map(|journal| journal.entry))
}

/// Writes the journal.
pub(super) fn write_journal(
    connect: Connect<'_>,
    key: &ServiceKey,
    entry: JournalEntry,
) -> Result<(), StoreError> {
    let value = encode(&Journal { schema: credential::SCHEMA, entry })?;
    let (items, name) = (connect()?, ItemName::journal(key));
    replace(&*items, &name, readable_journal(&*items, &name)?, &value)
}

/// Erases the journal.
pub(super) fn clear_journal(connect: Connect<'_>, key: &ServiceKey) -> Result<(), StoreError> {
    let (items, name) = (connect()?, ItemName::journal(key));
    match readable(&*items, &name) {
        // A wrong key destroys nothing.
        Err(StoreError::Key(KeyError::Other { .. })) => items.set_aside(&name),
        Err(error) => Err(error),
        Ok(_) => parts::erase(&*items, &name).map(|_| ()),
    }
}

/// Replaces what was found; what was damaged is kept under another name.
fn replace(items: &dyn Items, name: &ItemName, found: Option<Found>, value: &[u8]) -> Result<(), StoreError> {
    let found = match found {
        Some(found) => found,
        None => {
            items.set_aside(name)?;
            Found::nothing(name)
        }
    };
    parts::replace(items, name, found, value)
}

/// What stands, where it may be replaced; `None` where it is damaged.
fn readable(items: &dyn Items, name: &ItemName) -> Result<Option<Found>, StoreError> {
    let found = match parts::read(items, name) {
        Ok(found) => found,
        Err(StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    match found.value().map(serde_json::from_slice::<Schema>) {
        Some(Ok(Schema { schema })) if schema > credential::SCHEMA => {
            Err(StoreError::NewerSchema { found: schema })
        }
        Some(Err(_)) => Ok(None),
        Some(Ok(_)) | None => Ok(Some(found)),
    }
}

/// As [`readable`], for the journal: one that was sealed with another key counts as damaged. It is
/// of no use to the record, and must not keep it from being refreshed.
fn readable_journal(items: &dyn Items, name: &ItemName) -> Result<Option<Found>, StoreError> {
    match readable(items, name) {
        Err(StoreError::Key(KeyError::Other { .. })) => Ok(None),
        read => read,
    }
}

fn encode(value: &impl Serialize) -> Result<Bytes, StoreError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
    serde_json::to_writer(&mut *bytes, value)
        .map_err(|error| StoreError::platform("writing a record", error))?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(name: &ItemName, value: &[u8]) -> Result<T, StoreError> {
    // The parser's own words may quote a secret; its position does not.
    let corrupt = |error: serde_json::Error| StoreError::Corrupt {
        item: name.to_string(),
        reason: format!("its value is not readable at column {}", error.column()),
    };
    let Schema { schema } = serde_json::from_slice(value).map_err(corrupt)?;
    if schema > credential::SCHEMA {
        return Err(StoreError::NewerSchema { found: schema });
    }
    serde_json::from_slice(value).map_err(corrupt)
}
