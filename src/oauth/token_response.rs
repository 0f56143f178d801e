//! What a token endpoint issued (RFC 6749 §5.1), read leniently: a token that was spent to get an
//! answer must not be lost because the answer spells a number as text.
//!
//! [`normalise`] turns a real answer into the strict form that the `oauth2` crate parses. It gives
//! times as absolute seconds by this machine's clock: lifetimes count from now, and where a server
//! sends an absolute time, its own `Date` header says how long that is from now (RFC 9110 §6.6.1).
//! A member that cannot be read costs that member alone; a token of absurd length is refused.

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use oauth2::{StandardTokenResponse, basic::BasicTokenType};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Duration;
use zeroize::Zeroizing;

use super::grant::GrantError;
use super::scopes;
use crate::http::{content_coding, date, retry_after, unmarked};
use crate::redact::{Known, Secret, Wiped, printable, wipe};

/// No lifetime is believed beyond this.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// No token is longer, in bytes: beyond it, no request could carry one.
const TOKEN_LIMIT: usize = 64 * 1024;
/// No wait that a server asks for is taken to be shorter.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// No wait that a server asks for is kept for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a token endpoint issued, with absolute times by this machine's clock.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, where one came; `None` in a refresh means: keep the old one.
    pub refresh_token: Option<Secret>,
    /// When the access token expires; `None` where the server did not say, or said nonsense.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token ends, where the server said so.
    pub refresh_token_expires_at: Option<Timestamp>,
    /// The scopes granted; `None` means: those that were asked for (RFC 6749 §5.1).
    pub scopes: Option<Vec<String>>,
}

/// The members of a normalised answer that RFC 6749 does not know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lifetimes {
    expires_at: Option<Timestamp>,
    refresh_token_expires_at: Option<Timestamp>,
}

impl oauth2::ExtraTokenFields for Lifetimes {}

/// A normalised answer in the terms of the `oauth2` crate.
pub(super) type Parsed = StandardTokenResponse<Lifetimes, BasicTokenType>;

impl From<Parsed> for TokenResponse {
    fn from(parsed: Parsed) -> Self {
        use oauth2::TokenResponse as _;
        Self {
            access_token: Secret::from(parsed.access_token().secret().as_str()),
            refresh_token: parsed.refresh_token().map(|token| Secret::from(token.secret().as_str())),
            expires_at: parsed.extra_fields().expires_at,
            refresh_token_expires_at: parsed.extra_fields().refresh_token_expires_at,
            scopes: parsed.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
        }
    }
}

/// Brings a token endpoint's answer into strict form: 200 with a token, or 400 with an error code
/// and a description without the secrets that were `sent`.
///
/// # Errors
/// [`GrantError::RateLimited`], [`GrantError::Transient`], [`GrantError::Malformed`] and
/// [`GrantError::Unusable`].
pub(super) fn normalise(
    answer: &Response<Vec<u8>>,
    sent: &Known,
    now: Timestamp,
) -> Result<Response<Vec<u8>>, GrantError> {
    let status = answer.status();
    if status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && answer.headers().contains_key(RETRY_AFTER))
    {
        let wait = retry_after(answer.headers(), now);
        return Err(GrantError::RateLimited {
            retry_after: wait.map(|wait| wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)),
        });
    }
    let undecided = status.is_server_error()
        || status.is_redirection()
        || matches!(status.as_u16(), 407 | 408 | 421 | 425);
    if undecided {
        return Err(GrantError::Transient {
            cause: format!("it answered with HTTP status {}", status.as_u16()),
        });
    }
    if let Some(coding) = content_coding(answer.headers()) {
        return Err(unusable(status, format!("it is encoded ({coding}), which was not asked for")));
    }
    let Some(members) = members(answer).map(Wiped::new) else {
        return Err(unreadable(answer));
    };
    if let Some(error) = error_code(&members, sent) {
        return strict(StatusCode::BAD_REQUEST, &refusal(&error, &members, sent));
    }
    if !status.is_success() {
        return Err(unreadable(answer));
    }
    let mut issued = issued(&members, answer.headers(), sent, now)?;
    let response = strict(StatusCode::OK, &issued);
    wipe(&mut issued);
    response
}

/// The members of a JSON object, or of a form where a server answers with one in spite of `Accept`.
fn members(answer: &Response<Vec<u8>>) -> Option<Map<String, Value>> {
    let body = unmarked(answer.body());
    // A name in another encoding costs no login.
    let mended = std::str::from_utf8(body)
        .is_err()
        .then(|| Zeroizing::new(String::from_utf8_lossy(body).into_owned()));
    let body = mended.as_ref().map_or(body, |text| text.as_bytes());
    if let Ok(members) = serde_json::from_slice::<HashMap<String, &RawValue>>(body) {
        let read = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
        return Some(members.into_iter().map(|(name, raw)| (name, read(raw))).collect());
    }
    let form = answer.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    form.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded").then(|| {
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), json!(value))).collect()
    })
}

/// An answer that holds neither a token nor an error code.
fn unreadable(answer: &Response<Vec<u8>>) -> GrantError {
    let status = answer.status();
    let is_page = answer.body().trim_ascii_start().starts_with(b"<");
    match status {
        _ if is_page => GrantError::Transient {
            cause: format!("a web page answered in its place (HTTP status {})", status.as_u16()),
        },
        status if status.is_success() => unusable(status, "it is not a JSON object".to_owned()),
        // A 401 among them: a gateway in front of the server refuses so, and knows no client.
        status => unusable(status, format!("HTTP status {} without an error code", status.as_u16())),
    }
}

/// Who answers with success has acted.
fn unusable(status: StatusCode, reason: String) -> GrantError {
    match status.is_success() {
        true => GrantError::Unusable { reason },
        false => GrantError::Malformed { reason },
    }
}

/// The error code of an answer, at any status; some servers send it with a 200.
fn error_code(members: &Map<String, Value>, sent: &Known) -> Option<String> {
    let code = match members.get("error")? {
        Value::String(code) => code.as_str(),
        Value::Object(error) => error.get("code").or_else(|| error.get("type"))?.as_str()?,
        _ => return None,
    };
    (!code.is_empty()).then(|| printable(&sent.hide(code)))
}

fn refusal(error: &str, members: &Map<String, Value>, sent: &Known) -> Value {
    let description = members.get("error_description").or_else(|| members["error"].get("message"));
    match description.and_then(Value::as_str) {
        Some(text) if !text.is_empty() => {
            json!({"error": error, "error_description": printable(&sent.hide(text))})
        }
        _ => json!({ "error": error }),
    }
}

fn issued(
    members: &Map<String, Value>,
    headers: &HeaderMap,
    sent: &Known,
    now: Timestamp,
) -> Result<Value, GrantError> {
    let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(access_token) = text("access_token") else {
        return Err(GrantError::Unusable { reason: "it holds no access token".to_owned() });
    };
    // Names other than `Bearer` that mean it are common; these two need a proof with each request.
    if let Some(kind) =
        text("token_type").filter(|kind| ["dpop", "mac"].contains(&kind.to_ascii_lowercase().as_str()))
    {
        return Err(GrantError::Unusable { reason: format!("its token type `{kind}` is not supported") });
    }
    let refresh_token = text("refresh_token");
    if [Some(access_token), refresh_token].into_iter().flatten().any(|token| token.len() > TOKEN_LIMIT) {
        return Err(GrantError::Unusable { reason: "one of its tokens is longer than 64 KiB".to_owned() });
    }
    if !fits_header(access_token) {
        let reason = "its access token holds what no header can carry (RFC 6750 §2.1)".to_owned();
        return Err(GrantError::Unusable { reason });
    }
    if refresh_token.is_some_and(|token| token.contains(char::REPLACEMENT_CHARACTER)) {
        return Err(GrantError::Unusable { reason: "its refresh token is no text".to_owned() });
    }
    let clock = Clock { now, server: server_time(headers).unwrap_or(now) };
    let mut strict = json!({
        "access_token": access_token,
        "token_type": "bearer",
        "expires_at": clock.expiry(members, &["expires_in"], &["expires_at"]),
        "refresh_token_expires_at": clock.expiry(
            members,
            &["refresh_token_expires_in", "refresh_expires_in"],
            &["refresh_token_expires_at", "refresh_expires_at"],
        ),
    });
    if let Some(refresh_token) = refresh_token {
        strict["refresh_token"] = refresh_token.into();
    }
    if let Some(scope) = scope(members, sent) {
        strict["scope"] = scope.into();
    }
    Ok(strict)
}

/// Whether a token can follow `Bearer` as it is: visible characters of ASCII, and spaces within (RFC 6749
/// §A.12). RFC 6750 §2.1 has fewer of them, which real tokens do not keep to.
pub fn fits_header(token: &str) -> bool {
    token.bytes().all(|byte| matches!(byte, b' '..=b'~')) && token.trim_matches(' ') == token
}

/// `scope` as text, also from a list. One that repeats what was `sent` is none.
fn scope(members: &Map<String, Value>, sent: &Known) -> Option<String> {
    let texts: Vec<&str> = match members.get("scope")? {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let scopes = texts.into_iter().flat_map(str::split_ascii_whitespace);
    let scopes = scopes::bounded(scopes.filter(|scope| !sent.is_repeated_by(scope)));
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

fn strict(status: StatusCode, body: &Value) -> Result<Response<Vec<u8>>, GrantError> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The two clocks that an expiry is read by.
struct Clock {
    now: Timestamp,
    server: Timestamp,
}

impl Clock {
    /// The first lifetime, else the first absolute time, that makes sense. What is over already is
    /// taken as unknown: the token was issued a moment ago, so it is the number that is wrong, and
    /// refreshing at once, again and again, would be the answer to believing it.
    fn expiry(&self, members: &Map<String, Value>, lives: &[&str], times: &[&str]) -> Option<Timestamp> {
        let life = lives.iter().find_map(|name| number(members.get(*name)?));
        let life = life.or_else(|| times.iter().find_map(|name| self.life_until(members.get(*name)?)));
        let life = life.filter(|seconds| *seconds >= 1.0)?;
        let life = if life >= LONGEST_LIFE.as_secs_f64() {
            LONGEST_LIFE
        } else {
            SignedDuration::from_secs(life as i64)
        };
        self.now.checked_add(life).ok()
    }

    /// Seconds from the server's now until an absolute time: RFC 3339, or Unix time in seconds,
    /// milliseconds or microseconds, as number or text. A number too small for a date is a
    /// lifetime under the wrong name.
    fn life_until(&self, value: &Value) -> Option<f64> {
        let until = match number(value) {
            Some(number) if number < 1e8 => return Some(number),
            Some(seconds) if seconds < 1e11 => seconds,
            Some(milliseconds) if milliseconds < 1e14 => milliseconds / 1e3,
            Some(microseconds) => microseconds / 1e6,
            None => value.as_str()?.trim().parse::<Timestamp>().ok()?.as_second() as f64,
        };
        Some(until - self.server.as_second() as f64)
    }
}

/// A finite number, also from text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    date(headers.get(DATE)?)
}

#[cfg(test)]
mod tests;
