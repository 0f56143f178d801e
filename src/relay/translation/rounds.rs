//! Multi round-trip requests (2026-07-28 basic, patterns): what a server needs before it can answer,
//! as requests to a legacy host, and the request that goes again with what the host answered.

use crate::jsonrpc::edit::{self, Edit, Repeated};

use super::introduction::Offers;

/// The most questions that one round may hold.
const QUESTIONS: usize = 32;

/// Why what a server needs cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unaskable {
    /// It could be read in two ways.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// It is not what the specification calls an `InputRequiredResult`.
    #[error("the server asked for input in a form that the specification does not know: {0}")]
    Malformed(&'static str),
    /// The host has not offered it.
    #[error("the server asked for {0}, which the host does not offer")]
    NotOffered(&'static str),
}

/// What a server needs before it can answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Round<'a> {
    pub(super) questions: Vec<Question<'a>>,
    /// The JSON text of `requestState`, which goes back to the letter.
    state: Option<&'a str>,
}

/// One question of the server's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// The server's name for it, as JSON text.
    key: &'a str,
    pub(super) asks: Asks,
    /// The JSON text of the request, which has no id.
    request: &'a str,
}

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Form,
    Url,
    Sampling,
    Roots,
}

impl Asks {
    /// Reads a question.
    pub(super) fn of(request: &str) -> Result<Self, Unaskable> {
        match edit::member(request, "method")? {
            Some(r#""elicitation/create""#) => match edit::member_at(request, &["params", "mode"])? {
                None | Some(r#""form""#) => Ok(Self::Form),
                Some(r#""url""#) => Ok(Self::Url),
                Some(_) => Err(Unaskable::Malformed("an elicitation of another mode")),
            },
            Some(r#""sampling/createMessage""#) => Ok(Self::Sampling),
            Some(r#""roots/list""#) => Ok(Self::Roots),
            _ => Err(Unaskable::Malformed("an input request of another method")),
        }
    }

    /// Whether a host that offers these may be asked so.
    pub(super) fn offered(self, offers: Offers) -> Result<(), Unaskable> {
        match self {
            Self::Form if !offers.forms => Err(Unaskable::NotOffered("a form to be filled in (elicitation)")),
            Self::Url if !offers.urls => Err(Unaskable::NotOffered("a page to be opened (elicitation, url)")),
            Self::Sampling if !offers.sampling => Err(Unaskable::NotOffered("a model's answer (sampling)")),
            Self::Roots if !offers.roots => Err(Unaskable::NotOffered("the directories at hand (roots)")),
            _ => Ok(()),
        }
    }

    /// The method of the request to the host.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Form | Self::Url => "elicitation/create",
            Self::Sampling => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    /// What stands for an error of the host's: an elicitation that fails is one that nobody
    /// answered; elsewhere there is nothing to say in its place.
    pub(super) fn instead_of_error(self) -> Option<&'static str> {
        matches!(self, Self::Form | Self::Url).then_some(r#"{"action":"cancel"}"#)
    }
}

impl<'a> Round<'a> {
    /// Reads an `InputRequiredResult`.
    pub(super) fn of(result: &'a str, offers: Offers) -> Result<Self, Unaskable> {
        let [state, requests] = edit::members(result, ["requestState", "inputRequests"])?;
        let (mut questions, mut count) = (Vec::new(), 0);
        edit::each_member(requests.unwrap_or("{}"), |key, request| {
            count += 1;
            if count <= QUESTIONS {
                questions.push((key, request));
            }
        });
        if count == 0 && state.is_none() {
            return Err(Unaskable::Malformed("neither `inputRequests` nor `requestState`"));
        }
        if count > QUESTIONS {
            return Err(Unaskable::Malformed("too many input requests"));
        }
        let read = |(key, request)| {
            let asks = Asks::of(request)?;
            asks.offered(offers)?;
            Ok(Question { key, asks, request })
        };
        let questions = questions.into_iter().map(read).collect::<Result<Vec<_>, Unaskable>>()?;
        let twice =
            |at: usize| questions[..at].iter().any(|earlier| same_name(earlier.key, questions[at].key));
        match (0..questions.len()).any(twice) {
            true => Err(Repeated("inputRequests").into()),
            false => Ok(Self { questions, state }),
        }
    }

    /// The request again, with the answers to the round's questions in their order, under `id`.
    pub(super) fn retry(&self, request: &str, id: &str, answers: &[String]) -> Result<String, Repeated> {
        let params = edit::member(request, "params")?.unwrap_or("{}");
        let mut params = Edit::of(params).unwrap_or_default();
        if !self.questions.is_empty() {
            let responses = self.questions.iter().zip(answers);
            let responses: Vec<_> =
                responses.map(|(question, answer)| format!("{}:{answer}", question.key)).collect();
            params.set("inputResponses", format!("{{{}}}", responses.join(",")));
        }
        if let Some(state) = self.state {
            params.set("requestState", state);
        }
        let mut frame = Edit::of(request).unwrap_or_default();
        frame.set("id", edit::written(id)).set("params", params.finish()?);
        Ok(frame.finish()?.into_owned())
    }
}

impl Question<'_> {
    /// The request to the host: the server's own, with an id of ours. A legacy host wants an
    /// elicitation to name itself where a page is to be opened (2025-11-25, `ElicitRequestURLParams`).
    pub(super) fn frame(&self, id: &str) -> Result<String, Repeated> {
        let id = edit::written(id);
        let mut frame = Edit::of(self.request).unwrap_or_default();
        if self.asks == Asks::Url
            && let Some(params) = edit::member(self.request, "params")?
            && edit::member(params, "elicitationId")?.is_none()
        {
            let mut params = Edit::of(params).unwrap_or_default();
            frame.set("params", params.set("elicitationId", id.clone()).finish()?);
        }
        frame.set("jsonrpc", r#""2.0""#).set("id", id);
        Ok(frame.finish()?.into_owned())
    }
}

/// Whether two names, as they are written, are the same.
fn same_name(one: &str, other: &str) -> bool {
    one == other || edit::decoded(one) == edit::decoded(other)
}
