//! A refresh without a verdict whose token endpoint has moved: told, and never followed.
//!
//! What the login is bound to stays bound. The authorization server's metadata is read again at most
//! once a minute for a service, over all processes: what the look brought is noted in the index, where
//! the next failure finds it.

use jiff::{SignedDuration, Timestamp};

use super::turn::Turn;
use crate::clock;
use crate::credential::Binding;
use crate::oauth::{GrantError, moved_token_endpoint};
use crate::redact::printable;
use crate::store::index::LastError;

/// The code of the note.
pub(super) const CODE: &str = "token_endpoint_moved";
/// How often is looked at most.
const CEILING: SignedDuration = SignedDuration::from_secs(60);

/// Why the login that is bound to `binding` cannot be refreshed any more, where `error` comes from that
/// its token endpoint is elsewhere by now.
pub(super) async fn look(turn: &Turn, binding: &Binding, error: &GrantError) -> Option<String> {
    if !matches!(
        error,
        GrantError::NotSent { .. }
            | GrantError::Transient { .. }
            | GrantError::Unusable { .. }
            | GrantError::Malformed { .. }
    ) {
        return None;
    }
    let last = turn.entry().ok().flatten().and_then(|entry| entry.last_error);
    if last.as_ref().is_some_and(|last| is_same_interval(last.at, clock::now())) {
        return last.and_then(reason);
    }
    let found = moved_token_endpoint(&turn.place.http, binding).await?;
    let [bound, found] = [&binding.token_endpoint, &found].map(|endpoint| printable(endpoint.as_str()));
    Some(format!(
        "the authorization server moved its token endpoint from {bound}, where the login is bound to and \
         nobody answers, to {found}; nothing was sent there"
    ))
}

/// What the last look found, where that was a move.
pub(super) fn known(turn: &Turn) -> Option<String> {
    turn.entry().ok().flatten().and_then(|entry| entry.last_error).and_then(reason)
}

fn reason(last: LastError) -> Option<String> {
    (last.code == CODE).then_some(last.text)
}

/// Each failure is noted with its time, so that the first one of each interval looks.
fn is_same_interval(one: Timestamp, other: Timestamp) -> bool {
    let number = |at: Timestamp| at.as_second().div_euclid(CEILING.as_secs());
    number(one) == number(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_a_minute_looks() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (one, other, same) in [(0, 59, true), (59, 60, false), (61, 119, true), (10, 100, false)] {
            assert_eq!(is_same_interval(at(one), at(other)), same, "{one} {other}");
        }
    }
}
