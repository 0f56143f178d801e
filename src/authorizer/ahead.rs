//! Renewing before it is needed, for as long as a session lasts: so that no request waits for the
//! token endpoint, and, where that is wished for, so that a login survives that nobody uses.
//!
//! Nothing here renews by itself: both take the way of a request, in one flight with those that are
//! under way, and through the lock. Of many processes that hold one token, each comes at its own
//! time, and all but the first find it renewed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::decision::{self, Ahead, Refused};
use super::flight::{Flight, resolve};
use super::keeper::Keeper;
use super::memory::Now;
use crate::clock;

/// How often it is looked whether a login is to be kept alive, which one there is, and what time it
/// is after a suspension.
const LOOK: Duration = Duration::from_secs(60);
/// The shortest and the longest pause between two attempts to keep a login alive.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// Renews each token that requests use shortly before it ends. Never returns.
///
/// # Cancel safety
/// Dropping the future leaves a renewal under way to its end.
pub(super) async fn stay_ahead(keeper: &Arc<Keeper>) {
    loop {
        let ahead = keeper.memory().ahead(Now::read());
        match ahead {
            Ahead::Rest => keeper.token_used.notified().await,
            // The wait is of no use any more where another token comes.
            Ahead::Wait(wait) => _ = timeout(wait, keeper.token_used.notified()).await,
            Ahead::Renew { pause } => {
                let mut flight = Flight::board(&mut keeper.memory(), keeper, Refused::No);
                if let Err(problem) = flight.landed().await {
                    tracing::debug!(?problem, "the token is not renewed ahead");
                }
                sleep(pause).await;
            }
        }
    }
}

/// Renews the login where it was not renewed for long, used or not. Never returns.
///
/// # Cancel safety
/// As [`stay_ahead`].
pub(super) async fn keep_alive(keeper: &Arc<Keeper>) {
    loop {
        match due(keeper) {
            Some((Duration::ZERO, _)) => {
                renew(keeper).await;
                if let Some((Duration::ZERO, interval)) = due(keeper) {
                    tracing::warn!("the login could not be renewed to keep it alive; it is tried again");
                    sleep((interval / 16).clamp(PAUSES.0, PAUSES.1)).await;
                }
            }
            Some((wait, _)) => sleep(wait.min(LOOK)).await,
            None => sleep(LOOK).await,
        }
    }
}

/// When the login that the index knows is to be renewed, and how often; `None` where there is none
/// that can be. What the service refuses, the authorization server may still renew.
fn due(keeper: &Keeper) -> Option<(Duration, Duration)> {
    let entry = keeper.index.get(&keeper.key).ok().flatten()?;
    if entry.deleted || !entry.renews || entry.is_ended() {
        return None;
    }
    let renewed_at = entry.last_refresh_at.unwrap_or(entry.logged_in_at);
    Some(decision::keep_alive(renewed_at, entry.refresh_expires_at, keeper.stagger, clock::now()))
}

/// Has the refresh token used. As a rule the access token of an idle login is over, and that is
/// reason enough; where it is not, it is taken for refused.
async fn renew(keeper: &Arc<Keeper>) {
    let _ = resolve(keeper, Refused::No).await;
    let token = keeper.memory().token();
    if let (Some((Duration::ZERO, _)), Some(token)) = (due(keeper), token) {
        let was_rejected = keeper.memory().is_rejected(token);
        // Another token would help no request, and the refresh token lives on by it.
        keeper.memory().forget_rejections();
        let _ = resolve(keeper, Refused::Token(token)).await;
        if !was_rejected {
            // The service refused nothing: a server may issue the same token once more.
            keeper.memory().forget_rejection(token);
        }
    }
}
