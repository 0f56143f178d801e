//! The token endpoint's answer: a token that was issued is read to the letter, all else is bounded, no
//! error and no `Debug` shows a secret that was sent or issued, and only a known code ends a grant.

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use mcp_front::credential::Binding;
use mcp_front::oauth::grant::{GrantError, refresh_by};
use mcp_front::oauth::{Exchange, TokenResponse};
use mcp_front::redact::{ExposeSecret, Secret};
use serde_json::Value;
use url::Url;

use super::{assert_printable, login, shown, wait};

/// The refresh token that is sent, and in a form's and a URL's spelling.
const SENT: [&str; 3] =
    ["canary-refresh/token+1=", "canary-refresh%2Ftoken%2B1%3D", "canary-refresh%2ftoken%2b1%3d"];
/// Id and secret of the client in HTTP Basic, each in a form's spelling (RFC 6749 §2.3.1).
const BASIC: &str = "aWQ6Y2FuYXJ5LWNsaWVudCUyRnNlY3JldCUyQjElM0Q=";
/// What of that is the secret's own, whatever stands before and behind it.
const IN_BASIC: &str = "Y2FuYXJ5LWNsaWVudCUyRnNlY3JldCUyQjElM0";
/// What stands in the input for a token that is issued.
const ISSUED: &str = "canary-issued";
/// No token is longer, in bytes.
const TOKEN_LIMIT: usize = 64 * 1024;

/// The status stands on the first line, header fields on those behind it, and the body behind an empty
/// one. `REFRESH`, `ENCODED`, `SECRET` and `BASIC` stand for what was sent.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = text.replace("REFRESH", SENT[0]).replace("ENCODED", SENT[1]);
    let text = text.replace("SECRET", login::CLIENT_SECRET).replace("BASIC", BASIC);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse::<u16>().ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let fields = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    });
    let headers = HeaderMap::from_iter(fields);
    let before = Timestamp::now();
    match refresh(status, &headers, body) {
        Ok(response) => check_issued(&response, status, body, before),
        Err(error) => check_error(&error, status, body),
    }
}

fn refresh(status: StatusCode, headers: &HeaderMap, body: &str) -> Result<TokenResponse, GrantError> {
    let mut answer = Response::new(body.as_bytes().to_vec());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers.clone();
    let exchange = Exchange::by(move |request, _| {
        assert_eq!(request.uri(), "https://as.example/token");
        let answer = answer.clone();
        async { Ok(answer) }.boxed()
    });
    let binding = Binding {
        issuer: None,
        token_endpoint: Url::parse("https://as.example/token").expect("a URL"),
        revocation_endpoint: None,
        resource: Some("https://mcp.example".to_owned()),
    };
    let client = login::client(&Url::parse("http://127.0.0.1:7777/callback").expect("a URL"));
    wait(refresh_by(exchange, &binding, &client, &Secret::from(SENT[0])))
}

fn check_issued(response: &TokenResponse, status: StatusCode, body: &str, before: Timestamp) {
    assert!(status.is_success(), "{status} issued a token");
    let tokens = [Some(&response.access_token), response.refresh_token.as_ref()];
    let tokens: Vec<_> = tokens.into_iter().flatten().map(|token| token.expose_secret()).collect();
    assert!(tokens.iter().all(|token| (1..=TOKEN_LIMIT).contains(&token.len())));
    let ends = [response.expires_at, response.refresh_token_expires_at];
    let latest = before + SignedDuration::from_hours(10 * 365 * 24 + 1);
    assert!(ends.iter().flatten().all(|end| (before..latest).contains(end)), "{ends:?}");
    if let Some(scopes) = &response.scopes {
        assert!((1..=256).contains(&scopes.len()), "{} scopes", scopes.len());
        assert!(scopes.iter().all(|scope| (1..=256).contains(&scope.len()) && !scope.contains(' ')));
    }
    if let Ok(Value::Object(members)) = serde_json::from_str(body.strip_prefix('\u{feff}').unwrap_or(body)) {
        let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        assert_eq!(Some(tokens[0]), text("access_token"));
        assert_eq!(tokens.get(1).copied(), text("refresh_token"));
        let error = members.get("error").and_then(Value::as_str).unwrap_or_default();
        assert!(error.is_empty(), "`{error}` was passed over");
    }
    let debug = format!("{response:?}");
    assert!(
        !debug.contains(ISSUED) || !tokens.iter().any(|token| token.contains(ISSUED)) || says_elsewhere(body)
    );
}

fn check_error(error: &GrantError, status: StatusCode, body: &str) {
    let told = format!("{}\n{error:?}", shown(error));
    assert_printable(&error.to_string());
    for secret in SENT.into_iter().chain([login::CLIENT_SECRET, IN_BASIC]) {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(!told.contains(ISSUED) || says_elsewhere(body), "{told}");
    assert!(told.len() < 32 * 1024);
    match error {
        GrantError::Refused { error, .. } | GrantError::ClientRefused { error, .. } => {
            assert!(!status.is_server_error() && !status.is_redirection(), "{status} gave a verdict");
            // Some servers write codes in capitals, none in other words.
            assert!(error.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_'), "{error:?}");
            assert_ne!(error.to_ascii_lowercase(), "access_denied");
        }
        GrantError::RateLimited { retry_after } => {
            assert!(retry_after.is_none_or(|wait| (1..=3600).contains(&wait.as_secs())), "{retry_after:?}");
        }
        GrantError::Transient { .. } | GrantError::Malformed { .. } => {}
        GrantError::Unusable { .. } => assert!(status.is_success(), "{status} issued a token"),
        GrantError::NotSent { .. } => panic!("it was sent: {error}"),
    }
}

/// Whether the placeholder stands where it is no token, but the server's own words.
fn says_elsewhere(body: &str) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_str(body.strip_prefix('\u{feff}').unwrap_or(body))
    else {
        return true;
    };
    let mut others = members.iter().filter(|(name, _)| !matches!(&***name, "access_token" | "refresh_token"));
    others.any(|(_, value)| value.to_string().contains(ISSUED))
}
