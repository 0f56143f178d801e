//! In the server's place, for a host of 2026-07-28: only where the server is remembered to speak that
//! revision, for nobody can ask it without a login. Every request tries the server first.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::jsonrpc::{Head, Id, Message};
use crate::relay::in_place;
use crate::relay::pending::Ticket;
use crate::relay::{Failure, Inner};
use crate::wire::{ACKNOWLEDGED, META_SERVER, META_SUBSCRIPTION, WITHOUT_INITIALIZE};

impl Inner {
    /// Answers `server/discover` in the server's place.
    pub(super) async fn let_in_modern(&self, request: &Ticket, failure: &Failure) {
        let help = self.help(failure);
        tracing::warn!("{help}");
        self.modern.stands_in.store(true, Ordering::Relaxed);
        let discovered = json!({
            "supportedVersions": [WITHOUT_INITIALIZE],
            "capabilities": in_place::capabilities(),
            "instructions": help,
            "_meta": {META_SERVER: in_place::server_info()},
        });
        self.reply(request, &complete(discovered)).await;
    }

    /// Answers a request that the server could not be asked.
    pub(super) async fn stand_in_modern(&self, message: &Message, request: &Ticket, failure: &Failure) {
        let method = message.head().method().unwrap_or_default();
        match in_place::result(method, &self.help(failure)) {
            Some(result) => self.reply(request, &complete(result)).await,
            None => self.refuse(request, failure).await,
        }
    }

    /// The server speaks for itself; whether the request asks for the tool that stood in for it.
    pub(super) fn is_late(&self, message: &Message) -> bool {
        let Head::Request { method, parameters, .. } = message.head() else { return false };
        self.modern.stands_in.load(Ordering::Relaxed)
            && method == "tools/call"
            && parameters.name.as_deref() == Some(in_place::TOOL)
    }

    /// Acknowledges a subscription in the server's place.
    pub(super) async fn acknowledge(&self, message: &Message) {
        let wanted: serde_json::Map<_, _> =
            named(message).map(|(member, _)| (member.to_owned(), Value::from(true))).collect();
        let members = format!(r#","notifications":{}"#, Value::from(wanted));
        self.notify(message, ACKNOWLEDGED, &members).await;
    }

    /// Tells a subscription that the lists that it asks for have changed, where the server agreed to tell
    /// of them.
    pub(super) async fn tell_changes(&self, subscription: &Message, agreed: Option<&Message>) {
        for (member, method) in named(subscription) {
            let is_agreed = |agreed| named(agreed).any(|(named, _)| named == member);
            if agreed.is_none_or(is_agreed) {
                self.notify(subscription, method, "").await;
            }
        }
    }

    async fn notify(&self, subscription: &Message, method: &str, members: &str) {
        let id = subscription.head().request_id().map_or("null", Id::as_json);
        let params = format!(r#"{{"_meta":{{"{META_SUBSCRIPTION}":{id}}}{members}}}"#);
        self.emit(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into()).await;
    }
}

/// A result as this revision has it: whole, and not to be kept.
fn complete(mut result: Value) -> Value {
    result["resultType"] = "complete".into();
    result["ttlMs"] = 0.into();
    result["cacheScope"] = "private".into();
    result
}

/// The changes of lists that a subscription asks for, or that its acknowledgement names.
fn named(message: &Message) -> impl Iterator<Item = (&'static str, &'static str)> {
    #[derive(Default, Deserialize)]
    struct Listen {
        params: Params,
    }
    #[derive(Default, Deserialize)]
    struct Params {
        notifications: Value,
    }
    let listen: Listen = serde_json::from_slice(message.bytes()).unwrap_or_default();
    in_place::CHANGES.into_iter().filter(move |(member, _)| listen.params.notifications[member] == true)
}
