//! Streams that last: when to open one again that broke, for as long as the bridge lives.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use crate::clock;

/// The longest pause of our own between two attempts.
const PAUSE_MOST: Duration = Duration::from_secs(60);
/// The longest pause that a server may wish for.
const WISH_MOST: Duration = Duration::from_secs(300);
/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(2);
/// How far the wall clock has to run ahead before the machine counts as having been suspended.
const JUMP: Duration = Duration::from_secs(5);

/// The pauses between attempts: they grow to [`PAUSE_MOST`], with jitter, and never end.
pub(super) struct Reconnects {
    backoff: ExponentialBuilder,
    pauses: ExponentialBackoff,
}

impl Reconnects {
    /// Starts with pauses of about `least`.
    pub(super) fn new(least: Duration) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(least)
            .with_max_delay(PAUSE_MOST)
            .without_max_times()
            .with_jitter();
        Self { backoff, pauses: backoff.build() }
    }

    /// Goes on as if so many attempts had failed already.
    pub(super) fn after(mut self, failed: u32) -> Self {
        // Past the longest pause there is no longer one.
        for _ in 0..failed.min(16) {
            self.pauses.next();
        }
        self
    }

    /// The last stream was a good one: the pauses are short again.
    pub(super) fn stood(&mut self) {
        self.pauses = self.backoff.build();
    }

    /// Waits before the next attempt, as long as the server wishes where it does; not at all where
    /// the machine wakes from a suspension meanwhile.
    pub(super) async fn pause(&mut self, wish: Option<Duration>) {
        let own = self.pauses.next().unwrap_or(PAUSE_MOST);
        let pause = wish.map_or(own, |wish| wish.min(WISH_MOST));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = suspended() => self.stood(),
        }
    }
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
    fn the_pauses_grow_to_a_minute_and_never_end() {
        let pauses: Vec<_> = Reconnects::new(Duration::from_secs(1)).pauses.take(64).collect();
        assert_eq!(pauses.len(), 64);
        assert!(pauses[0] < Duration::from_secs(3) && pauses.iter().all(|pause| *pause <= PAUSE_MOST * 2));
    }
}
