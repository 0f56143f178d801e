//! Points at which a test ends this process, as a kill or a power cut would.
//!
//! Only with the feature `failpoints`, which no release has. `MCP_FRONT_FAILPOINT` names a point, or
//! with `:3` behind it the third time that the point is reached; a helper process inherits it.

/// Ends the process here, without any clearing up, where the test wants it so.
#[cfg(feature = "failpoints")]
pub fn reached(point: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    let Ok(wanted) = std::env::var("MCP_FRONT_FAILPOINT") else { return };
    let (name, time) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if name == point && (TIMES.fetch_add(1, Ordering::SeqCst) + 1).to_string() == time {
        std::process::abort();
    }
}

/// Nothing, in a release.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reached(_point: &str) {}
