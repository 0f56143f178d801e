//! Locks that hold between processes.
//!
//! A lock is an advisory lock on an empty file of its own (mode 0600, never deleted, so that two
//! processes never lock two files of one name); the kernel frees it when its process dies, however
//! it dies. Waiting polls to a deadline and says so once; nothing ever proceeds unlocked.
//!
//! Order: a service's login lock before its refresh lock; the short shared locks are innermost.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::paths::{self, Paths};
use crate::server_uri::ServiceKey;

pub mod running;

/// How long a waiter sleeps between two tries, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(25));

/// A shorter wait is not worth a line in the log.
const WORTH_SAYING: Duration = Duration::from_millis(250);

/// What a service's lock is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading, refreshing and saving the record.
    Refresh,
    /// A browser is open for this service.
    Login,
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Login => "login",
        }
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it until the deadline. Whoever asked may try again.
    #[error("another process holds the {what} lock, waited {} s", waited.as_secs_f32().ceil())]
    Busy {
        /// The lock's purpose, for people.
        what: &'static str,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The lock file cannot be opened or locked (permissions, read-only or unsuitable file system).
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// One service's lock. Dropping it unlocks; so does the end of the process.
///
/// Whoever holds it for [`Purpose::Refresh`] is the only one on this machine that may send the
/// service's refresh token or write its record.
#[derive(Debug)]
pub struct ServiceLock {
    _file: File,
    key: ServiceKey,
    purpose: Purpose,
}

impl ServiceLock {
    /// Waits for the lock until `deadline`. Cancel-safe: dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// [`LockError::Busy`] at the deadline; [`LockError::Io`] at once.
    pub async fn acquire(
        paths: &Paths,
        key: &ServiceKey,
        purpose: Purpose,
        deadline: tokio::time::Instant,
    ) -> Result<Self, LockError> {
        let asked = tokio::time::Instant::now();
        let mut pause = POLL.0;
        let mut said = false;
        loop {
            if let Some(lock) = Self::try_acquire(paths, key, purpose)? {
                return Ok(lock);
            }
            let now = tokio::time::Instant::now();
            if now >= deadline {
                return Err(LockError::Busy { what: purpose.name(), waited: now - asked });
            }
            if !said && now - asked >= WORTH_SAYING {
                tracing::info!(service = %key, lock = %purpose, "waiting for another process");
                said = true;
            }
            tokio::time::sleep_until(deadline.min(now + pause)).await;
            pause = POLL.1.min(pause * 2);
        }
    }

    /// Takes the lock if it is free now; `None` where another process, or another task of this
    /// one, holds it.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn try_acquire(paths: &Paths, key: &ServiceKey, purpose: Purpose) -> Result<Option<Self>, LockError> {
        let path = paths.locks().join(format!("{key}.{}", purpose.name()));
        let file = try_lock(&path)?;
        Ok(file.map(|file| Self { _file: file, key: key.clone(), purpose }))
    }

    /// Whether anybody holds the lock now. It is shared for a moment, and not taken.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn is_held(paths: &Paths, key: &ServiceKey, purpose: Purpose) -> Result<bool, LockError> {
        let path = paths.locks().join(format!("{key}.{}", purpose.name()));
        let failed = |source| LockError::Io { path: path.clone(), source };
        match paths::open_private(&path).map_err(failed)?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The service that it locks.
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// What it was taken for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
}

/// The locks that all services share; each is held for a few file operations only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Checking a name and writing the index.
    Index,
    /// Generating the file store's key.
    KeyFile,
    /// Nothing: it is taken to see whether locks hold.
    Trial,
}

/// A lock that all services share. Dropping it unlocks.
#[derive(Debug)]
pub struct NamedLock {
    _file: File,
}

impl NamedLock {
    /// Waits, blocking the thread, until the lock is free or `limit` has passed.
    ///
    /// # Errors
    /// [`LockError`], as for [`ServiceLock::acquire`].
    pub fn acquire(paths: &Paths, shared: Shared, limit: Duration) -> Result<Self, LockError> {
        let name = match shared {
            Shared::Index => "index",
            Shared::KeyFile => "key-file",
            Shared::Trial => "trial",
        };
        let path = paths.locks().join(name);
        let asked = Instant::now();
        let mut pause = POLL.0;
        loop {
            if let Some(file) = try_lock(&path)? {
                return Ok(Self { _file: file });
            }
            let waited = asked.elapsed();
            if waited >= limit {
                return Err(LockError::Busy { what: name, waited });
            }
            std::thread::sleep(pause.min(limit - waited));
            pause = POLL.1.min(pause * 2);
        }
    }
}

/// Opens the lock file, creating it where needed, and tries to lock it.
fn try_lock(path: &Path) -> Result<Option<File>, LockError> {
    let failed = |source| LockError::Io { path: path.to_owned(), source };
    let file = paths::open_private(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_uri::ServerUri;

    fn place() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::resolve(Some(root.path())).unwrap();
        (root, paths)
    }

    fn key(url: &str) -> ServiceKey {
        ServiceKey::new("default", &ServerUri::parse(url, false).unwrap())
    }

    #[test]
    fn a_lock_excludes_only_its_own_service_and_purpose() {
        let (_root, paths) = place();
        let (one, two) = (key("https://one.example/"), key("https://two.example/"));
        let held = ServiceLock::try_acquire(&paths, &one, Purpose::Refresh).unwrap().unwrap();
        assert_eq!((held.key(), held.purpose()), (&one, Purpose::Refresh));
        assert!(ServiceLock::is_held(&paths, &one, Purpose::Refresh).unwrap());
        assert!(!ServiceLock::is_held(&paths, &two, Purpose::Refresh).unwrap());
        assert!(ServiceLock::try_acquire(&paths, &one, Purpose::Refresh).unwrap().is_none());
        assert!(ServiceLock::try_acquire(&paths, &one, Purpose::Login).unwrap().is_some());
        assert!(ServiceLock::try_acquire(&paths, &two, Purpose::Refresh).unwrap().is_some());
        drop(held);
        assert!(ServiceLock::try_acquire(&paths, &one, Purpose::Refresh).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_waiter_gets_the_lock_as_soon_as_it_is_free() {
        let (_root, paths) = place();
        let key = key("https://one.example/");
        let held = ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap().unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let wait = ServiceLock::acquire(&paths, &key, Purpose::Refresh, deadline);
        let free = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        let (waited, ()) = tokio::join!(wait, free);
        assert_eq!(waited.unwrap().key(), &key);
    }

    #[tokio::test]
    async fn a_waiter_gives_up_at_its_deadline() {
        let (_root, paths) = place();
        let key = key("https://one.example/");
        let _held = ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap().unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(30);
        let error = ServiceLock::acquire(&paths, &key, Purpose::Refresh, deadline).await.unwrap_err();
        assert!(matches!(error, LockError::Busy { what: "refresh", waited } if waited.as_millis() >= 30));
    }

    #[test]
    fn shared_locks_wait_and_give_up() {
        let (_root, paths) = place();
        let held = NamedLock::acquire(&paths, Shared::Index, Duration::ZERO).unwrap();
        let error = NamedLock::acquire(&paths, Shared::Index, Duration::from_millis(5)).unwrap_err();
        assert!(matches!(error, LockError::Busy { what: "index", .. }));
        NamedLock::acquire(&paths, Shared::KeyFile, Duration::ZERO).unwrap();
        drop(held);
        NamedLock::acquire(&paths, Shared::Index, Duration::ZERO).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_place_that_cannot_be_locked_is_an_error() {
        let (root, paths) = place();
        std::fs::write(root.path().join("state"), "not a directory").unwrap();
        let error =
            ServiceLock::try_acquire(&paths, &key("https://one.example/"), Purpose::Refresh).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_lock_of_a_killed_process_is_free_at_once() {
        let (_root, paths) = place();
        let key = key("https://one.example/");
        drop(ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap());
        let file = paths.locks().join(format!("{key}.refresh"));
        let mut holder = std::process::Command::new("flock")
            .arg("--no-fork")
            .arg(&file)
            .args(["sh", "-c", "echo held; exec sleep 60"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 5];
        std::io::Read::read_exact(&mut holder.stdout.take().unwrap(), &mut word).unwrap();
        assert!(ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap().is_none());
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap().is_some());
    }
}
