//! stdin and stdout as asynchronous byte streams.
//!
//! Platform differences of the room live here.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The process's stdin.
pub(super) struct Input(Box<dyn AsyncRead + Send + Unpin>);

/// The process's stdout.
pub(super) struct Output(Box<dyn AsyncWrite + Send + Unpin>);

impl Input {
    /// Takes the process's stdin.
    pub(super) fn open() -> Self {
        #[cfg(unix)]
        if let Some(polled) = polled::input() {
            return Self(polled);
        }
        Self::of(tokio::io::stdin())
    }

    /// Takes another stream in its place.
    pub(super) fn of(stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// Reads what there is, at least one byte; 0 at the end. Cancel-safe.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }
}

impl Output {
    /// Takes the process's stdout.
    pub(super) fn open() -> Self {
        #[cfg(unix)]
        if let Some(polled) = polled::output() {
            return Self(polled);
        }
        Self(Box::new(tokio::io::stdout()))
    }

    /// Writes all of it. Not cancel-safe: a part may have gone out.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }
}

/// Pipes and sockets, made non-blocking. Only these are ours alone: the flag would reach through a
/// terminal or a file to whoever shares it.
#[cfg(unix)]
mod polled {
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::fs::FileType;
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    /// What a pipe is asked to hold, in bytes: large frames then cross in few turns. It is the most
    /// that Linux grants without privileges.
    #[cfg(target_os = "linux")]
    const PIPE_SIZE: usize = 1024 * 1024;

    pub(super) fn input() -> Option<Box<dyn AsyncRead + Send + Unpin>> {
        let (kind, fd) = owned(rustix::stdio::stdin())?;
        Some(match kind {
            FileType::Fifo => Box::new(pipe::Receiver::from_owned_fd(fd).ok()?),
            FileType::Socket => Box::new(socket(fd)?),
            _ => return None,
        })
    }

    pub(super) fn output() -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
        let (kind, fd) = owned(rustix::stdio::stdout())?;
        Some(match kind {
            FileType::Fifo => Box::new(pipe::Sender::from_owned_fd(fd).ok()?),
            FileType::Socket => Box::new(socket(fd)?),
            _ => return None,
        })
    }

    fn owned(fd: BorrowedFd<'static>) -> Option<(FileType, OwnedFd)> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(fd).ok()?.st_mode);
        #[cfg(target_os = "linux")]
        if kind == FileType::Fifo {
            // A pipe that stays small is slower, and nothing else.
            let _granted = rustix::pipe::fcntl_setpipe_size(fd, PIPE_SIZE);
        }
        Some((kind, fd.try_clone_to_owned().ok()?))
    }

    fn socket(fd: OwnedFd) -> Option<UnixStream> {
        let socket = std::os::unix::net::UnixStream::from(fd);
        socket.set_nonblocking(true).ok()?;
        UnixStream::from_std(socket).ok()
    }
}
