//! The signals that end the demo early.

use std::io;

/// Waits for SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
/// Where the system does not deliver signals to this process.
#[cfg(unix)]
pub(super) async fn interrupted() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Waits for Ctrl-C.
///
/// # Errors
/// Where the system does not deliver it to this process.
#[cfg(not(unix))]
pub(super) async fn interrupted() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
