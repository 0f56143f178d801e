//! Framing of stdin: whatever pieces the bytes come in, and whenever the reading is given up and taken
//! up again, the same lines come out, each to the byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use mcp_front::stdio::{LineError, Reader};
use tokio::io::{AsyncRead, ReadBuf};

#[derive(Debug, PartialEq)]
enum Read {
    Line(Bytes),
    Cut,
}

/// The first byte says how long the pieces are, the others are what comes in.
pub fn check(data: &[u8]) {
    let Some((&control, input)) = data.split_first() else { return };
    let whole = read(Pieces::new(Bytes::copy_from_slice(input), usize::MAX));
    assert_eq!(whole, expected(input));
    let pieces = Pieces::new(Bytes::copy_from_slice(input), usize::from(control) % 61 + 1);
    assert_eq!(read(pieces), whole);
}

/// The lines of the input, read in the plainest way.
fn expected(input: &[u8]) -> Vec<Read> {
    let is_there = |line: &&[u8]| !line.trim_ascii().is_empty();
    let mut lines: Vec<_> = input.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    let lines = lines.into_iter().filter(is_there);
    let mut found: Vec<_> = lines.map(|line| Read::Line(Bytes::copy_from_slice(line.trim_ascii()))).collect();
    if is_there(&rest) {
        found.push(Read::Cut);
    }
    found
}

fn read(pieces: Pieces) -> Vec<Read> {
    let most = pieces.rest.len() + 2;
    let mut reader = Reader::of(pieces);
    let mut found = Vec::new();
    while found.len() < most {
        // Each time nothing is there yet, the reading is given up and begun anew.
        let Some(next) = reader.next().now_or_never() else { continue };
        found.push(match next {
            Ok(None) => return found,
            Ok(Some(line)) => Read::Line(line),
            Err(LineError::Cut) => Read::Cut,
            Err(error @ (LineError::TooLong | LineError::Io(_))) => panic!("nothing failed: {error}"),
        });
    }
    panic!("more lines than bytes")
}

/// Bytes that come in pieces; between two of them, nothing is there.
struct Pieces {
    rest: Bytes,
    length: usize,
    is_dry: bool,
}

impl Pieces {
    fn new(bytes: Bytes, length: usize) -> Self {
        Self { rest: bytes, length, is_dry: false }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_dry = !self.is_dry;
        if self.is_dry {
            return Poll::Pending;
        }
        let length = self.length.min(self.rest.len()).min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(length));
        Poll::Ready(Ok(()))
    }
}
