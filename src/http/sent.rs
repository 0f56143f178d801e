//! What a server was sent that is secret, and that it may repeat.

use std::cell::LazyCell;

use http::HeaderMap;

use crate::challenge::Challenge;
use crate::redact::{Known, Secret, WORD};
use crate::server_uri::ServerUri;

/// The error codes of a challenge (RFC 6750 §3.1).
const CODES: [&str; 3] = ["invalid_request", "invalid_token", "insufficient_scope"];

/// The secrets in requests with these headers to `server`: each sensitive header, the credentials behind
/// its scheme (RFC 9110 §11.4), its parts that are too long to be words, as a cookie's value (RFC 6265
/// §4.2.1), and what looks like a key in the address's query.
pub fn secrets_sent(headers: &[&HeaderMap], server: &ServerUri) -> Known {
    let sensitive = headers.iter().flat_map(|headers| headers.values()).filter(|value| value.is_sensitive());
    let texts = sensitive.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    let in_headers = texts.flat_map(|text| {
        let credentials = text.split_once(' ').map(|(_, credentials)| credentials);
        let parts = text.split([' ', ';', ',', '=', '"']).filter(|part| part.len() >= WORD);
        [text].into_iter().chain(credentials).chain(parts)
    });
    let in_address = server.secrets_in_query().map(|value| Secret::from(value.into_owned()));
    let secrets: Vec<_> = in_headers.map(Secret::from).chain(in_address).collect();
    Known::new(&secrets)
}

/// The challenge in an `answer` to a request with `headers` to `server`, without what these hold that is
/// secret, as far as it is told. Its scopes and its address are acted on: a secret may be a word of a
/// scope, but hardly a whole one, and the address stays as it is.
pub fn challenge(answer: &HeaderMap, headers: &HeaderMap, server: &ServerUri) -> Challenge {
    let mut challenge = Challenge::from_headers(answer);
    let known = LazyCell::new(|| secrets_sent(&[headers], server));
    let told = |error: String| if CODES.contains(&error.as_str()) { error } else { known.hide(&error) };
    challenge.error = challenge.error.map(told);
    let honest = |scopes: String| {
        let honest: Vec<_> = scopes.split(' ').filter(|scope| !known.holds(scope)).collect();
        (!honest.is_empty()).then(|| honest.join(" "))
    };
    challenge.scope = challenge.scope.and_then(honest);
    challenge
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{COOKIE, WWW_AUTHENTICATE};

    use super::*;

    #[test]
    fn a_challenge_keeps_all_but_what_was_sent() {
        let mut cookie = HeaderValue::from_static("id=a-session-of-the-users; mode=search");
        cookie.set_sensitive(true);
        let sent = HeaderMap::from_iter([(COOKIE, cookie)]);
        for (query, error, scope, told, left) in [
            ("", "insufficient_scope", "a b", "insufficient_scope", Some("a b")),
            ("", "a-session-of-the-users", "a", "[secret]", Some("a")),
            ("", "x", "a a-session-of-the-users b", "x", Some("a b")),
            ("", "x", "a-session-of-the-users", "x", None),
            (
                "",
                "x",
                "search tenant:a-session-of-the-users",
                "x",
                Some("search tenant:a-session-of-the-users"),
            ),
            (
                "?api_key=a-key-of-the-users",
                "no a-key-of-the-users",
                "a-key-of-the-users",
                "no [secret]",
                None,
            ),
            ("?config=eyJhIjoxLCJiIjoyMjJ9", "no eyJhIjoxLCJiIjoyMjJ9", "a", "no [secret]", Some("a")),
            // What is no key may be a scope, a host or a code.
            ("?scope=mail.read.everything", "x", "mail.read.everything", "x", Some("mail.read.everything")),
            ("?token=insufficient_scope", "insufficient_scope", "a", "insufficient_scope", Some("a")),
        ] {
            let value = format!("Bearer error=\"{error}\", scope=\"{scope}\"");
            let answer = HeaderMap::from_iter([(WWW_AUTHENTICATE, value.parse().unwrap())]);
            let server = ServerUri::parse(&format!("https://mcp.example/mcp{query}"), false).unwrap();
            let challenge = challenge(&answer, &sent, &server);
            assert_eq!(
                (challenge.error.as_deref(), challenge.scope.as_deref()),
                (Some(told), left),
                "{value}"
            );
        }
    }
}
