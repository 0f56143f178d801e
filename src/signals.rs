//! The signals that ask a process to end: SIGINT, SIGTERM and SIGHUP; elsewhere Ctrl-C.
//!
//! Platform differences of the room live here.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for requests to end, which then end nothing by themselves any more.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    kinds: [Signal; 3],
}

impl Signals {
    /// Starts to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the signals cannot be taken over.
    #[cfg(unix)]
    pub fn new() -> io::Result<Self> {
        let kinds = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self { kinds })
    }

    /// Starts to listen with the first call of [`next`](Self::next).
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal, and names it. Cancel-safe.
    #[cfg(unix)]
    pub async fn next(&mut self) -> &'static str {
        let [interrupt, terminate, hangup] = &mut self.kinds;
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hangup.recv() => "SIGHUP",
        }
    }

    /// Waits for Ctrl-C. Cancel-safe.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> &'static str {
        // Where it cannot be watched it ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

/// Ignores all of them from now on. Must be called within a tokio runtime.
///
/// # Errors
/// Where the signals cannot be taken over.
pub fn ignore() -> io::Result<()> {
    // A handler stays for the life of the process, though nobody listens.
    drop(Signals::new()?);
    #[cfg(windows)]
    drop(tokio::signal::windows::ctrl_c()?);
    Ok(())
}
