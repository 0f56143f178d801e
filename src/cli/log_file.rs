//! The log file that `--log-file` names: for whoever wants to know later, and for hosts that throw
//! stderr away. Helper processes write to it too.
//!
//! It is this user's alone from the first byte, links are not followed, and two files of at most
//! [`LIMIT_BYTES`] are all there ever is: the second has `.1` behind its name. Any number of processes
//! share it. Each line is one append to the file that has the name at that moment; nothing is kept open
//! that another process may have moved away.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::paths;

/// The size beyond which a file is moved aside.
const LIMIT_BYTES: u64 = 5 << 20;

thread_local! {
    /// Whether this thread is writing a line: what that logs itself must not begin another.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// The file, by its name.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    path: Arc<Path>,
}

impl LogFile {
    /// Finds out that the file can be written.
    ///
    /// # Errors
    /// Where it is a link or somebody else's, and what the system refuses.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        paths::append_private(path)?;
        Ok(Self { path: path.into() })
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = paths::append_private(&self.path)?;
        if is_full(&file, line)? {
            // Who waits for this lock finds another file under the name, and need not move it.
            file.lock()?;
            let mut current = paths::append_private(&self.path)?;
            if is_full(&current, line)? {
                std::fs::rename(&self.path, self.older())?;
                current = paths::append_private(&self.path)?;
            }
            return current.write_all(line);
        }
        file.write_all(line)
    }

    fn older(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".1");
        name.into()
    }
}

fn is_full(file: &File, line: &[u8]) -> io::Result<bool> {
    let bytes = file.metadata()?.len();
    Ok(bytes > 0 && bytes + line.len() as u64 > LIMIT_BYTES)
}

impl Write for LogFile {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !WRITING.replace(true) {
            let appended = self.append(line);
            WRITING.set(false);
            appended?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
