//! `--fail-within`: whether a login lasts for longer than that, as far as is known.

use jiff::{Span, Timestamp};
use serde::Serialize;

use super::report::{End, after};
use crate::cli::standing::Standing;

/// What a monitor is told of one login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It lasts for longer.
    Holds,
    /// It ends within the time, or has ended.
    Ends,
    /// Nobody says when it ends.
    Unknown,
}

/// Judges a login that ends at `end`, where that is known.
pub(super) fn judge(standing: &Standing, end: Option<End>, within: Span, now: Timestamp) -> Verdict {
    match (standing, end) {
        (Standing::LoginRequired { .. }, _) => Verdict::Ends,
        (Standing::Static | Standing::NotStored, _) | (_, None) => Verdict::Unknown,
        (_, Some(end)) if end.at <= after(now, within) => Verdict::Ends,
        (_, Some(_)) => Verdict::Holds,
    }
}

/// A duration as it is typed: `14d`, `2w`, `6mo`, `36h`, or ISO 8601.
///
/// # Errors
/// Where it is none, or not longer than nothing.
pub(super) fn duration(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|_| EXPECTED.to_owned())?;
    if span.is_positive() { Ok(span) } else { Err(EXPECTED.to_owned()) }
}

const EXPECTED: &str = "give a duration such as 14d, 2w, 6mo or 36h";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::report::Authority;

    #[test]
    fn a_login_is_judged_at_either_side_of_its_end() {
        use Verdict::{Ends, Holds, Unknown};
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let end = |text: &str| Some(End { at: text.parse().unwrap(), by: Authority::Server });
        let required = || Standing::LoginRequired { reason: String::new(), since: None };
        for (standing, end, within, verdict) in [
            (Standing::Renews, end("2026-12-05T12:00:00Z"), "14d", Ends),
            (Standing::Renews, end("2026-12-05T12:00:01Z"), "14d", Holds),
            (Standing::Renews, end("2026-11-01T00:00:00Z"), "1h", Ends),
            (Standing::Renews, end("2027-05-21T11:59:59Z"), "6mo", Ends),
            (Standing::Renews, end("2027-05-21T12:00:01Z"), "6mo", Holds),
            (Standing::Renews, end("2027-05-21T12:00:01Z"), "9000y", Ends),
            (Standing::Renews, None, "14d", Unknown),
            (Standing::Valid, end("2026-11-21T13:00:00Z"), "2h", Ends),
            (Standing::Valid, end("2026-11-21T13:00:00Z"), "30m", Holds),
            (Standing::Static, None, "14d", Unknown),
            (Standing::NotStored, None, "14d", Unknown),
            (required(), None, "14d", Ends),
        ] {
            assert_eq!(
                judge(&standing, end, duration(within).unwrap(), now),
                verdict,
                "{standing:?} {within}"
            );
        }
    }

    #[test]
    fn durations_are_typed_as_people_type_them() {
        for text in ["14d", "2w", "6mo", "36h", "1h 30m", "14 days", "P14D", "90s"] {
            assert!(duration(text).is_ok(), "{text}");
        }
        for text in ["", "14", "d", "0d", "-3d", "3d ago", "soon"] {
            assert_eq!(duration(text).err().as_deref(), Some(EXPECTED), "{text}");
        }
    }
}
