//! Streams that last: when to open one again that broke, for as long as the bridge lives.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use crate::clock;
use crate::upstream::streamable_http::Rejection;

/// The longest pause of our own between two attempts.
const PAUSE_MOST: Duration = Duration::from_secs(60);
/// The longest pause of our own where the server, or somebody before it, refuses: it may mean it.
const REFUSED_MOST: Duration = Duration::from_secs(300);
/// The longest pause that a server may wish for.
const WISH_MOST: Duration = Duration::from_secs(300);
/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(2);
/// How far the wall clock has to run ahead before the machine counts as having been suspended.
const JUMP: Duration = Duration::from_secs(5);

/// What to wait for before the next attempt, and for how long the server wishes it.
#[derive(Debug)]
pub(super) enum Pause {
    /// What may pass by itself.
    Passing(Option<Duration>),
    /// A refusal: nobody knows whether it lasts.
    Refused(Option<Duration>),
}

impl Pause {
    /// What this refusal calls for.
    pub(super) fn behind(rejection: &Rejection) -> Self {
        match rejection.may_pass() {
            true => Self::Passing(rejection.retry_after),
            false => Self::Refused(rejection.retry_after),
        }
    }
}

/// The pauses between attempts: they grow to [`PAUSE_MOST`], behind refusals to [`REFUSED_MOST`], with
/// jitter, and never end.
pub(super) struct Reconnects {
    least: Duration,
    passing: ExponentialBackoff,
    refused: ExponentialBackoff,
}

impl Reconnects {
    /// Starts with pauses of about `least`.
    pub(super) fn new(least: Duration) -> Self {
        Self { least, passing: pauses(least, PAUSE_MOST), refused: pauses(least, REFUSED_MOST) }
    }

    /// Goes on as if so many attempts had failed already.
    pub(super) fn after(mut self, failed: u32) -> Self {
        // Past the longest pause there is no longer one.
        for _ in 0..failed.min(16) {
            self.passing.next();
        }
        self
    }

    /// The last stream was a good one: the pauses are short again.
    pub(super) fn stood(&mut self) {
        *self = Self::new(self.least);
    }

    /// Waits before the next attempt, as long as the server wishes where it does; not at all where
    /// the machine wakes from a suspension meanwhile.
    pub(super) async fn pause(&mut self, pause: Pause) {
        let (own, most, wish) = match pause {
            Pause::Passing(wish) => (&mut self.passing, PAUSE_MOST, wish),
            Pause::Refused(wish) => (&mut self.refused, REFUSED_MOST, wish),
        };
        let own = own.next().unwrap_or(most);
        let pause = wish.map_or(own, |wish| wish.min(WISH_MOST));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = suspended() => self.stood(),
        }
    }
}

fn pauses(least: Duration, most: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(least)
        .with_max_delay(most)
        .without_max_times()
        .with_jitter()
        .build()
}

/// Resolves once the machine has been suspended and has woken: what was connected before is dead,
/// and nobody says so.
pub(super) async fn suspended() {
    loop {
        let before = Clocks::read();
        tokio::time::sleep(LOOK).await;
        if before.jumped(Clocks::read()) {
            tracing::debug!("the machine was suspended");
            return;
        }
    }
}

/// The clock that stands still in a suspension, and the one that does not.
#[derive(Clone, Copy)]
struct Clocks {
    steady: Instant,
    wall: Timestamp,
}

impl Clocks {
    fn read() -> Self {
        Self { steady: Instant::now(), wall: clock::now() }
    }

    /// A clock that was set is taken for a suspension; a reconnect too many does no harm.
    fn jumped(self, now: Self) -> bool {
        let passed = Duration::try_from(now.wall.duration_since(self.wall)).unwrap_or_default();
        passed > now.steady.duration_since(self.steady) + JUMP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_runs_ahead_means_a_suspension() {
        let before = Clocks::read();
        for (steady, wall, jumped) in
            [(2, 2, false), (2, 6, false), (2, 8, true), (2, 36_000, true), (3600, 3600, false)]
        {
            let now = Clocks {
                steady: before.steady + Duration::from_secs(steady),
                wall: before.wall + Duration::from_secs(wall),
            };
            assert_eq!(before.jumped(now), jumped, "{steady} s, {wall} s");
        }
        let set_back = Clocks { wall: before.wall - Duration::from_secs(3600), ..before };
        assert!(!before.jumped(set_back));
    }

    #[test]
    fn the_pauses_grow_to_their_longest_and_never_end() {
        let Reconnects { passing, refused, .. } = Reconnects::new(Duration::from_secs(1));
        for (pauses, most) in [(passing, PAUSE_MOST), (refused, REFUSED_MOST)] {
            let pauses: Vec<_> = pauses.take(64).collect();
            assert_eq!(pauses.len(), 64);
            assert!(pauses[0] < Duration::from_secs(3) && pauses.iter().all(|pause| *pause <= most * 2));
            assert!(pauses[32..].iter().all(|pause| *pause >= most));
        }
    }
}
