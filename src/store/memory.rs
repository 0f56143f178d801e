//! The memory store: for trying things out, and for hosts that log in anew each time.
//!
//! Every store that this process opens for one state directory sees the same items; no other
//! process does, and they end with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::store::StoreError;
use crate::store::items::{Bytes, ItemName, Items};

type Held = HashMap<(PathBuf, ItemName), Bytes>;

static HELD: LazyLock<Mutex<Held>> = LazyLock::new(Mutex::default);

/// The items of one state directory.
pub(super) struct MemoryItems {
    state: PathBuf,
}

impl MemoryItems {
    pub(super) fn of(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    fn at(&self, name: &ItemName) -> (PathBuf, ItemName) {
        (self.state.clone(), name.clone())
    }
}

impl Items for MemoryItems {
    fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError> {
        Ok(held().get(&self.at(name)).cloned())
    }

    fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError> {
        held().insert(self.at(name), Zeroizing::new(value.to_vec()));
        Ok(())
    }

    fn erase(&self, name: &ItemName) -> Result<bool, StoreError> {
        Ok(held().remove(&self.at(name)).is_some())
    }
}

fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
