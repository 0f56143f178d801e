//! What a server tells by itself: the subscription that stands for a legacy session's stream
//! (2026-07-28 basic, patterns, "Subscriptions").

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::json;

use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Head, Id, Message, parts};
use crate::relay::tells::Tells;
use crate::wire::{ACKNOWLEDGED, META_SUBSCRIPTION};

/// How many resources a host may hear of.
pub(super) const RESOURCES: usize = 1000;

/// What the host wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    /// What the server offers to tell of: all of it is wanted, as it was on a legacy stream.
    pub(super) tells: Tells,
    /// The resources that the host has subscribed to.
    pub(super) resources: BTreeSet<String>,
}

impl Filter {
    /// Whether there is nothing to hear.
    pub(super) fn is_empty(&self) -> bool {
        self.tells.list_changes().next().is_none() && self.resources.is_empty()
    }

    /// The parameters of `subscriptions/listen`.
    pub(super) fn params(&self) -> String {
        let mut notifications = json!({});
        for (name, _) in self.tells.list_changes() {
            notifications[name] = true.into();
        }
        if !self.resources.is_empty() {
            notifications["resourceSubscriptions"] = self.resources.iter().cloned().collect();
        }
        json!({"notifications": notifications}).to_string()
    }
}

/// What a message on the subscription's stream means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// The server has begun; the resources that it tells of, where it says which.
    Acknowledged(Option<BTreeSet<String>>),
    /// Something for the host.
    Change(Cow<'a, str>),
    /// The server ends the subscription, or refuses it.
    Ended,
    /// Nothing that belongs there.
    Foreign,
}

/// Reads a message on the stream of the subscription `id`.
pub(super) fn heard<'a>(message: &'a Message, id: &Id) -> Result<Heard<'a>, Repeated> {
    let text = message.text();
    match message.head() {
        Head::Notification { method, .. } if method == ACKNOWLEDGED => {
            let told = edit::member_at(text, &["params", "notifications"])?;
            let resources =
                told.map(|told| edit::member(told, "resourceSubscriptions")).transpose()?.flatten();
            // Naming none of what was asked for means none; naming nothing at all says nothing.
            Ok(Heard::Acknowledged(told.map(|_| resources.map(named).unwrap_or_default())))
        }
        Head::Notification { method, .. } if method == "notifications/cancelled" => Ok(Heard::Ended),
        Head::Notification { .. } => Ok(Heard::Change(without_subscription(text)?)),
        Head::Response { id: answered, .. } if answered == id => Ok(Heard::Ended),
        Head::Request { .. } | Head::Response { .. } => Ok(Heard::Foreign),
    }
}

/// The resources of a list, as many as a host may hear of.
fn named(list: &str) -> BTreeSet<String> {
    let mut resources = BTreeSet::new();
    edit::each_element(list, |resource| {
        if resources.len() < RESOURCES
            && let Some(resource) = parts::text(resource)
        {
            resources.insert(resource);
        }
    });
    resources
}

/// The notification without the id of our subscription.
fn without_subscription(text: &str) -> Result<Cow<'_, str>, Repeated> {
    let Some(params) = edit::member(text, "params")? else { return Ok(text.into()) };
    let Some(meta) = edit::member(params, "_meta")? else { return Ok(text.into()) };
    let Some(mut edited) = Edit::of(meta) else { return Ok(text.into()) };
    let Cow::Owned(meta) = edited.remove(META_SUBSCRIPTION).finish()? else { return Ok(text.into()) };
    let params = Edit::of(params).unwrap_or_default().set("_meta", meta).finish()?;
    Edit::of(text).unwrap_or_default().set("params", params).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(text.to_owned().into()).unwrap()
    }

    fn id(text: &str) -> Id {
        message(&format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"m"}}"#))
            .head()
            .request_id()
            .unwrap()
            .clone()
    }

    #[test]
    fn the_subscription_asks_for_what_the_server_offers_and_the_host_wants() {
        let tells = Tells { tools: true, prompts: false, resources: true, updates: true };
        let resources = ["file:///b", "file:///a"].map(str::to_owned).into_iter().collect();
        let filter = Filter { tells, resources };
        assert_eq!(
            filter.params(),
            r#"{"notifications":{"resourceSubscriptions":["file:///a","file:///b"],"resourcesListChanged":true,"toolsListChanged":true}}"#
        );
        assert!(!filter.is_empty());
        assert!(
            Filter { tells: Tells { updates: true, ..Tells::default() }, ..Filter::default() }.is_empty()
        );
    }

    #[test]
    fn a_change_reaches_the_host_without_our_subscription() {
        const ID: &str = r#""io.modelcontextprotocol/subscriptionId":"s-1""#;
        for (notification, changed) in [
            (r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#, None),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{ID}}}"#,
                Some(
                    r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{}}}"#,
                ),
            ),
            (
                r#"{"method":"notifications/resources/updated", "params":{ "uri":"\u0061" , "_meta":{"x":1e400,ID}},"jsonrpc":"2.0"}"#,
                Some(
                    r#"{"method":"notifications/resources/updated", "params":{ "uri":"\u0061" , "_meta":{"x":1e400}},"jsonrpc":"2.0"}"#,
                ),
            ),
        ] {
            let notification = message(&notification.replace("ID", ID));
            let expected = changed.unwrap_or(notification.text()).to_owned();
            assert_eq!(heard(&notification, &id(r#""s-1""#)), Ok(Heard::Change(expected.into())));
        }
    }

    #[test]
    fn what_else_comes_on_the_subscriptions_stream_is_for_us() {
        let resources = |uris: &[&str]| Some(uris.iter().map(|&uri| uri.to_owned()).collect());
        for (frame, meaning) in [
            (
                r#""method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true}}"#,
                Heard::Acknowledged(resources(&[])),
            ),
            (
                r#""method":"notifications/subscriptions/acknowledged","params":{"notifications":{"resourceSubscriptions":["a"]}}"#,
                Heard::Acknowledged(resources(&["a"])),
            ),
            (r#""method":"notifications/subscriptions/acknowledged""#, Heard::Acknowledged(None)),
            (r#""method":"notifications/cancelled","params":{"requestId":"s-1"}"#, Heard::Ended),
            (r#""id":"s-1","result":{"resultType":"complete"}"#, Heard::Ended),
            (r#""id":"s-1","error":{"code":-32601,"message":""}"#, Heard::Ended),
            (r#""id":"s-2","result":{}"#, Heard::Foreign),
            (r#""id":1,"method":"roots/list""#, Heard::Foreign),
        ] {
            let message = message(&format!(r#"{{"jsonrpc":"2.0",{frame}}}"#));
            assert_eq!(heard(&message, &id(r#""s-1""#)), Ok(meaning), "{frame}");
        }
    }
}
