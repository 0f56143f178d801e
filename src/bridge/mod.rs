//! One stdio host: stdin and stdout around a relay session, until EOF or a signal.

mod farewell;

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::authorizer::Authorizer;
use crate::jsonrpc::{ErrorResponse, Id, code};
use crate::relay::{Leave, Session};
use crate::stdio::{LineError, Reader, Writer};
use crate::upstream::streamable_http::StreamableHttp;

/// How many messages may wait for a host that reads slowly, before the server has to wait.
const OUTBOX: usize = 16;
/// How long the host has to take the last messages.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(200);

/// What a bridge connects.
pub struct Config {
    /// The MCP endpoint.
    pub upstream: StreamableHttp,
    /// The keeper of its login.
    pub authorizer: Authorizer,
}

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

/// Bridges stdin and stdout to the endpoint until the host closes stdin, dies, or signals.
///
/// # Errors
/// [`BridgeError`]; a host that has gone is none.
pub async fn run(config: Config) -> Result<(), BridgeError> {
    let mut farewell = farewell::Farewell::new().map_err(BridgeError::Signals)?;
    let (outbox, queue) = mpsc::channel(OUTBOX);
    let mut writer = tokio::spawn(Writer::stdout(queue).run());
    let session = Session::new(config.upstream, config.authorizer, outbox.clone());
    let end = tokio::select! {
        end = pump(&session, &outbox) => end,
        cause = farewell.said() => {
            tracing::debug!(cause, "leaving");
            End::Signal
        }
        written = &mut writer => {
            tracing::debug!(?written, "nobody reads stdout any more");
            End::HostGone
        }
    };
    session.close(if matches!(end, End::Eof) { Leave::Peaceful } else { Leave::Hurried }).await;
    drop((session, outbox));
    if !writer.is_finished() {
        let _unread = tokio::time::timeout(LAST_WORDS, writer).await;
    }
    match end {
        End::Broken(error) => Err(BridgeError::Input(error)),
        End::Eof | End::Signal | End::HostGone => Ok(()),
    }
}

/// Feeds the session from stdin.
async fn pump(session: &Session, outbox: &mpsc::Sender<Bytes>) -> End {
    let mut reader = Reader::stdin();
    loop {
        let error = match reader.next().await {
            Ok(Some(line)) => {
                session.accept(line).await;
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
