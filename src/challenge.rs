//! The `WWW-Authenticate` challenge of a 401 or 403 (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).
//!
//! Headers are foreign text of any shape: several challenges in one header or in several, quoted
//! strings with commas and escapes, schemes that carry a token68. Nothing here fails; what cannot
//! be read is left out, and what is absurdly long is not read at all. The text is as the server
//! sent it, unsafe to print.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use serde::{Deserialize, Serialize};

/// The longest header that is read, in bytes.
const HEADER_LIMIT: usize = 16 * 1024;
/// The most headers, and the most challenges or parameters in one header, that are read.
const COUNT_LIMIT: usize = 32;

/// What a server asked for when it refused a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The whole `Bearer` challenge as it was sent, without a scheme that is not `Bearer`.
    pub raw: Option<String>,
    /// `error`, for instance `invalid_token` or `insufficient_scope`.
    pub error: Option<String>,
    /// `scope`: space-separated, authoritative for the request that was refused.
    pub scope: Option<String>,
    /// `resource_metadata`: where the protected resource metadata lies.
    pub resource_metadata: Option<String>,
}

impl Challenge {
    /// Reads every `WWW-Authenticate` header and takes the first `Bearer` challenge that names
    /// protected resource metadata, else the first `Bearer` challenge; an empty challenge where
    /// there is none.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut first: Option<Self> = None;
        for value in headers.get_all(WWW_AUTHENTICATE).iter().take(COUNT_LIMIT) {
            if value.len() > HEADER_LIMIT {
                continue;
            }
            let text = String::from_utf8_lossy(value.as_bytes());
            for challenge in bearer_challenges(&text) {
                if challenge.resource_metadata.is_some() {
                    return challenge;
                }
                first.get_or_insert(challenge);
            }
        }
        first.unwrap_or_default()
    }
}

fn bearer_challenges(header: &str) -> Vec<Challenge> {
    let mut reader = Reader { rest: header };
    let mut found: Vec<Challenge> = Vec::new();
    let mut bearer_start = None;
    for _ in 0..COUNT_LIMIT {
        reader.skip_separators();
        let start = header.len() - reader.rest.len();
        let Some(element) = reader.element() else { break };
        match element {
            Element::Scheme(scheme) => {
                close(&mut found, header, bearer_start, start);
                bearer_start = scheme.eq_ignore_ascii_case("bearer").then_some(start);
                if bearer_start.is_some() {
                    found.push(Challenge::default());
                }
            }
            Element::Parameter(name, value) => {
                if let (Some(_), Some(challenge)) = (bearer_start, found.last_mut()) {
                    challenge.take(name, value);
                }
            }
        }
    }
    close(&mut found, header, bearer_start, header.len() - reader.rest.len());
    found
}

/// Notes the text of the `Bearer` challenge that ends before `end`.
fn close(found: &mut [Challenge], header: &str, start: Option<usize>, end: usize) {
    if let (Some(start), Some(challenge)) = (start, found.last_mut()) {
        challenge.raw = header.get(start..end).map(|raw| raw.trim_end_matches([' ', '\t', ',']).to_owned());
    }
}

impl Challenge {
    /// Takes a parameter that is of use. The first of two equal names wins (RFC 9110 §11.2 allows
    /// one only).
    fn take(&mut self, name: &str, value: String) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "error" => &mut self.error,
            "scope" => &mut self.scope,
            "resource_metadata" => &mut self.resource_metadata,
            _ => return,
        };
        slot.get_or_insert(value);
    }
}

enum Element<'a> {
    /// A scheme, its token68 included where it has one.
    Scheme(&'a str),
    Parameter(&'a str, String),
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// The next scheme or parameter; `None` at the end and where nothing more can be read.
    fn element(&mut self) -> Option<Element<'a>> {
        let name = self.token()?;
        let after = self.rest.trim_start_matches([' ', '\t']);
        if let Some(value) = after.strip_prefix('=') {
            self.rest = value.trim_start_matches([' ', '\t']);
            return self.value().map(|value| Element::Parameter(name, value));
        }
        self.skip_token68();
        Some(Element::Scheme(name))
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|character| !is_token(character)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Skips what follows a scheme where it is a token68 rather than a first parameter or another
    /// challenge.
    fn skip_token68(&mut self) {
        let after = self.rest.trim_start_matches([' ', '\t']);
        if after.len() == self.rest.len() {
            return;
        }
        let body = after.trim_start_matches(|character: char| {
            character.is_ascii_alphanumeric() || "-._~+/".contains(character)
        });
        let rest = body.trim_start_matches('=').trim_start_matches([' ', '\t']);
        if body.len() < after.len() && (rest.is_empty() || rest.starts_with(',')) {
            self.rest = rest;
        }
    }

    /// A quoted string, or whatever stands before the next comma or blank: some servers leave a
    /// URL unquoted. `None` where a quoted string does not end.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([' ', '\t', ',']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(value.to_owned());
        };
        let mut value = String::new();
        let mut escaped = false;
        for (position, character) in quoted.char_indices() {
            match character {
                _ if escaped => {
                    value.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.rest = &quoted[position + 1..];
                    return Some(value);
                }
                _ => value.push(character),
            }
        }
        self.rest = "";
        None
    }
}

/// RFC 9110 §5.6.2.
fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(headers: &[&[u8]]) -> Challenge {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(header).unwrap());
        }
        Challenge::from_headers(&map)
    }

    #[test]
    fn challenges_of_every_shape_are_read() {
        // header, then error, scope, resource_metadata
        type Row<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>);
        let table: &[Row<'_>] = &[
            ("", None, None, None),
            ("Bearer", None, None, None),
            ("bearer ERROR=invalid_token", Some("invalid_token"), None, None),
            (r#"Bearer realm="a, b", error="x""#, Some("x"), None, None),
            (r#"Bearer scope="a \"b\" c", error = "x""#, Some("x"), Some(r#"a "b" c"#), None),
            (r#"Basic realm="Bearer scope=\"no\"", Bearer scope="yes""#, None, Some("yes"), None),
            (r#"Negotiate YWJj==, Bearer scope="yes""#, None, Some("yes"), None),
            (r#"Bearer abc=, DPoP scope="no""#, None, None, None),
            (r#"Bearer scope="one", Basic scope="no""#, None, Some("one"), None),
            (r#"Bearer scope="one", scope="two""#, None, Some("one"), None),
            ("Bearer resource_metadata=https://a.example/x", None, None, Some("https://a.example/x")),
            (
                r#"Bearer scope="s", Bearer resource_metadata="https://a.example/x""#,
                None,
                None,
                Some("https://a.example/x"),
            ),
            (r#"Bearer error="x", scope="never closed"#, Some("x"), None, None),
            (r#",, ,Bearer error="x",,"#, Some("x"), None, None),
            ("Bearer error==, (", None, None, None),
            (r#"Bearer scope="", error=a"#, Some("a"), Some(""), None),
        ];
        for (header, error, scope, metadata) in table {
            let challenge = read(&[header.as_bytes()]);
            assert_eq!(challenge.error.as_deref(), *error, "{header}");
            assert_eq!(challenge.scope.as_deref(), *scope, "{header}");
            assert_eq!(challenge.resource_metadata.as_deref(), *metadata, "{header}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let challenge =
            read(&[b"Basic realm=x", b"Bearer error=a", b"Bearer resource_metadata=\"u\", scope=s"]);
        assert_eq!(challenge.resource_metadata.as_deref(), Some("u"));
        assert_eq!(challenge.raw.as_deref(), Some(r#"Bearer resource_metadata="u", scope=s"#));
        assert_eq!(read(&[b"Bearer error=a, Basic x=y"]).raw.as_deref(), Some("Bearer error=a"));
    }

    #[test]
    fn the_absurd_is_left_out() {
        let long = format!("Bearer error=\"{}\"", "x".repeat(HEADER_LIMIT));
        assert_eq!(read(&[long.as_bytes()]), Challenge::default());
        let many = format!("Bearer {}", "a=b,".repeat(1000));
        assert_eq!(read(&[many.as_bytes()]).error, None);
        assert_eq!(read(&[b"Bearer error=\"\xff\""]).error.as_deref(), Some("\u{fffd}"));
        let lists: Vec<&[u8]> = vec![b"Basic a=b"; 1000];
        assert_eq!(read(&lists), Challenge::default());
    }
}
