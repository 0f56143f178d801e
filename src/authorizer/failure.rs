//! What kept a renewal from its end, in the form that crosses from the refreshing process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::AuthorizerError;
use crate::lock::LockError;
use crate::oauth::GrantError;
use crate::redact::with_causes;
use crate::store::index::IndexError;
use crate::store::{KeyError, StoreError};

/// Why nothing was renewed. The login is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Failure {
    /// Another process held the lock for this long.
    Busy { waited: Duration },
    /// The authorization server gave no verdict, or asks to wait for `retry_after`.
    Unavailable { cause: String, retry_after: Option<Duration> },
    /// The credential store, or what surrounds it, gives no access.
    Store { problem: String, remedy: String },
}

impl Failure {
    /// What a failed lock means.
    pub(super) fn of_lock(error: &LockError) -> Self {
        match error {
            LockError::Busy { waited, .. } => Self::Busy { waited: *waited },
            LockError::Io { .. } => Self::Store {
                problem: with_causes(error),
                remedy: "Nothing is refreshed without the lock: make its directory writable, on a local \
                         disk (MCP_FRONT_HOME moves it)."
                    .to_owned(),
            },
        }
    }

    /// What an unreadable index entry means.
    pub(super) fn of_index(error: &IndexError) -> Self {
        let remedy = match error {
            IndexError::NewerSchema { .. } => "It is left as it is.",
            IndexError::NameTaken { .. }
            | IndexError::Corrupt { .. }
            | IndexError::Lock(_)
            | IndexError::Io { .. } => "The next request tries again.",
        };
        Self::Store { problem: with_causes(error), remedy: remedy.to_owned() }
    }

    /// What a store's outcome means. `place` names the store for people.
    pub(super) fn of_store(error: &StoreError, place: &str) -> Self {
        let remedy = match error {
            StoreError::Absent { .. } => {
                "Start a keychain service (gnome-keyring, KWallet), or keep logins in encrypted files: log \
                 in again with `--store file`"
            }
            StoreError::Locked => "Unlock it; the next request then works, without restarting anything",
            StoreError::Unresponsive { .. } => {
                "Answer its prompt, if it shows one, or restart it; the next request tries again"
            }
            StoreError::Untrusted { .. } => "Log in again with another store, for instance `--store file`",
            StoreError::Corrupt { .. } => {
                "It is left as it is; `mcp-front tokens delete` removes it, then log in again"
            }
            StoreError::NewerSchema { .. } => "It is left as it is",
            StoreError::Key(KeyError::Unreadable { .. } | KeyError::Malformed { .. }) => {
                "Mend it (MCP_FRONT_ENCRYPTION_KEY_FILE or MCP_FRONT_ENCRYPTION_KEY names the key)"
            }
            StoreError::Key(_) => {
                "Give the key that the login was stored with (MCP_FRONT_ENCRYPTION_KEY_FILE or \
                 MCP_FRONT_ENCRYPTION_KEY), or log in again"
            }
            StoreError::Platform { .. } => "Mend what it names; the next request tries again",
        };
        Self::Store { problem: format!("{} ({place})", with_causes(error)), remedy: format!("{remedy}.") }
    }

    /// What a grant without a verdict means; `None` where the verdict is final.
    pub(super) fn of_grant(error: &GrantError) -> Option<Self> {
        let retry_after = match error {
            GrantError::Refused { .. } | GrantError::ClientRefused { .. } => return None,
            GrantError::RateLimited { retry_after } => *retry_after,
            GrantError::Transient { .. } | GrantError::NotSent { .. } | GrantError::Malformed { .. } => None,
        };
        Some(Self::Unavailable {
            cause: format!("the access token is over and cannot be renewed now: {}", with_causes(error)),
            retry_after,
        })
    }

    /// The wait that a server asked for.
    pub(super) fn wish(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<Failure> for AuthorizerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Busy { waited } => Self::Busy { waited },
            Failure::Unavailable { cause, retry_after } => {
                Self::Unavailable { cause, retry_after: retry_after.unwrap_or(Duration::from_secs(1)) }
            }
            Failure::Store { problem, remedy } => Self::Store { problem, remedy },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::sync::Arc;

    /// Every outcome of a store names something to do.
    #[test]
    fn store_outcomes_name_a_remedy() {
        let source: Arc<dyn Error + Send + Sync> = Arc::from(Box::<dyn Error + Send + Sync>::from("no bus"));
        for (error, word) in [
            (StoreError::Absent { source: Arc::clone(&source) }, "--store file"),
            (StoreError::Locked, "Unlock"),
            (StoreError::Unresponsive { after: Duration::from_secs(4) }, "prompt"),
            (StoreError::Untrusted { item: "x".into() }, "another store"),
            (StoreError::Corrupt { item: "x".into(), reason: "cut".into() }, "tokens delete"),
            (StoreError::NewerSchema { found: 9 }, "as it is"),
            (StoreError::Key(KeyError::Malformed { place: "a file".into() }), "ENCRYPTION_KEY"),
            (StoreError::Platform { doing: "writing".into(), source }, "next request"),
        ] {
            let Failure::Store { problem, remedy } = Failure::of_store(&error, "the keychain") else {
                panic!("{error} is no store failure");
            };
            assert!(remedy.contains(word) && remedy.ends_with('.'), "{problem}: {remedy}");
            assert!(problem.ends_with("(the keychain)"), "{problem}");
        }
    }

    /// H03–H05, H16: what passes, and what does not.
    #[test]
    fn verdicts_are_told_from_bad_luck() {
        let text = || "x".to_owned();
        for (error, passes) in [
            (GrantError::Refused { error: text(), description: None }, false),
            (GrantError::ClientRefused { error: text(), description: None }, false),
            (GrantError::RateLimited { retry_after: Some(Duration::from_secs(120)) }, true),
            (GrantError::Transient { cause: text() }, true),
            (GrantError::NotSent { cause: text() }, true),
            (GrantError::Malformed { reason: text() }, true),
        ] {
            assert_eq!(Failure::of_grant(&error).is_some(), passes, "{error}");
        }
    }
}
