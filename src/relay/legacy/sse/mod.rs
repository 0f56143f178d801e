//! A session over HTTP+SSE (2024-11-05): one stream from the server, and a POST for each message to
//! it.
//!
//! A stream is a session, and ends it. Whoever waits for an answer on a stream that breaks gets an
//! error at once, for the server may have acted; what has not gone out waits for the next stream,
//! in which the host's own `initialize` and `initialized` are said again, and what it had asked of its
//! session. Where there are no streams any more, they are said over Streamable HTTP, and from then on all
//! the rest.

mod connection;
mod exchange;
mod fallback;
mod keeping;

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub(super) use connection::Connection;
pub(super) use fallback::{answers, may_have_left, may_mean_sse};
use keeping::Standing;

use crate::upstream::Transport;

/// What is known of the transport, and the stream that stands.
pub(in crate::relay) struct Sse {
    transport: Transport,
    state: Mutex<State>,
    standing: watch::Sender<Standing>,
    /// Somebody waits for a stream, so that the next attempt comes soon.
    wanted: Notify,
    /// How many wait.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Whether the server speaks this transport.
    spoken: bool,
    /// There while somebody sees to it that there is a stream; cancelled, it ends that.
    kept: Option<CancellationToken>,
}

impl Sse {
    pub(super) fn new(transport: Transport) -> Self {
        let state = State { spoken: transport == Transport::Sse, ..State::default() };
        Self {
            transport,
            state: Mutex::new(state),
            standing: watch::Sender::new(Standing::default()),
            wanted: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether messages travel this way.
    pub(super) fn is_spoken(&self) -> bool {
        self.state().spoken
    }

    /// Whether the server may turn out to speak it.
    pub(super) fn may_be_spoken(&self) -> bool {
        self.transport != Transport::Http
    }

    /// Whether the server may turn out not to speak it.
    pub(super) fn may_be_left(&self) -> bool {
        self.transport != Transport::Sse
    }

    /// The server speaks something else; whoever waits for a stream goes another way.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.spoken = false;
        state.kept = None;
        self.standing.send_modify(Standing::leave);
    }
}
