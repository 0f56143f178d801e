//! What a running bridge sees of its service's entry at each request.
//!
//! Looking costs one `stat` while the file is as it was; what is seen is kept until it changes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use crate::credential::Generation;
use crate::paths;
use crate::server_uri::ServiceKey;

/// What is seen of an entry.
#[derive(Debug, Clone)]
pub(super) struct Glance {
    pub(super) generation: Generation,
    /// Whether it says that the service refuses the token.
    pub(super) is_refused: bool,
}

/// Each entry's file as it was last read, and what was in it.
#[derive(Debug, Default)]
pub(super) struct Glances(Mutex<HashMap<ServiceKey, (Stamp, Option<Glance>)>>);

impl Glances {
    /// Looks at the entry of `key` in the file at `path`; `None` where there is no readable one.
    pub(super) fn look(&self, key: &ServiceKey, path: &Path) -> Option<Glance> {
        let stamp = Stamp::of(&fs::symlink_metadata(path).ok()?);
        let mut seen = self.seen();
        if let Some((known, glance)) = seen.get(key)
            && *known == stamp
        {
            return glance.clone();
        }
        let bytes = paths::read_private(path).ok().flatten()?;
        let glance = serde_json::from_slice::<Shown>(&bytes).ok().map(Shown::glance);
        seen.insert(key.clone(), (stamp, glance.clone()));
        glance
    }

    /// What was seen of it last.
    pub(super) fn last(&self, key: &ServiceKey) -> Option<Glance> {
        self.seen().get(key).and_then(|(_, glance)| glance.clone())
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<ServiceKey, (Stamp, Option<Glance>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every version's entry has, and the state that this one has.
#[derive(Deserialize)]
struct Shown {
    generation: Generation,
    #[serde(default)]
    state: Value,
}

impl Shown {
    fn glance(self) -> Glance {
        let is_refused = self.state["login_required"]["by_service"] == true;
        Glance { generation: self.generation, is_refused }
    }
}

/// What changes when a file is replaced.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    #[cfg(unix)]
    inode: (u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
            },
        }
    }
}
