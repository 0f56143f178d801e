//! Times as people read them: the local clock, and how far away that is.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `2026-11-21 21:40 CET (in 53 min)`, in this machine's zone.
pub(super) fn shown(at: Timestamp, now: Timestamp) -> String {
    in_zone(at, now, TimeZone::system())
}

/// As [`shown`], for a table's cell: the clock today, the date on other days.
pub(super) fn brief(at: Timestamp, now: Timestamp) -> String {
    brief_in_zone(at, now, TimeZone::system())
}

fn brief_in_zone(at: Timestamp, now: Timestamp, zone: TimeZone) -> String {
    let (local, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone).date());
    let format = if local.date() == today { "%H:%M" } else { "%Y-%m-%d" };
    format!("{} ({})", local.strftime(format), relative(at, now))
}

fn in_zone(at: Timestamp, now: Timestamp, zone: TimeZone) -> String {
    format!("{} ({})", at.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z"), relative(at, now))
}

/// `in 53 min`, `2 h ago`: rounded down to the largest unit that is not zero.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs();
    let amount = amount(seconds.unsigned_abs());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {amount}"),
        _ => format!("{amount} ago"),
    }
}

fn amount(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY if seconds % HOUR >= MINUTE => {
            format!("{} h {} min", seconds / HOUR, seconds % HOUR / MINUTE)
        }
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ if seconds < 2 * DAY => "1 day".to_owned(),
        _ => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_and_relative() {
        let now: Timestamp = "2026-11-21T20:47:00Z".parse().unwrap();
        let zone = || TimeZone::fixed(jiff::tz::offset(1));
        for (at, expected) in [
            ("2026-11-21T21:40:30Z", "2026-11-21 22:40 +01 (in 53 min)"),
            ("2026-11-21T20:47:00Z", "2026-11-21 21:47 +01 (now)"),
            ("2026-11-21T20:46:59Z", "2026-11-21 21:46 +01 (1 s ago)"),
            ("2026-11-21T22:50:00Z", "2026-11-21 23:50 +01 (in 2 h 3 min)"),
            ("2026-11-21T18:47:00Z", "2026-11-21 19:47 +01 (2 h ago)"),
            ("2026-11-22T21:00:00Z", "2026-11-22 22:00 +01 (in 1 day)"),
            ("2027-05-20T20:47:00Z", "2027-05-20 21:47 +01 (in 180 days)"),
        ] {
            assert_eq!(in_zone(at.parse().unwrap(), now, zone()), expected);
        }
        for (at, expected) in [
            ("2026-11-21T21:40:30Z", "22:40 (in 53 min)"),
            ("2026-11-21T23:30:00Z", "2026-11-22 (in 2 h 43 min)"),
        ] {
            assert_eq!(brief_in_zone(at.parse().unwrap(), now, zone()), expected);
        }
    }
}
