//! Token endpoints' answers in every spelling, as tables.

use super::*;
use crate::redact::ExposeSecret;

/// 2026-11-21T12:00:00Z by our clock; the server's is ten minutes ahead where it sends `Date`.
const NOW: i64 = 1_795_262_400;
const SERVER_DATE: &str = "Sat, 21 Nov 2026 12:10:00 GMT";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn answer(status: u16, body: &str, headers: &[(&'static str, &str)]) -> Response<Vec<u8>> {
    let mut answer = Response::new(body.as_bytes().to_vec());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    answer
}

fn read(answer: &Response<Vec<u8>>) -> TokenResponse {
    let strict = normalise(answer, &Known::default(), now()).unwrap();
    assert_eq!(strict.status(), StatusCode::OK, "{:?}", String::from_utf8_lossy(answer.body()));
    let parsed: Parsed = serde_json::from_slice(strict.body()).unwrap();
    parsed.into()
}

#[test]
fn expiries_are_read_in_every_spelling() {
    let far = LONGEST_LIFE.as_secs();
    let table: &[(&str, Option<i64>)] = &[
        ("", None),
        (r#""expires_in":3600"#, Some(3600)),
        (r#""expires_in":"3600""#, Some(3600)),
        (r#""expires_in":3599.9"#, Some(3599)),
        (r#""expires_in":" 3599.9 ""#, Some(3599)),
        (r#""expires_in":0"#, None),
        (r#""expires_in":-1"#, None),
        (r#""expires_in":1e18"#, Some(far)),
        (r#""expires_in":18446744073709551616"#, Some(far)),
        (r#""expires_in":1e400"#, None),
        (r#""expires_in":1e400,"expires_at":1795266000"#, Some(3600)),
        (r#""expires_in":"NaN""#, None),
        (r#""expires_in":"inf""#, None),
        (r#""expires_in":"soon""#, None),
        (r#""expires_in":null,"expires_at":1795266000"#, Some(3600)),
        (r#""expires_at":1795266000"#, Some(3600)),
        (r#""expires_at":1795266000.5"#, Some(3600)),
        (r#""expires_at":"1795266000""#, Some(3600)),
        (r#""expires_at":1795266000000"#, Some(3600)),
        (r#""expires_at":1795266000000000"#, Some(3600)),
        (r#""expires_at":"2026-11-21T13:00:00Z""#, Some(3600)),
        (r#""expires_at":"2026-11-21T15:00:00.123+02:00""#, Some(3600)),
        (r#""expires_at":1795262400"#, None),
        (r#""expires_at":1"#, Some(1)),
        (r#""expires_at":3600"#, Some(3600)),
        (r#""expires_at":"tomorrow""#, None),
        (r#""expires_at":{}"#, None),
        (r#""expires_in":60,"expires_at":1795266000"#, Some(60)),
    ];
    for (members, life) in table {
        let comma = if members.is_empty() { "" } else { "," };
        let body = format!(r#"{{"access_token":"a"{comma}{members}}}"#);
        let expiry = read(&answer(200, &body, &[])).expires_at;
        assert_eq!(expiry.map(|expiry| expiry.as_second() - NOW), *life, "{members}");
    }
}

#[test]
fn absolute_times_are_read_by_the_server_s_own_clock() {
    let body =
        r#"{"access_token":"a","expires_at":1795266600,"refresh_token_expires_at":"2026-11-22T12:10:00Z"}"#;
    let tokens = read(&answer(200, body, &[("date", SERVER_DATE)]));
    assert_eq!(tokens.expires_at.unwrap().as_second(), NOW + 3600);
    assert_eq!(tokens.refresh_token_expires_at.unwrap().as_second(), NOW + 86_400);
    let garbage = read(&answer(200, body, &[("date", "yesterday")]));
    assert_eq!(garbage.expires_at.unwrap().as_second(), NOW + 4200);
}

#[test]
fn odd_answers_still_bring_their_tokens() {
    for (body, headers) in [
        (r#"{"access_token":"a","refresh_token":"r","scope":"x y"}"#, [("content-type", "text/html")]),
        (
            "\u{feff}{\"access_token\":\"a\",\"refresh_token\":\"r\",\"scope\":[\"x\",\"y\"],\"token_type\":null}",
            [("content-type", "application/json")],
        ),
        (
            r#"{"access_token":"a","token_type":"bEaReR","refresh_token":"r","scope":" x  y ","error":null}"#,
            [("content-type", "application/json")],
        ),
        (
            r#"{"access_token":"a","token_type":7,"refresh_token":"r","scope":"x y","error":"","extra":[1]}"#,
            [("content-type", "application/json")],
        ),
        (
            "access_token=a&refresh_token=r&scope=x+y&expires_in=60&token_type=bearer",
            [("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
        ),
    ] {
        let tokens = read(&answer(200, body, &headers));
        assert_eq!(tokens.access_token.expose_secret(), "a", "{body}");
        assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "r", "{body}");
        assert_eq!(tokens.scopes.unwrap(), ["x", "y"], "{body}");
    }
    let bare = read(&answer(201, r#"{"access_token":"a","refresh_token":"","scope":""}"#, &[]));
    assert!(bare.refresh_token.is_none() && bare.scopes.is_none());
    let sent = Known::new([&Secret::from("sk-a-longer-secret"), &Secret::from("secret")]);
    let scope = "x sk-a-longer-secret y/sk-a-longer-secret secret secrets:read";
    let repeating = answer(200, &json!({"access_token": "a", "scope": scope}).to_string(), &[]);
    let strict = normalise(&repeating, &sent, now()).unwrap();
    let parsed: Parsed = serde_json::from_slice(strict.body()).unwrap();
    assert_eq!(TokenResponse::from(parsed).scopes.unwrap(), ["x", "secrets:read"]);
    let shown = format!("{:?}", read(&answer(200, r#"{"access_token":"canary"}"#, &[])));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn refusals_are_told_from_failures() {
    type Verdict = fn(&Result<Response<Vec<u8>>, GrantError>) -> bool;
    let refusal: Verdict =
        |verdict| matches!(verdict, Ok(answer) if answer.status() == StatusCode::BAD_REQUEST);
    let transient: Verdict = |verdict| matches!(verdict, Err(GrantError::Transient { .. }));
    let malformed: Verdict = |verdict| matches!(verdict, Err(GrantError::Malformed { .. }));
    let unusable: Verdict = |verdict| matches!(verdict, Err(GrantError::Unusable { .. }));
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant"}"#, refusal),
        (401, r#"{"error":"invalid_client"}"#, refusal),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#, refusal),
        (400, r#"{"error":{"code":"invalid_grant","message":"gone"}}"#, refusal),
        (500, r#"{"error":"invalid_grant"}"#, transient),
        (502, "<html>bad gateway</html>", transient),
        (503, "", transient),
        (504, "", transient),
        (302, "", transient),
        (407, "", transient),
        (200, " <!doctype html><title>Sign in to the network</title>", transient),
        (403, "<html>blocked</html>", transient),
        (401, "", malformed),
        (401, r#"{"message":"Unauthorized"}"#, malformed),
        (400, "", malformed),
        (200, "", unusable),
        (200, "[]", unusable),
        (200, "{}", unusable),
        (200, r#"{"access_token":""}"#, unusable),
        (200, r#"{"access_token":7}"#, unusable),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, unusable),
        (200, r#"{"access_token":"a\nb"}"#, unusable),
        (200, r#"{"access_token":"a\u007fb"}"#, unusable),
        (200, r#"{"access_token":"tök"}"#, unusable),
        (200, r#"{"access_token":" a"}"#, unusable),
        (400, r#"{"access_token":"a"}"#, malformed),
    ] {
        let verdict = normalise(&answer(status, body, &[]), &Known::default(), now());
        assert!(expected(&verdict), "{status} {body}: {verdict:?}");
    }
    for name in ["access_token", "refresh_token"] {
        let body = json!({"access_token": "a", name: "t".repeat(TOKEN_LIMIT + 1)}).to_string();
        assert!(unusable(&normalise(&answer(200, &body, &[]), &Known::default(), now())), "{name}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(unusable(&normalise(&answer(200, &deep, &[]), &Known::default(), now())));
}

#[test]
fn an_encoded_answer_is_told_and_may_have_brought_tokens() {
    for (status, coding, reason) in [
        (200, "gzip", Some("it is encoded (gzip), which was not asked for")),
        (200, "sk-secret", Some("it is encoded (an unknown coding), which was not asked for")),
        (200, "identity", None),
    ] {
        let answer = answer(status, r#"{"access_token":"a"}"#, &[("content-encoding", coding)]);
        let expected = reason.map(|reason| GrantError::Unusable { reason: reason.to_owned() });
        assert_eq!(normalise(&answer, &Known::default(), now()).err(), expected, "{coding}");
    }
    let refused = answer(400, r#"{"error":"invalid_grant"}"#, &[("content-encoding", "gzip")]);
    let verdict = normalise(&refused, &Known::default(), now());
    assert!(matches!(verdict, Err(GrantError::Malformed { .. })), "{verdict:?}");
}

#[test]
fn a_token_that_a_header_can_carry_is_taken() {
    for token in ["eyJhbGciOi.J9_-~+/==", "1|sanctum", "a b", "!\"#$%&'()*,:;<>?@[]^`{}"] {
        let body = json!({"access_token": token, "refresh_token": "r\n\u{1f600}"}).to_string();
        let tokens = read(&answer(200, &body, &[]));
        assert_eq!(tokens.access_token.expose_secret(), token);
        // It travels in a form.
        assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "r\n\u{1f600}");
    }
}

#[test]
fn a_member_that_cannot_be_read_costs_no_token() {
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    let body = format!(
        r#"{{"refresh_token":"r","odd":"\ud800","n":-1e999,"deep":{deep},"access_token":"a","scope":"x"}}"#
    );
    let tokens = read(&answer(200, &body, &[]));
    assert_eq!(tokens.access_token.expose_secret(), "a");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "r");
}

/// A name in Latin-1 is not what the tokens are lost by; one that is not ASCII is none.
#[test]
fn bytes_that_are_no_utf_8_cost_no_token() {
    let mut odd = answer(200, r#"{"name":"Jos_","access_token":"a","refresh_token":"r"}"#, &[]);
    let at = odd.body().iter().position(|byte| *byte == b'_').unwrap();
    odd.body_mut()[at] = 0xe9;
    let tokens = read(&odd);
    assert_eq!(tokens.access_token.expose_secret(), "a");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "r");
    for body in [r#"{"access_token":"_","refresh_token":"r"}"#, r#"{"access_token":"a","refresh_token":"_"}"#]
    {
        let mut odd = answer(200, body, &[]);
        let at = body.find("\"_\"").unwrap() + 1;
        odd.body_mut()[at] = 0xe9;
        let refused = normalise(&odd, &Known::default(), now());
        assert!(matches!(refused, Err(GrantError::Unusable { .. })), "{body}");
    }
}

#[test]
fn scopes_without_end_are_cut_and_the_tokens_kept() {
    let long = "l".repeat(257);
    let flood = "a ".repeat(300_000);
    for scope in [json!(format!("{long} {flood}")), json!([long, flood]), json!(vec!["a"; 300_000])] {
        let body = json!({"access_token": "a", "refresh_token": "r", "scope": scope}).to_string();
        let tokens = read(&answer(200, &body, &[]));
        assert_eq!(tokens.scopes.unwrap(), vec!["a"; 256]);
        assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "r");
    }
}

#[test]
fn a_wait_is_honoured_and_clamped() {
    for (status, retry_after, expected) in [
        (429, "120", Some(120)),
        (429, "0", Some(1)),
        (429, "-5", Some(1)),
        (429, "1e9", Some(3600)),
        (429, "Sat, 21 Nov 2026 12:00:30 GMT", Some(30)),
        (429, "Sat, 21 Nov 2020 12:00:30 GMT", Some(1)),
        (429, "later", None),
        (503, "7", Some(7)),
    ] {
        let verdict =
            normalise(&answer(status, "", &[("retry-after", retry_after)]), &Known::default(), now());
        let Err(GrantError::RateLimited { retry_after: found }) = verdict else { panic!("{verdict:?}") };
        assert_eq!(found.map(|wait| wait.as_secs()), expected, "{retry_after}");
    }
    let bare = normalise(&answer(429, "", &[]), &Known::default(), now());
    assert_eq!(bare.unwrap_err(), GrantError::RateLimited { retry_after: None });
}
