//! What all services share: the state directory, locks, and the credential stores.

use std::time::Duration;

use tokio::time::Instant;

use super::{Check, Finding, within};
use crate::clock;
use crate::credential::{Kind, StaticToken};
use crate::lock::{LockError, NamedLock, Purpose, ServiceLock, Shared};
use crate::paths::Paths;
use crate::redact::{Secret, printable, with_causes};
use crate::server_uri::{ServerUri, ServiceKey};
use crate::store::index::Index;
use crate::store::{Patience, Store, StoreConfig, StoreError, StoreKind, check_new_key, returned};

/// How long a store may take for its round trip.
const STORE_LIMIT: Duration = Duration::from_secs(15);
/// How long the trial lock is waited for.
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// What helps where a lock or a file cannot be written.
const PLACE: &str = "make it writable for you, with room, on a local disk; MCP_FRONT_HOME moves it";

/// Where the trial record lies: no service can be there.
const TRIAL: (&str, &str) = ("doctor", "http://127.0.0.1:0/trial");

/// Whether the state directory is there, private, and open for what a login writes.
pub(super) fn directory(paths: &Paths) -> Finding {
    let shown = printable(&paths.state().display().to_string());
    // Opening a lock file makes the directories, and refuses those that others can write to.
    match NamedLock::acquire(paths, Shared::Trial, LOCK_LIMIT) {
        Ok(_) => match Index::open(paths.clone()).check_room() {
            Ok(()) => Finding::good(Check::Directory, shown),
            Err(error) => Finding::bad(Check::Directory, with_causes(&error)).with_remedy(PLACE),
        },
        Err(error) => not_locked(Check::Directory, &error),
    }
}

/// A lock that is not to be had.
fn not_locked(check: Check, error: &LockError) -> Finding {
    let text = with_causes(error);
    match error {
        // The trial's locks are taken for this alone, and for a moment.
        LockError::Busy { .. } => Finding::notice(check, text)
            .with_remedy("another `mcp-front doctor` is at it: run this again once that has ended"),
        LockError::Io { .. } => Finding::bad(check, text).with_remedy(PLACE),
    }
}

/// Whether a lock that is held keeps others out: some network file systems only say so.
pub(super) fn lock(paths: &Paths) -> Finding {
    let held = match NamedLock::acquire(paths, Shared::Trial, LOCK_LIMIT) {
        Ok(held) => held,
        Err(error) => return not_locked(Check::Lock, &error),
    };
    let second = NamedLock::acquire(paths, Shared::Trial, Duration::ZERO);
    drop(held);
    match second {
        Err(LockError::Busy { .. }) => Finding::good(Check::Lock, "a lock keeps others out"),
        Err(error) => not_locked(Check::Lock, &error),
        Ok(_) => Finding::bad(
            Check::Lock,
            "the file system grants one lock twice: two bridges could refresh at once",
        )
        .with_remedy("keep the state on a local disk: set MCP_FRONT_HOME"),
    }
}

/// Writes a trial record, reads it back and erases it.
pub(super) async fn store(config: StoreConfig) -> Finding {
    let (kind, place) = (config.kind, Store::open(config.clone()).place());
    let trip = async {
        match round_trip(config).await {
            Ok(false) => Finding::good(Check::Store, format!("{place}: written, read and erased")),
            Ok(true) => {
                let text =
                    format!("{place}: it forgets at logout, for its default collection is a session's");
                Finding::notice(Check::Store, text).with_remedy(
                    "make a lasting collection the keychain's default, or keep logins in encrypted files: \
                     --store file",
                )
            }
            Err(Trouble::NoKeyYet) => Finding::skipped(
                Check::Store,
                format!("{place}: not tried, for the first login makes its key"),
            ),
            Err(Trouble::Store(error)) => failed(kind, &place, &error),
            Err(Trouble::Lock(error)) => not_locked(Check::Store, &error),
        }
    };
    within(Check::Store, STORE_LIMIT, trip).await
}

fn failed(kind: StoreKind, place: &str, error: &StoreError) -> Finding {
    let finding = Finding::bad(Check::Store, format!("{place}: {}", with_causes(error)));
    match error {
        StoreError::Locked => finding.with_remedy("unlock the keychain"),
        StoreError::Absent { .. } => finding.with_remedy(
            "start a keychain in this session (`gnome-keyring-daemon --start --components=secrets`, for \
             instance), or keep logins in encrypted files: --store file",
        ),
        StoreError::Unresponsive { .. } => {
            finding.with_remedy("look for a prompt of the keychain's that waits")
        }
        StoreError::Key(_) => {
            finding.with_remedy("MCP_FRONT_ENCRYPTION_KEY_FILE names the file with the key")
        }
        StoreError::Untrusted { .. } => finding.with_remedy("keep logins in another store: --store"),
        StoreError::Platform { .. } if kind == StoreKind::File => finding.with_remedy(PLACE),
        StoreError::Corrupt { .. } | StoreError::NewerSchema { .. } | StoreError::Platform { .. } => finding,
    }
}

/// Why the round trip did not come to its end.
enum Trouble {
    /// It would have made the encrypted files' key.
    NoKeyYet,
    Store(StoreError),
    Lock(LockError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LockError> for Trouble {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

/// Goes there and back; whether the store forgets at logout.
async fn round_trip(config: StoreConfig) -> Result<bool, Trouble> {
    const PATIENCE: Patience = Patience::Bridge;
    let makes_key = config.kind == StoreKind::File
        && config.encryption_key.is_none()
        && !config.paths.key_file().exists();
    if makes_key {
        check_new_key(&config.paths)?;
        return Err(Trouble::NoKeyYet);
    }
    let Ok(server) = ServerUri::parse(TRIAL.1, true) else { return Ok(false) };
    let key = ServiceKey::new(TRIAL.0, &server);
    let deadline = Instant::now() + LOCK_LIMIT;
    let lock = ServiceLock::acquire(&config.paths, &key, Purpose::Refresh, deadline).await?;
    let store = Store::open(config);
    let token =
        StaticToken { value: Secret::from("a trial, and no secret".to_owned()), set_at: clock::now() };
    let (lock, _) = returned(store.save(lock, Kind::Token(token), PATIENCE).await, PATIENCE)?;
    returned(store.erase(lock, PATIENCE).await, PATIENCE)?;
    Ok(store.is_forgetful(PATIENCE).await?)
}
