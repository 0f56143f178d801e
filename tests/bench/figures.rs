//! Rounds in which the two ways take turns, and what is read off them.

use std::time::Duration;

/// What one round measured.
pub(crate) struct Pair<T> {
    pub(crate) direct: T,
    pub(crate) bridged: T,
}

/// Measures `rounds` times, each way first in every other round; a round before the first warms up.
pub(crate) fn alternate<T>(
    rounds: usize,
    mut direct: impl FnMut() -> T,
    mut bridged: impl FnMut() -> T,
) -> Vec<Pair<T>> {
    let mut round = |number: usize| {
        if number.is_multiple_of(2) {
            let direct = direct();
            Pair { direct, bridged: bridged() }
        } else {
            let bridged = bridged();
            Pair { direct: direct(), bridged }
        }
    };
    round(0);
    (1..=rounds).map(round).collect()
}

/// Prints what the bridge adds to a time, and how many times the direct way's it takes.
pub(crate) fn report_times(name: &str, rounds: &[Pair<Vec<Duration>>]) {
    let medians = |round: &Pair<Vec<Duration>>| {
        (Spread::in_ms(&round.direct).at(50), Spread::in_ms(&round.bridged).at(50))
    };
    let medians: Vec<_> = rounds.iter().map(medians).collect();
    let direct = Spread::of(medians.iter().map(|(direct, _)| *direct).collect());
    let bridged = Spread::of(medians.iter().map(|(_, bridged)| *bridged).collect());
    let added = Spread::of(medians.iter().map(|(direct, bridged)| bridged - direct).collect());
    let ratio = Spread::of(medians.iter().map(|(direct, bridged)| bridged / direct).collect());
    println!("{name}: direct {:.3} ms, bridge {:.3} ms", direct.at(50), bridged.at(50));
    println!("  adds {}, {} of direct", added.shown(" ms"), ratio.shown("×"));
}

/// Prints what the bridge adds to the slowest hundredth.
pub(crate) fn report_tail(rounds: &[Pair<Vec<Duration>>]) {
    let all = |way: fn(&Pair<Vec<Duration>>) -> &Vec<Duration>| -> Vec<_> {
        rounds.iter().flat_map(way).copied().collect()
    };
    let direct = Spread::in_ms(&all(|round| &round.direct)).at(99);
    let bridged = Spread::in_ms(&all(|round| &round.bridged)).at(99);
    println!("  at p99: direct {direct:.3} ms, bridge {bridged:.3} ms, adds {:.3} ms", bridged - direct);
}

/// Prints what share of the direct way's rate the bridge reaches.
pub(crate) fn report_rates(name: &str, rounds: &[Pair<f64>]) {
    let direct = Spread::of(rounds.iter().map(|round| round.direct).collect());
    let bridged = Spread::of(rounds.iter().map(|round| round.bridged).collect());
    let share = Spread::of(rounds.iter().map(|round| 100.0 * round.bridged / round.direct).collect());
    println!("{name}: direct {:.0}/s, bridge {:.0}/s", direct.at(50), bridged.at(50));
    println!("  {} of direct", share.shown(" %"));
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
