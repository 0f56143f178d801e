//! A refresh that a person or a timer asks for, apart from any request: the same journey, in the same
//! short-lived process, under the same lock.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::decision::{Refused, Renewal, Step, View, decide};
use super::failure::Failure;
use super::keeper::{Listed, is_admitted};
use super::standing::Standing;
use super::{Authorizer, AuthorizerError};
use crate::clock;
use crate::lock::{Purpose, ServiceLock};
use crate::store::{Patience, StoreError, StoreKind};

/// How long the end of a refresh that succeeded is waited for.
const CLEARING_UP: Duration = Duration::from_secs(2);

/// What came of asking for a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// None was due.
    Fresh {
        /// When the access token expires, where the server said so.
        expires_at: Option<Timestamp>,
    },
    /// There is a new access token.
    Renewed {
        /// When it expires, where the server said so.
        expires_at: Option<Timestamp>,
        /// Whether the store has it; else saving is tried again in the background.
        saved: bool,
    },
    /// The authorization server issued no refresh token: the access token lasts as long as it does.
    NotRenewable {
        /// When it expires, where the server said so.
        expires_at: Option<Timestamp>,
    },
    /// It is a static token.
    Static,
}

impl Authorizer {
    /// Refreshes the login where that is due; where it can be, with `force`. What another process has
    /// renewed meanwhile is not renewed again.
    ///
    /// # Errors
    /// [`AuthorizerError::LoginRequired`] where nothing is stored or the login has ended, and what kept
    /// the refresh from its end: [`AuthorizerError::Unavailable`], [`AuthorizerError::Store`] and
    /// [`AuthorizerError::Busy`].
    ///
    /// # Cancel safety
    /// Dropping the future does not cut a refresh off.
    pub async fn refresh(&self, force: bool) -> Result<Refreshed, AuthorizerError> {
        let (keeper, commands) = (&self.keeper, self.keeper.commands());
        let required = |reason: String| AuthorizerError::LoginRequired { reason, command: commands.renew() };
        let listed = keeper.entry().map_err(|problem| self.error(problem))?;
        if listed.as_entry().is_some_and(|entry| entry.deleted || entry.identity.store == StoreKind::Memory) {
            return Err(required(NOTHING.to_owned()));
        }
        let store = keeper.store_of(listed.as_entry());
        let record = match store.load(&keeper.key, Patience::Bridge).await {
            // Nobody logged in here, so nothing is missing.
            Err(StoreError::Absent { .. }) if matches!(listed, Listed::Not) => {
                return Err(required(NOTHING.to_owned()));
            }
            Err(error) => {
                let failure = Failure::of_store(&error, &store.place());
                keeper.note_unreadable(listed.as_entry(), &failure);
                return Err(failure.into_error(&commands));
            }
            Ok(record) => record,
        };
        keeper.note_readable(listed.as_entry());
        if let Some(record) = &record {
            keeper.align(&store, listed.as_entry(), record).await;
        }
        let before = record.as_ref().map(|record| Standing::of(record).view());
        let refused = match &before {
            // A login that was killed before its record stands in the journal, which this settles.
            None => Refused::Bare,
            Some(view) if force => Refused::Token(view.digest),
            Some(_) => Refused::No,
        };
        if is_admitted(listed.as_entry(), record.as_ref())
            && let Some(settled) = before.as_ref().and_then(|view| settled(view, refused))
        {
            return settled.map_err(required);
        }
        let entry = listed.found();
        let identity = entry.map_or_else(|| keeper.identity(&store), |entry| entry.identity);
        let answer = keeper.renew(store, identity, refused).await;
        let Some(after) = answer.map_err(|failure| failure.into_error(&commands))? else {
            return Err(required(NOTHING.to_owned()));
        };
        if let Some(remark) = &after.remark {
            tracing::warn!("{remark}");
        }
        let (view, saved) = (after.view(), after.saved);
        let expires_at = view.expires_at;
        match &view.renewal {
            Renewal::Static => Ok(Refreshed::Static),
            Renewal::Ended(reason) => Err(required(over(reason))),
            // A server may issue the same access token once more.
            _ if !force && before.is_some_and(|before| before.digest == view.digest) => {
                Ok(Refreshed::Fresh { expires_at })
            }
            _ => {
                if saved {
                    self.cleared_up().await;
                }
                Ok(Refreshed::Renewed { expires_at, saved })
            }
        }
    }
}

impl Authorizer {
    /// Waits for the process that refreshed to let go of the lock: whatever is run next finds nothing
    /// under way.
    async fn cleared_up(&self) {
        let (paths, key) = (&self.keeper.config.store.paths, &self.keeper.key);
        let _free = ServiceLock::acquire(paths, key, Purpose::Refresh, Instant::now() + CLEARING_UP).await;
    }
}

const NOTHING: &str = "no login is stored";

fn over(reason: &str) -> String {
    format!("the stored login no longer works: {reason}")
}

/// What is plain without asking anybody; the error is why a login is required.
fn settled(view: &View, refused: Refused) -> Option<Result<Refreshed, String>> {
    let expires_at = view.expires_at;
    match (&view.renewal, decide(Some(view), refused, clock::now())) {
        (Renewal::Static, _) => Some(Ok(Refreshed::Static)),
        (Renewal::Ended(reason), _) => Some(Err(over(reason))),
        (Renewal::NoRefreshToken, _) => Some(match decide(Some(view), Refused::No, clock::now()) {
            Step::Use => Ok(Refreshed::NotRenewable { expires_at }),
            _ => Err(over("its access token has expired, and there is no refresh token")),
        }),
        (Renewal::Refresh, Step::Use) => Some(Ok(Refreshed::Fresh { expires_at })),
        (Renewal::Refresh, _) => None,
    }
}
