//! The log file that `--log-file` names: for whoever wants to know later, and for hosts that throw
//! stderr away. Helper processes write to it too.
//!
//! It is this user's alone from the first byte, links are not followed, and two files of at most
//! [`LIMIT_BYTES`] are all there ever is: the second has `.1` behind its name. Any number of processes
//! share it. Each line is one append to the file that has the name at that moment; nothing is kept open
//! that another process may have moved away, and nobody waits for one that is moving it: there is room
//! for what is written meanwhile. A line that cannot be written is lost, which is said where it begins.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::paths;

/// The size that no file exceeds.
const LIMIT_BYTES: u64 = 5 << 20;
/// The size beyond which a file is moved aside.
const FULL_BYTES: u64 = LIMIT_BYTES - (64 << 10);

thread_local! {
    /// Whether this thread is writing a line: what that logs itself must not begin another.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// The file, by its name.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    path: Arc<Path>,
    /// Whether the last line was lost.
    is_losing: Arc<AtomicBool>,
}

impl LogFile {
    /// Finds out that the file can be written.
    ///
    /// # Errors
    /// Where it is a link or somebody else's, and what the system refuses.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        paths::append_private(path)?;
        Ok(Self { path: path.into(), is_losing: Arc::default() })
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let file = paths::append_private(&self.path)?;
        if !exceeds(FULL_BYTES, &file, line)? {
            return (&file).write_all(line);
        }
        let moves = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        // Somebody may have moved it just now.
        let mut current = paths::append_private(&self.path)?;
        if moves && exceeds(FULL_BYTES, &current, line)? {
            std::fs::rename(&self.path, self.older())?;
            current = paths::append_private(&self.path)?;
        }
        if exceeds(LIMIT_BYTES, &current, line)? {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "another process keeps it full"));
        }
        current.write_all(line)
    }

    /// Tells where the losses begin.
    fn tell(&self, appended: &io::Result<()>) {
        let was_losing = self.is_losing.swap(appended.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (appended, was_losing) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "nothing is logged to the file until this is over");
        }
    }

    fn older(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".1");
        name.into()
    }
}

/// Whether the file would grow beyond `limit` by the line; one that is empty takes any.
fn exceeds(limit: u64, file: &File, line: &[u8]) -> io::Result<bool> {
    let bytes = file.metadata()?.len();
    Ok(bytes > 0 && bytes + line.len() as u64 > limit)
}

impl Write for LogFile {
    /// Takes a whole line. What became of it is no business of whoever logs.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !WRITING.replace(true) {
            let appended = self.append(line);
            self.tell(&appended);
            WRITING.set(false);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
