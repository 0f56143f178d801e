//! Items: what every credential store holds, by name, and the three things it does with them.

use std::fmt;

use zeroize::Zeroizing;

use crate::server_uri::ServiceKey;
use crate::store::StoreError;

/// An item's value; wiped from memory when dropped.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// One open credential store. Calls block, for as long as the platform likes.
pub(super) trait Items {
    /// The item's value; `None` where there is no such item.
    fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError>;

    /// Creates or replaces the item.
    fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError>;

    /// Erases the item, and says whether there was one.
    fn erase(&self, name: &ItemName) -> Result<bool, StoreError>;

    /// Keeps a damaged item under another name, before something else takes its place.
    fn set_aside(&self, name: &ItemName) -> Result<(), StoreError> {
        match self.get(name)? {
            Some(value) => self.put(&name.damaged(), &value),
            None => Ok(()),
        }
    }

    /// Refuses where a new item could not be written for want of a key. Writes nothing.
    fn check_key(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether what is written here is gone at the end of the person's session.
    fn is_forgetful(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// The most bytes that one item may hold.
    fn limit(&self) -> usize {
        usize::MAX
    }
}

/// An item's name: the service's key, and what the item is to it. It reveals nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ItemName {
    key: ServiceKey,
    suffix: String,
}

impl ItemName {
    /// The service's record.
    pub(super) fn record(key: &ServiceKey) -> Self {
        Self { key: key.clone(), suffix: String::new() }
    }

    /// The service's journal.
    pub(super) fn journal(key: &ServiceKey) -> Self {
        Self { key: key.clone(), suffix: ".journal".to_owned() }
    }

    /// Part `number` of this item's value as written under `stamp`.
    pub(super) fn part(&self, stamp: &str, number: usize) -> Self {
        Self { key: self.key.clone(), suffix: format!("{}.{stamp}.{number}", self.suffix) }
    }

    /// Where a damaged value of this item is kept.
    pub(super) fn damaged(&self) -> Self {
        Self { key: self.key.clone(), suffix: format!("{}.damaged", self.suffix) }
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.key, self.suffix)
    }
}
