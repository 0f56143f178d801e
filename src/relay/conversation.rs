//! What a host talks to: a session, or a translation with a session beneath it.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Ahead, Config, HostEra, Leave, Session};

/// One host's conversation with one service.
pub struct Conversation(Kind);

enum Kind {
    Straight(Session),
    /// For a host that speaks in an era of its own.
    Ahead(Ahead),
}

impl Conversation {
    /// Starts a conversation, as [`Session::new`].
    pub fn new(config: Config, outbox: mpsc::Sender<Bytes>) -> Self {
        Self(match config.era {
            HostEra::Auto => Kind::Straight(Session::new(config, outbox)),
            HostEra::Modern => Kind::Ahead(Ahead::new(config, outbox)),
        })
    }

    /// Takes one frame from the host, as [`Session::accept`].
    ///
    /// # Cancel safety
    /// A frame whose acceptance is dropped may be lost.
    pub async fn accept(&self, frame: Bytes) {
        match &self.0 {
            Kind::Straight(session) => session.accept(frame).await,
            Kind::Ahead(ahead) => ahead.accept(frame).await,
        }
    }

    /// Ends the conversation, as [`Session::close`]; takes up to 200 ms longer where there is a
    /// translation.
    ///
    /// # Cancel safety
    /// May be called again, in a hurry, where the first call was dropped.
    pub async fn close(&self, leave: Leave) {
        match &self.0 {
            Kind::Straight(session) => session.close(leave).await,
            Kind::Ahead(ahead) => ahead.close(leave).await,
        }
    }
}
