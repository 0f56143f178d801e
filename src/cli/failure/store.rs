//! What a person can do where a credential store gives no access.

use super::{NEWER, STORE, Verdict};
use crate::authorizer::Commands;
use crate::store::{KeyError, StoreError};

/// What holds the login that is to be deleted gives no access.
pub(super) fn out_of_reach(mend: &str, commands: &Commands) -> Verdict {
    let forget = commands.forget();
    let hint = format!("{mend}; or leave there what it holds, and run {forget} to forget it here");
    Verdict::of(STORE, hint)
}

/// What ends `error`.
pub(super) fn store(error: &StoreError, commands: &Commands) -> Verdict {
    let again = "run the same command again";
    Verdict::of(
        STORE,
        match error {
            StoreError::Absent { .. } => format!(
                "start a keychain, or keep the login in encrypted files: run {}",
                commands.move_to_files()
            ),
            StoreError::Locked => format!(
                "unlock the keychain (its prompt shows in a desktop session) and {again}; or keep the login in \
                 encrypted files: run {}",
                commands.move_to_files()
            ),
            StoreError::Unresponsive { .. } => {
                format!("look for an unlock prompt that waits for an answer, then {again}")
            }
            StoreError::Untrusted { .. } => {
                format!("choose a store that keeps what it is given: run {}", commands.move_to_files())
            }
            StoreError::Corrupt { .. } => format!("run {} to replace it", commands.replace()),
            StoreError::Key(KeyError::Missing { .. } | KeyError::Other { .. }) => format!(
                "give that key in MCP_FRONT_ENCRYPTION_KEY_FILE; or delete what needs it ({} shows the names, \
                 `tokens delete NAME` deletes) and log in again",
                commands.program().list()
            ),
            StoreError::Key(KeyError::Malformed { .. }) => "`openssl rand -base64 32` makes a key".to_owned(),
            StoreError::Key(KeyError::Empty { .. }) => {
                "give it a key, or do not set it; `openssl rand -base64 32` makes a key".to_owned()
            }
            StoreError::Key(KeyError::Unreadable { .. }) => {
                "make it readable for you; MCP_FRONT_ENCRYPTION_KEY_FILE names another file".to_owned()
            }
            StoreError::NewerSchema { .. } => NEWER.to_owned(),
            StoreError::Platform { .. } => format!("mend what it names, then {again}"),
        },
    )
}
