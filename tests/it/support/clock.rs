//! A time of day that a test moves, for every process of a home (`src/clock.rs`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use super::home::Home;

/// An hour, in seconds.
pub(crate) const HOUR: i64 = 3600;
/// A day, in seconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The clock of one home.
pub(crate) struct Clock {
    file: PathBuf,
    ahead: AtomicI64,
}

impl Clock {
    /// Gives every process of the home this clock, which is right at first.
    pub(crate) fn in_home(home: Home) -> (Home, Self) {
        let clock = Self { file: home.path().join("clock"), ahead: AtomicI64::new(0) };
        let file = clock.file.to_str().expect("a plain path").to_owned();
        (home.with("MCP_FRONT_CLOCK", file), clock)
    }

    /// Lets so many seconds pass at once.
    pub(crate) fn advance(&self, seconds: i64) {
        self.set(self.ahead.load(Ordering::SeqCst) + seconds);
    }

    /// Sets it so many seconds before or behind the right time.
    pub(crate) fn set(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::SeqCst);
        // Renamed, for processes read it at any time.
        let new = self.file.with_extension("new");
        std::fs::write(&new, ahead.to_string()).expect("the home is writable");
        std::fs::rename(new, &self.file).expect("the home is writable");
    }
}
