//! How host and server come to know each other, and how a modern server is known by its answer to
//! a legacy host's `initialize` (2026-07-28, versioning and Streamable HTTP, "Backward
//! Compatibility").

use bytes::Bytes;

use super::introduction::{Discovered, Introduction};
use super::requests::ambiguous;
use crate::jsonrpc::{Head, Message, code, edit};
use crate::relay::era::tells_of_server;
use crate::relay::exchange::Outgoing;
use crate::relay::modern::Replies;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Answer, Reply};
use crate::wire::{LATEST_WITH_INITIALIZE, WITHOUT_INITIALIZE};

/// Whether the answer to `initialize` may be that of a server that knows no such thing: its own
/// error, of whatever code, or a version in which there is no `initialize`. Nothing else is worth
/// a second question; what says no more than a status is another transport's, or nobody's.
async fn may_be_modern(reply: &mut Reply) -> bool {
    match reply {
        Reply::Message(body) => is_no_answer(body),
        Reply::Events(stream) => stream.peek().await.is_some_and(|message| is_no_answer(&message)),
        Reply::Rejected(rejection) | Reply::SessionGone(rejection) => {
            let says_why = rejection.body.as_ref().is_some_and(|body| code::of(body).is_some());
            let status = rejection.status.as_u16();
            says_why && rejection.status.is_client_error() && !matches!(status, 401 | 403 | 407 | 408 | 429)
        }
        _ => false,
    }
}

/// Whether a message is no answer that `initialize` could have.
fn is_no_answer(message: &Bytes) -> bool {
    match Message::parse(message.clone()).as_ref().map(Message::head) {
        Ok(Head::Response { successful: false, .. }) => true,
        Ok(Head::Response { protocol_version: Some(version), .. }) => {
            version.as_str() > LATEST_WITH_INITIALIZE
        }
        _ => false,
    }
}

/// What a server turns out to be that was asked what it is.
enum Found<T> {
    Modern(T),
    /// It knows nothing of the question, and so is of the era before.
    Legacy,
    /// It, or whoever is on the way to it, said nothing of the kind.
    Unknown,
}

/// How a conversation that the host began with `initialize` goes on.
pub(in crate::relay) enum Opened {
    /// As it began: the server's answer to `initialize`.
    Session(Box<Answer>),
    /// In translation: the answer that `initialize` is owed.
    Translated(String),
}

impl Inner {
    /// Sends the host's `initialize` as `first` says. A server that knows no `initialize` is asked
    /// what it is instead; at once where it is remembered as one.
    ///
    /// # Errors
    /// Where nothing could be sent.
    pub(in crate::relay) async fn open(
        &self,
        initialize: &Message,
        first: Outgoing<'_>,
    ) -> Result<Opened, Failure> {
        if self.eras.is_only_modern() {
            match Box::pin(self.introduce(initialize, first)).await? {
                Found::Modern(answer) => return Ok(Opened::Translated(answer)),
                Found::Legacy => self.eras.learn_legacy(true),
                Found::Unknown => {}
            }
        }
        let mut answer = self.send(first).await?;
        if may_be_modern(&mut answer.reply).await {
            match Box::pin(self.introduce(initialize, first)).await {
                Ok(Found::Modern(answer)) => return Ok(Opened::Translated(answer)),
                Ok(Found::Legacy | Found::Unknown) => {}
                Err(failure) => tracing::debug!(%failure, "the server was not asked what it is"),
            }
        }
        Ok(Opened::Session(Box::new(answer)))
    }

    /// Asks the server what it is, in the name of the host that sent `initialize`; gives the answer
    /// that this is owed where the server is a modern one.
    async fn introduce(&self, initialize: &Message, first: Outgoing<'_>) -> Result<Found<String>, Failure> {
        let Some(id) = initialize.head().request_id() else { return Ok(Found::Unknown) };
        let refused = |repeated| Failure::from(ambiguous(id, repeated));
        let introduction = Introduction::of(initialize).map_err(refused)?;
        let offers = introduction.offers().map_err(refused)?;
        let discovered = match self.discover_server(&introduction, first).await? {
            Found::Modern(discovered) => discovered,
            Found::Legacy => return Ok(Found::Legacy),
            Found::Unknown => return Ok(Found::Unknown),
        };
        let (version, address) = (introduction.version(), self.upstream.server().host());
        let answer = discovered.initialize_answer(id.as_json(), version, address).map_err(refused)?;
        self.legacy.handshake.record_answer(&Message::parse(answer.clone().into())?);
        self.translation.begin(introduction, offers, discovered.tells);
        self.eras.learn_modern(true);
        self.eras.learn_legacy(false);
        Ok(Found::Modern(answer))
    }

    async fn discover_server(
        &self,
        introduction: &Introduction,
        first: Outgoing<'_>,
    ) -> Result<Found<Discovered>, Failure> {
        for _ in 0..2 {
            let discover = introduction.request(&self.translation.next_id(), "server/discover", "{}");
            // Everything in it was an object when it was read.
            let Ok(discover) = discover else { return Ok(Found::Unknown) };
            let discover = Message::parse(discover.into())?;
            let answer = match self.discovered(&discover, first).await {
                Ok(Some(answer)) => answer,
                Err(Failure::Rejected { status, .. }) if tells_of_server(status) => return Ok(Found::Legacy),
                // Whoever speaks no JSON-RPC is no server of either era: a portal, or a proxy.
                Ok(None) | Err(Failure::Rejected { .. } | Failure::NoAnswer(_) | Failure::Invalid(_)) => {
                    return Ok(Found::Unknown);
                }
                Err(failure) => return Err(failure),
            };
            match Discovered::of(&answer) {
                Ok(Some(discovered)) => return Ok(Found::Modern(discovered)),
                // A server that refuses a version and names it among those that it takes gets it again.
                Ok(None) if supports_our_version(&answer) => {}
                Ok(None) if is_no_verdict(&answer) => return Ok(Found::Unknown),
                Ok(None) => return Ok(Found::Legacy),
                Err(repeated) => {
                    tracing::warn!(%repeated, "what the server says of itself is refused");
                    return Ok(Found::Unknown);
                }
            }
        }
        Ok(Found::Unknown)
    }

    async fn discovered(&self, discover: &Message, first: Outgoing<'_>) -> Result<Option<Message>, Failure> {
        let Some(id) = discover.head().request_id() else { return Ok(None) };
        let reply = match self.send_routed(discover, first).await?.reply {
            Reply::Rejected(rejection) if !tells_of_server(rejection.status) => return Err(rejection.into()),
            reply => reply,
        };
        let mut replies = Replies::of(reply, id)?;
        while let Some(reply) = replies.next().await? {
            if matches!(reply.head(), Head::Response { .. }) {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }
}

/// Whether an answer says nothing of the server's era: that something is wrong with the server, or, in an
/// error that only the later era has, with the request.
fn is_no_verdict(answer: &Message) -> bool {
    matches!(
        code::of(answer.bytes()),
        Some(code::INTERNAL_ERROR | code::HEADER_MISMATCH | code::MISSING_CAPABILITY)
    )
}

/// Whether an `UnsupportedProtocolVersionError` names the version that we speak.
fn supports_our_version(answer: &Message) -> bool {
    if code::of(answer.bytes()) != Some(code::UNSUPPORTED_VERSION) {
        return false;
    }
    let supported = edit::member_at(answer.text(), &["error", "data", "supported"]);
    supported.ok().flatten().is_some_and(|versions| edit::holds(versions, WITHOUT_INITIALIZE))
}
