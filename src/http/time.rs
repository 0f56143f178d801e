//! Times in header fields.

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use jiff::Timestamp;

/// No wait is believed beyond this, in seconds: a year.
const LONGEST_WAIT: f64 = 31_536_000.0;

/// `Retry-After` (RFC 9110 §10.2.3), in seconds or as a date, as a wait from `now`; `None` where it
/// is missing or says nothing.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    let seconds = match value.to_str().ok()?.trim().parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => seconds,
        _ => date(value)?.duration_since(now).as_secs_f64(),
    };
    Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT)))
}

/// A date (RFC 9110 §5.6.7).
pub fn date(value: &HeaderValue) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_from_seconds_and_dates() {
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 3 ", Some(3)),
            ("-5", Some(0)),
            ("Mon, 01 Jun 2026 12:01:00 GMT", Some(60)),
            ("Mon, 01 Jun 2026 11:00:00 GMT", Some(0)),
            ("1e300", Some(31_536_000)),
            ("soon", None),
            ("inf", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
