//! Methods that a modern server no longer has (2026-07-28 changelog), and who answers them instead.

use crate::jsonrpc::{Head, Id, Message, edit};

/// The levels that a log can have (RFC 5424 §6.2.1). A server refuses a request with any other.
pub(super) const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What becomes of a request of the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes to the server.
    Goes,
    /// It is done as soon as it is asked for.
    Done,
    /// The log level for all that follows.
    LogLevel(&'static str),
    /// The host wants to hear of changes of this resource.
    Subscribe(String),
    /// The host wants to hear of them no more.
    Unsubscribe(String),
    /// A parameter is wrong.
    Wrong(&'static str),
}

impl Fate {
    /// Judges a request by its method.
    pub(super) fn of(request: &Message) -> Self {
        let Head::Request { method, parameters, .. } = request.head() else { return Self::Goes };
        let uri = || parameters.uri.clone();
        match method.as_str() {
            "ping" => Self::Done,
            "logging/setLevel" => log_level(request).map_or(Self::Wrong("no such log level"), Self::LogLevel),
            "resources/subscribe" => uri().map_or(Self::Wrong("`uri` is missing"), Self::Subscribe),
            "resources/unsubscribe" => uri().map_or(Self::Wrong("`uri` is missing"), Self::Unsubscribe),
            _ => Self::Goes,
        }
    }
}

fn log_level(request: &Message) -> Option<&'static str> {
    let level = edit::member_at(request.text(), &["params", "level"]).ok()??;
    let level: String = serde_json::from_str(level).ok()?;
    LOG_LEVELS.into_iter().find(|known| *known == level)
}

/// Whether a modern server knows nothing of a notification of the host's: what it told is said with
/// every request, or no longer at all.
pub(super) fn is_retired(notification: &str) -> bool {
    matches!(
        notification,
        "notifications/initialized"
            | "notifications/cancelled"
            | "notifications/progress"
            | "notifications/roots/list_changed"
    )
}

/// The answer to what is done here.
pub(super) fn done(id: &Id) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, id.as_json())
}
