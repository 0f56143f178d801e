//! Newline-delimited messages on stdin and stdout (MCP transports, "stdio").
//!
//! [`Reader`] hands out one line after the other, bounded in length; [`Writer`] is the sole owner
//! of stdout. Where stdin and stdout are pipes or sockets, as every host makes them, they are
//! polled directly: a hop through a blocking thread costs more than all else that is done to a
//! frame. Files and terminals go through tokio's threads.

mod reader;
mod stream;
mod writer;

pub use reader::{LineError, Reader};
pub use writer::Writer;

/// The longest line that is taken, in bytes.
pub const LINE_LIMIT: usize = 64 * 1024 * 1024;
