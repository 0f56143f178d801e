//! Points at which a test ends this process, as a kill or a power cut would.
//!
//! Only with the feature `failpoints`, which no release has. `MCP_FRONT_FAILPOINT` names a file that
//! holds a point's name, or with `:3` behind it the third time that a process reaches it. The first
//! process that comes there removes the file and dies; helper processes inherit the variable.

/// Ends the process here, without any clearing up, where the test wants it so.
#[cfg(feature = "failpoints")]
pub fn reached(point: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    let Some(file) = std::env::var_os("MCP_FRONT_FAILPOINT") else { return };
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    let (name, time) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    let is_it = name == point && (TIMES.fetch_add(1, Ordering::SeqCst) + 1).to_string() == time;
    if is_it && std::fs::remove_file(&file).is_ok() {
        std::process::abort();
    }
}

/// Nothing, in a release.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reached(_point: &str) {}
