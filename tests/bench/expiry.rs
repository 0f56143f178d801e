//! What expiring tokens cost the calls: `cargo bench --bench expiry`, or `-- 10` for ten times as long.
//!
//! Two bridges get a call a second each, in turns. The tokens of one live for an hour, those of the
//! other for ten seconds, and its token endpoint takes two to answer. A run takes two minutes, in
//! which more than ten tokens end. What counts is how much slower the slowest hundredth of the calls
//! is: twice as slow at most. Nothing is asserted: times belong to a machine.

// A step that fails ends the run; stdout is where the figures go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code, unused_imports, reason = "the tests use the rest of it")]
#[path = "../it/support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the other benchmark uses the rest of it")]
mod figures;
#[allow(dead_code, reason = "the other benchmark uses the rest of it")]
mod ways;

use std::time::{Duration, Instant};

use figures::Spread;
use support::authorization_server::Fault;
use support::service::Service;
use ways::{Bridged, Era, call};

/// How many calls each bridge gets, in one run.
const CALLS: usize = 120;
const PACE: Duration = Duration::from_secs(1);
const LIFE_SECONDS: u32 = 10;
const ENDPOINT_TAKES: Duration = Duration::from_secs(2);

fn main() {
    let times: usize = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let steady = logged_in(3600);
    let expiring = logged_in(LIFE_SECONDS);
    expiring.authorization.script(|| vec![Fault::Delay(ENDPOINT_TAKES)]);
    let services = [&steady, &expiring];
    let mut bridges =
        services.map(|service| Bridged::start(&service.home, &service.server.url(), Era::Legacy));
    let mut took = [Vec::new(), Vec::new()];
    let start = Instant::now();
    for round in 0..CALLS * times {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            // Half a second apart, so that neither call meets the other.
            let due = start + PACE * u32::try_from(round).expect("a short run") + PACE / 2 * turn as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            bridges[which].exchange(&call(round, "hello"));
            took[which].push(begun.elapsed());
        }
    }
    let [without, with] = took.map(|took| Spread::in_ms(&took));
    let shown = |spread: &Spread| {
        let (median, p99, slowest) = (spread.at(50), spread.at(99), spread.at(100));
        format!("median {median:.3} ms, p99 {p99:.3} ms, slowest {slowest:.3} ms")
    };
    let refreshes = expiring.authorization.refreshes();
    println!("one call a second, {} calls each", CALLS * times);
    println!("no expiries:   {}", shown(&without));
    println!("{refreshes} refreshes:  {}", shown(&with));
    println!("  p99 is {:.2}× of that without expiries", with.at(99) / without.at(99));
}

/// A login whose access tokens live for so many seconds.
fn logged_in(seconds: u32) -> Service {
    let service = Service::new();
    service.authorization.set_life(seconds);
    service.login(&[]).expect(0);
    service
}
