//! What `initialize` settled: session id, protocol version, what the server offers to tell of, and how
//! to settle it again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::jsonrpc::{Head, Id, Message, edit};
use crate::relay::tells::Tells;
use crate::wire::{PROTOCOL_VERSION, SESSION_ID, header_value};

/// The first revision that wants a version header (2025-06-18, "Protocol Version Header").
const FIRST_WITH_VERSION_HEADER: &str = "2025-06-18";
/// The only revision with batches.
const WITH_BATCHES: &str = "2025-03-26";

/// The state of the handshake with the server.
#[derive(Default)]
pub(in crate::relay) struct Handshake {
    state: Mutex<State>,
    /// Marked whenever a new session stands in place of a lost one.
    renewals: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    initialize: Option<Message>,
    initialized: Option<Message>,
    session_id: Option<HeaderValue>,
    version: Option<String>,
    /// What the host was promised to hear of; `None` before it has had an answer.
    promised: Option<Tells>,
    /// The server's latest answer to `initialize`.
    answer: Option<Message>,
    epoch: Epoch,
    /// Cancelled when another session takes this one's place.
    superseded: CancellationToken,
    /// The session whose server has not taken `initialized`.
    unheard: Option<Epoch>,
    listening: Option<Epoch>,
    /// Whether the server has lost the session, and no new one stands yet.
    lost: bool,
}

/// Counts the sessions with the server, so that of many requests that find a session lost only
/// the first renews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::relay) struct Epoch(u64);

/// What to replay so that the server knows the session again.
pub(in crate::relay) struct Replay {
    pub(in crate::relay) initialize: Message,
    pub(in crate::relay) initialized: Option<Message>,
}

impl Handshake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new `initialize` of the host: whatever was settled before is void. Gives the headers of
    /// the session that this leaves behind, where there was one.
    pub(in crate::relay) fn begin(&self, initialize: Message) -> Option<HeaderMap> {
        let mut state = self.state();
        let left = Some(state.headers()).filter(|headers| headers.contains_key(SESSION_ID));
        let epoch = Epoch(state.epoch.0 + 1);
        state.superseded.cancel();
        *state = State { initialize: Some(initialize), epoch, ..State::default() };
        left
    }

    /// The server's side of `initialize`: the session id it assigned.
    pub(in crate::relay) fn assign(&self, session_id: Option<HeaderValue>) {
        self.state().session_id = session_id;
    }

    /// Takes from an answer what it settles, if it is the answer to `initialize`. The first one is the
    /// host's.
    pub(in crate::relay) fn record_answer(&self, answer: &Message) {
        let Head::Response { id, protocol_version: Some(version), .. } = answer.head() else { return };
        let mut state = self.state();
        let initialize = state.initialize.as_ref();
        if initialize.and_then(|message| message.head().request_id()) == Some(id) {
            state.version = Some(version.clone());
            state.promised.get_or_insert_with(|| tells(answer));
            state.answer = Some(answer.clone());
        }
    }

    /// The server's latest answer to `initialize`.
    pub(in crate::relay) fn answer(&self) -> Option<Message> {
        self.state().answer.clone()
    }

    /// What the server offers to tell of, and the host was promised to hear of.
    pub(in crate::relay) fn tells(&self) -> Tells {
        let state = self.state();
        state.promised.unwrap_or_default() & state.answer.as_ref().map(tells).unwrap_or_default()
    }

    /// Whether the host has said that its session stands.
    pub(in crate::relay) fn is_initialized(&self) -> bool {
        self.state().initialized.is_some()
    }

    /// Keeps the host's `notifications/initialized` for a replay.
    pub(in crate::relay) fn record_initialized(&self, message: Message) {
        self.state().initialized = Some(message);
    }

    /// Notes that the server of the session `epoch` has not taken `initialized`.
    pub(in crate::relay) fn note_unheard(&self, epoch: Epoch) {
        self.state().unheard = Some(epoch);
    }

    /// Notes that it has.
    pub(in crate::relay) fn note_heard(&self) {
        self.state().unheard = None;
    }

    /// The host's `initialized`, where the server of this session has not taken it.
    pub(in crate::relay) fn unheard(&self) -> Option<Message> {
        let state = self.state();
        state.initialized.clone().filter(|_| state.unheard == Some(state.epoch))
    }

    /// Claims the listening for this session, and gives what is cancelled at its end; `None` where
    /// somebody listens already.
    pub(in crate::relay) fn claim_listening(&self) -> Option<(Epoch, CancellationToken)> {
        let mut state = self.state();
        let epoch = state.epoch;
        let is_first = state.listening.replace(epoch) != Some(epoch);
        is_first.then(|| (epoch, state.superseded.clone()))
    }

    /// What is cancelled at the end of the session `epoch`; `None` where another one stands by now.
    pub(in crate::relay) fn superseded(&self, epoch: Epoch) -> Option<CancellationToken> {
        let state = self.state();
        (state.epoch == epoch).then(|| state.superseded.clone())
    }

    /// Which session this is.
    pub(in crate::relay) fn epoch(&self) -> Epoch {
        self.state().epoch
    }

    /// The session that stands; `None` where it is lost, and the next one is yet to come.
    pub(in crate::relay) fn standing(&self) -> Option<Epoch> {
        let state = self.state();
        (!state.lost).then_some(state.epoch)
    }

    /// Starts a new session in place of a lost one; `None` where the host never initialized.
    pub(in crate::relay) fn restart(&self) -> Option<Replay> {
        let mut state = self.state();
        let initialize = state.initialize.clone()?;
        state.session_id = None;
        state.epoch.0 += 1;
        std::mem::take(&mut state.superseded).cancel();
        state.lost = true;
        Some(Replay { initialize, initialized: state.initialized.clone() })
    }

    /// The new session stands.
    pub(in crate::relay) fn renewed(&self) {
        self.state().lost = false;
        self.renewals.send_replace(());
    }

    /// Tells when a new session stands in place of a lost one.
    pub(in crate::relay) fn renewals(&self) -> watch::Receiver<()> {
        self.renewals.subscribe()
    }

    /// Whether the session is lost, and no new one stands yet.
    pub(in crate::relay) fn is_lost(&self) -> bool {
        self.state().lost
    }

    /// Whether there is an `initialize` to replay.
    pub(in crate::relay) fn can_restart(&self) -> bool {
        self.state().initialize.is_some()
    }

    /// Whether the server has answered `initialize` with a version.
    pub(in crate::relay) fn is_settled(&self) -> bool {
        self.state().version.is_some()
    }

    /// The id of the last `initialize`.
    pub(in crate::relay) fn initialize_id(&self) -> Option<Id> {
        self.state().initialize.as_ref()?.head().request_id().cloned()
    }

    /// Whether the negotiated revision has batches.
    pub(in crate::relay) fn allows_batches(&self) -> bool {
        self.state().version.as_deref() == Some(WITH_BATCHES)
    }

    /// Session id and version, as every request after `initialize` carries them.
    pub(in crate::relay) fn headers(&self) -> HeaderMap {
        self.state().headers()
    }

    /// The same of the session `epoch`; `None` where another one stands by now.
    pub(in crate::relay) fn headers_of(&self, epoch: Epoch) -> Option<HeaderMap> {
        let state = self.state();
        (state.epoch == epoch).then(|| state.headers())
    }
}

/// What a server offers to tell of in answer to `initialize`.
fn tells(answer: &Message) -> Tells {
    let result = edit::member(answer.text(), "result").ok().flatten();
    result.and_then(|result| Tells::of(result).ok()).unwrap_or_default()
}

impl State {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.session_id {
            headers.insert(SESSION_ID, id.clone());
        }
        let version = self.version.as_deref().filter(|version| *version >= FIRST_WITH_VERSION_HEADER);
        // A version that is no header value would be an injection: it is left out.
        if let Some(version) = version.and_then(header_value) {
            headers.insert(PROTOCOL_VERSION, version);
        }
        headers
    }
}
