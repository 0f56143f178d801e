//! The end of a login: revoked at the authorization server where that is possible, and deleted here
//! in any case.
//!
//! All of it happens under the service's lock. The index is marked first, so that running bridges
//! stop before the tokens are worth nothing, and a process that dies between revocation and
//! deletion leaves no login behind; a repeated logout asks once more (a server confirms what it no
//! longer knows, RFC 7009 §2.2) and finishes. A server that hangs holds the deletion up for a
//! bounded time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::stored::{ChangeError, Deleted, erase_marked, other_store, take_turn, wait_for_access};
use crate::credential::{Kind, OauthCredential};
use crate::http;
use crate::lock::ServiceLock;
use crate::oauth::revocation::{self, Revocable, RevocationError};
use crate::oauth::{GrantError, revocation_endpoint};
use crate::redact::printable;
use crate::server_uri::{ServerUri, ServiceKey, authority};
use crate::store::index::{Entry, EntryKind, Index};
use crate::store::{JournalEntry, Patience, Store, StoreConfig};

/// How long all requests of a revocation may take together.
const REVOCATION_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a request is repeated once, where the server names none.
const REPETITION_PAUSE: Duration = Duration::from_millis(500);

/// A person waits, and may unlock the keychain.
const PATIENCE: Patience = Patience::Person;

/// What a logout works with.
#[derive(Debug)]
pub struct Logout {
    /// The store that keeps the login.
    pub store: StoreConfig,
    /// The service.
    pub key: ServiceKey,
    /// How its authorization server is asked; `None` where nobody shall be.
    pub remote: Option<Remote>,
}

/// How an authorization server is asked.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The service's endpoint.
    pub server: ServerUri,
    /// Where and as whom requests go out.
    pub http: http::Config,
}

/// What became of a login.
#[derive(Debug)]
pub struct LoggedOut {
    /// What was stored. Nothing is, now, where the service was kept.
    pub deleted: Deleted,
    /// What the authorization server did.
    pub revocation: Revocation,
}

/// What an authorization server did about a login that is deleted here.
#[derive(Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It revoked the login.
    Revoked {
        /// The server's host, safe to print.
        by: String,
        /// The access token, where that could not be revoked as well: it ends by itself.
        remains: Option<Remains>,
    },
    /// It publishes no place to revoke a login.
    NoEndpoint {
        /// The server's host, safe to print.
        by: String,
    },
    /// It did not revoke the login.
    Failed {
        /// The server's host, safe to print.
        by: String,
        /// Why, safe to print.
        why: String,
    },
    /// What was stored could not be read.
    Unreadable {
        /// Why, safe to print.
        why: String,
    },
    /// A static token was stored: only a person can revoke it.
    StaticToken,
    /// A login was listed, and nothing was left to revoke it with.
    NothingKept,
    /// It was not to be asked, or nothing was stored.
    NotAsked,
}

/// An access token that outlives its login.
#[derive(Debug, PartialEq, Eq)]
pub struct Remains {
    /// When it expires, where known.
    pub until: Option<Timestamp>,
}

/// Revokes what is stored for a service and deletes it, and says what came about. `waits` is told
/// how long another process is waited for at most, where one has the lock.
///
/// # Errors
/// [`ChangeError`]; a repeat finishes what was interrupted. That nothing was revoked is no error.
///
/// # Cancel safety
/// Dropping the future may leave the login revoked and marked as deleted, which no bridge uses.
pub async fn log_out(logout: Logout, waits: impl FnOnce(Duration)) -> Result<LoggedOut, ChangeError> {
    let Logout { store, key, remote } = logout;
    let index = Index::open(store.paths.clone());
    let (config, store) = (store.clone(), Store::open(store));
    wait_for_access(&index, &store, &key, PATIENCE).await?;
    let lock = take_turn(&config.paths, &key, waits).await?;
    let before = index.mark_deleted(&lock)?;
    let revocation = match remote {
        Some(remote) => {
            let own = revoke(&remote, &store, &lock, before.as_ref()).await;
            let other = match (&before, other_store(before.as_ref(), &config)) {
                (Some(listed), Some(other)) => revoke_other(&remote, &other, &lock, listed).await,
                _ => None,
            };
            // Of the two, what says more, or is worse.
            match other {
                Some(failed @ Revocation::Failed { .. }) => failed,
                Some(other) if matches!(own, Revocation::Revoked { .. } | Revocation::NothingKept) => other,
                _ => own,
            }
        }
        None => Revocation::NotAsked,
    };
    let deleted = erase_marked(&index, &config, lock, before, PATIENCE).await;
    let deleted = deleted.map_err(|error| match &revocation {
        Revocation::Revoked { by, .. } => {
            ChangeError::RevokedOnly { by: by.clone(), source: Box::new(error) }
        }
        _ => error,
    })?;
    Ok(LoggedOut { deleted, revocation })
}

/// Revokes the login that another store than the listed one may hold, without asking anybody; `None` where
/// none is found there.
async fn revoke_other(
    remote: &Remote,
    store: &Store,
    lock: &ServiceLock,
    listed: &Entry,
) -> Option<Revocation> {
    match kept(store, lock, Patience::Bridge).await {
        Ok(Some(kind @ Kind::Oauth(_))) if listed.admit(&kind).is_err() => None,
        Ok(Some(Kind::Oauth(login))) => Some(Revoker::new(remote, *login).revoke().await),
        Ok(_) | Err(_) => None,
    }
}

async fn revoke(remote: &Remote, store: &Store, lock: &ServiceLock, listed: Option<&Entry>) -> Revocation {
    let admitted = kept(store, lock, PATIENCE).await.and_then(|kind| match (listed, &kind) {
        (Some(entry), Some(found)) => {
            entry.admit(found).map(|()| kind).map_err(|error| printable(&error.to_string()))
        }
        _ => Ok(kind),
    });
    match admitted {
        Ok(None) => match listed.map(|entry| entry.kind) {
            Some(EntryKind::Oauth) => Revocation::NothingKept,
            Some(EntryKind::Token) => Revocation::StaticToken,
            None => Revocation::NotAsked,
        },
        Ok(Some(Kind::Token(_))) => Revocation::StaticToken,
        Ok(Some(Kind::Oauth(login))) => Revoker::new(remote, *login).revoke().await,
        Err(_) if listed.is_some_and(|entry| entry.kind == EntryKind::Token) => Revocation::StaticToken,
        Err(why) => Revocation::Unreadable { why },
    }
}

/// What is kept: the record, or the newer login that an interrupted refresh left in the journal, by
/// which the record's refresh token is spent.
async fn kept(store: &Store, lock: &ServiceLock, patience: Patience) -> Result<Option<Kind>, String> {
    let record = store.load(lock.key(), patience).await.map_err(|error| printable(&error.to_string()))?;
    match store.journal(lock, patience).await {
        Ok(Some(JournalEntry::AnswerHeld { succeeds, kind, .. }))
            if succeeds.as_ref() == record.as_ref().map(|record| &record.generation) =>
        {
            return Ok(Some(kind));
        }
        Ok(_) => {}
        Err(error) => tracing::info!(%error, "going on without the journal"),
    }
    Ok(record.map(|record| record.kind))
}

/// Asks a login's authorization server to revoke it.
struct Revoker {
    http: http::Client,
    /// Judges what the login is not bound to.
    policy: http::AddressPolicy,
    login: OauthCredential,
    deadline: Instant,
}

impl Revoker {
    fn new(remote: &Remote, login: OauthCredential) -> Self {
        Self {
            http: http::Client::new(remote.http.clone(), &remote.server),
            policy: http::AddressPolicy::for_endpoint(&remote.server, None)
                .and_private(remote.http.private_network),
            login,
            deadline: Instant::now() + REVOCATION_LIMIT,
        }
    }

    async fn revoke(&self) -> Revocation {
        let binding = &self.login.binding;
        let by = |url: &Url| printable(authority(url));
        let endpoint = match &binding.revocation_endpoint {
            Some(endpoint) => Ok(Some(endpoint.clone())),
            None => self.find().await,
        };
        let endpoint = match endpoint {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return Revocation::NoEndpoint { by: by(&binding.token_endpoint) },
            Err(error) => {
                return Revocation::Failed { by: by(&binding.token_endpoint), why: error.to_string() };
            }
        };
        let by = by(&endpoint);
        let access = &self.login.access_token;
        let refreshed = match &self.login.refresh_token {
            Some(token) => Some(self.ask(&endpoint, Revocable::RefreshToken(token)).await),
            None => None,
        };
        if let Some(Err(error)) = refreshed {
            // The login lives on; what can be taken from whoever may have it is taken.
            if !matches!(error, RevocationError::Failed(GrantError::NotSent { .. })) {
                let _ = self.ask(&endpoint, Revocable::AccessToken(&access.value)).await;
            }
            return Revocation::Failed { by, why: error.to_string() };
        }
        match self.ask(&endpoint, Revocable::AccessToken(&access.value)).await {
            Ok(()) => Revocation::Revoked { by, remains: None },
            // Without the grant, nothing follows the access token.
            Err(error) if refreshed.is_some() => {
                tracing::info!(%error, "the access token is not revoked");
                Revocation::Revoked { by, remains: Some(Remains { until: access.expires_at }) }
            }
            Err(error) => Revocation::Failed { by, why: error.to_string() },
        }
    }

    /// What the issuer publishes by now.
    async fn find(&self) -> Result<Option<Url>, GrantError> {
        let found = revocation_endpoint(&self.http, &self.login.binding, &self.policy);
        tokio::time::timeout_at(self.deadline, found).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks for one token, once more where that may help and time is left.
    async fn ask(&self, endpoint: &Url, token: Revocable<'_>) -> Result<(), RevocationError> {
        let OauthCredential { binding, client, .. } = &self.login;
        let request = || async {
            let place = revocation::Place { endpoint, policy: &self.policy };
            let request = revocation::revoke(&self.http, place, binding, client, token);
            let answer = tokio::time::timeout_at(self.deadline, request).await;
            answer.unwrap_or_else(|_| Err(late().into()))
        };
        let error = match request().await {
            Err(RevocationError::Failed(error)) => error,
            answer => return answer,
        };
        let pause = match &error {
            GrantError::RateLimited { retry_after } => retry_after.unwrap_or(REPETITION_PAUSE),
            GrantError::Transient { .. } | GrantError::NotSent { .. } => REPETITION_PAUSE,
            _ => return Err(error.into()),
        };
        let again = Instant::now() + pause;
        if again >= self.deadline {
            return Err(error.into());
        }
        tokio::time::sleep_until(again).await;
        request().await
    }
}

fn late() -> GrantError {
    let cause = format!("it did not answer within {} s", REVOCATION_LIMIT.as_secs());
    GrantError::Transient { cause }
}
