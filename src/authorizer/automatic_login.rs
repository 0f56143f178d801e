//! A login that a bridge starts by itself, where the user allowed it (`--login`).
//!
//! It runs in a process of its own and goes on to its deadline whoever stops waiting; the login
//! lock makes it one over all processes. A failed one is not repeated for a while, and what a
//! fresh login did not cure (a rejected token, missing scopes) is not tried twice. The one thing
//! that makes even a new login worthless is a service that names another authorization server: that
//! is looked into where nothing else can help, once in a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::login::{self, Interaction, Scope, start_child};
use crate::challenge::Challenge;
use crate::redact::with_causes;
use crate::store::StoreKind;

/// How long a request may take in all where it waits for the person: its host wants an answer
/// within 25 s.
const PATIENCE: Duration = Duration::from_secs(22);
/// How long after a login's start no other one is started, as long as none succeeded.
const PAUSE: Duration = Duration::from_secs(600);
/// The same after one that succeeded.
const PAUSE_AFTER_SUCCESS: Duration = Duration::from_secs(60);
/// How many causes are cured by a login each: a service may name scopes without end.
const CURES: usize = 8;

/// Why a login is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// There is none, or it ended; `anew` where what is stored looks good.
    Required { anew: bool },
    /// The service refuses fresh tokens.
    Rejected,
    /// The service wants these scopes.
    StepUp(Vec<String>),
    /// The service may have moved to another authorization server: the token is refused, and the
    /// one that issued it gives no other. Where it has not, nothing opens.
    Moved,
}

/// How a login ended: well, or for this reason.
type Ending = Result<(), String>;

/// The logins that this process started.
#[derive(Debug, Default)]
pub(super) struct AutomaticLogin(Mutex<History>);

#[derive(Debug, Default)]
struct History {
    latest: Option<Latest>,
    /// Causes that one login had to cure.
    spent: Vec<Cause>,
    /// What the service said to a request that nobody waited for.
    challenge: Option<Challenge>,
    /// When it was last looked into whether the service has moved.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Latest {
    started: Instant,
    ending: watch::Receiver<Option<Ending>>,
}

impl AutomaticLogin {
    /// Keeps a challenge for the login that a later request makes necessary: it may name scopes
    /// that the service names nowhere else.
    pub(super) fn remember(&self, challenge: Option<&Challenge>) {
        if let Some(challenge) = challenge {
            self.history().challenge = Some(challenge.clone());
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a login or joins the one that is open, and waits a while for its end, on behalf of a
    /// request that came at `asked`. `challenge` is what the service said when it refused the
    /// request that makes it necessary. The error is a clause to append to the reason of the error
    /// that the request gets.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the login running.
    pub(super) async fn log_in(
        &self,
        config: &login::Config,
        cause: Cause,
        challenge: Option<&Challenge>,
        asked: tokio::time::Instant,
    ) -> Result<(), String> {
        let mut ending = self.open(config, cause, challenge)?;
        match tokio::time::timeout_at(asked + PATIENCE, ending.wait_for(Option::is_some)).await {
            Ok(Ok(ending)) => match &*ending {
                Some(Ok(())) => Ok(()),
                Some(Err(reason)) => Err(format!("; the login in the browser failed: {reason}")),
                None => Err(String::new()),
            },
            Ok(Err(_)) => Err("; the login in the browser was interrupted".to_owned()),
            Err(_) => Err("; a login is open in the browser, finish it and try again".to_owned()),
        }
    }

    fn open(
        &self,
        config: &login::Config,
        cause: Cause,
        challenge: Option<&Challenge>,
    ) -> Result<watch::Receiver<Option<Ending>>, String> {
        let mut history = self.history();
        if let Some(latest) = &history.latest
            && latest.ending.borrow().is_none()
        {
            return Ok(latest.ending.clone());
        }
        let cause = history.admit(cause)?;
        let mut config = adapted(config, cause);
        config.options.challenge = challenge.cloned().or_else(|| history.challenge.take());
        let (ended, ending) = watch::channel(None);
        tokio::spawn(async move {
            ended.send_replace(Some(run(&config).await));
        });
        history.latest = Some(Latest { started: Instant::now(), ending: ending.clone() });
        Ok(ending)
    }
}

impl History {
    /// The cause that a login is started for now, or a clause that says why none is.
    fn admit(&mut self, cause: Cause) -> Result<Cause, String> {
        let is_within = |begun: Instant, pause| begun.elapsed() < pause;
        let mut cause = cause;
        if let Some(latest) = &self.latest {
            match &*latest.ending.borrow() {
                Some(Err(reason)) if is_within(latest.started, PAUSE) => {
                    return Err(format!("; the last login in the browser failed: {reason}"));
                }
                Some(Ok(()))
                    if matches!(cause, Cause::Required { .. })
                        && is_within(latest.started, PAUSE_AFTER_SUCCESS) =>
                {
                    cause = Cause::Moved;
                }
                _ => {}
            }
        }
        match cause {
            Cause::Required { .. } => {}
            Cause::Moved if self.looked.is_some_and(|looked| is_within(looked, PAUSE)) => {
                return Err("; a login was made a moment ago".to_owned());
            }
            Cause::Moved => self.looked = Some(Instant::now()),
            _ if self.spent.contains(&cause) => return Err("; a new login did not help".to_owned()),
            _ if self.spent.len() >= CURES => return Err("; too many logins were made".to_owned()),
            _ => self.spent.push(cause.clone()),
        }
        Ok(cause)
    }
}

/// Logs in, in a process of its own; in this one for the memory store, which no other can reach.
async fn run(config: &login::Config) -> Ending {
    if config.store.kind != StoreKind::Memory {
        return start_child(config).await.map_err(|error| with_causes(&error));
    }
    let (events, _) = mpsc::channel(login::EVENTS);
    let (_, pasted) = mpsc::channel(1);
    let outcome = login::login(config, Interaction { events, pasted }).await;
    outcome.map(drop).map_err(|error| with_causes(&error))
}

/// The login for a cause: what looks good, and yet does not do, is replaced.
fn adapted(config: &login::Config, cause: Cause) -> login::Config {
    let mut config = config.clone();
    match cause {
        Cause::Required { anew } => config.options.force = anew,
        Cause::Rejected => config.options.force = true,
        Cause::StepUp(scopes) => {
            config.options.force = true;
            config.options.scope = Scope::Exactly(scopes);
        }
        Cause::Moved => {
            config.options.force = true;
            config.options.only_if_moved = true;
        }
    }
    config
}
