//! Rounds in which the two ways take turns, and what is read off them.

use std::time::Duration;

/// What one round measured.
pub(crate) struct Pair<T> {
    pub(crate) first: T,
    pub(crate) second: T,
}

/// Measures `rounds` times, each way first in every other round; a round before the first warms up.
pub(crate) fn alternate<T>(
    rounds: usize,
    mut first: impl FnMut() -> T,
    mut second: impl FnMut() -> T,
) -> Vec<Pair<T>> {
    let mut round = |number: usize| {
        if number.is_multiple_of(2) {
            let first = first();
            Pair { first, second: second() }
        } else {
            let second = second();
            Pair { first: first(), second }
        }
    };
    round(0);
    (1..=rounds).map(round).collect()
}

/// The two ways of most figures.
pub(crate) const WAYS: [&str; 2] = ["direct", "bridge"];

/// Prints what the second of the two `named` adds to a time, and how many times the first's it takes.
pub(crate) fn report_times(name: &str, named: [&str; 2], rounds: &[Pair<Vec<Duration>>]) {
    let medians = |round: &Pair<Vec<Duration>>| {
        (Spread::in_ms(&round.first).at(50), Spread::in_ms(&round.second).at(50))
    };
    let medians: Vec<_> = rounds.iter().map(medians).collect();
    let first = Spread::of(medians.iter().map(|(first, _)| *first).collect());
    let second = Spread::of(medians.iter().map(|(_, second)| *second).collect());
    let added = Spread::of(medians.iter().map(|(first, second)| second - first).collect());
    let ratio = Spread::of(medians.iter().map(|(first, second)| second / first).collect());
    println!("{name}: {} {:.3} ms, {} {:.3} ms", named[0], first.at(50), named[1], second.at(50));
    println!("  adds {}, {} of {}", added.shown(" ms"), ratio.shown("×"), named[0]);
}

/// Prints what the second adds to the slowest hundredth.
pub(crate) fn report_tail(named: [&str; 2], rounds: &[Pair<Vec<Duration>>]) {
    let all = |way: fn(&Pair<Vec<Duration>>) -> &Vec<Duration>| -> Vec<_> {
        rounds.iter().flat_map(way).copied().collect()
    };
    let first = Spread::in_ms(&all(|round| &round.first)).at(99);
    let second = Spread::in_ms(&all(|round| &round.second)).at(99);
    println!(
        "  at p99: {} {first:.3} ms, {} {second:.3} ms, adds {:.3} ms",
        named[0],
        named[1],
        second - first
    );
}

/// Prints what share of the first's rate the second reaches.
pub(crate) fn report_rates(name: &str, named: [&str; 2], rounds: &[Pair<f64>]) {
    let first = Spread::of(rounds.iter().map(|round| round.first).collect());
    let second = Spread::of(rounds.iter().map(|round| round.second).collect());
    let share = Spread::of(rounds.iter().map(|round| 100.0 * round.second / round.first).collect());
    println!("{name}: {} {:.0}/s, {} {:.0}/s", named[0], first.at(50), named[1], second.at(50));
    println!("  {} of {}", share.shown(" %"), named[0]);
}

/// Values in their order.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn in_ms(times: &[Duration]) -> Self {
        Self::of(times.iter().map(|took| took.as_secs_f64() * 1000.0).collect())
    }

    /// The value below which `percent` of them lie, by nearest rank.
    pub(crate) fn at(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    /// The median and the middle half.
    fn shown(&self, unit: &str) -> String {
        format!("{:.3}{unit} ({:.3} to {:.3})", self.at(50), self.at(25), self.at(75))
    }
}
