//! What a server tells by itself: the subscription that stands for a legacy session's stream
//! (2026-07-28 basic, patterns, "Subscriptions").

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::json;

use super::introduction::Tells;
use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Head, Id, Message, parts};
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
        let Tells { tools, prompts, resources, updates: _ } = self.tells;
        !(tools || prompts || resources) && self.resources.is_empty()
    }

    /// The parameters of `subscriptions/listen`.
    pub(super) fn params(&self) -> String {
        let mut notifications = json!({});
        for (wanted, name) in [
            (self.tells.tools, "toolsListChanged"),
            (self.tells.prompts, "promptsListChanged"),
            (self.tells.resources, "resourcesListChanged"),
        ] {
            if wanted {
                notifications[name] = true.into();
            }
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
