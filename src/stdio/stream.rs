//! stdin and stdout as asynchronous byte streams.
//!
//! Platform differences of the room live here.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Stdin, Stdout};

#[cfg(unix)]
type Polled = tokio::io::unix::AsyncFd<std::os::fd::BorrowedFd<'static>>;

/// The process's stdin.
pub(super) enum Input {
    /// A pipe or a socket, polled.
    #[cfg(unix)]
    Polled(Polled),
    /// Anything else, read by a thread.
    Threaded(Stdin),
}

/// The process's stdout.
pub(super) enum Output {
    /// A pipe or a socket, polled.
    #[cfg(unix)]
    Polled(Polled),
    /// Anything else, written by a thread.
    Threaded(Stdout),
}

impl Input {
    /// Takes the process's stdin.
    pub(super) fn open() -> Self {
        #[cfg(unix)]
        if let Some(polled) = poll(rustix::stdio::stdin()) {
            return Self::Polled(polled);
        }
        Self::Threaded(tokio::io::stdin())
    }

    /// Reads what there is, at least one byte; 0 at the end. Cancel-safe.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Self::Polled(polled) => loop {
                let mut ready = polled.readable().await?;
                match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?)) {
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(result) => return result,
                    Err(_would_block) => {}
                }
            },
            Self::Threaded(stdin) => stdin.read(buffer).await,
        }
    }
}

impl Output {
    /// Takes the process's stdout.
    pub(super) fn open() -> Self {
        #[cfg(unix)]
        if let Some(polled) = poll(rustix::stdio::stdout()) {
            return Self::Polled(polled);
        }
        Self::Threaded(tokio::io::stdout())
    }

    /// Writes all of it. Not cancel-safe: a part may have gone out.
    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Polled(polled) => {
                while !bytes.is_empty() {
                    let written = match rustix::io::write(polled.get_ref(), bytes) {
                        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                        Ok(written) => written,
                        Err(rustix::io::Errno::INTR) => continue,
                        Err(rustix::io::Errno::AGAIN) => {
                            polled.writable().await?.clear_ready();
                            continue;
                        }
                        Err(error) => return Err(error.into()),
                    };
                    bytes = &bytes[written..];
                }
                Ok(())
            }
            Self::Threaded(stdout) => {
                stdout.write_all(bytes).await?;
                stdout.flush().await
            }
        }
    }
}

/// Makes a pipe or a socket non-blocking and registers it; `None` where it is neither. Only these
/// are ours alone: the flag would reach through a terminal or a file to whoever shares it.
#[cfg(unix)]
fn poll(fd: std::os::fd::BorrowedFd<'static>) -> Option<Polled> {
    use rustix::fs::{FileType, OFlags};

    let kind = FileType::from_raw_mode(rustix::fs::fstat(fd).ok()?.st_mode);
    if !matches!(kind, FileType::Fifo | FileType::Socket) {
        return None;
    }
    let flags = rustix::fs::fcntl_getfl(fd).ok()?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK).ok()?;
    tokio::io::unix::AsyncFd::new(fd).ok()
}
