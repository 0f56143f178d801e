//! What last went wrong for a while: until when it is not tried again.

use std::time::{Duration, Instant};

use super::error::AuthorizerError;
use super::memory::Now;

/// The wait after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two attempts, a server's own wish included.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest wait that is our own choice: a request that waits for the next attempt has to see one.
const LONGEST_OWN_PAUSE: Duration = Duration::from_secs(5);

/// A failure that another attempt may end.
#[derive(Debug)]
pub(super) struct Trouble {
    until: Instant,
    failures: u32,
    error: AuthorizerError,
}

impl Trouble {
    /// Another failure, behind `former`. The wait is the server's `wish` within bounds, else ours.
    pub(super) fn again(
        former: Option<Self>,
        error: AuthorizerError,
        wish: Option<Duration>,
        now: Now,
    ) -> Self {
        let failures = former.map_or(0, |former| former.failures);
        let own = FIRST_PAUSE.saturating_mul(1 << failures.min(3)).min(LONGEST_OWN_PAUSE);
        let pause = wish.map_or(own, |wish| wish.clamp(FIRST_PAUSE, LONGEST_PAUSE));
        Self { until: now.steady + pause, failures: failures + 1, error: error.retrying_in(pause) }
    }

    /// What went wrong, with the whole wait.
    pub(super) fn error(&self) -> &AuthorizerError {
        &self.error
    }

    /// What is left of the wait.
    pub(super) fn pause(&self, now: Now) -> Option<Duration> {
        self.until.checked_duration_since(now.steady).filter(|left| !left.is_zero())
    }
}
