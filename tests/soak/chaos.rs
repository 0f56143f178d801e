//! Twenty bridges of one login in bad weather: `tests/soak/chaos [MINUTES [SEED]]`.
//!
//! Access tokens live for five seconds. The authorization server rotates with reuse detection and
//! without leeway: one refresh token that is sent twice ends the login for all. It delays what it
//! answers, within the time that it has, and fails before it processes anything, at random and in
//! outages. Bridges are killed and started at random; their refreshing helpers are not. Each gets
//! about a call a second.
//!
//! Good is: the login is alive at the end, no call failed but in an outage that was longer than a
//! request waits, no tab was opened, and no process is left. The table says so, with the seed that
//! makes the same weather again.

// A step that fails ends the run; stdout is where the table goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code, unused_imports, reason = "the tests use the rest of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod chance;
mod hosts;
mod outcome;
mod weather;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chance::Chance;
use hosts::Host;
use outcome::Outcome;
use support::bridge::Bridge;
use support::service::{NAME, Service};
use weather::Weather;

const BRIDGES: u64 = 20;
const LIFE_SECONDS: u32 = 5;
/// How long the helpers of the last bridges may take to end.
const LAST_HELPERS: Duration = Duration::from_secs(30);

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "chaos").skip(1);
    let Some(minutes) = arguments.next().and_then(|minutes| minutes.parse::<f64>().ok()) else {
        // `cargo bench` runs this one too.
        println!("run tests/soak/chaos for this");
        return;
    };
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or_else(Chance::draw_seed);
    println!("{BRIDGES} bridges, {minutes} minutes, seed {seed}");
    let service = Service::new();
    service.authorization.set_life(LIFE_SECONDS);
    service.login(&[]).expect(0);
    service.browser.opened();

    let weather = Arc::new(Mutex::new(Weather::new(Chance::new(seed))));
    let scripted = Arc::clone(&weather);
    service.authorization.script(move || scripted.lock().unwrap().faults());
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let hosts: Vec<Host<'_>> = std::thread::scope(|scope| {
        let started: Vec<_> = (1..=BRIDGES)
            .map(|number| {
                let (service, chance) = (&service, Chance::new(seed.wrapping_add(number)));
                scope.spawn(move || Host::new(service, chance).run_until(end))
            })
            .collect();
        started.into_iter().map(|host| host.join().expect("a host runs to its end")).collect()
    });

    weather.lock().unwrap().clear_up();
    let weather = weather.lock().unwrap().report();
    let outcome = Outcome {
        calls: hosts.iter().flat_map(|host| host.calls.iter().cloned()).collect(),
        killed: hosts.iter().map(|host| host.killed).sum(),
        left: hosts.iter().map(|host| host.left).sum(),
        refreshes: service.authorization.refreshes(),
        rotations: service.authorization.rotations(),
        is_alive: service.authorization.living_grants() == 1 && works(&service),
        tabs: service.browser.tabs(),
        processes: hosts::processes_left(&service, LAST_HELPERS),
    };
    if !outcome.told(&weather) {
        std::process::exit(1);
    }
}

/// Whether a new bridge gets through, now that the weather is fair.
fn works(service: &Service) -> bool {
    let mut bridge = Bridge::start(&service.home, &[NAME]);
    bridge.initialize();
    let works = bridge.echo(1, "after all") == "after all";
    bridge.close_stdin();
    bridge.wait();
    works
}
