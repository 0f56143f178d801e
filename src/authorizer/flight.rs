//! One slow operation at a time in this process, shared by all who wait for it.
//!
//! The operation runs in a task of its own: a request that is cancelled stops waiting, and nothing
//! else. Nor does a request wait whose token still does: the operation goes on behind it. Two
//! questions may differ (one asks because a token expired, another because it was refused); who
//! waited for the other one's answer asks memory again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::decision::Refused;
use super::error::AuthorizerError;
use super::keeper::Keeper;
use super::memory::{Memory, Now, Outcome, Problem, Recalled};

/// How long a request waits for what it cannot do without.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long after it came a request that cannot go without still waits for another attempt. It sees
/// more than one, for no pause of our own is that long; where a server asks for more, it is told at
/// once.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(8);
/// How often a request that waits for another attempt looks whether another process made one.
const LOOK: Duration = Duration::from_millis(250);

/// How far a slow operation has come.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// It asks the store.
    Reading,
    /// What the store says is in memory, and is being renewed.
    Renewing,
    /// It is over.
    Landed(Outcome),
}

/// A slow operation under way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    refused: Refused,
    stage: watch::Receiver<Stage>,
}

impl Flight {
    /// Joins the operation under way, or starts one.
    pub(super) fn board(memory: &mut Memory, keeper: &Arc<Keeper>, refused: Refused) -> Self {
        // A closed channel that never landed is a task that died.
        if let Some(flight) = memory.flight.as_ref().filter(|flight| flight.stage.has_changed().is_ok()) {
            return flight.clone();
        }
        let (progress, stage) = watch::channel(Stage::Reading);
        let keeper = Arc::clone(keeper);
        tokio::spawn(async move {
            let settled = keeper.settle(refused, || _ = progress.send_replace(Stage::Renewing)).await;
            keeper.memory().flight = None;
            progress.send_replace(Stage::Landed(settled));
        });
        let flight = Self { refused, stage };
        memory.flight = Some(flight.clone());
        flight
    }

    /// Waits until memory knows what the store says.
    async fn read(&mut self) {
        let _landed_or_dead = self.stage.wait_for(|stage| !matches!(stage, Stage::Reading)).await;
    }

    /// Waits for its outcome.
    pub(super) async fn landed(&mut self) -> Outcome {
        match self.stage.wait_for(|stage| matches!(stage, Stage::Landed(_))).await.as_deref() {
            Ok(Stage::Landed(outcome)) => outcome.clone(),
            _ => Err(Problem::Other(interrupted())),
        }
    }
}

/// What a request may carry, from memory or, where that does not know, from a slow operation.
///
/// # Cancel safety
/// Dropping the future leaves the operation running for those who come later.
pub(super) async fn resolve(keeper: &Arc<Keeper>, refused: Refused) -> Outcome {
    let asked = Instant::now();
    loop {
        let outcome = match recall(keeper, refused) {
            Recalled::Settled(outcome) => outcome,
            Recalled::Unknown { meanwhile } => {
                let mut flight = Flight::board(&mut keeper.memory(), keeper, refused);
                match meanwhile {
                    Some(authorization) => return Ok(authorization),
                    None => match timeout_at(asked + PATIENCE, wait(&mut flight, keeper, refused)).await {
                        Ok(None) => continue,
                        Ok(Some(outcome)) => outcome,
                        Err(_) => {
                            let waited = asked.elapsed();
                            return Err(Problem::Other(AuthorizerError::Busy { waited }));
                        }
                    },
                }
            }
        };
        match pause(&outcome, asked) {
            Some(pause) => sleep(pause).await,
            None => return outcome,
        }
    }
}

fn recall(keeper: &Keeper, refused: Refused) -> Recalled {
    let generation = keeper.generation();
    keeper.memory().recall(refused, generation.as_ref(), Now::read())
}

/// What a flight brings to a question; `None` where it was another's.
async fn wait(flight: &mut Flight, keeper: &Keeper, refused: Refused) -> Option<Outcome> {
    flight.read().await;
    if let Recalled::Unknown { meanwhile: Some(authorization) } = recall(keeper, refused) {
        return Some(Ok(authorization));
    }
    let outcome = flight.landed().await;
    (flight.refused == refused).then_some(outcome)
}

/// How long to wait before memory is asked again; `None` where that is of no use, or would take too
/// long.
fn pause(outcome: &Outcome, asked: Instant) -> Option<Duration> {
    match outcome {
        Err(Problem::Other(AuthorizerError::Unavailable { retry_after, .. }))
            if asked.elapsed() + *retry_after < OUTAGE_PATIENCE =>
        {
            Some(LOOK.min(*retry_after))
        }
        _ => None,
    }
}

fn interrupted() -> AuthorizerError {
    AuthorizerError::Unavailable {
        cause: "looking for the login was interrupted".to_owned(),
        retry_after: Duration::from_secs(1),
    }
}
