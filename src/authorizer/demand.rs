//! A 401 to a bare request where no login is there: how long it keeps requests in that nobody waits for.

use std::time::{Duration, Instant};

use super::memory::Now;
use super::trouble::LONGEST_PAUSE;

/// How long the first one does; each later one twice as long as the one before it.
const PAUSE: Duration = Duration::from_secs(5);

/// The service wants a login.
#[derive(Debug)]
pub(super) struct Demand {
    until: Instant,
    pause: Duration,
}

impl Demand {
    /// Another 401, behind `former`. While that one holds, it says nothing new.
    pub(super) fn again(former: Option<Self>, now: Now) -> Self {
        let pause = match former {
            Some(former) if former.holds(now) => return former,
            Some(former) => (former.pause * 2).min(LONGEST_PAUSE),
            None => PAUSE,
        };
        Self { until: now.steady + pause, pause }
    }

    /// Whether nothing goes out yet that nobody waits for.
    pub(super) fn holds(&self, now: Now) -> bool {
        now.steady < self.until
    }
}
