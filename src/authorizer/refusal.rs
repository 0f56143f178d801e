//! A token that the service refuses, noted in the index, where `tokens list` finds it.
//!
//! The record knows nothing of it, for the authorization server stands by the token. It is noted
//! under the service's lock like everything else, once a record, and changes no generation: no
//! bridge takes it for a new login. The next token, wherever it comes from, is listed without it, and
//! so is this one as soon as the service takes it after all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::authorization::TokenDigest;
use super::keeper::Keeper;
use super::memory::{Person, Problem};
use crate::clock;
use crate::credential::Generation;
use crate::lock::{Purpose, ServiceLock};
use crate::redact::with_causes;
use crate::store::index::{IndexError, LastError, TOKEN_REJECTED};

/// How long the request that was refused waits for the note; its answer is due.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the note waits for the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(12);

impl Problem {
    /// What the index says of a token that was refused and led to this; `None` where it is not the
    /// token that is at fault, or its record tells.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Person(Person::SetToken) => Some("the service refused the stored token"),
            Self::Person(Person::LogInAgain { anew: true, .. }) => {
                Some("the service refused the access token, and there is no refresh token")
            }
            Self::Rejected => Some("the service refused an access token that had just been issued"),
            Self::Person(Person::LogInFirst | Person::LogInAgain { anew: false, .. }) | Self::Other(_) => {
                None
            }
        }
    }
}

/// Notes that the service refuses `token`, where it is the one at hand and that is news.
///
/// # Cancel safety
/// Dropping the future leaves the note to be written.
pub(super) async fn note(keeper: &Arc<Keeper>, token: TokenDigest, text: &'static str) {
    let is_seen = keeper.index.showed_refusal(&keeper.key);
    let Some(generation) = keeper.memory().note_refusal(token, is_seen) else {
        return;
    };
    let keeper = Arc::clone(keeper);
    let noting = tokio::spawn(async move { keeper.write_refusal(&generation, text).await });
    let _ = tokio::time::timeout(PATIENCE, noting).await;
}

/// Takes back what any process noted against `token`: the service has just taken it.
pub(super) fn take_back(keeper: &Arc<Keeper>, token: TokenDigest) {
    if !keeper.index.showed_refusal(&keeper.key) {
        return;
    }
    let Some(generation) = keeper.memory().begin_taking_back(token) else {
        return;
    };
    let keeper = Arc::clone(keeper);
    tokio::spawn(async move {
        keeper.erase_refusal(&generation).await;
        // From here on, what is shown is what was written.
        keeper.generation();
        keeper.memory().end_taking_back();
    });
}

impl Keeper {
    async fn erase_refusal(&self, generation: &Generation) {
        let (paths, deadline) = (&self.config.store.paths, Instant::now() + LOCK_PATIENCE);
        let erased = match ServiceLock::acquire(paths, &self.key, Purpose::Refresh, deadline).await {
            Ok(lock) => self.erase_refusal_under(&lock, generation).map_err(|error| with_causes(&error)),
            Err(error) => Err(with_causes(&error)),
        };
        if let Err(error) = erased {
            tracing::warn!(error, "cannot take a refusal back yet");
        }
    }

    fn erase_refusal_under(&self, lock: &ServiceLock, generation: &Generation) -> Result<(), IndexError> {
        if self.index.get(&self.key)?.is_some_and(|entry| entry.is_rejected()) {
            self.index.clear_refusal(lock, generation)?;
        }
        Ok(())
    }

    async fn write_refusal(&self, generation: &Generation, text: &str) {
        let (paths, deadline) = (&self.config.store.paths, Instant::now() + LOCK_PATIENCE);
        let lock = match ServiceLock::acquire(paths, &self.key, Purpose::Refresh, deadline).await {
            Ok(lock) => lock,
            Err(error) => {
                tracing::warn!(error = with_causes(&error), "cannot note the refusal yet");
                self.memory().forget_refusal();
                return;
            }
        };
        let refusal = LastError { at: clock::now(), code: TOKEN_REJECTED.to_owned(), text: text.to_owned() };
        if let Err(error) = self.index.mark_refused(&lock, generation, refusal) {
            tracing::warn!(error = with_causes(&error), "cannot note the refusal");
        }
        self.generation();
        if self.index.showed_refusal(&self.key) {
            self.memory().see_refusal();
        }
    }
}
