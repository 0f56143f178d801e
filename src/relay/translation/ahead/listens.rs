//! Subscriptions of a modern host, kept for a server that tells on its session's stream (2026-07-28,
//! subscriptions).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Out, Turn, UNANSWERED, cancellation, refusal};
use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Head, Id, Message, code};
use crate::relay::tells::Tells;
use crate::wire::META_SUBSCRIPTION;

/// The most subscriptions at once, and the most resources in all of them.
const SUBSCRIPTIONS: usize = 100;
const RESOURCES: usize = 1000;
/// How long the server may take to answer about a resource, before the host is told that its
/// subscription stands all the same. Connecting has failed long before, and is told as it is.
pub(super) const OPENING_LIMIT: Duration = Duration::from_secs(30);
/// How many changes are kept for a subscription that does not stand yet.
const KEPT: usize = 100;

/// The open subscriptions.
#[derive(Debug, Default)]
pub(super) struct Listens {
    open: Vec<Listen>,
    /// What the session is subscribed to in their place, or is about to be.
    interests: BTreeMap<String, Interest>,
}

/// A resource that the session is subscribed to, or that the server was asked about. It is asked one thing
/// after another: two requests at once may be acted on in either order.
#[derive(Debug, Default)]
struct Interest {
    /// Whether the session is subscribed to it, before the request under way is acted on.
    held: bool,
    /// The request under way and since when it is: to subscribe to what is not held, or to unsubscribe from
    /// what is.
    asked: Option<(Id, Instant)>,
}

impl Interest {
    /// Whether the server still may answer what it was asked.
    fn is_awaited(&self, now: Instant) -> bool {
        self.asked.as_ref().is_some_and(|(_, since)| now.saturating_duration_since(*since) < OPENING_LIMIT)
    }
}

#[derive(Debug)]
struct Listen {
    id: Id,
    wants: Tells,
    resources: BTreeSet<String>,
    /// There until it stands: it waits for the server to agree to its resources.
    opening: Option<Opening>,
}

#[derive(Debug)]
struct Opening {
    /// What is to be told then.
    kept: Vec<Out>,
    since: Instant,
}

impl Listens {
    /// Opens a subscription as far as the server tells of what it asks for, unless there are too many.
    pub(super) fn open(
        &mut self,
        request: &Message,
        tells: Tells,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        let Some(id) = request.head().request_id() else { return Ok(Vec::new()) };
        let wanted = edit::member_at(request.text(), &["params", "notifications"])?.unwrap_or("{}");
        let [tools, prompts, resources, uris] = edit::members(
            wanted,
            ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"],
        )?;
        let uris: BTreeSet<String> = uris
            .filter(|_| tells.updates)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let mut out = self.forget_unanswered(turn.now);
        let listed: usize = self.open.iter().map(|listen| listen.resources.len()).sum();
        let others = self.interests.keys().filter(|uri| !uris.contains(*uri)).count();
        if self.open.len() >= SUBSCRIPTIONS || listed.max(others) + uris.len() > RESOURCES {
            out.push(refusal(id, code::INTERNAL_ERROR, "there are too many subscriptions"));
            return Ok(out);
        }
        let wants = Tells {
            tools: tells.tools && tools == Some("true"),
            prompts: tells.prompts && prompts == Some("true"),
            resources: tells.resources && resources == Some("true"),
            updates: !uris.is_empty(),
        };
        let opening = Some(Opening { kept: Vec::new(), since: turn.now });
        self.open.push(Listen { id: id.clone(), wants, resources: uris.clone(), opening });
        out.extend(uris.into_iter().flat_map(|uri| self.pursue(uri, turn)));
        out.extend(self.acknowledge());
        Ok(out)
    }

    /// Asks the server for what the subscriptions want of this resource by now, unless it still is to answer
    /// what it was asked before. One that never answers is asked anew, by whoever comes next.
    fn pursue(&mut self, uri: String, turn: &mut Turn<'_>) -> Vec<Out> {
        let is_wanted = self.holds(&uri);
        let interest = self.interests.entry(uri.clone()).or_default();
        let (method, was_held) = match (is_wanted, interest.held) {
            _ if interest.is_awaited(turn.now) => return Vec::new(),
            (true, true) if interest.asked.is_none() => return Vec::new(),
            (true, _) => ("resources/subscribe", false),
            (false, held) if held || interest.asked.is_some() => ("resources/unsubscribe", true),
            (false, _) => {
                self.interests.remove(&uri);
                return Vec::new();
            }
        };
        interest.held = was_held;
        let id = turn.names.id();
        let next = about(method, &id, &uri);
        let overtaken = interest.asked.replace((id, turn.now));
        overtaken.map(|(id, _)| cancellation(&id, UNANSWERED)).into_iter().chain([next]).collect()
    }

    /// Lets go of what nobody wants any more and the server has not answered to.
    fn forget_unanswered(&mut self, now: Instant) -> Vec<Out> {
        let wanted = |uri: &str| self.open.iter().any(|listen| listen.resources.contains(uri));
        let mut out = Vec::new();
        self.interests.retain(|uri, interest| {
            let is_over = !interest.is_awaited(now) && !wanted(uri);
            out.extend(interest.asked.iter().filter(|_| is_over).map(|(id, _)| cancellation(id, UNANSWERED)));
            interest.asked.is_none() || !is_over
        });
        out
    }

    /// Says of those that they stand whose resources the server has agreed to.
    fn acknowledge(&mut self) -> Vec<Out> {
        let agreed = |uri: &String| {
            self.interests.get(uri).is_some_and(|interest| interest.held && interest.asked.is_none())
        };
        let stands = |listen: &&mut Listen| listen.opening.is_some() && listen.resources.iter().all(agreed);
        self.open.iter_mut().filter(stands).flat_map(Listen::acknowledge).collect()
    }

    /// The server's answer to a request of ours; `None` where it is not for one of these.
    pub(super) fn answered(&mut self, id: &Id, answer: &Message, turn: &mut Turn<'_>) -> Option<Vec<Out>> {
        let is_successful = matches!(answer.head(), Head::Response { successful: true, .. });
        let is_it = |(_, interest): &(&String, &mut Interest)| {
            interest.asked.as_ref().is_some_and(|(asked, _)| asked == id)
        };
        let (uri, interest) = self.interests.iter_mut().find(is_it)?;
        let (uri, was_held) = (uri.clone(), interest.held);
        interest.asked = None;
        // What it would not give up is asked for anew where it is wanted again: that does no harm.
        interest.held = !was_held && is_successful;
        let next = if was_held || is_successful {
            self.pursue(uri, turn)
        } else {
            self.refuse(&uri);
            Vec::new()
        };
        Some(next.into_iter().chain(self.acknowledge()).collect())
    }

    /// The server does not agree to a resource. A subscription that stands already goes on without, until
    /// another one asks for it too.
    fn refuse(&mut self, uri: &str) {
        self.interests.remove(uri);
        for listen in self.open.iter_mut().filter(|listen| listen.opening.is_some()) {
            listen.resources.remove(uri);
        }
    }

    /// Closes a subscription; `None` where the id is none's.
    pub(super) fn close(&mut self, id: &Id, turn: &mut Turn<'_>) -> Option<Vec<Out>> {
        let place = self.open.iter().position(|listen| listen.id == *id)?;
        let closed = self.open.swap_remove(place);
        Some(closed.resources.into_iter().flat_map(|uri| self.pursue(uri, turn)).collect())
    }

    /// Whether a subscription has this id.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.open.iter().any(|listen| listen.id == *id)
    }

    fn holds(&self, uri: &str) -> bool {
        self.open.iter().any(|listen| listen.resources.contains(uri))
    }

    /// Hands a change to all who want to hear of it; `None` where it is no change.
    pub(super) fn tell(&mut self, change: &Message) -> Result<Option<Vec<Out>>, Repeated> {
        let wants: fn(&Listen, &str) -> bool = match change.head().method() {
            Some("notifications/tools/list_changed") => |listen, _| listen.wants.tools,
            Some("notifications/prompts/list_changed") => |listen, _| listen.wants.prompts,
            Some("notifications/resources/list_changed") => |listen, _| listen.wants.resources,
            Some("notifications/resources/updated") => |listen, uri| listen.hears_of(uri),
            _ => return Ok(None),
        };
        let uri = edit::member_at(change.text(), &["params", "uri"])?.unwrap_or("null");
        let uri: String = serde_json::from_str(uri).unwrap_or_default();
        let mut out = Vec::new();
        for listen in self.open.iter_mut().filter(|listen| wants(listen, &uri)) {
            let told = Out::host(tagged(change.text(), &listen.id)?);
            match &mut listen.opening {
                Some(opening) => opening.kept.push(told),
                None => out.push(told),
            }
            if listen.opening.as_ref().is_some_and(|opening| opening.kept.len() >= KEPT) {
                out.extend(listen.acknowledge());
            }
        }
        Ok(Some(out))
    }

    /// When the next one stands at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let opening = self.open.iter().filter_map(|listen| listen.opening.as_ref());
        opening.map(|opening| opening.since + OPENING_LIMIT).min()
    }

    /// Lets those stand that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Out> {
        let is_late = |listen: &&mut Listen| {
            let since = listen.opening.as_ref().map(|opening| opening.since);
            since.is_some_and(|since| now.saturating_duration_since(since) >= OPENING_LIMIT)
        };
        self.open.iter_mut().filter(is_late).flat_map(Listen::acknowledge).collect()
    }

    /// Ends all of them in grace (2026-07-28, subscriptions, "Graceful Closure").
    pub(super) fn end(&mut self) -> Vec<Out> {
        let ended = std::mem::take(self).open;
        let ended = ended.iter().map(|Listen { id, .. }| {
            let id = id.as_json();
            Out::host(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{META_SUBSCRIPTION}":{id}}}}}}}"#
            ))
        });
        ended.collect()
    }
}

impl Listen {
    /// Whether a change of `uri` is one of a resource that is subscribed to; it may be a part of it
    /// (2026-07-28, `ResourceUpdatedNotificationParams`).
    fn hears_of(&self, uri: &str) -> bool {
        self.resources.iter().any(|resource| {
            let rest = uri.strip_prefix(resource.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || resource.ends_with('/') || rest.starts_with(['/', '?', '#'])
            })
        })
    }

    /// Says that it stands, and what happened since it was opened.
    fn acknowledge(&mut self) -> Vec<Out> {
        let mut out = vec![Out::host(acknowledged(&self.id, self.wants, &self.resources))];
        out.extend(self.opening.take().into_iter().flat_map(|opening| opening.kept));
        out
    }
}

/// A request of ours about a resource.
fn about(method: &str, id: &Id, uri: &str) -> Out {
    let (id, uri) = (id.as_json(), edit::written(uri));
    Out::server(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"uri":{uri}}}}}"#))
}

fn acknowledged(id: &Id, wants: Tells, resources: &BTreeSet<String>) -> String {
    let mut agreed = json!({});
    for (name, _) in wants.list_changes() {
        agreed[name] = true.into();
    }
    if !resources.is_empty() {
        agreed["resourceSubscriptions"] = json!(resources);
    }
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"{META_SUBSCRIPTION}":{}}},"notifications":{agreed}}}}}"#,
        id.as_json(),
    )
}

/// A notification that names the subscription it belongs to.
fn tagged(notification: &str, id: &Id) -> Result<String, Repeated> {
    let params = edit::member(notification, "params")?.unwrap_or("{}");
    let meta = edit::member(params, "_meta")?.unwrap_or("{}");
    let meta = Edit::of(meta).unwrap_or_default().set(META_SUBSCRIPTION, id.as_json()).finish()?.into_owned();
    let params = Edit::of(params).unwrap_or_default().set("_meta", meta).finish()?.into_owned();
    Ok(Edit::of(notification).unwrap_or_default().set("params", params).finish()?.into_owned())
}
