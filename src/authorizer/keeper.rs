//! The slow path: reads the store again, and has the login renewed where that is due.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Config;
use super::authorization::Authorization;
use super::command::Commands;
use super::decision::{Refused, Stagger, Step};
use super::failure::Failure;
use super::memory::{Memory, Now, Outcome, Person, Problem};
use super::refresh_child::renew_in_child;
use super::renewal::{Answer, Place, renew};
use super::standing::Standing;
use crate::credential::{Credential, Generation};
use crate::lock::{Purpose, ServiceLock};
use crate::server_uri::ServiceKey;
use crate::store::index::{Entry, Identity, Index, IndexError};
use crate::store::{Patience, Store, StoreConfig, StoreKind};

/// What all clones of an authorizer share.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) config: Config,
    pub(super) key: ServiceKey,
    pub(super) index: Index,
    pub(super) stagger: Stagger,
    /// Told when a request uses a token that none has used before.
    pub(super) token_used: Notify,
    store: Store,
    memory: Mutex<Memory>,
}

impl Keeper {
    pub(super) fn new(config: Config) -> Self {
        let stagger = Stagger::draw();
        Self {
            key: ServiceKey::new(&config.profile, &config.server),
            index: Index::open(config.store.paths.clone()),
            store: Store::open(config.store.clone()),
            stagger,
            token_used: Notify::new(),
            memory: Mutex::new(Memory::new(stagger)),
            config,
        }
    }

    /// What is remembered. Never held across an await.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commands that errors name, with the name that the service has now: it may have been
    /// renamed or deleted since the start.
    pub(super) fn commands(&self) -> Commands {
        let unstored = &self.config.commands;
        let kept = self.index.get(&self.key).ok().flatten().filter(|entry| !entry.deleted);
        kept.map_or_else(|| unstored.clone(), |entry| unstored.about(&entry))
    }

    /// The index's generation of the service: no more than a `stat` while nothing changed.
    pub(super) fn generation(&self) -> Option<Generation> {
        self.index.generation(&self.key)
    }

    /// Notes what a request goes out with.
    pub(super) fn note_use(&self, authorization: &Authorization) {
        if authorization.digest().is_some_and(|token| self.memory().note_use(token)) {
            self.token_used.notify_one();
        }
    }

    /// Finds out what a request may carry, at whatever cost; says in between that it has `read` the
    /// store, where a renewal follows.
    ///
    /// # Cancel safety
    /// It runs in a task of its own; whatever must not be cut off, in a process of its own.
    pub(super) async fn settle(&self, refused: Refused, read: impl FnOnce()) -> Outcome {
        let seen = self.generation();
        let entry = self.entry()?;
        let store = self.store_of(entry.as_entry());
        self.forget_deleted(&entry, &store).await?;
        let loaded = match &entry {
            Listed::Entry(entry) if entry.deleted => Ok(None),
            // A service that nobody logged in to may want no login: it is asked before the store
            // is, which may be locked, or not there at all.
            Listed::Not if refused == Refused::No && !self.memory().is_demanded(Now::read()) => Ok(None),
            _ => store.load(&self.key, Patience::Bridge).await,
        };
        let entry = entry.found();
        let record = match loaded {
            Ok(record) => record,
            Err(error) => {
                let failure = Failure::of_store(&error, &store.place());
                self.note_unreadable(entry.as_ref(), &failure);
                return self.without_store(failure, refused, entry.is_some());
            }
        };
        self.note_readable(entry.as_ref());
        if let Some(record) = &record {
            self.align(&store, entry.as_ref(), record).await;
        }
        let step = match is_admitted(entry.as_ref(), record.as_ref()) {
            true => match self.remember(seen.clone(), record.as_ref(), refused) {
                Ok(step) => step,
                Err(outcome) => return outcome,
            },
            // A login may be saved and not listed yet: whoever has the lock tells.
            false => Step::Renew { usable: false },
        };
        let is_deleted = entry.as_ref().is_some_and(|entry| entry.deleted);
        let identity = entry.map_or_else(|| self.identity(&store), |entry| entry.identity);
        match step {
            Step::Renew { .. } => {
                read();
                let answer = self.renew(store, identity, refused).await;
                self.conclude(answer, refused, seen)
            }
            // A login that was killed before its record stands in the journal, which a renewal
            // settles first.
            Step::Nothing if refused == Refused::Bare && !is_deleted => {
                match self.renew(store, identity, refused).await {
                    Err(failure) => {
                        tracing::warn!(?failure, "cannot look for an interrupted login");
                        self.without_renewal(step, refused)
                    }
                    answer => self.conclude(answer, refused, seen),
                }
            }
            step => self.without_renewal(step, refused),
        }
    }

    /// Takes over what the store says, and decides what to do about it; the error is what a request gets
    /// without any of that.
    fn remember(
        &self,
        seen: Option<Generation>,
        record: Option<&Credential>,
        refused: Refused,
    ) -> Result<Step, Outcome> {
        let mut memory = self.memory();
        let now = Now::read();
        memory.hold(seen, record.map(Standing::of).as_ref(), now);
        match (memory.step(refused, now), memory.trouble(now)) {
            (Step::Renew { usable: true }, Some(_)) => Err(memory.carry()),
            (Step::Renew { usable: false }, Some(error)) if error.holds_off() => {
                Err(Err(Problem::Other(error)))
            }
            (step, _) => Ok(step),
        }
    }

    /// Forgets the login in this process's memory where another process deleted it: none but this one
    /// reaches it there.
    async fn forget_deleted(&self, entry: &Listed, store: &Store) -> Result<(), Problem> {
        let is_deleted = match entry {
            Listed::Entry(entry) => entry.deleted,
            Listed::Not => self.memory().seen().is_some(),
            Listed::Unclear => false,
        };
        if store.kind() != StoreKind::Memory || !is_deleted {
            return Ok(());
        }
        let deadline = Instant::now() + Patience::Bridge.limit();
        let lock =
            ServiceLock::acquire(&self.config.store.paths, &self.key, Purpose::Refresh, deadline).await;
        let problem = |failure: Failure| Problem::Other(failure.into_error(&self.commands()));
        let lock = lock.map_err(|error| problem(Failure::of_lock(&error)))?;
        let (_, erased) = store.erase(lock, Patience::Bridge).await;
        erased.map(|_| ()).map_err(|error| problem(Failure::of_store(&error, &store.place())))
    }

    /// Brings the index in line with the record that was found, where an interruption left them apart: what
    /// nobody renews any more, nobody would align otherwise. Whoever has the lock does it anyway.
    pub(super) async fn align(&self, store: &Store, listed: Option<&Entry>, record: &Credential) {
        // What this process alone has cannot have been written by another, and must not outlive a deletion.
        if store.kind() == StoreKind::Memory {
            return;
        }
        let is_apart = |entry: &Entry| !entry.deleted && entry.generation != record.generation;
        if !listed.is_none_or(is_apart) || !is_admitted(listed, Some(record)) {
            return;
        }
        let lock = ServiceLock::try_acquire(&self.config.store.paths, &self.key, Purpose::Refresh);
        let Ok(Some(lock)) = lock else { return };
        // It may have been replaced before the lock was free.
        let Ok(Some(record)) = store.load(&self.key, Patience::Bridge).await else { return };
        let entry = self.index.get(&self.key).ok().flatten();
        if entry.as_ref().is_some_and(|entry| entry.deleted) || !is_admitted(entry.as_ref(), Some(&record)) {
            return;
        }
        let identity = self.index.under_its_name(&self.key, self.identity(store));
        if let Err(error) = self.index.repair(&lock, identity, &record) {
            tracing::warn!(%error, "cannot bring the index in line with the stored login");
        }
    }

    /// What the index says. A damaged entry is no answer: the record wins.
    pub(super) fn entry(&self) -> Result<Listed, Problem> {
        match self.index.get(&self.key) {
            Ok(Some(entry)) => Ok(Listed::Entry(Box::new(entry))),
            Ok(None) => Ok(Listed::Not),
            Err(error @ IndexError::NewerSchema { .. }) => {
                Err(Problem::Other(Failure::of_index(&error).into_error(&self.commands())))
            }
            Err(error) => {
                tracing::warn!(%error, "going on without the index");
                Ok(Listed::Unclear)
            }
        }
    }

    /// The store that keeps the login: the one that was pinned when it was stored.
    pub(super) fn store_of(&self, entry: Option<&Entry>) -> Store {
        match entry.map(|entry| entry.identity.store) {
            // Another process's memory is out of reach, and ours stays ours.
            None | Some(StoreKind::Memory) => self.store.clone(),
            Some(kind) if kind == self.store.kind() => self.store.clone(),
            Some(kind) => Store::open(StoreConfig { kind, ..self.config.store.clone() }),
        }
    }

    /// Who the service is, where the index does not say.
    pub(super) fn identity(&self, store: &Store) -> Identity {
        let Config { server, name, profile, .. } = &self.config;
        let name = name.as_deref().unwrap_or(server.host());
        Identity::new(name, profile, server, store.kind())
    }

    /// The store gives no access: what is in memory goes on being used while it is good, unless
    /// the login was deleted.
    fn without_store(&self, failure: Failure, refused: Refused, is_listed: bool) -> Outcome {
        let now = Now::read();
        let error = failure.into_error(&self.commands());
        let mut memory = self.memory();
        match memory.usable(refused, now).filter(|_| is_listed || memory.seen().is_none()) {
            Some(authorization) => {
                tracing::warn!(%error, "going on with the token in memory");
                memory.note_trouble(error, None, now);
                Ok(authorization)
            }
            None => Err(Problem::Other(error)),
        }
    }

    /// What follows from a record that is not to be renewed.
    fn without_renewal(&self, step: Step, refused: Refused) -> Outcome {
        let memory = self.memory();
        match step {
            Step::Nothing if refused == Refused::No && !memory.is_demanded(Now::read()) => {
                Ok(Authorization::bare())
            }
            Step::Nothing => Err(Problem::Person(Person::LogInFirst)),
            Step::Use | Step::Renew { .. } => memory.carry(),
            Step::Dead => Err(Problem::Person(memory.person(refused))),
        }
    }

    /// Has the login renewed: in a process of its own, save for the memory store.
    pub(super) async fn renew(&self, store: Store, identity: Identity, refused: Refused) -> Answer {
        if store.kind() != StoreKind::Memory {
            return renew_in_child(&self.config.children, identity, refused).await;
        }
        let place = Place {
            paths: self.config.store.paths.clone(),
            store,
            key: self.key.clone(),
            identity,
            http: self.config.http.clone(),
        };
        let (deliver, delivered) = oneshot::channel();
        tokio::spawn(renew(place, refused, deliver));
        delivered.await.unwrap_or_else(|_| {
            Err(Failure::Unavailable { cause: "the refresh was interrupted".to_owned(), retry_after: None })
        })
    }

    /// Takes over what a renewal brought. `before` is the index's generation before it.
    fn conclude(&self, answer: Answer, refused: Refused, before: Option<Generation>) -> Outcome {
        let generation = self.generation();
        let now = Now::read();
        let mut memory = self.memory();
        let standing = match answer {
            Ok(standing) => standing,
            Err(failure) => {
                let wish = failure.wish();
                let error = memory.note_trouble(failure.into_error(&self.commands()), wish, now);
                return match memory.usable(refused, now) {
                    Some(authorization) => {
                        tracing::warn!(%error, "the token cannot be renewed yet; it is still good");
                        Ok(authorization)
                    }
                    None => Err(Problem::Other(error)),
                };
            }
        };
        memory.clear_trouble();
        memory.hold(generation.clone(), standing.as_ref(), now);
        if let Some(standing) = &standing {
            if let Some(remark) = &standing.remark {
                tracing::warn!("{remark}");
            }
            if !standing.saved {
                tracing::error!(
                    "the login was refreshed and could not be saved yet; saving is tried again. Should it \
                     fail, run {}",
                    self.commands().login_anew()
                );
            }
            // Another change came after the renewal's own: the next request reads again.
            if generation.as_ref() != Some(&standing.generation) && generation != before {
                memory.doubt();
            }
        }
        match (memory.step(refused, now), refused) {
            // The server issued the refused token once more. One that was over on its way is another matter.
            (Step::Renew { usable: false }, Refused::Token(token)) if memory.token() == Some(token) => {
                memory.note_rejection(token, now);
                Err(Problem::Rejected)
            }
            (step, _) => {
                drop(memory);
                self.without_renewal(step, refused)
            }
        }
    }
}

/// Whether a record is bound as the index knows the login to be.
pub(super) fn is_admitted(entry: Option<&Entry>, record: Option<&Credential>) -> bool {
    entry.zip(record).is_none_or(|(entry, record)| entry.admit(&record.kind).is_ok())
}

/// What the index says of a service.
pub(super) enum Listed {
    Entry(Box<Entry>),
    /// Nobody logged in to it, as far as the index knows.
    Not,
    Unclear,
}

impl Listed {
    pub(super) fn as_entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Not | Self::Unclear => None,
        }
    }

    pub(super) fn found(self) -> Option<Entry> {
        match self {
            Self::Entry(entry) => Some(*entry),
            Self::Not | Self::Unclear => None,
        }
    }
}
