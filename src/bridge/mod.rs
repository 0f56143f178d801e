//! One stdio host: stdin and stdout around a relay session, until EOF or a signal.

mod farewell;
mod threshold;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::jsonrpc::{ErrorResponse, Id, code};
use crate::relay::{Config, Leave};
use crate::stdio::{LineError, Reader, Writer};
use farewell::Farewell;
use threshold::Threshold;
pub use threshold::Unknown;

/// How many messages may wait for a host that reads slowly, before the server has to wait.
const OUTBOX: usize = 16;
/// How long a host that has closed its side may take to read the last messages.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The same for a host that is about to kill.
const HURRIED_LAST_WORDS: Duration = Duration::from_millis(100);
/// How long what a host wrote before it closed stdin may take to be read, where the host in turn
/// does not read its answers.
const REST_LIMIT: Duration = Duration::from_secs(1);

/// Why a bridge ended other than in peace.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// stdin cannot be read.
    #[error("stdin cannot be read")]
    Input(#[source] io::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
}

/// Why the host's session is over.
enum End {
    Eof,
    Signal,
    HostGone,
    Broken(io::Error),
}

/// Bridges stdin and stdout to the endpoint until the host closes stdin, dies, or signals. Where it
/// was not `found`, each request asks `find` for it. `greet` is called once signals are minded.
///
/// # Errors
/// [`BridgeError`]; a host that has gone is none.
pub async fn run(
    found: Result<Config, Unknown>,
    find: impl FnMut() -> Result<Config, Unknown>,
    greet: impl FnOnce(),
) -> Result<(), BridgeError> {
    let mut farewell = Farewell::new().map_err(BridgeError::Signals)?;
    greet();
    let (outbox, queue) = mpsc::channel(OUTBOX);
    let mut writer = tokio::spawn(Writer::stdout(queue).run());
    let mut threshold = Threshold::new(found, find, outbox.clone());
    let end = tokio::select! {
        end = pump(&mut threshold, &outbox, farewell.stdin_closed()) => end,
        cause = farewell.said() => {
            tracing::debug!(cause, "leaving");
            End::Signal
        }
        written = &mut writer => {
            tracing::debug!(?written, "nobody reads stdout any more");
            End::HostGone
        }
    };
    let mut last_words = HURRIED_LAST_WORDS;
    if matches!(end, End::Eof) {
        tokio::select! {
            () = threshold.close(Leave::Peaceful) => last_words = LAST_WORDS,
            _ = farewell.said() => threshold.close(Leave::Hurried).await,
        }
    } else {
        threshold.close(Leave::Hurried).await;
    }
    drop((threshold, outbox));
    if !writer.is_finished() {
        tokio::select! {
            _ = tokio::time::timeout(last_words, writer) => {}
            _ = farewell.said() => {}
        }
    }
    match end {
        End::Broken(error) => Err(BridgeError::Input(error)),
        End::Eof | End::Signal | End::HostGone => Ok(()),
    }
}

/// Feeds the session from stdin. Where the session takes nothing because the host does not read,
/// the end of stdin is noticed all the same.
async fn pump<F: FnMut() -> Result<Config, Unknown>>(
    threshold: &mut Threshold<F>,
    outbox: &mpsc::Sender<Bytes>,
    closed: impl Future<Output = ()>,
) -> End {
    let overdue = async {
        closed.await;
        tokio::time::sleep(REST_LIMIT).await;
    };
    tokio::select! {
        end = feed(threshold, outbox) => end,
        () = overdue => End::HostGone,
    }
}

async fn feed<F: FnMut() -> Result<Config, Unknown>>(
    threshold: &mut Threshold<F>,
    outbox: &mpsc::Sender<Bytes>,
) -> End {
    let mut reader = Reader::stdin();
    loop {
        let error = match reader.next().await {
            Ok(Some(line)) => {
                threshold.accept(line).await;
                continue;
            }
            Ok(None) => return End::Eof,
            Err(error) => error,
        };
        let answer = ErrorResponse::new(Id::Null, code::PARSE_ERROR, error.to_string());
        match error {
            LineError::Io(error) => return End::Broken(error),
            LineError::TooLong => {
                let _host_gone = outbox.send(answer.into_bytes()).await;
            }
            LineError::Cut => {
                let _host_gone = outbox.send(answer.into_bytes()).await;
                return End::Eof;
            }
        }
    }
}
