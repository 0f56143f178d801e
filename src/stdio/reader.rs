//! Lines from stdin.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;

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

/// Reads newline-delimited messages, from stdin as a rule.
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
        Self::new(Input::open())
    }

    /// Reads the same from any stream of bytes.
    pub fn of(stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::new(Input::of(stream))
    }

    fn new(input: Input) -> Self {
        Self {
            input,
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
                let length = self.scanned + at;
                let line = self.buffer.split_to(length + 1).freeze();
                self.scanned = 0;
                let is_too_long = std::mem::take(&mut self.skipping) || length > LINE_LIMIT;
                if is_too_long { Err(LineError::TooLong) } else { Ok(Some(line)) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_too_long_from_the_first_byte_over_the_limit() {
        let mut input = vec![b'x'; LINE_LIMIT + 1];
        input.push(b'\n');
        input.resize(input.len() + LINE_LIMIT, b'y');
        input.extend_from_slice(b"\n{}\n");
        let mut reader = Reader::of(io::Cursor::new(input));
        assert!(matches!(reader.next().await, Err(LineError::TooLong)));
        let longest = reader.next().await.unwrap().unwrap();
        assert!(longest.len() == LINE_LIMIT && longest.iter().all(|byte| *byte == b'y'));
        assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"{}"[..]));
        assert!(matches!(reader.next().await, Ok(None)));
    }
}
