//! Lines to stdout.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::stream::Output;

/// The sole owner of stdout: writes one message a line.
pub struct Writer {
    output: Output,
    queue: mpsc::Receiver<Bytes>,
}

impl Writer {
    /// Takes the process's stdout, and the queue of messages for it, which hold no newline. Must
    /// be called within a tokio runtime.
    pub fn stdout(queue: mpsc::Receiver<Bytes>) -> Self {
        Self { output: Output::open(), queue }
    }

    /// Writes until every sender is gone.
    ///
    /// # Errors
    /// Where stdout cannot be written; [`io::ErrorKind::BrokenPipe`] where the host has gone.
    pub async fn run(mut self) -> io::Result<()> {
        /// Up to this size, a message and its newline go out in one write.
        const TOGETHER: usize = 64 * 1024;
        let mut line = Vec::new();
        while let Some(message) = self.queue.recv().await {
            if message.len() < TOGETHER {
                line.clear();
                line.extend_from_slice(&message);
                line.push(b'\n');
                self.output.write_all(&line).await?;
            } else {
                self.output.write_all(&message).await?;
                self.output.write_all(b"\n").await?;
            }
        }
        Ok(())
    }
}
