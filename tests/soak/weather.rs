//! What the token endpoint does to refreshes: delays, failures, and outages in which all fail.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::support::authorization_server::Fault;
use crate::support::http_server::Reply;

/// How often a refresh is delayed, and how often it fails, of a hundred.
const DELAYED: u64 = 50;
const FAILED: u64 = 30;
/// How often an outage begins with a failure, of a hundred.
const OUTAGES: u64 = 3;

pub(crate) struct Weather {
    chance: Chance,
    is_fair: bool,
    outage_until: Option<Instant>,
    /// When each refresh was answered, or was to be, and whether well.
    answers: Vec<(Instant, bool)>,
    counts: BTreeMap<&'static str, usize>,
}

/// What the weather was.
pub(crate) struct Report {
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// From the first answer without a token to the next one with one.
    pub(crate) outages: Vec<(Instant, Instant)>,
}

impl Weather {
    pub(crate) fn new(chance: Chance) -> Self {
        Self { chance, is_fair: false, outage_until: None, answers: Vec::new(), counts: BTreeMap::new() }
    }

    /// All goes well from now on.
    pub(crate) fn clear_up(&mut self) {
        self.is_fair = true;
    }

    /// The faults of the next refresh.
    pub(crate) fn faults(&mut self) -> Vec<Fault> {
        if self.is_fair {
            self.answers.push((Instant::now(), true));
            return Vec::new();
        }
        let delay =
            if self.chance.percent(DELAYED) { self.chance.between(100, 4000) } else { Duration::ZERO };
        let now = Instant::now();
        let is_out = self.outage_until.is_some_and(|until| now < until);
        let fails = is_out || self.chance.percent(FAILED);
        if fails && !is_out && self.chance.percent(OUTAGES) {
            self.outage_until = Some(now + self.chance.between(5_000, 30_000));
        }
        self.answers.push((now + delay, !fails));
        let mut faults = vec![Fault::Delay(delay)];
        if !delay.is_zero() {
            *self.counts.entry("delayed").or_default() += 1;
        }
        if fails {
            faults.push(self.failure());
        }
        faults
    }

    fn failure(&mut self) -> Fault {
        let (what, fault) = match self.chance.below(8) {
            0 => ("500", Fault::Reply(Reply::status(500))),
            1 => ("503 with a page", Fault::Reply(Reply::html(503, "<html>down</html>"))),
            2 => ("429", Fault::Reply(Reply::json(429, "{}"))),
            3 => {
                let wait = (1 + self.chance.below(3)).to_string();
                ("429 that asks to wait", Fault::Reply(Reply::json(429, "{}").header("Retry-After", wait)))
            }
            4 => ("200 with a page", Fault::Reply(Reply::html(200, "<html>Welcome</html>"))),
            5 => ("200 with half an object", Fault::Reply(Reply::json(200, r#"{"access_token":"#))),
            6 => ("200 without a token", Fault::Reply(Reply::json(200, "{}"))),
            _ => ("reset", Fault::Reset),
        };
        *self.counts.entry(what).or_default() += 1;
        fault
    }

    pub(crate) fn report(&mut self) -> Report {
        self.answers.sort_unstable();
        let mut outages = Vec::new();
        let mut begun = None;
        for &(at, is_good) in &self.answers {
            if !is_good {
                begun.get_or_insert(at);
            } else if let Some(begun) = begun.take() {
                outages.push((begun, at));
            }
        }
        outages.extend(begun.map(|begun| (begun, Instant::now())));
        Report { counts: self.counts.clone(), outages }
    }
}
