//! `--header` and `--header-file`: headers that a user adds to each request.
//!
//! Refused are names that the transport or the login owns (MCP transports, "Streamable HTTP";
//! RFC 9110 §7 and §11), a name given twice, and values that no header can carry (RFC 9110 §5.5).
//! Values may be secrets: no error shows one, and each is marked sensitive.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{ConfigError, Environment};

/// Owned by the connection, the message's framing, the content negotiation or the login.
const OWNED: [&str; 19] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "dpop",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "last-event-id",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// The protocol's own headers: session id, version, and the routing headers to come.
const OWNED_PREFIX: &str = "mcp-";

/// Headers gathered from flags and files.
#[derive(Default)]
pub struct Headers {
    map: HeaderMap,
    variables: BTreeSet<String>,
}

impl Headers {
    /// Adds one `Name: value`; `origin` says where it stands, for instance `--header`.
    ///
    /// # Errors
    /// [`ConfigError::Header`], naming the header or, where it has no valid name, the origin.
    pub fn add(&mut self, line: &str, origin: &str, environment: &Environment) -> Result<(), ConfigError> {
        let refuse = |header: &str, problem: &str| {
            Err(ConfigError::Header { header: header.to_owned(), problem: problem.to_owned() })
        };
        let refuse_named = |name: &str, problem: &str| refuse(&format!("header {name}"), problem);
        let Some((name, value)) = line.split_once(':') else {
            return refuse(origin, "it takes `Name: value`, and here is no colon");
        };
        let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else {
            return refuse(origin, "what stands before the colon is no header name");
        };
        if name == http::header::AUTHORIZATION {
            return refuse_named(
                "authorization",
                "a login or a stored token sets it: see `mcp-front tokens set --help`",
            );
        }
        if OWNED.contains(&name.as_str()) || name.as_str().starts_with(OWNED_PREFIX) {
            return refuse_named(name.as_str(), "the transport sets it");
        }
        if self.map.contains_key(&name) {
            return refuse_named(name.as_str(), "it is given twice");
        }
        let value = match expand(value.trim(), environment, &mut self.variables) {
            Ok(value) => value,
            Err(problem) => return refuse_named(name.as_str(), &problem),
        };
        let Ok(mut value) = HeaderValue::from_str(&value) else {
            return refuse_named(name.as_str(), "its value has characters that no header can carry");
        };
        value.set_sensitive(true);
        self.map.insert(name, value);
        Ok(())
    }

    /// Adds each line of a file's `text`; empty lines and lines that start with `#` are comments.
    ///
    /// # Errors
    /// As [`add`](Self::add); a line without a valid name is told by its number.
    pub fn add_file(&mut self, text: &str, path: &str, environment: &Environment) -> Result<(), ConfigError> {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                self.add(line, &format!("{path}, line {}", number + 1), environment)?;
            }
        }
        Ok(())
    }

    /// What was gathered, and the variables whose values stand in it.
    pub fn into_parts(self) -> (HeaderMap, BTreeSet<String>) {
        (self.map, self.variables)
    }
}

/// Replaces each `${NAME}` once, and notes the name in `variables`; what a variable holds is not read
/// again.
fn expand(text: &str, environment: &Environment, variables: &mut BTreeSet<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_variable(name));
        let Some(name) = name else {
            return Err("`${` begins a variable, as in `${NAME}`".to_owned());
        };
        expanded.push_str(before);
        variables.insert(name.to_owned());
        match environment.text(name) {
            Some(Ok(value)) => expanded.push_str(value.trim()),
            Some(Err(_)) => return Err(format!("the environment variable {name} is not text")),
            None => return Err(format!("the environment variable {name} is not set")),
        }
        rest = &after[name.len() + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_variable(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(valid) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<(String, String), String> {
        let environment =
            Environment::from_iter([("TEAM", "blue"), ("NESTED", "${TEAM}"), ("BREAK", "a\r\nb: c")]);
        let mut headers = Headers::default();
        headers.add(line, "--header", &environment).map_err(|error| error.to_string())?;
        let (map, _) = headers.into_parts();
        let (name, value) = map.iter().next().unwrap();
        assert!(value.is_sensitive());
        Ok((name.to_string(), value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn values_take_variables() {
        for (line, name, value) in [
            ("X-Team: blue", "x-team", "blue"),
            ("X-Team:blue", "x-team", "blue"),
            ("X-Team: ${TEAM}", "x-team", "blue"),
            ("X-Team: a${TEAM}b${TEAM}", "x-team", "abluebblue"),
            ("X-Team: ${NESTED}", "x-team", "${TEAM}"),
            ("X-Time: 10:30", "x-time", "10:30"),
            ("X-Price: $5 {x}", "x-price", "$5 {x}"),
            ("X-Empty:", "x-empty", ""),
        ] {
            assert_eq!(one(line), Ok((name.to_owned(), value.to_owned())), "{line}");
        }
    }

    #[test]
    fn the_variables_that_stand_in_headers_are_known() {
        let environment = Environment::from_iter([("TEAM", "blue"), ("SEAT", "1"), ("OTHER", "x")]);
        let mut headers = Headers::default();
        headers.add("X-One: ${TEAM}${SEAT}", "--header", &environment).unwrap();
        headers.add_file("X-Two: ${TEAM}", "headers", &environment).unwrap();
        let (_, variables) = headers.into_parts();
        assert_eq!(variables.into_iter().collect::<Vec<_>>(), ["SEAT", "TEAM"]);
    }

    #[test]
    fn refusals_name_the_header_and_never_the_value() {
        for (line, named) in [
            ("s3cret", "--header"),
            (": s3cret", "--header"),
            ("X Y: s3cret", "--header"),
            ("Authorization: Bearer s3cret", "authorization"),
            ("authorization:s3cret", "authorization"),
            ("Proxy-Authorization: s3cret", "proxy-authorization"),
            ("Host: s3cret", "host"),
            ("Content-Length: 5", "content-length"),
            ("Content-Type: s3cret", "content-type"),
            ("Accept: s3cret", "accept"),
            ("Mcp-Session-Id: s3cret", "mcp-session-id"),
            ("MCP-Protocol-Version: s3cret", "mcp-protocol-version"),
            ("Mcp-Anything: s3cret", "mcp-anything"),
            ("X-Team: ${MISSING}", "MISSING"),
            ("X-Team: ${TEAM", "x-team"),
            ("X-Team: ${}", "x-team"),
            ("X-Team: ${1}", "x-team"),
            ("X-Team: ${BREAK}", "x-team"),
            ("X-Team: s3\u{0}cret", "x-team"),
        ] {
            let error = one(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
            assert!(!error.contains("s3"), "{line}: {error}");
        }
    }

    #[test]
    fn files_have_comments_and_line_numbers() {
        let environment = Environment::default();
        let mut headers = Headers::default();
        headers.add_file("# team\n\nX-Team: blue\r\n X-Two: 2\n", "headers", &environment).unwrap();
        assert_eq!(headers.map.len(), 2);
        let error = headers.add_file("\nnothing\n", "headers", &environment).unwrap_err();
        assert!(error.to_string().contains("headers, line 2"), "{error}");
        let error = headers.add("x-team: red", "--header", &environment).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
}
