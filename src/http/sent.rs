//! What a server was sent that is secret, and that it may repeat.

use std::cell::LazyCell;

use http::HeaderMap;

use crate::challenge::Challenge;
use crate::redact::{Known, Secret, WORD};
use crate::server_uri::ServerUri;

/// The secrets in a request with `headers` to `server`: each sensitive header, the credentials behind its
/// scheme (RFC 9110 §11.4), its parts that are too long to be words, as a cookie's value (RFC 6265 §4.2.1), and
/// the values of the address's query.
pub fn secrets_sent(headers: &HeaderMap, server: &ServerUri) -> Known {
    let sensitive = headers.values().filter(|value| value.is_sensitive());
    let texts = sensitive.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    let in_headers = texts.flat_map(|text| {
        let credentials = text.split_once(' ').map(|(_, credentials)| credentials);
        let parts = text.split([' ', ';', ',', '=', '"']).filter(|part| part.len() >= WORD);
        [text].into_iter().chain(credentials).chain(parts)
    });
    let secrets: Vec<_> = in_headers.map(Secret::from).chain(server.query_values()).collect();
    Known::new(&secrets)
}

/// The challenge in an `answer` to a request with `headers` to `server`. Its error is told, and its secrets are
/// hidden. Its scopes and its address are acted on: a secret may be a word of theirs, but hardly a whole scope.
pub fn challenge(answer: &HeaderMap, headers: &HeaderMap, server: &ServerUri) -> Challenge {
    let mut challenge = Challenge::from_headers(answer);
    let known = LazyCell::new(|| secrets_sent(headers, server));
    challenge.error = challenge.error.map(|error| known.hide(&error));
    let honest = |scopes: String| {
        let honest: Vec<_> = scopes.split(' ').filter(|scope| !known.holds(scope)).collect();
        (!honest.is_empty()).then(|| honest.join(" "))
    };
    challenge.scope = challenge.scope.and_then(honest);
    challenge
}
