//! A server that speaks a revision from 2024-11-05 to 2025-11-25: a handshake, a session, a stream of
//! what the server says of itself (MCP lifecycle and transports).

mod again;
mod handshake;
mod listening;
mod notifications;
mod questions;
mod renewal;
mod requests;
mod resumption;
mod sse;
mod stand_in;
mod wishes;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::sync::{Notify, RwLock, mpsc};

pub(super) use handshake::Epoch;
use handshake::Handshake;
use notifications::Notifications;
use questions::Questions;
pub(super) use resumption::Position;
use sse::Sse;
use stand_in::StandIn;
pub(super) use wishes::Wish;
use wishes::Wishes;

use crate::jsonrpc::Message;
use crate::upstream::Transport;

/// What a session with such a server consists of.
pub(super) struct Legacy {
    pub(super) handshake: Handshake,
    pub(super) questions: Questions,
    pub(super) notifications: Notifications,
    pub(super) stand_in: StandIn,
    pub(super) wishes: Wishes,
    /// HTTP+SSE, where the server speaks that.
    sse: Sse,
    /// Held for writing while `initialize` or `notifications/initialized` is under way, in the
    /// order of their arrival: what follows them has to reach the server after them.
    gate: Arc<RwLock<()>>,
    /// Something that the server would have told may have been told to nobody.
    pub(super) missed: Notify,
    /// Another session has taken the place of the host's.
    replaced: Notify,
    /// Held by the one that renews a lost session.
    renewal: tokio::sync::Mutex<()>,
    /// How many sessions in a row were lost soon after they began, and renewed though nobody asked for it.
    short_lived: AtomicU32,
}

impl Legacy {
    /// A session that has not begun, and the queue of the host's notifications.
    pub(super) fn new(transport: Transport) -> (Self, mpsc::Receiver<Message>) {
        let (notifications, queue) = Notifications::new();
        let legacy = Self {
            handshake: Handshake::default(),
            questions: Questions::default(),
            notifications,
            stand_in: StandIn::default(),
            wishes: Wishes::default(),
            sse: Sse::new(transport),
            gate: Arc::default(),
            missed: Notify::new(),
            replaced: Notify::new(),
            renewal: tokio::sync::Mutex::default(),
            short_lived: AtomicU32::new(0),
        };
        (legacy, queue)
    }

    /// Whether messages travel over HTTP+SSE.
    pub(super) fn is_over_sse(&self) -> bool {
        self.sse.is_spoken()
    }
}
