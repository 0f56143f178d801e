//! A modern host's requests on a legacy server, and what the server asks while it works on them: the
//! host hears of that in a result, and its next attempt carries the answers to the call that waits
//! for them (2026-07-28, multi round-trip requests).
//!
//! A `requestState` is a word that nobody guesses, good for one attempt at the request that it was
//! given for. How many calls wait for a host, and for how long, is limited; what lapses is called off
//! with the server.
//!
//! A question belongs to a call that the host waits for, or is not asked at all: a host of this revision
//! is asked what is needed to answer a request of its own, and in answer to three kinds of request
//! ("Supported Requests"); of anything else a server may want it knows nothing. The server hears that, as
//! from any host that does not do what is asked of it. What a call may ask is what its own request
//! offers (basic, "Statelessness").

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::rounds::Asks;
use super::call::{CANNOT_ASK, Call, Stage, unasked};
use super::envelope::{Envelope, asks_the_same, same_value, unstamped};
use super::logs::Severity;
use super::{Out, QUESTIONS, Turn, pages, refusal};
use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Id, Message, code};
use crate::relay::Failure;

/// How long a call waits for a host that was asked something: people are slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How many calls wait so at once; the one that has waited longest ends first.
pub(super) const PARKED: usize = 100;

/// The calls under way, by the ids that the server knows.
#[derive(Default)]
pub(super) struct Calls {
    calls: HashMap<Id, Call>,
    begun: u64,
}

/// Pages that the host was asked to open, each with what it said to that, and the answer of the server's
/// that wanted them opened.
struct Pages<'a> {
    answer: Message,
    given: Vec<(Message, Option<&'a str>)>,
}

impl Calls {
    /// A request of the host's: a new call, or the next attempt of one.
    ///
    /// # Errors
    /// [`Repeated`] where it could be read in two ways; nothing has changed then.
    pub(super) fn request(
        &mut self,
        request: &Message,
        envelope: Envelope,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        let Some(id) = request.head().request_id() else { return Ok(Vec::new()) };
        if edit::member_at(request.text(), &["params", "requestState"])?.is_some() {
            return self.attempt(id, request, envelope, turn);
        }
        self.begin(id, request, envelope, turn)
    }

    /// A new call.
    fn begin(
        &mut self,
        id: &Id,
        request: &Message,
        envelope: Envelope,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        // It may be the id that the server knows of a call that waits for its next attempt.
        let upstream = if self.calls.contains_key(id) { turn.names.id() } else { id.clone() };
        let frame = unstamped(request, &upstream)?;
        self.begun += 1;
        self.calls.insert(upstream, Call::new(self.begun, id, request, envelope));
        Ok(vec![Out::server(frame)])
    }

    /// The next attempt of a call: what it brings goes to the server, which goes on.
    fn attempt(
        &mut self,
        id: &Id,
        request: &Message,
        envelope: Envelope,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        let params = edit::member(request.text(), "params")?.unwrap_or("{}");
        let [state, responses] = edit::members(params, ["requestState", "inputResponses"])?;
        let state: Option<String> = state.and_then(|text| serde_json::from_str(text).ok());
        let waits = |call: &Call| call.parked().is_some_and(|parked| Some(&parked.state) == state.as_ref());
        let Some((upstream, call)) = self.calls.iter_mut().find(|(_, call)| waits(call)) else {
            let reason =
                "`requestState` belongs to no request that waits: it was used, has lapsed, or never was";
            return Ok(vec![refusal(id, code::INVALID_PARAMS, reason)]);
        };
        if !asks_the_same(request, &call.request)? {
            let reason = "`requestState` belongs to a request for something else";
            return Ok(vec![refusal(id, code::INVALID_PARAMS, reason)]);
        }
        let mut given = Vec::new();
        for (key, _) in call.parked().iter().flat_map(|parked| &parked.questions) {
            given.push(response(responses.unwrap_or("{}"), key)?);
        }
        if call.parked().is_some_and(|parked| parked.begins_again) {
            for given in given.iter().flatten() {
                pages::is_agreed(given)?;
            }
        }
        call.envelope = envelope;
        let Stage::Parked(parked) = std::mem::replace(&mut call.stage, Stage::Awaited(id.clone())) else {
            return Ok(Vec::new());
        };
        if let Some(answer) = parked.answer {
            let upstream = upstream.clone();
            if parked.begins_again {
                let given = parked.questions.into_iter().map(|(_, page)| page).zip(given).collect();
                return self.begin_again(&upstream, request, Pages { answer, given }, turn);
            }
            return Ok(self.settle(&upstream, id, &answer, turn));
        }
        let (mut out, mut open) = (Vec::new(), Vec::new());
        for ((_, question), given) in parked.questions.into_iter().zip(given) {
            match (question.head().request_id(), given) {
                (Some(asked), Some(given)) => {
                    let asked = asked.as_json();
                    out.push(Out::server(format!(r#"{{"jsonrpc":"2.0","id":{asked},"result":{given}}}"#)));
                }
                _ => open.push(question),
            }
        }
        open.extend(parked.later);
        out.extend(call.ask(id.clone(), open, turn));
        Ok(out)
    }

    /// The next attempt of a call that the server has answered with pages to be opened: a new call where
    /// all of them were agreed to.
    fn begin_again(
        &mut self,
        upstream: &Id,
        request: &Message,
        pages: Pages<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Out>, Repeated> {
        let Some(call) = self.calls.get_mut(upstream) else { return Ok(Vec::new()) };
        let Some(id) = request.head().request_id() else { return Ok(Vec::new()) };
        let (mut open, mut is_agreed) = (Vec::new(), true);
        for (page, given) in pages.given {
            match given {
                Some(given) => is_agreed &= pages::is_agreed(given)?,
                None => open.push(page),
            }
        }
        if is_agreed && !open.is_empty() {
            return Ok(call.ask_before(id, open, &pages.answer, turn));
        }
        let envelope = call.envelope.clone();
        let refused = call.answer(id, &pages.answer);
        self.calls.remove(upstream);
        if is_agreed { self.begin(id, request, envelope, turn) } else { Ok(vec![refused]) }
    }

    /// Ends the call that the host's request `id` waits for, as its `cancellation` says; `None`
    /// where there is none.
    pub(super) fn cancel(&mut self, id: &Id, cancellation: &Message) -> Option<Vec<Out>> {
        let upstream = self.upstream(id)?;
        self.calls.remove(&upstream);
        let params = edit::member(cancellation.text(), "params").ok().flatten().unwrap_or("{}");
        let named = Edit::of(params)
            .unwrap_or_default()
            .set("requestId", upstream.as_json())
            .finish()
            .ok()?
            .into_owned();
        let mut frame = Edit::of(cancellation.text()).unwrap_or_default();
        Some(vec![Out::server(frame.set("params", named).finish().ok()?.into_owned())])
    }

    /// The id that the server knows of the call that the host's request `id` waits for.
    fn upstream(&self, id: &Id) -> Option<Id> {
        let is_it = |call: &Call| call.awaited() == Some(id);
        match self.calls.get(id).is_some_and(is_it) {
            true => Some(id.clone()),
            false => self.calls.iter().find(|(_, call)| is_it(call)).map(|(upstream, _)| upstream.clone()),
        }
    }

    /// Whether the host's request `id` waits for one of them.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.upstream(id).is_some()
    }

    /// The server's answer to the call that it knows by `id`; `None` where it is none's.
    pub(super) fn answer(&mut self, id: &Id, answer: Message, turn: &mut Turn<'_>) -> Option<Vec<Out>> {
        let call = self.calls.get_mut(id)?;
        let host = match &mut call.stage {
            Stage::Parked(parked) => {
                parked.answer.get_or_insert(answer);
                return Some(Vec::new());
            }
            Stage::Awaited(host) => host.clone(),
        };
        Some(self.settle(id, &host, &answer, turn))
    }

    /// Says to the host's request `host` what the server answered to the call that it knows by
    /// `upstream`, which is over then, unless the host is asked something first.
    fn settle(&mut self, upstream: &Id, host: &Id, answer: &Message, turn: &mut Turn<'_>) -> Vec<Out> {
        let Some(call) = self.calls.get_mut(upstream) else { return Vec::new() };
        let said = call.settle(host, answer, turn);
        if call.parked().is_none() {
            self.calls.remove(upstream);
        }
        said
    }

    /// Something that the server asks, in the name of the call `on` where it says so. Where it does
    /// not, it is asked of the latest call that may be, one that the host waits for before others.
    pub(super) fn question(&mut self, question: &Message, on: Option<&Id>, turn: &mut Turn<'_>) -> Vec<Out> {
        let call = match on {
            Some(id) => self.calls.get_mut(id).filter(|call| call.may_ask()),
            None => {
                let candidates = self.calls.values_mut().filter(|call| call.may_ask());
                candidates.max_by_key(|call| (call.awaited().is_some(), call.number))
            }
        };
        let Some(call) = call else { return unasked(question, CANNOT_ASK).into_iter().collect() };
        let offered = Asks::of(question.text()).and_then(|asks| asks.offered(call.envelope.offers));
        if let Err(unaskable) = offered {
            return unasked(question, &unaskable.to_string()).into_iter().collect();
        }
        let mut out = match &mut call.stage {
            Stage::Awaited(host) => {
                let host = host.clone();
                call.ask(host, vec![question.clone()], turn)
            }
            Stage::Parked(parked) if parked.questions.len() + parked.later.len() < QUESTIONS => {
                parked.later.push(question.clone());
                Vec::new()
            }
            Stage::Parked(_) => unasked(question, "too many questions are open").into_iter().collect(),
        };
        out.extend(self.expire(turn.now));
        out
    }

    /// Progress of a call, as the host's latest attempt wants to hear of it.
    pub(super) fn progress(&self, notification: &Message) -> Result<Vec<Out>, Repeated> {
        let params = edit::member(notification.text(), "params")?.unwrap_or("{}");
        let Some(token) = edit::member(params, "progressToken")? else { return Ok(Vec::new()) };
        let is_it = |call: &&Call| {
            let known = call.progress_token.as_deref();
            call.awaited().is_some() && known.is_some_and(|known| same_value(known, token))
        };
        let call = self.calls.values().find(is_it);
        let Some(wanted) = call.and_then(|call| call.envelope.progress_token.as_deref()) else {
            tracing::debug!("progress that the host does not wait for");
            return Ok(Vec::new());
        };
        if wanted == token {
            return Ok(vec![Out::Host(notification.bytes().clone())]);
        }
        let params = Edit::of(params).unwrap_or_default().set("progressToken", wanted).finish()?.into_owned();
        let frame =
            Edit::of(notification.text()).unwrap_or_default().set("params", params).finish()?.into_owned();
        Ok(vec![Out::host(frame)])
    }

    /// Whether a request that waits wants to read such a message in the log.
    pub(super) fn want_to_read(&self, severity: Option<Severity>) -> bool {
        self.least_severity().is_some_and(|least| severity.is_none_or(|severity| severity >= least))
    }

    /// How grave a message is at least that a request that waits wants to read in the log; `None` where none
    /// wants to read any.
    pub(super) fn least_severity(&self) -> Option<Severity> {
        let waiting = self.calls.values().filter(|call| call.awaited().is_some());
        waiting.filter_map(|call| call.envelope.log_level.as_deref().and_then(Severity::of)).min()
    }

    /// When the next one lapses.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.calls.values().filter_map(|call| Some(call.parked()?.since + PATIENCE)).min()
    }

    /// Ends the calls whose host did not come back.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Out> {
        let parked = |(id, call): (&Id, &Call)| Some((call.parked()?.since, call.number, id.clone()));
        let mut parked: Vec<_> = self.calls.iter().filter_map(parked).collect();
        parked.sort_unstable_by_key(|(since, number, _)| (*since, *number));
        let too_many = parked.len().saturating_sub(PARKED);
        let is_over = |(place, (since, ..)): &(usize, (Instant, u64, Id))| {
            *place < too_many || now.saturating_duration_since(*since) >= PATIENCE
        };
        let over = parked.into_iter().enumerate().filter(is_over).map(|(_, (_, _, id))| id);
        let ended = over.filter_map(|id| Some((self.calls.remove(&id)?, id)));
        ended.flat_map(|(call, id)| call.called_off(&id, "nobody answered in time")).collect()
    }

    /// Ends the calls that wait for a host that will not come back.
    pub(super) fn abandon(&mut self) -> Vec<Out> {
        let abandoned = self.calls.extract_if(|_, call| call.parked().is_some());
        abandoned.flat_map(|(id, call)| call.called_off(&id, "the host has left")).collect()
    }

    /// Ends all of them.
    pub(super) fn end(&mut self, reason: &'static str) -> Vec<Out> {
        let mut out = Vec::new();
        for (id, call) in self.calls.drain() {
            out.extend(call.called_off(&id, reason));
            if let Some(host) = call.awaited() {
                let failure = Failure::CalledOff { why: reason, sent: true };
                out.push(Out::Host(failure.to_response(host.clone()).into_bytes()));
            }
        }
        out
    }
}

/// What the host gave for the question `key`.
fn response<'a>(responses: &'a str, key: &str) -> Result<Option<&'a str>, Repeated> {
    let (mut found, mut is_repeated) = (None, false);
    edit::each_member(responses, |name, value| {
        if edit::decoded(name).as_deref() == Some(key.as_bytes()) {
            is_repeated |= found.replace(value).is_some();
        }
    });
    if is_repeated { Err(Repeated("inputResponses")) } else { Ok(found) }
}
