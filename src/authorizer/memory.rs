//! What this process remembers of the login, and what that is worth to a request.
//!
//! It is a copy: as soon as the index shows another generation, the store is read again.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::authorization::{Authorization, TokenDigest};
use super::decision::{Ahead, Refused, Renewal, Stagger, Step, View, decide};
use super::demand::Demand;
use super::error::AuthorizerError;
use super::flight::Flight;
use super::rejection::Rejection;
use super::standing::Standing;
use super::trouble::Trouble;
use crate::clock;
use crate::credential::Generation;

/// How often a login is looked for that is listed and was not there.
const ABSENCE_PAUSE: Duration = Duration::from_secs(5);
/// How old a token may be that counts as new when it is refused.
const JUST_NOW: SignedDuration = SignedDuration::from_secs(30);

/// What this process remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The index's generation before what is held was read; `None` before the first reading.
    seen: Option<Option<Generation>>,
    /// When the store was read last.
    read_at: Option<Instant>,
    held: Option<Held>,
    /// The last token that a request used.
    used: Option<TokenDigest>,
    /// This process's place among those that hold the same token.
    stagger: Stagger,
    /// The service's 401 to a bare request, while it has taken none since.
    demand: Option<Demand>,
    trouble: Option<Trouble>,
    rejection: Option<Rejection>,
    /// The record whose refusal was noted in the index, or is about to be.
    noted: Option<Noted>,
    /// A refusal is being taken back.
    taking_back: bool,
    /// The slow operation that is under way.
    pub(super) flight: Option<Flight>,
}

/// A token, ready to be sent.
#[derive(Debug)]
struct Held {
    view: View,
    /// The record's.
    generation: Generation,
    scopes: Vec<String>,
    /// `None` where the token cannot stand in a header.
    authorization: Option<Authorization>,
}

/// A refusal in the index, or on its way there.
#[derive(Debug)]
struct Noted {
    generation: Generation,
    /// It has been seen there: where it is not seen any more, somebody took it back.
    was_seen: bool,
}

/// The moment of a question, by the clock that expiries use and by the one that never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: Timestamp,
    pub(super) steady: Instant,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { wall: clock::now(), steady: Instant::now() }
    }
}

/// What memory knows about a question.
#[derive(Debug)]
pub(super) enum Recalled {
    /// The answer.
    Settled(Outcome),
    /// The store has to be asked; `meanwhile` still does for a while.
    Unknown { meanwhile: Option<Authorization> },
}

/// What a request gets.
pub(super) type Outcome = Result<Authorization, Problem>;

/// Why a request gets nothing to carry.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// A person has to act.
    Person(Person),
    /// The renewed token was refused again: renewing once more would not help.
    Rejected,
    /// Anything else.
    Other(AuthorizerError),
}

/// What a person has to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Person {
    /// Log in: nothing is stored.
    LogInFirst,
    /// Log in again, for this reason; `anew` where the login still looks good.
    LogInAgain { reason: String, anew: bool },
    /// Store another static token.
    SetToken,
}

impl Memory {
    /// Remembers nothing yet.
    pub(super) fn new(stagger: Stagger) -> Self {
        Self { stagger, ..Self::default() }
    }

    /// Answers a question from memory, given the index's generation now.
    pub(super) fn recall(&self, refused: Refused, generation: Option<&Generation>, now: Now) -> Recalled {
        if self.seen.as_ref().is_none_or(|seen| seen.as_ref() != generation) {
            return Recalled::Unknown { meanwhile: None };
        }
        if let (Some(rejection), Refused::Token(token)) = (&self.rejection, refused)
            && rejection.holds(now)
            && self.held_good(token, now).is_some_and(|held| held.view.renewal == Renewal::Refresh)
        {
            return Recalled::Settled(Err(Problem::Rejected));
        }
        let Some(held) = &self.held else {
            let is_demanded = self.is_demanded(now);
            return match refused {
                // What is listed may come back: a keychain that shows itself late, a directory that was away.
                _ if self.demand.is_some() && self.seen().is_some() && self.is_long_since_read(now) => {
                    Recalled::Unknown { meanwhile: None }
                }
                Refused::No if !is_demanded => Recalled::Settled(Ok(Authorization::bare())),
                // The store was asked when the first one was refused.
                _ if self.demand.is_some() => Recalled::Settled(Err(Problem::Person(Person::LogInFirst))),
                _ => Recalled::Unknown { meanwhile: None },
            };
        };
        match decide(Some(&held.view), refused, now.wall) {
            Step::Nothing => Recalled::Unknown { meanwhile: None },
            Step::Use => Recalled::Settled(held.carry()),
            Step::Dead => Recalled::Settled(Err(Problem::Person(held.person(refused)))),
            Step::Renew { usable } => {
                let meanwhile = held.authorization.clone().filter(|_| usable);
                match (self.trouble(now), meanwhile) {
                    (Some(_), Some(authorization)) => Recalled::Settled(Ok(authorization)),
                    (Some(error), None) if error.holds_off() => Recalled::Settled(Err(Problem::Other(error))),
                    // A store may have come back, and a lock be free, at any moment.
                    (_, meanwhile) => Recalled::Unknown { meanwhile },
                }
            }
        }
    }

    /// Remembers what the store says, as of the index's generation `seen`.
    pub(super) fn hold(&mut self, seen: Option<Generation>, standing: Option<&Standing>, now: Now) {
        self.seen = Some(seen);
        self.read_at = Some(now.steady);
        // Somebody logged in, or stored a token: that one is judged anew.
        if let Some(standing) = standing.filter(|standing| standing.is_first()) {
            self.end_rejection(standing.view().digest);
        }
        self.held = standing.map(|standing| Held {
            view: View { stagger: self.stagger, ..standing.view() },
            generation: standing.generation.clone(),
            scopes: standing.scopes().to_vec(),
            authorization: Authorization::bearer(&standing.token),
        });
        if self.held.is_some() {
            self.demand = None;
        }
    }

    /// Whether a login that is listed and was not there is to be looked for again.
    fn is_long_since_read(&self, now: Now) -> bool {
        self.read_at.is_none_or(|read_at| now.steady >= read_at + ABSENCE_PAUSE)
    }

    /// Forgets which generation was seen, so that the next request asks the store again.
    pub(super) fn doubt(&mut self) {
        self.seen = None;
    }

    /// Notes that a request uses the token; whether none has used it before.
    pub(super) fn note_use(&mut self, token: TokenDigest) -> bool {
        self.used.replace(token) != Some(token)
    }

    /// What to do about the token at hand while no request waits for it.
    pub(super) fn ahead(&self, now: Now) -> Ahead {
        let Some(held) = &self.held else { return Ahead::Rest };
        match (held.view.ahead(self.used == Some(held.view.digest), now.wall), self.pause(now)) {
            (Ahead::Renew { .. }, Some(pause)) => Ahead::Wait(pause),
            (ahead, _) => ahead,
        }
    }

    /// Notes that the service wants a login, where none is there.
    pub(super) fn demand(&mut self, now: Now) {
        self.demand = Some(Demand::again(self.demand.take(), now));
    }

    /// Notes that the service takes bare requests.
    pub(super) fn forget_demand(&mut self) {
        self.demand = None;
    }

    /// The generation that was seen when what is held was read.
    pub(super) fn seen(&self) -> Option<&Generation> {
        self.seen.as_ref().and_then(Option::as_ref)
    }

    /// What a request may carry while the store gives no access.
    pub(super) fn usable(&self, refused: Refused, now: Now) -> Option<Authorization> {
        let held = self.held.as_ref()?;
        match decide(Some(&held.view), refused, now.wall) {
            Step::Use | Step::Renew { usable: true } => held.authorization.clone(),
            _ => None,
        }
    }

    /// What is held, decided anew.
    pub(super) fn step(&self, refused: Refused, now: Now) -> Step {
        decide(self.held.as_ref().map(|held| &held.view), refused, now.wall)
    }

    /// What the held token would be carried as, or what a person has to do where it cannot be.
    pub(super) fn carry(&self) -> Outcome {
        self.held.as_ref().map_or(Err(Problem::Person(Person::LogInFirst)), Held::carry)
    }

    /// What a person has to do.
    pub(super) fn person(&self, refused: Refused) -> Person {
        self.held.as_ref().map_or(Person::LogInFirst, |held| held.person(refused))
    }

    /// The digest of the token at hand.
    pub(super) fn token(&self) -> Option<TokenDigest> {
        self.held.as_ref().map(|held| held.view.digest)
    }

    /// The scopes of the token at hand.
    pub(super) fn scopes(&self) -> Vec<String> {
        self.held.as_ref().map(|held| held.scopes.clone()).unwrap_or_default()
    }

    /// Whether the service wanted a login that is not there, so short a time ago that it is not asked
    /// again on nobody's behalf.
    pub(super) fn is_demanded(&self, now: Now) -> bool {
        self.demand.as_ref().is_some_and(|demand| demand.holds(now))
    }

    /// Notes a failure and returns it with the wait until the next attempt: the server's wish
    /// within bounds, else ours.
    pub(super) fn note_trouble(
        &mut self,
        error: AuthorizerError,
        wish: Option<Duration>,
        now: Now,
    ) -> AuthorizerError {
        let trouble = Trouble::again(self.trouble.take(), error, wish, now);
        self.trouble.insert(trouble).error().clone()
    }

    /// Forgets past failures.
    pub(super) fn clear_trouble(&mut self) {
        self.trouble = None;
    }

    /// Whether the token at hand is `token` and was issued a moment ago: what is refused then would
    /// be refused after another renewal as well.
    pub(super) fn has_just_got(&self, token: TokenDigest, now: Now) -> bool {
        let age = |held: &Held| now.wall.duration_since(held.view.obtained_at);
        self.held_good(token, now).is_some_and(|held| age(held) < JUST_NOW)
    }

    /// The token at hand where it is `token`, and not over by its own time, which would explain a refusal.
    fn held_good(&self, token: TokenDigest, now: Now) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.view.digest == token && held.view.is_valid(now.wall))
    }

    /// Notes that a renewed token was refused again.
    pub(super) fn note_rejection(&mut self, token: TokenDigest, now: Now) {
        self.rejection = Some(Rejection::again(self.rejection.take(), token, now));
    }

    /// Whether it was noted that the token was renewed and refused again.
    pub(super) fn is_rejected(&self, token: TokenDigest) -> bool {
        self.rejection.as_ref().is_some_and(|rejection| rejection.is_of(token))
    }

    /// The service took `token`, or a person brought it: what was refused before it says nothing of the
    /// next one.
    pub(super) fn end_rejection(&mut self, token: TokenDigest) {
        self.rejection.take_if(|rejection| !rejection.is_of(token));
    }

    /// Takes back that any token was renewed and refused again.
    pub(super) fn forget_rejections(&mut self) {
        self.rejection = None;
    }

    /// Takes back that the token was renewed and refused again.
    pub(super) fn forget_rejection(&mut self, token: TokenDigest) {
        self.rejection.take_if(|rejection| rejection.is_of(token));
    }

    /// The record to note as refused, where it is the one that `token` is from and it was not noted
    /// before, or is not any more; from now on it was. `is_seen` tells what the index shows.
    pub(super) fn note_refusal(&mut self, token: TokenDigest, is_seen: bool) -> Option<Generation> {
        let held = self.held.as_ref().filter(|held| held.view.digest == token)?;
        let generation = held.generation.clone();
        let noted = self.noted.as_ref().filter(|noted| noted.generation == generation);
        if noted.is_some_and(|noted| is_seen || !noted.was_seen) {
            return None;
        }
        self.noted = Some(Noted { generation: generation.clone(), was_seen: false });
        Some(generation)
    }

    /// The index shows what was noted.
    pub(super) fn see_refusal(&mut self) {
        self.noted.iter_mut().for_each(|noted| noted.was_seen = true);
    }

    /// The record that the service takes `token` of, where that is the one at hand and nothing is being
    /// taken back yet; from now on it is. What is refused after that is news again.
    pub(super) fn begin_taking_back(&mut self, token: TokenDigest) -> Option<Generation> {
        let held = self.held.as_ref().filter(|held| held.view.digest == token && !self.taking_back)?;
        self.taking_back = true;
        self.noted = None;
        Some(held.generation.clone())
    }

    /// It was taken back, or could not be.
    pub(super) fn end_taking_back(&mut self) {
        self.taking_back = false;
    }

    /// Takes back that a refusal was noted.
    pub(super) fn forget_refusal(&mut self) {
        self.noted = None;
    }

    /// The failure that still holds attempts back, with what is left of the wait.
    pub(super) fn trouble(&self, now: Now) -> Option<AuthorizerError> {
        let left = self.pause(now)?;
        self.trouble.as_ref().map(|trouble| trouble.error().clone().retrying_in(left))
    }

    /// What is left of the wait after a failure.
    fn pause(&self, now: Now) -> Option<Duration> {
        self.trouble.as_ref()?.pause(now)
    }
}

impl Held {
    fn carry(&self) -> Outcome {
        self.authorization.clone().ok_or_else(|| {
            Problem::Person(match self.view.renewal {
                Renewal::Static => Person::SetToken,
                _ => Person::LogInAgain {
                    reason: "its access token cannot stand in a header".to_owned(),
                    anew: true,
                },
            })
        })
    }

    fn person(&self, refused: Refused) -> Person {
        // What was refused before its time looks good to whoever only knows its expiry.
        let anew = refused != Refused::No;
        match &self.view.renewal {
            Renewal::Static => Person::SetToken,
            Renewal::Ended(reason) => Person::LogInAgain { reason: reason.clone(), anew: false },
            Renewal::NoRefreshToken | Renewal::Refresh => Person::LogInAgain {
                reason: "its access token is over, and the authorization server issued no refresh token"
                    .to_owned(),
                anew,
            },
        }
    }
}

#[cfg(test)]
mod tests;
