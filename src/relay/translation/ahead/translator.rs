//! Between a modern host and the legacy session that the bridge keeps in its name.

use serde_json::json;

use super::calls::Calls;
use super::envelope::Envelope;
use super::listens::Listens;
use super::logs::{Logs, Severity, Then, severity};
use super::{Out, Turn, refusal, results};
use crate::jsonrpc::edit::{self, Repeated};
use crate::jsonrpc::{ErrorResponse, Head, Id, Message, code};
use crate::relay::Failure;
use crate::relay::tells::Tells;
use crate::wire::WITHOUT_INITIALIZE;

/// A translation that stands.
pub(super) struct Translator {
    /// The result of `server/discover`.
    discovered: String,
    tells: Tells,
    logs: Logs,
    calls: Calls,
    listens: Listens,
}

impl Translator {
    /// Starts with the result of `initialize`.
    pub(super) fn new(initialized: &str) -> Result<Self, Repeated> {
        Ok(Self {
            discovered: results::discovered(initialized)?,
            tells: Tells::of(initialized)?,
            logs: Logs::new(has_log(initialized)?),
            calls: Calls::default(),
            listens: Listens::default(),
        })
    }

    /// Something of the host's.
    ///
    /// # Errors
    /// [`Repeated`] where it could be read in two ways; nothing has changed then.
    pub(super) fn host(&mut self, message: &Message, turn: &mut Turn<'_>) -> Result<Vec<Out>, Repeated> {
        match message.head() {
            Head::Request { id, method, parameters } => match parameters.protocol_version.as_deref() {
                Some(WITHOUT_INITIALIZE) => self.request(message, id, method, turn),
                Some(version) => Ok(vec![unsupported(id, version)]),
                None => {
                    let reason = "`params._meta` names no protocol version";
                    Ok(vec![refusal(id, code::INVALID_PARAMS, reason)])
                }
            },
            Head::Notification { method, parameters } => match (method.as_str(), &parameters.request_id) {
                ("notifications/cancelled", Some(id)) => Ok(self.cancel(id, message, turn)),
                // The session has had its own.
                ("notifications/initialized", _) => Ok(Vec::new()),
                _ => Ok(vec![Out::Server(message.bytes().clone())]),
            },
            Head::Response { .. } => {
                tracing::warn!("the host answered a question that nobody asked");
                Ok(Vec::new())
            }
        }
    }

    fn request(
        &mut self,
        message: &Message,
        id: &Id,
        method: &str,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        if self.calls.has(id) || self.listens.has(id) || self.logs.has(id) {
            let reason = "a request with this id is under way already";
            return Ok(vec![refusal(id, code::INVALID_REQUEST, reason)]);
        }
        match method {
            "server/discover" => {
                let (id, result) = (id.as_json(), &self.discovered);
                Ok(vec![Out::host(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))])
            }
            "subscriptions/listen" => self.listens.open(message, self.tells, turn),
            _ => self.call(message, id, turn),
        }
    }

    /// A request that goes to the server, behind the log level that it names.
    fn call(&mut self, message: &Message, id: &Id, turn: &mut Turn<'_>) -> Result<Vec<Out>, Repeated> {
        let envelope = Envelope::of(message)?;
        let Some(level) = envelope.log_level.as_deref() else {
            return self.calls.request(message, envelope, turn);
        };
        let Some(level) = Severity::of(level) else {
            return Ok(vec![refusal(id, code::INVALID_PARAMS, "no such log level")]);
        };
        let least = self.calls.least_severity().map_or(level, |other| other.min(level));
        match self.logs.admit(message, least, turn) {
            Then::Goes => self.calls.request(message, envelope, turn),
            Then::Waits { first } => Ok(first.map(Out::server).into_iter().collect()),
            Then::Refused => Ok(vec![refusal(id, code::INTERNAL_ERROR, "too many requests are under way")]),
        }
    }

    fn cancel(&mut self, id: &Id, message: &Message, turn: &mut Turn<'_>) -> Vec<Out> {
        if self.logs.cancel(id) {
            return Vec::new();
        }
        let closed = self.listens.close(id, turn);
        closed.or_else(|| self.calls.cancel(id, message)).unwrap_or_default()
    }

    /// Something of the server's; where it came in answer to a request, that is `on`.
    ///
    /// # Errors
    /// [`Repeated`] where it could be read in two ways.
    pub(super) fn server(
        &mut self,
        message: &Message,
        on: Option<&Id>,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        match message.head() {
            Head::Response { id, successful, .. } => {
                if let Some(waiting) = self.logs.answered(id, message) {
                    return Ok(self.let_go(&waiting, *successful, turn));
                }
                let answered = self.listens.answered(id, message, turn);
                let answered = answered.or_else(|| self.calls.answer(id, message.clone(), turn));
                if answered.is_none() {
                    tracing::debug!("an answer that the host does not wait for");
                }
                Ok(answered.unwrap_or_default())
            }
            Head::Request { .. } => Ok(match super::pong(message) {
                Some(pong) => vec![pong],
                None => self.calls.question(message, on, turn),
            }),
            Head::Notification { method, .. } => match method.as_str() {
                "notifications/progress" => self.calls.progress(message),
                "notifications/message" if !self.calls.want_to_read(severity(message)) => Ok(Vec::new()),
                // They speak of what the host was told otherwise (2026-07-28 changelog).
                "notifications/cancelled" | "notifications/elicitation/complete" => Ok(Vec::new()),
                _ => match self.listens.tell(message)? {
                    Some(told) => Ok(told),
                    None => Ok(vec![Out::Host(message.bytes().clone())]),
                },
            },
        }
    }

    /// The requests that have waited for a log level.
    fn let_go<'a>(
        &mut self,
        waiting: impl IntoIterator<Item = &'a Message>,
        is_set: bool,
        turn: &mut Turn<'_>,
    ) -> Vec<Out> {
        let mut out = Vec::new();
        for request in waiting {
            let said = self.host(request, turn);
            out.extend(said.unwrap_or_else(|repeated| super::ambiguous(request, repeated)));
        }
        if !is_set {
            self.logs.doubt();
        }
        out
    }

    /// What time brings.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) -> Vec<Out> {
        let mut out = self.calls.expire(turn.now);
        out.extend(self.listens.expire(turn.now));
        if let Some((word, waiting)) = self.logs.expire(turn.now) {
            out.push(word);
            out.extend(self.let_go(&waiting, false, turn));
        }
        out
    }

    /// When time brings something next.
    pub(super) fn deadline(&self) -> Option<std::time::Instant> {
        let deadlines = [self.calls.deadline(), self.listens.deadline(), self.logs.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// The server has lost the session, or another one stood in its place, and a new one stands, which
    /// was begun with this result of `initialize`: what the host finds out from here on is the server's. What
    /// was asked of the lost one, it says again itself.
    pub(super) fn renewed(&mut self, initialized: Option<&str>) {
        if let Some(next) = initialized.and_then(|result| Self::new(result).ok()) {
            (self.discovered, self.tells) = (next.discovered, next.tells);
        }
        self.logs.renewed(initialized.and_then(|result| has_log(result).ok()));
    }

    /// The host has left, and will answer nothing more.
    pub(super) fn abandon(&mut self) -> Vec<Out> {
        let mut out = self.call_off_unsent("the host has left");
        out.extend(self.calls.abandon());
        out
    }

    /// Ends the requests that wait for a log level.
    fn call_off_unsent(&mut self, why: &'static str) -> Vec<Out> {
        let unsent = |id: Id| Failure::CalledOff { why, sent: false }.to_response(id);
        self.logs.end().into_iter().map(|id| Out::Host(unsent(id).into_bytes())).collect()
    }

    /// Ends all that is under way.
    pub(super) fn end(&mut self, reason: &'static str) -> Vec<Out> {
        let mut out = self.listens.end();
        out.extend(self.call_off_unsent(reason));
        out.extend(self.calls.end(reason));
        out
    }
}

/// Whether the server has a log whose level can be set.
fn has_log(initialized: &str) -> Result<bool, Repeated> {
    let logging = edit::member_at(initialized, &["capabilities", "logging"])?;
    Ok(logging.is_some_and(|text| text.starts_with('{')))
}

/// The host speaks another revision (2026-07-28, `UnsupportedProtocolVersionError`).
fn unsupported(id: &Id, requested: &str) -> Out {
    let data = json!({"supported": [WITHOUT_INITIALIZE], "requested": requested});
    let error = ErrorResponse::new(id.clone(), code::UNSUPPORTED_VERSION, "Unsupported protocol version");
    Out::Host(error.with_data(data).into_bytes())
}
