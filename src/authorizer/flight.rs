//! One slow operation at a time in this process, shared by all who wait for it.
//!
//! The operation runs in a task of its own: a request that is cancelled stops waiting, and nothing
//! else. Two questions may differ (one asks because a token expired, another because it was
//! refused); who waited for the other one's answer asks memory again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::authorization::Authorization;
use super::decision::Refused;
use super::error::AuthorizerError;
use super::keeper::Keeper;
use super::memory::{Memory, Now, Outcome, Problem, Recalled};

/// How long a request waits for what it cannot do without.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a request waits where its token still does: an early renewal should not cost more.
const EARLY_PATIENCE: Duration = Duration::from_secs(3);

/// A slow operation under way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    refused: Refused,
    done: watch::Receiver<Option<Outcome>>,
}

impl Flight {
    /// Joins the operation under way, or starts one.
    fn board(memory: &mut Memory, keeper: &Arc<Keeper>, refused: Refused) -> Self {
        // A closed channel without an outcome is a task that died.
        if let Some(flight) = memory.flight.as_ref().filter(|flight| flight.done.has_changed().is_ok()) {
            return flight.clone();
        }
        let (outcome, done) = watch::channel(None);
        let keeper = Arc::clone(keeper);
        tokio::spawn(async move {
            let settled = keeper.settle(refused).await;
            keeper.memory().flight = None;
            outcome.send_replace(Some(settled));
        });
        let flight = Self { refused, done };
        memory.flight = Some(flight.clone());
        flight
    }

    /// Waits for its outcome.
    async fn landed(&mut self) -> Outcome {
        match self.done.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(Problem::Other(interrupted()))),
            Err(_) => Err(Problem::Other(interrupted())),
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
        let generation = keeper.generation();
        let mut flight = {
            let mut memory = keeper.memory();
            match memory.recall(refused, generation.as_ref(), Now::read()) {
                Recalled::Settled(outcome) => return outcome,
                Recalled::Unknown { .. } => Flight::board(&mut memory, keeper, refused),
            }
        };
        let early = timeout_at(asked + EARLY_PATIENCE, flight.landed()).await;
        let outcome = match early {
            Ok(outcome) => outcome,
            Err(_) => match meanwhile(keeper, refused) {
                Some(authorization) => return Ok(authorization),
                None => match timeout_at(asked + PATIENCE, flight.landed()).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        return Err(Problem::Other(AuthorizerError::Busy { waited: asked.elapsed() }));
                    }
                },
            },
        };
        if flight.refused == refused {
            return outcome;
        }
    }
}

/// What still does while the operation goes on: it has read the store by now, if it could.
fn meanwhile(keeper: &Keeper, refused: Refused) -> Option<Authorization> {
    let generation = keeper.generation();
    match keeper.memory().recall(refused, generation.as_ref(), Now::read()) {
        Recalled::Settled(outcome) => outcome.ok(),
        Recalled::Unknown { meanwhile } => meanwhile,
    }
}

fn interrupted() -> AuthorizerError {
    AuthorizerError::Unavailable {
        cause: "looking for the login was interrupted".to_owned(),
        retry_after: Duration::from_secs(1),
    }
}
