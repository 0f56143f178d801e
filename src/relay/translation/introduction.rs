//! What a host says of itself once, in `initialize`, and a modern server wants to hear with every
//! request (2026-07-28 basic, "Per-request protocol fields").

use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Head, Message};
use crate::relay::tells::Tells;
pub(super) use crate::wire::{META_CAPABILITIES, META_CLIENT, META_LOG_LEVEL, META_SERVER, META_VERSION};
use crate::wire::{WITHOUT_INITIALIZE, negotiated};

/// Why a request of the host's cannot be said to a modern server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsayable {
    /// It could be read in two ways.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// `params` or `params._meta` is no object, so nothing can be said beside it.
    #[error("`{0}` is not an object")]
    NotAnObject(&'static str),
}

/// What a host said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Introduction {
    /// JSON text, to the letter.
    client: Option<String>,
    /// JSON text, to the letter.
    capabilities: String,
    /// The revision that host and bridge speak.
    version: &'static str,
}

/// What a host lets servers ask of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Offers {
    pub(super) forms: bool,
    pub(super) urls: bool,
    pub(super) sampling: bool,
    pub(super) roots: bool,
    /// Extensions of its own, which no table here knows.
    pub(super) extensions: bool,
}

impl Offers {
    /// Reads a host's capabilities. An elicitation without modes is one with forms.
    pub(super) fn of(capabilities: &str) -> Result<Self, Repeated> {
        let has = |object: &str, name| Ok::<_, Repeated>(edit::member(object, name)?.is_some_and(is_object));
        let elicitation = edit::member(capabilities, "elicitation")?.filter(|text| is_object(text));
        let urls = elicitation.map_or(Ok(false), |modes| has(modes, "url"))?;
        let forms = elicitation.map_or(Ok(false), |modes| has(modes, "form"))?;
        Ok(Self {
            forms: forms || (elicitation.is_some() && !urls),
            urls,
            sampling: has(capabilities, "sampling")?,
            roots: has(capabilities, "roots")?,
            extensions: has(capabilities, "extensions")?,
        })
    }
}

impl Introduction {
    /// Reads the host's `initialize`.
    pub(super) fn of(initialize: &Message) -> Result<Self, Repeated> {
        let object = |path: &[&'static str]| {
            let found = edit::member_at(initialize.text(), path)?;
            Ok::<_, Repeated>(found.filter(|text| text.starts_with('{')).map(str::to_owned))
        };
        let asked = edit::member_at(initialize.text(), &["params", "protocolVersion"])?;
        let asked: Option<String> = asked.and_then(|text| serde_json::from_str(text).ok());
        Ok(Self {
            client: object(&["params", "clientInfo"])?,
            capabilities: object(&["params", "capabilities"])?.unwrap_or_else(|| "{}".to_owned()),
            version: negotiated(asked.as_deref()),
        })
    }

    /// The revision that host and bridge speak.
    pub(super) fn version(&self) -> &'static str {
        self.version
    }

    /// What the host lets servers ask of it.
    pub(super) fn offers(&self) -> Result<Offers, Repeated> {
        Offers::of(&self.capabilities)
    }

    /// The request or notification with what the host said of itself, and with the log level that
    /// it set, where it set one.
    pub(super) fn stamp(&self, frame: &str, log_level: Option<&str>) -> Result<String, Unsayable> {
        let params = edit::member(frame, "params")?.unwrap_or("{}");
        let meta = edit::member(params, "_meta")?.unwrap_or("{}");
        let mut meta = Edit::of(meta).ok_or(Unsayable::NotAnObject("params._meta"))?;
        meta.set(META_VERSION, edit::written(WITHOUT_INITIALIZE));
        if let Some(client) = &self.client {
            meta.set(META_CLIENT, client.as_str());
        }
        meta.set(META_CAPABILITIES, self.capabilities.as_str());
        if let Some(level) = log_level {
            meta.set(META_LOG_LEVEL, edit::written(level));
        }
        let mut params = Edit::of(params).ok_or(Unsayable::NotAnObject("params"))?;
        params.set("_meta", meta.finish()?);
        let mut frame = Edit::of(frame).ok_or(Unsayable::NotAnObject("the frame"))?;
        frame.set("params", params.finish()?);
        Ok(frame.finish()?.into_owned())
    }

    /// A request of ours, in the host's name.
    pub(super) fn request(&self, id: &str, method: &str, params: &str) -> Result<String, Unsayable> {
        let (id, method) = (edit::written(id), edit::written(method));
        self.stamp(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#), None)
    }
}

/// What a modern server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discovered {
    /// The text of the result.
    result: String,
    /// What it offers to tell of.
    pub(super) tells: Tells,
}

impl Discovered {
    /// Reads the answer to `server/discover`; `None` where it is not that of a server that speaks
    /// 2026-07-28.
    pub(super) fn of(answer: &Message) -> Result<Option<Self>, Repeated> {
        if !matches!(answer.head(), Head::Response { successful: true, .. }) {
            return Ok(None);
        }
        let Some(result) = edit::member(answer.text(), "result")? else { return Ok(None) };
        let versions = edit::member(result, "supportedVersions")?;
        if !versions.is_some_and(|versions| edit::holds(versions, WITHOUT_INITIALIZE)) {
            return Ok(None);
        }
        Ok(Some(Self { result: result.to_owned(), tells: Tells::of(result)? }))
    }

    /// The answer to the host's `initialize` with this id. A server that does not name itself is
    /// called by its `address`, for a legacy host wants a name.
    pub(super) fn initialize_answer(
        &self,
        id: &str,
        version: &str,
        address: &str,
    ) -> Result<String, Repeated> {
        let named = [&["_meta", META_SERVER][..], &["serverInfo"]];
        let mut server = None;
        for path in named {
            server = server.or(edit::member_at(&self.result, path)?.filter(|text| is_object(text)));
        }
        let capabilities = edit::member(&self.result, "capabilities")?;
        let mut result = Edit::of(&self.result).unwrap_or_default();
        for modern in ["resultType", "supportedVersions", "ttlMs", "cacheScope"] {
            result.remove(modern);
        }
        if !capabilities.is_some_and(is_object) {
            result.set("capabilities", "{}");
        }
        result.set("protocolVersion", edit::written(version));
        match server {
            Some(server) => result.set("serverInfo", server),
            None => {
                let name = edit::written(address);
                result.set("serverInfo", format!(r#"{{"name":{name},"version":"unknown"}}"#))
            }
        };
        Ok(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.finish()?))
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{')
}
