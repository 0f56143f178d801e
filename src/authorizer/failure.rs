//! What kept a renewal from its end, in the form that crosses from the refreshing process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::{CommandLine, Commands};
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
    /// The authorization server's token endpoint is elsewhere by now, where the login is not bound to.
    Moved { reason: String },
    /// The credential store, or what surrounds it, gives no access.
    Store { problem: String, remedy: Remedy },
}

/// What ends a failure of the credential store. It becomes text where the commands are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Remedy {
    /// A keychain, or the other store.
    Keychain,
    /// The keychain's password.
    Unlock,
    /// Whoever answers the keychain's prompt.
    Answer,
    /// Another store: this one does not keep what it is given.
    AnotherStore,
    /// A new record in place of the damaged one.
    Replace,
    /// A newer version of this program.
    Update,
    /// A readable key.
    MendKey,
    /// The key that the record was encrypted with.
    RightKey,
    /// A directory that can be written.
    Directory,
    /// Whatever the problem names.
    Mend,
    /// Nobody: it passes.
    Wait,
}

impl Failure {
    /// What a failed lock means.
    pub(super) fn of_lock(error: &LockError) -> Self {
        match error {
            LockError::Busy { waited, .. } => Self::Busy { waited: *waited },
            LockError::Io { .. } => Self::Store { problem: with_causes(error), remedy: Remedy::Directory },
        }
    }

    /// What an unreadable index entry means.
    pub(super) fn of_index(error: &IndexError) -> Self {
        let remedy = match error {
            IndexError::NewerSchema { .. } => Remedy::Update,
            IndexError::NameTaken { .. }
            | IndexError::Corrupt { .. }
            | IndexError::Lock(_)
            | IndexError::Io { .. } => Remedy::Wait,
        };
        Self::Store { problem: with_causes(error), remedy }
    }

    /// What a store's outcome means. `place` names the store for people.
    pub(super) fn of_store(error: &StoreError, place: &str) -> Self {
        let remedy = match error {
            StoreError::Absent { .. } => Remedy::Keychain,
            StoreError::Locked => Remedy::Unlock,
            StoreError::Unresponsive { .. } => Remedy::Answer,
            StoreError::Untrusted { .. } => Remedy::AnotherStore,
            StoreError::Corrupt { .. } => Remedy::Replace,
            StoreError::NewerSchema { .. } => Remedy::Update,
            StoreError::Key(
                KeyError::Unreadable { .. } | KeyError::Malformed { .. } | KeyError::Empty { .. },
            ) => Remedy::MendKey,
            StoreError::Key(KeyError::Missing { .. } | KeyError::Other { .. }) => Remedy::RightKey,
            StoreError::Platform { .. } => Remedy::Mend,
        };
        Self::Store { problem: format!("{} ({place})", with_causes(error)), remedy }
    }

    /// What a grant without a verdict means; `None` where the verdict is final.
    pub(super) fn of_grant(error: &GrantError) -> Option<Self> {
        let retry_after = match error {
            GrantError::Refused { .. } | GrantError::ClientRefused { .. } => return None,
            GrantError::RateLimited { retry_after } => *retry_after,
            GrantError::Transient { .. }
            | GrantError::NotSent { .. }
            | GrantError::Unusable { .. }
            | GrantError::Malformed { .. } => None,
        };
        Some(Self::not_renewed(&with_causes(error), retry_after))
    }

    /// The token cannot be renewed for now, for this `cause`.
    pub(super) fn not_renewed(cause: &str, retry_after: Option<Duration>) -> Self {
        let cause = format!("the access token cannot be renewed now: {cause}");
        Self::Unavailable { cause, retry_after }
    }

    /// What happened, without a full stop.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Busy { waited } => {
                format!("another process has been at it for more than {} s", waited.as_secs())
            }
            Self::Unavailable { cause, .. } => cause,
            Self::Moved { reason } => reason,
            Self::Store { problem, .. } => problem,
        }
    }

    /// The wait that a server asked for.
    pub(super) fn wish(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Failure {
    /// The error that a request gets; `commands` are the service's.
    pub(super) fn into_error(self, commands: &Commands) -> AuthorizerError {
        match self {
            Self::Busy { waited } => AuthorizerError::Busy { waited },
            Self::Unavailable { cause, retry_after } => AuthorizerError::Unavailable {
                cause,
                retry_after: retry_after.unwrap_or(Duration::from_secs(1)),
            },
            Self::Moved { reason } => AuthorizerError::LoginRequired { reason, command: commands.login() },
            Self::Store { problem, remedy } => {
                let (remedy, command) = remedy.told(commands);
                AuthorizerError::Store { problem, remedy, command }
            }
        }
    }
}

impl Remedy {
    /// The remedy as whole sentences, and the command in it, where one helps.
    fn told(self, commands: &Commands) -> (String, Option<CommandLine>) {
        let with = |before: &str, command: CommandLine, after: &str| {
            (format!("{before}{command}{after}"), Some(command))
        };
        let alone = |text: &str| (text.to_owned(), None);
        match self {
            Self::Keychain => with(
                "Start a keychain service (gnome-keyring, KWallet), or keep the login in encrypted files: run ",
                commands.move_to_files(),
                "; the next request then works, without restarting anything.",
            ),
            Self::Unlock => match commands.unlock() {
                Some(command) => with(
                    "Unlock it, or run ",
                    command,
                    " in a terminal, which waits for that; the next request then works, without restarting \
                     anything.",
                ),
                None => alone("Unlock it; the next request then works, without restarting anything."),
            },
            Self::Answer => {
                alone("Answer its prompt, if it shows one, or restart it; the next request tries again.")
            }
            Self::AnotherStore if commands.is_in_keychain() => {
                with("Keep the login in encrypted files: run ", commands.move_to_files(), ".")
            }
            Self::Replace => with("It is left as it is; run ", commands.replace(), " to replace it."),
            Self::Update => alone("It is left as it is: update mcp-front."),
            Self::MendKey => {
                alone("Mend it (MCP_FRONT_ENCRYPTION_KEY_FILE or MCP_FRONT_ENCRYPTION_KEY names the key).")
            }
            // What deletes a login is for a person to choose, and not for a program to run.
            Self::RightKey => (
                format!(
                    "Give the key that the login was stored with (MCP_FRONT_ENCRYPTION_KEY_FILE or \
                     MCP_FRONT_ENCRYPTION_KEY); where it is lost, {} forgets the login, and a new one can be \
                     made.",
                    commands.delete()
                ),
                None,
            ),
            Self::Directory => alone(
                "Nothing is refreshed without the lock: make its directory writable, with room, on a local disk \
                 (MCP_FRONT_HOME moves it).",
            ),
            Self::AnotherStore | Self::Mend => alone("Mend what it names; the next request tries again."),
            Self::Wait => alone("The next request tries again."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::ffi::OsStr;
    use std::sync::Arc;

    use crate::authorizer::command::{Given, Program, Subject};
    use crate::store::StoreKind;
    use crate::store::index::EntryKind;

    fn commands() -> Commands {
        let subject = Subject {
            target: "front".to_owned(),
            name: None,
            profile: "seat".to_owned(),
            store: StoreKind::Keyring,
            is_stored: true,
            kind: EntryKind::Oauth,
            given: Given::default(),
        };
        Commands::new(Program::new(OsStr::new("mcp-front"), [], false), subject)
    }

    /// Every outcome of a store names something to do, and a command where one helps.
    #[test]
    fn store_outcomes_name_a_remedy() {
        let source: Arc<dyn Error + Send + Sync> = Arc::from(Box::<dyn Error + Send + Sync>::from("no bus"));
        let moving = Some("mcp-front login front --store file --force --profile seat");
        let missing = KeyError::Missing { needed: "a".into(), needed_by: "b".into(), place: "c".into() };
        for (error, word, command) in [
            (StoreError::Absent { source: Arc::clone(&source) }, "Start a keychain", moving),
            (StoreError::Locked, "Unlock", Some("mcp-front login front --profile seat")),
            (StoreError::Unresponsive { after: Duration::from_secs(4) }, "prompt", None),
            (StoreError::Untrusted { item: "x".into() }, "encrypted files", moving),
            (
                StoreError::Corrupt { item: "x".into(), reason: "cut".into() },
                "replace",
                Some("mcp-front login front --force --profile seat"),
            ),
            (StoreError::NewerSchema { found: 9 }, "update", None),
            (StoreError::Key(missing), "`mcp-front tokens delete front --profile seat`", None),
            (StoreError::Platform { doing: "writing".into(), source }, "next request", None),
        ] {
            let failure = Failure::of_store(&error, "the keychain");
            let sent: Failure = serde_json::from_value(serde_json::to_value(failure).unwrap()).unwrap();
            let told = sent.into_error(&commands());
            let AuthorizerError::Store { problem, remedy, .. } = &told else {
                panic!("{error} is no store failure");
            };
            assert!(remedy.contains(word) && remedy.ends_with('.'), "{problem}: {remedy}");
            assert!(problem.ends_with("(the keychain)"), "{problem}");
            assert_eq!(told.data()["command"].as_str(), command, "{error}");
            assert!(told.message().contains(command.unwrap_or_default()), "{remedy}");
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
            (GrantError::Unusable { reason: text() }, true),
            (GrantError::Malformed { reason: text() }, true),
        ] {
            assert_eq!(Failure::of_grant(&error).is_some(), passes, "{error}");
        }
    }
}
