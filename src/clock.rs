//! The time of day, by which tokens expire and people read when something happened.
//!
//! One door to it, so that a test can move it: with the feature `failpoints`, which no release has,
//! the file that `MCP_FRONT_CLOCK` names holds the seconds by which every process is ahead. Waits and
//! deadlines go by the clock that never jumps, and are not asked of here.

use jiff::{SignedDuration, Timestamp};

/// How far ahead of this one a clock may have been whose times are believed.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// Whether something that has happened is said to have happened so long after `now` that the clock was wrong
/// then.
pub fn was_ahead(happened: Timestamp, now: Timestamp) -> bool {
    happened.duration_since(now) > TOLERANCE
}

/// The time of day.
#[cfg(not(feature = "failpoints"))]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time of day, as the test wants it.
#[cfg(feature = "failpoints")]
pub fn now() -> Timestamp {
    let ahead = std::env::var_os("MCP_FRONT_CLOCK").and_then(|file| std::fs::read_to_string(file).ok());
    let ahead = ahead.and_then(|text| text.trim().parse().ok()).map(SignedDuration::from_secs);
    ahead.and_then(|ahead| Timestamp::now().checked_add(ahead).ok()).unwrap_or_else(Timestamp::now)
}
