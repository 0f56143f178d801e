//! What the bridge costs, beside the same calls made directly: `cargo bench`, or `cargo bench -- 3`
//! for three times as many rounds.
//!
//! Every figure comes from rounds in which the direct way and the bridge take turns, each first in
//! every other round, so that a machine which gets slower or faster meanwhile does so for both. What
//! counts is the median of the rounds' differences and ratios; in brackets, the middle half of them.
//! Nothing is asserted: times belong to a machine.
//!
//! The server is scripted, on loopback, and like the direct host does next to nothing: beside a real
//! server, the bridge's share of the work is smaller. The figures:
//!
//! - `initialize`: from the bridge's start to its answer; directly, from connecting
//! - `initialize, stored token`: the same with a credential to find, decrypt and send
//! - `call`: one `tools/call` after the other
//! - `throughput`: calls a second with 64 in flight (directly: on 64 connections)
//! - `5 MB echo`: one call that carries five million bytes there and back
//! - `… of 2026-07-28`: a bridge in that revision beside one in 2025-11-25; and a long list of tools,
//!   which the bridge reads for what goes in headers
//! - `memory`: the bridge's proportional set size (Linux) after `initialize`, and after 1,000 calls

// A step that fails ends the run; stdout is where the figures go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code, unused_imports, reason = "the tests use the rest of it")]
#[path = "../it/support/mod.rs"]
mod support;

mod eras;
mod figures;
mod ways;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use figures::{Pair, WAYS, alternate, report_rates, report_tail, report_times};
use support::home::Home;
use support::http_server::{Reply, Request, Responder, Server};
use support::mcp_server::result;
use ways::{Bridged, Direct, Era, call, call_of};

const IN_FLIGHT: usize = 64;
/// How many calls go that way, each after the answer to the one before.
const EACH: usize = 40;
const LARGE: usize = 5_000_000;

fn main() {
    let times = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let list = eras::long_list();
    let server = Server::start(move |request, responder| serve(request, responder, &list));
    let url = format!("{}/mcp", server.origin());
    let home = Home::with_file_store();
    report_times("initialize", WAYS, &starts(&home, &url, 20 * times));
    let guarded = Home::with_file_store();
    guarded.run_with_input(["tokens", "set", &url, "--name", "bench"], b"a-token\n").expect(0);
    report_times("initialize, stored token", WAYS, &starts(&guarded, &url, 20 * times));
    let called = calls(&home, &url, 40 * times);
    report_times("call", WAYS, &called);
    report_tail(WAYS, &called);
    report_rates("throughput, 64 in flight", WAYS, &throughput(&home, &url, 10 * times));
    report_times("5 MB echo", WAYS, &large(&home, &url, 10 * times));
    memory(&home, &url);
    eras::compare(&home, &url, times);
}

/// The server: answers what it is asked, and has no stream of its own.
fn serve(request: &Request, responder: &mut Responder, long_list: &str) {
    if request.method != "POST" {
        return responder.reply(&Reply::status(405));
    }
    let message = request.json();
    if eras::is_modern(&message) {
        return responder.reply(&eras::serve(request, &message, long_list));
    }
    let reply = match message.get("id") {
        None => Reply::status(202),
        Some(id) => {
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": result(&message)});
            Reply::json(200, answer.to_string())
        }
    };
    responder.reply(&reply);
}

/// How long `step` takes.
fn time(step: impl FnOnce()) -> Duration {
    let start = Instant::now();
    step();
    start.elapsed()
}

fn starts(home: &Home, url: &str, rounds: usize) -> Vec<Pair<Vec<Duration>>> {
    let mut ended = Vec::new();
    alternate(
        rounds,
        || vec![time(|| drop(Direct::connect(url)))],
        || vec![time(|| ended.push(Bridged::start(home, url, Era::Legacy)))],
    )
}

fn calls(home: &Home, url: &str, rounds: usize) -> Vec<Pair<Vec<Duration>>> {
    let (mut direct, mut bridged) = (Direct::connect(url), Bridged::start(home, url, Era::Legacy));
    alternate(
        rounds,
        || (0..50).map(|id| time(|| _ = direct.exchange(&call(id, "hello")))).collect(),
        || (0..50).map(|id| time(|| _ = bridged.exchange(&call(id, "hello")))).collect(),
    )
}

fn large(home: &Home, url: &str, rounds: usize) -> Vec<Pair<Vec<Duration>>> {
    let (mut direct, mut bridged) = (Direct::connect(url), Bridged::start(home, url, Era::Legacy));
    let frame = call(1, &"x".repeat(LARGE));
    alternate(
        rounds,
        || vec![time(|| assert!(direct.exchange(&frame).len() > LARGE))],
        || vec![time(|| assert!(bridged.exchange(&frame).len() > LARGE))],
    )
}

fn throughput(home: &Home, url: &str, rounds: usize) -> Vec<Pair<f64>> {
    let mut connections = connections(url);
    let mut bridged = Bridged::start(home, url, Era::Legacy);
    alternate(rounds, || direct_rate(&mut connections, Era::Legacy), || bridged_rate(&mut bridged))
}

/// As many as calls are in flight.
fn connections(url: &str) -> Vec<Direct> {
    (0..IN_FLIGHT).map(|_| Direct::connect(url)).collect()
}

/// Calls a second, over so many connections.
fn direct_rate(connections: &mut [Direct], era: Era) -> f64 {
    let frames = frames(era);
    let ready = Barrier::new(IN_FLIGHT + 1);
    let start = std::thread::scope(|scope| {
        for (connection, frames) in connections.iter_mut().zip(frames.chunks(EACH)) {
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                frames.iter().for_each(|frame| _ = connection.exchange(frame));
            });
        }
        ready.wait();
        Instant::now()
    });
    rate(start)
}

/// Calls a second, with so many in flight.
fn bridged_rate(bridged: &mut Bridged) -> f64 {
    let frames = frames(bridged.era);
    let start = Instant::now();
    frames[..IN_FLIGHT].iter().for_each(|frame| bridged.send(frame));
    for next in IN_FLIGHT..IN_FLIGHT + frames.len() {
        bridged.receive();
        frames.get(next).into_iter().for_each(|frame| bridged.send(frame));
    }
    rate(start)
}

/// The calls of one round.
fn frames(era: Era) -> Vec<Vec<u8>> {
    (0..IN_FLIGHT * EACH).map(|id| call_of(era, id, "hello")).collect()
}

/// How many of them went by in a second, when all have since `start`.
fn rate(start: Instant) -> f64 {
    (IN_FLIGHT * EACH) as f64 / start.elapsed().as_secs_f64()
}

fn memory(home: &Home, url: &str) {
    let mut bridged = Bridged::start(home, url, Era::Legacy);
    let before = bridged.proportional_set_size();
    (0..1000).for_each(|id| _ = bridged.exchange(&call(id, "hello")));
    match before.zip(bridged.proportional_set_size()) {
        Some((before, after)) => {
            println!("memory: {before} KiB after initialize, {after} KiB after 1,000 calls");
        }
        None => println!("memory: not measured on this platform"),
    }
}
