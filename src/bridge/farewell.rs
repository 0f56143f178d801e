//! The ways in which a host says goodbye, other than closing stdin.
//!
//! Platform differences of the room live here.

use std::io;

use tokio::sync::oneshot;

/// Signals, and the death of the parent process.
pub(super) struct Farewell {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 3],
    parent: oneshot::Receiver<()>,
}

#[cfg(unix)]
impl Farewell {
    /// Starts to listen.
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self { signals, parent: watch_parent() })
    }

    /// Waits for any of them, and names it.
    pub(super) async fn said(&mut self) -> &'static str {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hangup.recv() => "SIGHUP",
            () = died(&mut self.parent) => "the parent process ended",
        }
    }
}

#[cfg(not(unix))]
impl Farewell {
    /// Starts to listen.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { parent: oneshot::channel().1 })
    }

    /// Waits for any of them, and names it.
    pub(super) async fn said(&mut self) -> &'static str {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => "Ctrl-C",
            () = died(&mut self.parent) => "the parent process ended",
        }
    }
}

/// Resolves when the watcher reports a death; never where there is no watcher.
async fn died(parent: &mut oneshot::Receiver<()>) {
    if parent.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Watches the parent from a thread of its own, for a host whose death leaves stdin open because
/// another process holds the pipe. A parent-death signal would not do: it fires when the *thread*
/// that started us ends.
#[cfg(target_os = "linux")]
fn watch_parent() -> oneshot::Receiver<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{PidfdFlags, getppid, pidfd_open};

    let (sender, receiver) = oneshot::channel();
    let watched = getppid().and_then(|parent| pidfd_open(parent, PidfdFlags::empty()).ok());
    if let Some(parent) = watched {
        let watch = move || {
            let mut polled = [PollFd::new(&parent, PollFlags::IN)];
            while poll(&mut polled, None) == Err(rustix::io::Errno::INTR) {}
            let _bridge_gone = sender.send(());
        };
        // Without a thread to spare, closing stdin remains as the sign.
        let _no_thread = std::thread::Builder::new().name("parent".into()).stack_size(64 * 1024).spawn(watch);
    }
    receiver
}

/// As on Linux, by looking every second: there is no handle to wait on that all these systems have.
#[cfg(all(unix, not(target_os = "linux")))]
fn watch_parent() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    let parent = rustix::process::getppid();
    let watch = move || {
        while rustix::process::getppid() == parent {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        let _bridge_gone = sender.send(());
    };
    let _no_thread = std::thread::Builder::new().name("parent".into()).stack_size(64 * 1024).spawn(watch);
    receiver
}
