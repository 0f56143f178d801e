//! A helper process's place among processes: a session of its own, and deaf to polite endings.
//!
//! Terminals and hosts end whole sessions and process groups; a refresh between its request and
//! its save must outlive that. SIGKILL and the helper's own deadline still end it.

/// Leaves the caller's session and ignores SIGINT, SIGTERM and SIGHUP from now on. (Rust ignores
/// SIGPIPE already.) Must be called within a tokio runtime.
///
/// # Errors
/// Where the signals cannot be taken over.
#[cfg(unix)]
pub(super) fn become_independent() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    // It fails only for a process group's leader, which then has a session's independence anyway.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of its own");
    }
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        // The handler stays for the life of the process, though nobody listens.
        drop(signal(kind)?);
    }
    Ok(())
}

/// Ignores Ctrl-C from now on: there are no sessions here.
#[cfg(not(unix))]
pub(super) fn become_independent() -> std::io::Result<()> {
    #[cfg(windows)]
    drop(tokio::signal::windows::ctrl_c()?);
    Ok(())
}
