//! `server/discover`, by which hosts find out in which era to speak (2026-07-28, stdio, "Backward
//! Compatibility"). Hosts give up on it after some seconds and take silence for the era before, so
//! it is answered in time whatever the server does: with what a server of this era says, byte for
//! byte, or else with an error that no host takes for such a server's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Replies, headers};
use crate::jsonrpc::{ErrorResponse, Head, Message, code, parts};
use crate::relay::era::tells_of_server;
use crate::relay::exchange::{Attendance, Outgoing, Within};
use crate::relay::pending::Ticket;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Answer, Reply};
use crate::wire::LATEST_WITH_INITIALIZE;

/// How long the host waits: Claude Code falls back after three seconds, its own start included.
const LIMIT: Duration = Duration::from_secs(2);
/// How long the server's answer is waited for, for the next time.
const LATE_LIMIT: Duration = Duration::from_secs(30);

/// What the server's answer says of it.
enum Verdict {
    /// It speaks 2026-07-28: this is its answer.
    Modern(Bytes),
    /// It does not.
    Legacy,
    /// It said nothing of the kind.
    Unknown,
    /// It could not be asked without a login.
    Unasked(Failure),
}

impl Inner {
    /// Answers the host's probe.
    pub(in crate::relay) async fn probe(
        self: &Arc<Self>,
        message: &Message,
        request: &Ticket,
    ) -> Result<(), Failure> {
        // No server of this era speaks the transport of 2024-11-05.
        let is_over_sse = self.legacy.is_over_sse() || self.eras.sse() == Some(true);
        if self.eras.modern() == Some(false) || is_over_sse {
            self.refuse_probe(request).await;
            return Ok(());
        }
        let (inner, probe, ticket) = (Arc::clone(self), message.clone(), request.clone());
        let mut asking = Box::pin(async move { inner.discover(&probe, &ticket).await });
        match tokio::time::timeout(LIMIT, &mut asking).await {
            Ok(Verdict::Unasked(failure)) if !self.strict && self.eras.modern() == Some(true) => {
                self.let_in_modern(request, &failure).await;
            }
            Ok(verdict) => match self.judge(verdict) {
                Some(answer) => {
                    // A host that has not waited for this has begun in the era before.
                    if !self.legacy.handshake.can_restart() {
                        self.modern.host_sent(message);
                    }
                    self.answer_with(answer, request).await;
                }
                None => self.refuse_probe(request).await,
            },
            Err(_) => {
                self.refuse_probe(request).await;
                let inner = Arc::clone(self);
                self.spawn_until_closing(async move {
                    if let Ok(verdict) = tokio::time::timeout(LATE_LIMIT, asking).await {
                        inner.judge(verdict);
                    }
                });
            }
        }
        Ok(())
    }

    async fn refuse_probe(&self, request: &Ticket) {
        let answer = ErrorResponse::new(request.id().clone(), code::METHOD_NOT_FOUND, "Method not found");
        self.answer_with(answer.into_bytes(), request).await;
    }

    /// Learns from a verdict; gives the answer of a server that speaks 2026-07-28.
    fn judge(&self, verdict: Verdict) -> Option<Bytes> {
        match verdict {
            Verdict::Modern(answer) => {
                self.eras.learn_modern(true);
                Some(answer)
            }
            Verdict::Legacy => {
                self.eras.learn_modern(false);
                None
            }
            Verdict::Unknown | Verdict::Unasked(_) => None,
        }
    }

    async fn discover(&self, message: &Message, request: &Ticket) -> Verdict {
        let headers = headers::routing(message.head(), None);
        // No login is waited for: the host would be gone.
        let outgoing = Outgoing {
            within: Within::Routed(&headers),
            attendance: Attendance::Nobody,
            ..Outgoing::request(message.bytes(), request)
        };
        match self.send(outgoing).await {
            Ok(answer) => verdict(answer, request).await,
            Err(failure @ Failure::Authorizer(_)) => Verdict::Unasked(failure),
            Err(failure) => {
                tracing::debug!(%failure, "the server's era was not found out");
                Verdict::Unknown
            }
        }
    }
}

async fn verdict(answer: Answer, request: &Ticket) -> Verdict {
    let otherwise = match &answer.reply {
        Reply::Rejected(rejection) | Reply::SessionGone(rejection) if !tells_of_server(rejection.status) => {
            Verdict::Unknown
        }
        _ => Verdict::Legacy,
    };
    let mut replies = match Replies::of(answer.reply, request.id()) {
        Ok(replies) => replies,
        // Whoever speaks no JSON-RPC need be no server of either era: a portal, or a proxy.
        Err(Failure::Invalid(_) | Failure::Rejected { .. }) => return Verdict::Unknown,
        Err(_) => return otherwise,
    };
    loop {
        match replies.next().await {
            Ok(Some(message)) if matches!(message.head(), Head::Response { .. }) => {
                return if is_modern(&message) { Verdict::Modern(message.into_bytes()) } else { otherwise };
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(Failure::StreamLost(_) | Failure::Invalid(_)) => return Verdict::Unknown,
            Err(_) => return otherwise,
        }
    }
}

/// Whether only a server of 2026-07-28 or later answers so: with the versions that it supports, or
/// with an error of that revision's own.
fn is_modern(answer: &Message) -> bool {
    let Head::Response { successful, .. } = answer.head() else { return false };
    let path: &[&str] =
        if *successful { &["result", "supportedVersions"] } else { &["error", "data", "supported"] };
    let frame: Option<&RawValue> = serde_json::from_slice(answer.bytes()).ok();
    let versions = path.iter().fold(frame, |value, name| parts::member(value?, name));
    let is_one = match code::of(answer.bytes()) {
        Some(code) => code::is_modern(code),
        None => versions.is_some_and(|versions| versions.get().starts_with('[')),
    };
    is_one && !versions.is_some_and(have_initialize)
}

/// Whether versions are named, and all of them begin with `initialize`: a host that took their server
/// for one of this era would be left without any.
fn have_initialize(versions: &RawValue) -> bool {
    let versions: Vec<String> = serde_json::from_str(versions.get()).unwrap_or_default();
    !versions.is_empty() && versions.iter().all(|version| version.as_str() <= LATEST_WITH_INITIALIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_this_era_is_known_by_its_answer() {
        for (answer, modern) in [
            (
                r#""result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}"#,
                true,
            ),
            (r#""error":{"code":-32022,"message":"Unsupported protocol version"}"#, true),
            (
                r#""error":{"code":-32022,"message":"","data":{"supported":["2025-11-25","2026-07-28"]}}"#,
                true,
            ),
            (r#""error":{"code":-32022,"message":"","data":{"supported":["2027-01-01"]}}"#, true),
            (r#""error":{"code":-32022,"message":"","data":{"supported":[]}}"#, true),
            (
                r#""error":{"code":-32022,"message":"","data":{"supported":["2025-06-18","2025-11-25"]}}"#,
                false,
            ),
            (r#""result":{"supportedVersions":["2025-11-25"]}"#, false),
            (r#""error":{"code":-32021,"message":""}"#, true),
            (r#""error":{"code":-32020,"message":""}"#, true),
            (r#""error":{"code":-32601,"message":"Method not found"}"#, false),
            (r#""error":{"code":-32602,"message":""}"#, false),
            (r#""error":{"code":"-32022"}"#, false),
            (r#""result":{}"#, false),
            (r#""result":{"supportedVersions":"2026-07-28"}"#, false),
            (r#""result":null"#, false),
        ] {
            let frame = format!(r#"{{"jsonrpc":"2.0","id":1,{answer}}}"#);
            let message = Message::parse(Bytes::from(frame)).unwrap();
            assert_eq!(is_modern(&message), modern, "{answer}");
        }
    }
}
