//! How many scopes of a server's are believed (RFC 6749 §3.3 sets no bound).
//!
//! Scopes are kept with the login and sent in the authorization URL: a server that names them
//! without end must make neither unusable.

/// The scope that asks for a refresh token (OpenID Connect Core §11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// The scopes that a grant has, given those that were `known` before and what the server answered
/// (RFC 6749 §5.1: nothing means no change). Servers leave `offline_access` out of what they name,
/// and issue the refresh token that it stands for: it stays, so that the next login asks for it.
pub fn granted(answered: Option<Vec<String>>, known: &[String], renews: bool) -> Vec<String> {
    let is_offline = |scope: &String| scope == OFFLINE_ACCESS;
    let mut scopes = answered.unwrap_or_else(|| known.to_vec());
    if renews && known.iter().any(is_offline) && !scopes.iter().any(is_offline) {
        scopes.push(OFFLINE_ACCESS.to_owned());
    }
    scopes
}

/// The most scopes that are taken from a server.
const COUNT_LIMIT: usize = 256;
/// The longest scope that is taken, in bytes.
const LENGTH_LIMIT: usize = 256;

/// The most scopes that a refusal adds to a login's own.
const ADDED_LIMIT: usize = 64;

/// The scopes at hand and those that a refusal asks for (RFC 6750 §3), each once, without what is no scope
/// (RFC 6749 §3.3). Where they are too many, the first go that are not asked for.
pub fn widened(mut scopes: Vec<String>, asked: &str) -> Vec<String> {
    let is_scope = |scope: &str| {
        let is_part = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        !scope.is_empty() && scope.len() <= LENGTH_LIMIT && scope.bytes().all(is_part)
    };
    let most = scopes.len() + ADDED_LIMIT;
    for scope in asked.split(' ').filter(|scope| is_scope(scope)) {
        if scopes.len() < most && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    let mut excess = scopes.len().saturating_sub(COUNT_LIMIT);
    scopes.retain(|scope| {
        let goes = excess > 0 && scope != OFFLINE_ACCESS && asked.split(' ').all(|asked| asked != scope);
        excess -= usize::from(goes);
        !goes
    });
    scopes.drain(..excess);
    scopes
}

/// The scopes that are taken; what is left out is warned of.
pub(super) fn bounded<T: AsRef<str>>(scopes: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut left_out = 0_usize;
    let mut taken = Vec::new();
    for scope in scopes {
        if taken.len() < COUNT_LIMIT && scope.as_ref().len() <= LENGTH_LIMIT {
            taken.push(scope);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        tracing::warn!(left_out, "the server names too many scopes, or too long ones");
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_access_stays_with_its_refresh_token() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (answered, known, renews, expected) in [
            (None, "a offline_access", true, "a offline_access"),
            (Some("a"), "a b offline_access", true, "a offline_access"),
            (Some("a"), "a offline_access", false, "a"),
            (Some("a offline_access"), "a", true, "a offline_access"),
            (Some("a"), "a b", true, "a"),
        ] {
            assert_eq!(
                granted(answered.map(list), &list(known), renews),
                list(expected),
                "{answered:?} {known}"
            );
        }
    }

    #[test]
    fn a_refusal_adds_scopes_however_many_are_at_hand() {
        let own = |count: usize| (0..count).map(|number| format!("own:{number}")).collect::<Vec<_>>();
        for (asked, added) in [
            ("more", &["more"][..]),
            ("a  b own:0 a", &["a", "b"]),
            ("w\u{f6}rter \"a\" \\ a\tb ok", &["ok"]),
            (&"x".repeat(LENGTH_LIMIT + 1), &[]),
            ("", &[]),
        ] {
            for count in [1, COUNT_LIMIT - 2, COUNT_LIMIT] {
                let widened = widened(own(count), asked);
                let ending: Vec<_> = added.iter().map(ToString::to_string).collect();
                assert!(widened.ends_with(&ending), "{asked}");
                assert_eq!(widened.len(), COUNT_LIMIT.min(count + added.len()), "{asked}");
                assert!(!asked.contains("own:0") || widened.contains(&"own:0".to_owned()), "{asked}");
            }
        }
        let all = format!("{} {}", own(COUNT_LIMIT).join(" "), "a b c");
        let widened_by_all = widened(own(COUNT_LIMIT), &all);
        assert!(widened_by_all.len() == COUNT_LIMIT && widened_by_all.ends_with(&["c".to_owned()]));
        let many = (0..1000).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(widened(own(3), &many).len(), 3 + ADDED_LIMIT);
    }

    #[test]
    fn scopes_are_bounded_in_number_and_length() {
        let long = "x".repeat(LENGTH_LIMIT + 1);
        let fitting = &long[1..];
        assert_eq!(bounded(["a", &long, fitting, "b"]), ["a", fitting, "b"]);
        assert_eq!(bounded(std::iter::repeat_n("a", 300_000)).len(), COUNT_LIMIT);
    }
}
