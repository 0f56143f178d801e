//! What came of a run, as one table.

use std::time::{Duration, Instant};

use crate::hosts::Call;
use crate::weather::Report;

/// How long a request waits for an outage to end.
const DEADLINE: Duration = Duration::from_secs(8);

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) calls: Vec<Call>,
    pub(crate) killed: usize,
    pub(crate) left: usize,
    pub(crate) refreshes: usize,
    pub(crate) rotations: usize,
    pub(crate) is_alive: bool,
    pub(crate) tabs: usize,
    pub(crate) processes: Vec<u32>,
}

impl Outcome {
    /// Prints the table; whether all is well.
    pub(crate) fn told(&self, weather: &Report) -> bool {
        let failed: Vec<_> = self.calls.iter().filter(|call| call.failure.is_some()).collect();
        let outages: Vec<_> = weather.outages.iter().filter(|(from, to)| *to - *from > DEADLINE).collect();
        let is_excused = |call: &&&Call| outages.iter().any(|(from, to)| call.from < *to && *from < call.to);
        let (excused, broken): (Vec<_>, Vec<_>) = failed.iter().copied().partition(|call| is_excused(&call));
        let mut times: Vec<_> = self.calls.iter().map(|call| call.to - call.from).collect();
        times.sort_unstable();
        let percentile = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
            format!("{:.0} ms", times.get(place).copied().unwrap_or_default().as_secs_f64() * 1000.0)
        };
        let longest = weather.outages.iter().map(|(from, to)| *to - *from).max().unwrap_or_default();
        let rows = [
            ("bridges killed", self.killed.to_string()),
            ("bridges left in peace", self.left.to_string()),
            ("calls answered", (self.calls.len() - failed.len()).to_string()),
            ("  median, p99, slowest", [50, 99, 100].map(percentile).join(", ")),
            ("calls failed in outages longer than their deadline", excused.len().to_string()),
            ("calls failed otherwise", broken.len().to_string()),
            ("refreshes asked for", self.refreshes.to_string()),
            ("refreshes answered", self.rotations.to_string()),
        ];
        let counts = weather.counts.iter().map(|(what, count)| (format!("  {what}"), count.to_string()));
        let ends = [
            ("outages longer than 8 s", outages.len().to_string()),
            ("  the longest", format!("{:.1} s", longest.as_secs_f64())),
            ("the login is alive", yes(self.is_alive)),
            ("tabs opened", self.tabs.to_string()),
            ("processes left", self.processes.len().to_string()),
        ];
        let named = |(what, count): (&str, String)| (what.to_owned(), count);
        for (what, count) in rows.map(named).into_iter().chain(counts).chain(ends.map(named)) {
            println!("{what:<52}{count}");
        }
        for call in &broken {
            self.explain(call, weather);
        }
        broken.is_empty() && self.is_alive && self.tabs == 0 && self.processes.is_empty()
    }

    fn explain(&self, call: &Call, weather: &Report) {
        let start = self.calls.iter().map(|call| call.from).min().unwrap_or(call.from);
        let since = |at: Instant| at.saturating_duration_since(start).as_secs_f64();
        println!(
            "failed from {:.1} s to {:.1} s: {}",
            since(call.from),
            since(call.to),
            call.failure.as_deref().unwrap_or_default()
        );
        for (from, to) in weather.outages.iter().filter(|(from, to)| call.from < *to && *from < call.to) {
            println!("  without a token from {:.1} s to {:.1} s", since(*from), since(*to));
        }
    }
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "NO" }.to_owned()
}
