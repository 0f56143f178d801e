//! What a server offers to tell of by itself (MCP tools, prompts, resources: "Capabilities"), and what
//! a host is told where nobody could tell it.
//!
//! Of what changed while the stream broke that such words come on, nobody told, and nobody will: the
//! server said it to nobody, or has begun anew and knows of no change. So once the stream stands again,
//! or a new session does, the host is told that the lists may have changed: of each list that the server
//! offers to tell of, and that the host was promised to hear of. Of the streams of one session, of one
//! subscription, or of HTTP+SSE that is said at most every ten minutes; of sessions, at once, and then ever
//! more rarely where they do not last. At worst a host lists once for
//! nothing; without the word it may keep a stale list for as long as it runs, for what else ends that is a
//! word that does not come (2026-07-28 caching; "List Changed Notification"). A stream that the server
//! resumes owes nothing.
//! `notifications/resources/updated` is never said in a server's place: hosts may act on it, and not only
//! read again.

use std::ops::BitAnd;
use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use super::in_place::CHANGES;
use crate::jsonrpc::edit::{self, Repeated};

/// How long the host rests from words about broken streams: some proxies cut every stream once a minute,
/// which shall not make it list everything as often.
const REPOSE: Duration = Duration::from_secs(600);

/// Until when the host rests from such words; not at all before the first one.
#[derive(Debug, Default)]
pub(super) struct Repose(Option<Instant>);

impl Repose {
    /// The host has been told.
    pub(super) fn begin(&mut self) {
        self.0 = Some(Instant::now() + REPOSE);
    }

    /// Resolves when the host may be told again.
    pub(super) async fn over(&self) {
        if let Some(until) = self.0 {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// How long the host rests from the first word about a session in another's place.
const FIRST_RESPITE: Duration = Duration::from_secs(1);

/// Until when the host rests from words about sessions in another's place. A host that lists at each of
/// them, on a server that loses the session each time, would do nothing else: so each rest is twice as long
/// as the one before it, until none was needed for a while.
#[derive(Debug, Default)]
pub(super) struct Respite(Option<(Instant, Duration)>);

impl Respite {
    /// The host has been told.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        let rest = match self.0 {
            Some((until, rest)) if now < until + REPOSE => (rest * 2).min(REPOSE),
            _ => FIRST_RESPITE,
        };
        self.0 = Some((now + rest, rest));
    }

    /// Resolves when the host may be told again.
    pub(super) async fn over(&self) {
        if let Some((until, _)) = self.0 {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// What a server offers to tell of by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tells {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
    /// Changes of single resources.
    pub(super) updates: bool,
}

impl Tells {
    /// Reads the result of `initialize`, or of `server/discover`.
    pub(super) fn of(result: &str) -> Result<Self, Repeated> {
        let tells = |of, what| {
            let told = edit::member_at(result, &["capabilities", of, what])?;
            Ok::<_, Repeated>(told == Some("true"))
        };
        Ok(Self {
            tools: tells("tools", "listChanged")?,
            prompts: tells("prompts", "listChanged")?,
            resources: tells("resources", "listChanged")?,
            updates: tells("resources", "subscribe")?,
        })
    }

    /// The notifications that say that a list has changed, each with the member of a subscription that
    /// asks for it.
    pub(super) fn list_changes(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let wanted = [self.tools, self.prompts, self.resources];
        CHANGES.into_iter().zip(wanted).filter_map(|(change, wanted)| wanted.then_some(change))
    }
}

/// What both tell of.
impl BitAnd for Tells {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self {
            tools: self.tools && other.tools,
            prompts: self.prompts && other.prompts,
            resources: self.resources && other.resources,
            updates: self.updates && other.updates,
        }
    }
}

impl Inner {
    /// Tells a host that opens with `initialize` that these lists may have changed.
    pub(super) async fn tell_list_changes(&self, tells: Tells) {
        for (_, method) in tells.list_changes() {
            self.modern.heard(method);
            self.emit(format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#).into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_told_of_where_both_promise_it() {
        let all = Tells { tools: true, prompts: true, resources: true, updates: true };
        let methods = |tells: Tells| tells.list_changes().map(|(_, method)| method).collect::<Vec<_>>();
        assert_eq!(methods(all).len(), 3);
        for (capabilities, said) in [
            (r#"{"tools":{"listChanged":true},"resources":{"subscribe":true}}"#, vec!["tools"]),
            (
                r#"{"prompts":{"listChanged":true},"resources":{"listChanged":true}}"#,
                vec!["prompts", "resources"],
            ),
            (r#"{"tools":{},"prompts":{"listChanged":false},"resources":{"listChanged":"true"}}"#, vec![]),
            ("[]", vec![]),
        ] {
            let tells = Tells::of(&format!(r#"{{"capabilities":{capabilities}}}"#)).unwrap();
            let expected: Vec<_> =
                said.iter().map(|list| format!("notifications/{list}/list_changed")).collect();
            assert_eq!(methods(tells & all), expected, "{capabilities}");
            assert!(methods(tells & Tells::default()).is_empty());
        }
    }
}
