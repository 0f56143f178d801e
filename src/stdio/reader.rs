//! Lines from stdin.

use std::io;

use bytes::{Bytes, BytesMut};

use super::LINE_LIMIT;
use super::stream::Input;

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Longer than [`LINE_LIMIT`]; it was skipped, and reading may go on.
    #[error("a line longer than {} MiB was skipped", LINE_LIMIT / 1024 / 1024)]
    TooLong,
    /// The input ended within a line.
    #[error("the input ended within a line")]
    Cut,
    /// The input cannot be read.
    #[error("stdin cannot be read")]
    Io(#[from] io::Error),
}

/// Reads newline-delimited messages from stdin.
pub struct Reader {
    input: Input,
    chunk: Box<[u8]>,
    buffer: BytesMut,
    /// How far `buffer` is known to hold no newline.
    scanned: usize,
    /// Whether the line under way is too long and is being skipped.
    skipping: bool,
}

impl Reader {
    /// Takes the process's stdin. Must be called within a tokio runtime.
    pub fn stdin() -> Self {
        Self {
            input: Input::open(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            buffer: BytesMut::new(),
            scanned: 0,
            skipping: false,
        }
    }

    /// The next line that is not blank, without its line ending; `None` at the end of the input.
    ///
    /// # Errors
    /// As [`LineError`] tells; after [`LineError::TooLong`] the next call goes on behind that line.
    ///
    /// # Cancel safety
    /// A partial line survives.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            while let Some(line) = self.buffered_line()? {
                let line = trimmed(line);
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            match self.input.read(&mut self.chunk).await? {
                0 if std::mem::take(&mut self.skipping) => return Err(LineError::TooLong),
                0 if self.buffer.trim_ascii().is_empty() => return Ok(None),
                0 => {
                    self.buffer.clear();
                    self.scanned = 0;
                    return Err(LineError::Cut);
                }
                read => self.buffer.extend_from_slice(&self.chunk[..read]),
            }
        }
    }

    fn buffered_line(&mut self) -> Result<Option<Bytes>, LineError> {
        match memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            Some(at) => {
                let line = self.buffer.split_to(self.scanned + at + 1).freeze();
                self.scanned = 0;
                if std::mem::take(&mut self.skipping) { Err(LineError::TooLong) } else { Ok(Some(line)) }
            }
            None => {
                if self.skipping || self.buffer.len() > LINE_LIMIT {
                    self.skipping = true;
                    // Its room is given back: a line this long is no common guest.
                    self.buffer = BytesMut::new();
                }
                self.scanned = self.buffer.len();
                Ok(None)
            }
        }
    }
}

fn trimmed(line: Bytes) -> Bytes {
    line.slice_ref(line.trim_ascii())
}
