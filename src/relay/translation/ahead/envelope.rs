//! What a modern host says of itself with every request, and a legacy server wants to hear once, or
//! not at all (2026-07-28 basic, "Per-request protocol fields").
//!
//! A session is opened with what the first request says. No request's word counts for another one's sake
//! ("Statelessness"): what a later request does not offer is not asked in answer to it, whatever the first
//! one offered. What it offers beyond the first the server never hears of, and so does not ask for: a
//! second session could say so, and would cost what the first one holds.

use super::super::introduction::Offers;
use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Id, Message};
use crate::wire::{
    LATEST_WITH_INITIALIZE, META_CAPABILITIES, META_CLIENT, META_LOG_LEVEL, META_VERSION, WITHOUT_INITIALIZE,
};

/// What a request says of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// JSON text, to the letter.
    client: Option<String>,
    /// JSON text, to the letter.
    capabilities: String,
    /// What the host lets servers ask of it.
    pub(super) offers: Offers,
    /// The log level that it wants, as JSON text.
    pub(super) log_level: Option<String>,
    /// JSON text, to the letter.
    pub(super) progress_token: Option<String>,
}

impl Envelope {
    /// Reads a request's `_meta`.
    pub(super) fn of(request: &Message) -> Result<Self, Repeated> {
        let meta = edit::member_at(request.text(), &["params", "_meta"])?.unwrap_or("{}");
        let [client, capabilities, level, token] =
            edit::members(meta, [META_CLIENT, META_CAPABILITIES, META_LOG_LEVEL, "progressToken"])?;
        let is_object = |text: &&str| text.starts_with('{');
        let capabilities = capabilities.filter(is_object).unwrap_or("{}");
        Ok(Self {
            client: client.filter(is_object).map(str::to_owned),
            offers: Offers::of(capabilities)?,
            capabilities: capabilities.to_owned(),
            log_level: level.filter(|level| *level != "null").map(str::to_owned),
            progress_token: token.map(str::to_owned),
        })
    }

    /// `initialize` in the host's name. Such a host tells nobody of changed roots (2026-07-28
    /// changelog), so it does not offer to.
    pub(super) fn initialize(&self, id: &Id) -> Result<String, Repeated> {
        let nobody = concat!(
            r#"{"name":""#,
            env!("CARGO_PKG_NAME"),
            r#"","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""}"#
        );
        let mut capabilities = Edit::of(&self.capabilities).unwrap_or_default();
        if let Some(mut roots) = edit::member(&self.capabilities, "roots")?.and_then(Edit::of) {
            capabilities.set("roots", roots.remove("listChanged").finish()?);
        }
        Ok(format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"initialize","params":{{"protocolVersion":"{LATEST_WITH_INITIALIZE}","capabilities":{},"clientInfo":{}}}}}"#,
            id.as_json(),
            capabilities.finish()?,
            self.client.as_deref().unwrap_or(nobody),
        ))
    }

    /// `server/discover` in the host's name.
    pub(super) fn discover(&self, id: &Id) -> String {
        let client =
            self.client.as_ref().map(|client| format!(r#","{META_CLIENT}":{client}"#)).unwrap_or_default();
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"server/discover","params":{{"_meta":{{"{META_VERSION}":"{WITHOUT_INITIALIZE}","{META_CAPABILITIES}":{}{client}}}}}}}"#,
            id.as_json(),
            self.capabilities,
        )
    }
}

/// A request as a legacy server understands it, under the id `id`: without what only the revision
/// after it knows.
pub(super) fn unstamped(request: &Message, id: &Id) -> Result<String, Repeated> {
    let params = edit::member(request.text(), "params")?.unwrap_or("{}");
    let mut edited = Edit::of(params).unwrap_or_default();
    if let Some(mut meta) = edit::member(params, "_meta")?.and_then(Edit::of) {
        for modern in [META_VERSION, META_CLIENT, META_CAPABILITIES, META_LOG_LEVEL] {
            meta.remove(modern);
        }
        edited.set("_meta", meta.finish()?);
    }
    edited.remove("inputResponses").remove("requestState");
    let mut frame = Edit::of(request.text()).unwrap_or_default();
    frame.set("id", id.as_json().to_owned()).set("params", edited.finish()?);
    Ok(frame.finish()?.into_owned())
}

/// Whether two requests ask for the same, as their attempts have to (2026-07-28, multi round-trip
/// requests): a host may write the second otherwise than the first.
pub(super) fn asks_the_same(one: &Message, other: &Message) -> Result<bool, Repeated> {
    let essence = |request: &Message| {
        let params = edit::member(request.text(), "params")?.unwrap_or("{}");
        let mut params = Edit::of(params).unwrap_or_default();
        params.remove("_meta").remove("inputResponses").remove("requestState");
        Ok::<_, Repeated>(params.finish()?.into_owned())
    };
    Ok(one.head().method() == other.head().method() && same_value(&essence(one)?, &essence(other)?))
}

/// Whether two JSON texts are the same value, as far as it can be told.
pub(super) fn same_value(one: &str, other: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || read(one).zip(read(other)).is_some_and(|(one, other)| one == other)
}
