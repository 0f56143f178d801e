//! A helper process: the pipe between it and whoever starts it, and its place among processes.
//!
//! One JSON line goes in, one comes out; either may hold a secret. The helper has a session of its
//! own and is deaf to polite endings: terminals and hosts end whole sessions and process groups, and
//! a refresh between its request and its save must outlive that. SIGKILL and the helper's own
//! deadline still end it.

use std::io::{self, BufRead, Read, Write};
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::dumps;
use crate::signals;

/// The longest request or answer, in bytes.
const LINE_LIMIT: u64 = 1024 * 1024;
/// A longer line would be reallocated while it grows, and leave copies behind.
const USUAL_BYTES: usize = 16 * 1024;

/// Starts a helper, sends it `request` and waits for its answer. It may live on after that.
///
/// # Errors
/// Where it does not start, takes no request, or ends without an answer.
///
/// # Cancel safety
/// Dropping the future leaves a helper that has its request to its own end.
pub(super) async fn ask<R: Serialize, A: DeserializeOwned>(
    mut command: Command,
    request: &R,
) -> io::Result<A> {
    let line = line_of(request)?;
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // It may be one that starts a browser.
    let mut child = dumps::lifted(|| command.spawn())?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    // It may have to save for a while yet; whoever outlives it reaps it.
    tokio::spawn(async move { child.wait().await });
    if let Some(mut stdin) = stdin {
        stdin.write_all(&line).await?;
    }
    let mut answer = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
    if let Some(stdout) = stdout {
        let mut stdout = stdout.take(LINE_LIMIT);
        while !answer.ends_with(b"\n") && stdout.read_buf(&mut *answer).await? > 0 {}
    }
    if answer.is_empty() {
        return Err(io::Error::other("it ended without an answer"));
    }
    Ok(serde_json::from_slice(&answer)?)
}

fn line_of(value: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
    serde_json::to_writer(&mut *line, value)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads the request, in the helper.
///
/// # Errors
/// Where stdin holds none.
pub(super) fn read_request<T: DeserializeOwned>() -> io::Result<T> {
    let mut line = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
    io::stdin().lock().take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

/// Writes the answer, in the helper. Whoever asked may be gone, which is no error.
///
/// # Errors
/// Where the answer has no form in JSON.
pub(super) fn write_answer<T: Serialize>(answer: &T) -> io::Result<()> {
    let line = line_of(answer)?;
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(&line).and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "nobody waits for the answer");
    }
    Ok(())
}

/// Leaves the caller's session and ignores SIGINT, SIGTERM and SIGHUP from now on. (Rust ignores
/// SIGPIPE already.) Must be called within a tokio runtime.
///
/// # Errors
/// Where the signals cannot be taken over.
pub(super) fn become_independent() -> io::Result<()> {
    // It fails only for a process group's leader, which then has a session's independence anyway.
    #[cfg(unix)]
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of its own");
    }
    signals::ignore()
}
