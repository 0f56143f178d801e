//! How many scopes of a server's are believed (RFC 6749 §3.3 sets no bound).
//!
//! Scopes are kept with the login and sent in the authorization URL: a server that names them
//! without end must make neither unusable.

/// The most scopes that are taken from a server.
const COUNT_LIMIT: usize = 256;
/// The longest scope that is taken, in bytes.
const LENGTH_LIMIT: usize = 256;

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
    fn scopes_are_bounded_in_number_and_length() {
        let long = "x".repeat(LENGTH_LIMIT + 1);
        let fitting = &long[1..];
        assert_eq!(bounded(["a", &long, fitting, "b"]), ["a", fitting, "b"]);
        assert_eq!(bounded(std::iter::repeat_n("a", 300_000)).len(), COUNT_LIMIT);
    }
}
