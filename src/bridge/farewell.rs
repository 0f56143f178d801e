//! The ways in which a host says goodbye, other than closing stdin.
//!
//! Platform differences of the room live here.

use std::io;

use tokio::sync::watch;

use crate::signals::Signals;

/// What the watching thread has seen.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    parent_died: bool,
    stdin_closed: bool,
}

/// Signals, the death of the parent process, and the end of stdin before it has been read.
pub(super) struct Farewell {
    signals: Signals,
    seen: watch::Receiver<Seen>,
}

impl Farewell {
    /// Starts to listen.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, seen) = watch::channel(Seen::default());
        start_watching(sender);
        Ok(Self { signals: Signals::new()?, seen })
    }

    /// Resolves once the host has closed its end of stdin, read or unread; never where the
    /// platform does not tell.
    pub(super) fn stdin_closed(&self) -> impl Future<Output = ()> + use<> {
        let seen = self.seen.clone();
        async move { until(seen, |seen| seen.stdin_closed).await }
    }

    /// Waits for a signal or the parent's death, and names it.
    pub(super) async fn said(&mut self) -> &'static str {
        let parent_died = until(self.seen.clone(), |seen| seen.parent_died);
        tokio::select! {
            signal = self.signals.next() => signal,
            () = parent_died => "the parent process ended",
        }
    }
}

/// Resolves when the watcher reports it; never where there is no watcher.
async fn until(mut seen: watch::Receiver<Seen>, what: impl FnMut(&Seen) -> bool) {
    if seen.wait_for(what).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Watches from a thread of its own: the parent, for a host whose death leaves stdin open because
/// another process holds the pipe; and stdin's far end, for a host that closes it while nothing
/// reads. A parent-death signal would not do: it fires when the *thread* that started us ends.
/// Without a thread to spare, the end of stdin remains as the sign.
fn start_watching(sender: watch::Sender<Seen>) {
    // Of this moment: the thread may get its first turn only after the host has died.
    let parent = parent();
    let _no_thread = std::thread::Builder::new()
        .name("farewell".into())
        .stack_size(64 * 1024)
        .spawn(move || watching(parent, &sender));
}

/// A handle on the parent process.
#[cfg(target_os = "linux")]
fn parent() -> Option<std::os::fd::OwnedFd> {
    use rustix::process::{PidfdFlags, getppid, pidfd_open};

    pidfd_open(getppid()?, PidfdFlags::empty()).ok()
}

#[cfg(target_os = "linux")]
fn watching(mut parent: Option<std::os::fd::OwnedFd>, sender: &watch::Sender<Seen>) {
    use rustix::event::{PollFd, PollFlags, poll};

    let mut stdin = Some(rustix::stdio::stdin());
    while stdin.is_some() || parent.is_some() {
        // Hangups are reported unasked; data that waits to be read is not asked about.
        let of_stdin = stdin.iter().map(|stdin| PollFd::new(stdin, PollFlags::RDHUP));
        let of_parent = parent.iter().map(|parent| PollFd::new(parent, PollFlags::IN));
        let mut polled: Vec<_> = of_stdin.chain(of_parent).collect();
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let mut fired = polled.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
        let stdin_closed = stdin.is_some() && fired.next() == Some(true);
        let parent_died = parent.is_some() && fired.next() == Some(true);
        sender.send_modify(|seen| {
            seen.stdin_closed |= stdin_closed;
            seen.parent_died |= parent_died;
        });
        stdin = stdin.filter(|_| !stdin_closed);
        parent = parent.filter(|_| !parent_died);
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn parent() -> Option<rustix::process::Pid> {
    rustix::process::getppid()
}

/// By looking at the parent every second: there is no handle to wait on that all these systems
/// have.
#[cfg(all(unix, not(target_os = "linux")))]
fn watching(parent: Option<rustix::process::Pid>, sender: &watch::Sender<Seen>) {
    while rustix::process::getppid() == parent {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    sender.send_modify(|seen| seen.parent_died = true);
}

#[cfg(not(unix))]
fn parent() {}

/// Nothing to watch: stdin ends with the host.
#[cfg(not(unix))]
fn watching(_parent: (), _sender: &watch::Sender<Seen>) {}
