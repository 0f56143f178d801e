//! Which bridges are running, for whoever asks.
//!
//! Each bridge holds a file of its own locked, empty and 0600, in `<state>/running`: a bridge that was
//! killed has lost its lock, whatever it left. What is known of it stands in the file's name, for
//! elsewhere than on Unix nobody else may read what is locked: the service's key, the process id, the
//! start in Unix milliseconds, and the version. Nothing depends on these files: where they cannot be
//! written, a bridge runs unseen.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::clock;
use crate::paths::{self, Paths};
use crate::server_uri::ServiceKey;

/// What stands between the parts of a file's name; the version comes last, for it may hold some.
const SEPARATOR: char = '-';

/// A bridge that others can see. Dropping it, or the end of the process, makes it invisible.
#[derive(Debug)]
pub struct Running {
    _file: File,
    path: PathBuf,
}

/// A bridge that is running on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The service that it bridges to.
    pub key: ServiceKey,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// The version of this program that it is.
    pub version: String,
    /// The name of the program that started it, where the platform tells.
    pub host: Option<String>,
}

impl Running {
    /// Shows this process as a bridge to the service of `key`; what bridges that were killed have left is
    /// removed in passing, on a thread of its own.
    ///
    /// # Errors
    /// What the system refuses. The bridge runs all the same.
    pub fn start(paths: &Paths, key: &ServiceKey) -> io::Result<Self> {
        let directory = paths.running();
        let me = Bridge {
            key: key.clone(),
            pid: std::process::id(),
            started_at: clock::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: None,
        };
        let path = directory.join(me.file_name());
        // Locked before it has its name: whoever finds a file unlocked takes it for a dead one's.
        let file = paths::create_prepared(&path, |file| Ok(file.try_lock()?))?;
        let _none_to_spare = std::thread::Builder::new().name("running".into()).spawn(move || {
            if let Err(error) = survey(&directory) {
                tracing::debug!(%error, "cannot look for what killed bridges left");
            }
        });
        Ok(Self { _file: file, path })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _swept_by_the_next_reader = fs::remove_file(&self.path);
    }
}

/// The bridges that are running, by start. What killed ones left is removed.
///
/// # Errors
/// Where the directory cannot be read; there are none where it does not exist.
pub fn bridges(paths: &Paths) -> io::Result<Vec<Bridge>> {
    let mut bridges = survey(&paths.running())?;
    for bridge in &mut bridges {
        bridge.host = host(bridge.pid);
    }
    bridges.sort_by_key(|bridge| (bridge.started_at, bridge.pid));
    Ok(bridges)
}

/// Reads the directory, and removes the files that nobody holds.
fn survey(directory: &Path) -> io::Result<Vec<Bridge>> {
    let files = match fs::read_dir(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut bridges = Vec::new();
    for file in files {
        let path = file?.path();
        // A file without a name of ours is about to get one, or a newer version's.
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(bridge) = name.and_then(Bridge::parse) else { continue };
        match is_held(&path) {
            Ok(true) => bridges.push(bridge),
            Ok(false) => {
                let _somebody_else_did = fs::remove_file(&path);
            }
            Err(error) => tracing::debug!(%error, path = %path.display(), "whose it is cannot be told"),
        }
    }
    Ok(bridges)
}

/// Whether a living process holds the file. Readers share their lock, so that none takes another for
/// a bridge. A file that has just gone comes back for a moment, and goes as nobody's.
fn is_held(path: &Path) -> io::Result<bool> {
    match paths::open_private(path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Bridge {
    fn file_name(&self) -> String {
        let Self { key, pid, started_at, version, .. } = self;
        format!("{key}{SEPARATOR}{pid}{SEPARATOR}{}{SEPARATOR}{version}", started_at.as_millisecond())
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, SEPARATOR);
        Some(Self {
            key: ServiceKey::from_hex(parts.next()?)?,
            pid: parts.next()?.parse().ok()?,
            started_at: Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?,
            version: parts.next()?.to_owned(),
            host: None,
        })
    }
}

/// The name of the program that started the process `pid`, as the kernel has it.
#[cfg(target_os = "linux")]
fn host(pid: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
    let name = fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    Some(name.trim_end().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(not(target_os = "linux"))]
fn host(_pid: u32) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_uri::ServerUri;

    fn key(url: &str) -> ServiceKey {
        ServiceKey::new("default", &ServerUri::parse(url, false).unwrap())
    }

    fn place() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::resolve(Some(root.path())).unwrap();
        (root, paths)
    }

    #[test]
    fn a_bridge_is_seen_while_it_is_held() {
        let (_root, paths) = place();
        assert_eq!(bridges(&paths).unwrap(), []);
        let (one, two) = (key("https://one.example/"), key("https://two.example/"));
        let first = Running::start(&paths, &one).unwrap();
        let second = Running::start(&paths, &two).unwrap();
        let seen: Vec<_> =
            bridges(&paths).unwrap().into_iter().map(|bridge| (bridge.key, bridge.pid)).collect();
        let me = std::process::id();
        assert!(
            seen.len() == 2 && seen.contains(&(one, me)) && seen.contains(&(two.clone(), me)),
            "{seen:?}"
        );
        drop(first);
        assert_eq!(bridges(&paths).unwrap().into_iter().map(|bridge| bridge.key).collect::<Vec<_>>(), [two]);
        drop(second);
        assert_eq!(bridges(&paths).unwrap(), []);
    }

    #[test]
    fn what_nobody_holds_is_removed_and_what_is_not_ours_stays() {
        let (_root, paths) = place();
        let directory = paths.running();
        paths::create_private_dir(&directory).unwrap();
        let dead = directory.join(format!("{}-1-1700000000000-0.1.0-rc.1", key("https://one.example/")));
        let foreign = directory.join("notes");
        for path in [&dead, &foreign] {
            fs::write(path, "").unwrap();
        }
        assert_eq!(bridges(&paths).unwrap(), []);
        assert!(!dead.exists() && foreign.exists());
    }

    #[test]
    fn names_say_what_is_known() {
        let bridge = Bridge {
            key: key("https://one.example/"),
            pid: 42,
            started_at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            version: "0.2.0-rc.1+build".to_owned(),
            host: None,
        };
        assert_eq!(Bridge::parse(&bridge.file_name()), Some(bridge));
        for name in ["", "notes", "0-1-2-3", ".tmpAb12"] {
            assert_eq!(Bridge::parse(name), None, "{name}");
        }
    }
}
