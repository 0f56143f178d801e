//! Lines to stdout.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::stream::Output;

/// How many messages may wait for a slow reader before whoever sends one has to wait too.
const QUEUE: usize = 16;

/// The sole owner of stdout: writes one message a line.
pub struct Writer {
    output: Output,
    queue: mpsc::Receiver<Bytes>,
}

/// Hands messages to the [`Writer`]. Clones share its queue.
#[derive(Clone)]
pub struct WriterHandle(mpsc::Sender<Bytes>);

impl Writer {
    /// Takes the process's stdout. Must be called within a tokio runtime.
    pub fn stdout() -> (Self, WriterHandle) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self { output: Output::open(), queue }, WriterHandle(sender))
    }

    /// Writes until every handle is gone.
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

impl WriterHandle {
    /// Queues one message, which holds no newline. Waits while the reader is slow; `false` where
    /// the writer has ended.
    ///
    /// # Cancel safety
    /// The message is queued whole or not at all.
    pub async fn send(&self, message: Bytes) -> bool {
        self.0.send(message).await.is_ok()
    }
}
