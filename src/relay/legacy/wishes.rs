//! What the host has asked of its session, and the server has granted: the resources that it hears of,
//! and the level of the log (MCP resources, "Subscriptions"; logging, "Setting Log Level").
//!
//! A server that loses the session loses that with it, and the host, who sees no other session, does not
//! ask again. So it is kept here, in the host's own words, for the session that takes the place of a lost
//! one. What the host wants no more is forgotten as soon as it says so, whatever the server makes of that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Epoch;
use crate::jsonrpc::{Head, Message};

/// How many are kept, and how many bytes of them.
const MOST: usize = 1024;
const BYTES_MOST: usize = 1024 * 1024;
/// How long what the host says next waits for what is said again, so that nothing is missed that it
/// brings about.
const MOMENT: Duration = Duration::from_millis(250);
/// The same where it changes what was asked: it has to have the last word.
const LAST_WORD: Duration = Duration::from_secs(15);

/// What is kept.
#[derive(Default)]
pub(in crate::relay) struct Wishes {
    state: Mutex<State>,
    /// The session that has yet to hear of it.
    owed: watch::Sender<Option<Owed>>,
}

#[derive(Default)]
struct State {
    granted: BTreeMap<Subject, Granted>,
    bytes: usize,
    /// How many were asked for so far.
    asked: u64,
    /// How many of them in sessions that the host has left.
    void: u64,
    /// Whether some found no room.
    overflowed: bool,
}

/// What a wish is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    LogLevel,
    /// Changes of the resource at this URI.
    Resource(String),
}

struct Granted {
    frame: Arc<str>,
    number: u64,
    /// Whether a later session has refused it.
    refused: bool,
}

/// A request whose effect lasts as long as the session.
#[derive(Debug)]
pub(in crate::relay) struct Wish {
    subject: Subject,
    request: Message,
    number: u64,
    /// The session that it went out in last.
    sent_in: Option<Epoch>,
}

impl Wish {
    /// Whether the host's later `request` takes its place, be it answered or not: what ends it does, and what
    /// asks anew in the session that stands where it went out in one that is lost.
    pub(in crate::relay) fn is_overtaken(&self, request: &Message, standing: Epoch) -> bool {
        match Change::of(request) {
            Some(Change::Unwanted(subject)) => subject == self.subject,
            Some(Change::Wanted(subject)) => {
                subject == self.subject && self.sent_in.is_some_and(|epoch| epoch != standing)
            }
            None => false,
        }
    }

    /// Notes the session that it goes out in.
    pub(in crate::relay) fn goes_out_in(&mut self, epoch: Epoch) {
        self.sent_in = Some(epoch);
    }
}

/// A session that took a lost one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) epoch: Epoch,
    since: Instant,
}

/// What a request does to what is kept.
enum Change {
    Wanted(Subject),
    Unwanted(Subject),
}

impl Change {
    fn of(request: &Message) -> Option<Self> {
        let Head::Request { method, parameters, .. } = request.head() else { return None };
        let resource = || parameters.uri.clone().map(Subject::Resource);
        match method.as_str() {
            "logging/setLevel" => Some(Self::Wanted(Subject::LogLevel)),
            "resources/subscribe" => resource().map(Self::Wanted),
            "resources/unsubscribe" => resource().map(Self::Unwanted),
            _ => None,
        }
    }
}

impl Wishes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host begins a session: what it asked of the one before is void.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        *state = State { asked: state.asked, void: state.asked, ..State::default() };
        self.owed.send_replace(None);
    }

    /// Whether a request does anything to what is kept.
    pub(super) fn concerns(request: &Message) -> bool {
        Change::of(request).is_some()
    }

    /// Takes note of a request of the host's: gives the wish that it is, and forgets what it ends.
    pub(super) fn asked(&self, request: &Message) -> Option<Wish> {
        let mut state = self.state();
        match Change::of(request)? {
            Change::Wanted(subject) => {
                state.asked += 1;
                Some(Wish { subject, request: request.clone(), number: state.asked, sent_in: None })
            }
            Change::Unwanted(subject) => {
                state.forget(&subject);
                None
            }
        }
    }

    /// The server has answered a wish with a result, and `standing` is the session that stands by now, if
    /// one does: the one that granted it may be gone.
    pub(in crate::relay) fn granted(&self, wish: Wish, standing: Option<Epoch>) {
        let is_late = |standing: &Epoch| wish.sent_in.is_some_and(|epoch| epoch != *standing);
        let owing = standing.filter(is_late);
        if self.keep(wish)
            && let Some(standing) = owing
        {
            self.owe(standing);
        }
    }

    /// Whether it is kept: a later one holds, and there is no room for all.
    fn keep(&self, Wish { subject, request, number, .. }: Wish) -> bool {
        let mut state = self.state();
        let is_late = state.granted.get(&subject).is_some_and(|granted| granted.number > number);
        if is_late || number <= state.void {
            return false;
        }
        state.forget(&subject);
        let frame: Arc<str> = request.text().into();
        if state.granted.len() >= MOST || state.bytes + frame.len() > BYTES_MOST {
            if !std::mem::replace(&mut state.overflowed, true) {
                tracing::warn!(
                    "the host asks for more subscriptions than are kept: should the server lose the session, it \
                     will hear of those beyond no more"
                );
            }
            return false;
        }
        state.bytes += frame.len();
        state.granted.insert(subject, Granted { frame, number, refused: false });
        true
    }

    /// All of it, as the host said it.
    pub(super) fn granted_so_far(&self) -> Vec<(Subject, Arc<str>)> {
        let state = self.state();
        let frames = state.granted.iter();
        frames.map(|(subject, granted)| (subject.clone(), Arc::clone(&granted.frame))).collect()
    }

    /// Whether the host still wants it.
    pub(super) fn holds(&self, subject: &Subject) -> bool {
        self.state().granted.contains_key(subject)
    }

    /// A later session refused it; whether it is the first to do so.
    pub(super) fn refused(&self, subject: &Subject) -> bool {
        let mut state = self.state();
        let granted = state.granted.get_mut(subject);
        granted.is_some_and(|granted| !std::mem::replace(&mut granted.refused, true))
    }

    /// The session `epoch` took a lost one's place, and knows of nothing.
    pub(super) fn owe(&self, epoch: Epoch) {
        if !self.state().granted.is_empty() {
            self.owed.send_replace(Some(Owed { epoch, since: Instant::now() }));
        }
    }

    /// Tells which session has yet to hear of it.
    pub(super) fn owed(&self) -> watch::Receiver<Option<Owed>> {
        self.owed.subscribe()
    }

    /// That session has heard of it, as far as it would.
    pub(super) fn settled(&self, heard: Owed) {
        self.owed.send_if_modified(|owed| owed.take_if(|owed| *owed == heard).is_some());
    }

    /// Lets what is said again go before a request of the host's; whether that took any time.
    pub(super) async fn precede(&self, request: &Message) -> bool {
        let Some(Owed { since, .. }) = *self.owed.borrow() else { return false };
        let limit = if Change::of(request).is_some() { LAST_WORD } else { MOMENT };
        let mut owed = self.owed.subscribe();
        let _late = tokio::time::timeout_at(since + limit, owed.wait_for(Option::is_none)).await;
        true
    }
}

impl State {
    fn forget(&mut self, subject: &Subject) {
        if let Some(granted) = self.granted.remove(subject) {
            self.bytes -= granted.frame.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, params: &str) -> Message {
        let frame = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        Message::parse(frame.into()).unwrap()
    }

    fn subscribe(uri: &str) -> Message {
        request("resources/subscribe", &format!(r#"{{"uri":"{uri}"}}"#))
    }

    fn kept(wishes: &Wishes) -> Vec<Subject> {
        wishes.granted_so_far().into_iter().map(|(subject, _)| subject).collect()
    }

    fn grant(wishes: &Wishes, request: &Message) {
        let wish = wishes.asked(request).unwrap();
        wishes.granted(wish, None);
    }

    #[test]
    fn what_is_granted_is_kept_until_it_is_unwanted() {
        let wishes = Wishes::default();
        assert!(wishes.asked(&request("tools/call", r#"{"uri":"x:a"}"#)).is_none());
        assert!(wishes.asked(&request("resources/subscribe", "{}")).is_none());
        // Asked for, and refused.
        assert!(wishes.asked(&subscribe("x:refused")).is_some());
        grant(&wishes, &subscribe("x:a"));
        grant(&wishes, &subscribe(r"x:\u0061"));
        grant(&wishes, &subscribe("x:b"));
        grant(&wishes, &request("logging/setLevel", r#"{"level":"info"}"#));
        let resource = |uri: &str| Subject::Resource(uri.to_owned());
        assert_eq!(kept(&wishes), [Subject::LogLevel, resource("x:a"), resource("x:b")]);
        assert!(wishes.asked(&request("resources/unsubscribe", r#"{"uri":"x:a"}"#)).is_none());
        assert_eq!(kept(&wishes), [Subject::LogLevel, resource("x:b")]);
    }

    #[test]
    fn the_last_word_holds_and_a_new_session_begins_with_none() {
        let wishes = Wishes::default();
        let [first, second] = ["info", "debug"].map(|level| {
            wishes.asked(&request("logging/setLevel", &format!(r#"{{"level":"{level}"}}"#))).unwrap()
        });
        wishes.granted(second, None);
        wishes.granted(first, None);
        assert!(wishes.granted_so_far()[0].1.contains("debug"));
        let late = wishes.asked(&subscribe("x:a")).unwrap();
        wishes.begin();
        wishes.granted(late, None);
        assert!(kept(&wishes).is_empty());
    }

    #[test]
    fn there_is_no_more_than_a_limit() {
        let wishes = Wishes::default();
        for number in 0..MOST + 10 {
            grant(&wishes, &subscribe(&format!("x:{number}")));
        }
        assert_eq!(kept(&wishes).len(), MOST);
        grant(&wishes, &subscribe("x:0"));
        assert_eq!(kept(&wishes).len(), MOST);

        let wishes = Wishes::default();
        let half = "x".repeat(BYTES_MOST / 2);
        grant(&wishes, &subscribe(&format!("a:{half}")));
        grant(&wishes, &subscribe(&format!("b:{half}")));
        grant(&wishes, &subscribe("c:"));
        assert_eq!(kept(&wishes).len(), 2);
        wishes.asked(&request("resources/unsubscribe", &format!(r#"{{"uri":"a:{half}"}}"#)));
        grant(&wishes, &subscribe(&format!("b:{half}")));
        assert_eq!(kept(&wishes).len(), 2);
    }

    #[test]
    fn a_refusal_is_told_once() {
        let wishes = Wishes::default();
        grant(&wishes, &subscribe("x:a"));
        let [(subject, _)] = &wishes.granted_so_far()[..] else { panic!("one") };
        assert!(wishes.refused(subject) && !wishes.refused(subject));
    }
}
