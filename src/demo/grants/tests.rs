//! The authorization server's rules, without any I/O.

use super::*;

const ISSUER: &str = "http://127.0.0.1:9";
const RESOURCE: &str = "http://127.0.0.1:9/mcp";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
// RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const LIFE: Duration = Duration::from_secs(4);

struct Bench {
    grants: Grants,
    client: String,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let mut grants = Grants::new(ISSUER.into(), RESOURCE.into(), LIFE);
        let registration = json(r#"{"redirect_uris":["http://127.0.0.1:5000/callback"],"client_name":"it"}"#);
        let client = grants.register(registration).unwrap();
        Self { grants, client, now: Instant::now() }
    }

    fn parameters(&self) -> serde_json::Value {
        serde_json::json!({
            "client_id": self.client, "redirect_uri": "http://127.0.0.1:6000/callback",
            "response_type": "code", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            "resource": RESOURCE, "scope": "mcp:tools", "state": "s",
        })
    }

    fn code(&mut self) -> String {
        let parameters = serde_json::from_value(self.parameters()).unwrap();
        let question = self.grants.begin(parameters, self.now).ok().unwrap();
        assert_eq!(question.client_name, "it");
        let target = self.grants.decide(&question.ticket, true, self.now).unwrap();
        member(&target, "code").unwrap()
    }

    fn exchange(&mut self, code: &str) -> Result<Issued, TokenError> {
        let form = serde_json::json!({
            "grant_type": "authorization_code", "client_id": self.client, "code": code,
            "code_verifier": VERIFIER, "redirect_uri": "http://127.0.0.1:6000/callback",
            "resource": RESOURCE,
        });
        self.grants.token(&serde_json::from_value(form).unwrap(), self.now)
    }

    fn refresh(&mut self, refresh_token: &str) -> Result<Issued, TokenError> {
        let form = serde_json::json!({
            "grant_type": "refresh_token", "client_id": self.client, "refresh_token": refresh_token,
            "resource": RESOURCE,
        });
        self.grants.token(&serde_json::from_value(form).unwrap(), self.now)
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

fn member(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[test]
fn registration_takes_public_loopback_clients_alone() {
    for (given, outcome) in [
        (r#"{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}"#, None),
        (r#"{"redirect_uris":["http://[::1]:7/"]}"#, None),
        (r#"{}"#, Some(RegistrationError::RedirectUri)),
        (r#"{"redirect_uris":["https://evil.example/"]}"#, Some(RegistrationError::RedirectUri)),
        (
            r#"{"redirect_uris":["http://127.0.0.1/","http://evil.example/"]}"#,
            Some(RegistrationError::RedirectUri),
        ),
        (r#"{"redirect_uris":["javascript:alert(1)"]}"#, Some(RegistrationError::RedirectUri)),
        (
            r#"{"redirect_uris":["http://127.0.0.1/"],"token_endpoint_auth_method":"client_secret_basic"}"#,
            Some(RegistrationError::AuthenticationMethod),
        ),
    ] {
        let mut grants = Grants::new(ISSUER.into(), RESOURCE.into(), LIFE);
        assert_eq!(grants.register(json(given)).err(), outcome, "{given}");
    }
}

#[test]
fn an_authorization_request_is_refused_where_the_rules_say_so() {
    for (name, value, outcome) in [
        ("client_id", "stranger", None),
        ("redirect_uri", "http://127.0.0.1:6000/other", None),
        ("redirect_uri", "http://evil.example/callback", None),
        ("response_type", "token", Some("unsupported_response_type")),
        ("code_challenge_method", "plain", Some("invalid_request")),
        ("code_challenge", "short", Some("invalid_request")),
        ("resource", "http://127.0.0.1:9/", Some("invalid_target")),
        ("scope", "mcp:tools admin", Some("invalid_scope")),
    ] {
        let mut bench = Bench::new();
        let mut parameters = bench.parameters();
        parameters[name] = value.into();
        let begun = bench.grants.begin(serde_json::from_value(parameters).unwrap(), bench.now);
        match (begun.err().unwrap(), outcome) {
            (AuthorizationError::Untrusted(_), None) => {}
            (AuthorizationError::Redirect(target), Some(error)) => {
                assert_eq!(member(&target, "error").as_deref(), Some(error), "{name}={value}");
                assert_eq!(member(&target, "state").as_deref(), Some("s"));
                assert_eq!(member(&target, "iss").as_deref(), Some(ISSUER));
            }
            (other, _) => panic!("{name}={value}: {other:?}"),
        }
    }
}

#[test]
fn a_question_is_answered_once() {
    let mut bench = Bench::new();
    let parameters = serde_json::from_value(bench.parameters()).unwrap();
    let question = bench.grants.begin(parameters, bench.now).ok().unwrap();
    let target = bench.grants.decide(&question.ticket, false, bench.now).unwrap();
    assert_eq!(member(&target, "error").as_deref(), Some("access_denied"));
    assert_eq!(member(&target, "iss").as_deref(), Some(ISSUER));
    assert_eq!(bench.grants.decide(&question.ticket, true, bench.now), None);
    assert_eq!(bench.grants.decide("guess", true, bench.now), None);
}

#[test]
fn a_code_is_good_once_and_its_reuse_revokes_the_grant() {
    let mut bench = Bench::new();
    let code = bench.code();
    let issued = bench.exchange(&code).ok().unwrap();
    assert!(bench.grants.admit(Some(&issued.access_token), bench.now).is_some());
    assert!(matches!(bench.exchange(&code), Err(TokenError::InvalidGrant(_))));
    assert_eq!(bench.grants.admit(Some(&issued.access_token), bench.now), None);
    assert_eq!(bench.grants.tally().reuses, 1);
}

#[test]
fn a_code_needs_its_verifier_resource_client_and_redirect_uri() {
    for (name, value, outcome) in [
        (
            "code_verifier",
            "x".repeat(43),
            TokenError::InvalidGrant("code_verifier does not fit code_challenge"),
        ),
        ("resource", ISSUER.to_owned(), TokenError::InvalidTarget),
        ("client_id", "stranger".to_owned(), TokenError::InvalidClient),
        ("code", "guess".to_owned(), TokenError::InvalidGrant("the code is not known")),
        (
            "redirect_uri",
            "http://127.0.0.1:6001/callback".to_owned(),
            TokenError::InvalidGrant("redirect_uri differs from the authorization request's"),
        ),
        ("grant_type", "password".to_owned(), TokenError::UnsupportedGrantType),
    ] {
        let mut bench = Bench::new();
        let code = bench.code();
        let mut form = serde_json::json!({
            "grant_type": "authorization_code", "client_id": bench.client, "code": code,
            "code_verifier": VERIFIER, "redirect_uri": "http://127.0.0.1:6000/callback",
            "resource": RESOURCE,
        });
        form[name] = value.into();
        let answer = bench.grants.token(&serde_json::from_value(form).unwrap(), bench.now);
        assert_eq!(answer.err(), Some(outcome), "{name}");
    }
}

#[test]
fn an_old_code_is_refused() {
    let mut bench = Bench::new();
    let code = bench.code();
    bench.now += CODE_LIFE;
    assert!(matches!(bench.exchange(&code), Err(TokenError::InvalidGrant("the code has expired"))));
}

#[test]
fn refresh_tokens_rotate_and_reuse_revokes_the_grant() {
    let mut bench = Bench::new();
    let code = bench.code();
    let first = bench.exchange(&code).ok().unwrap();
    let second = bench.refresh(&first.refresh_token).ok().unwrap();
    assert_ne!(first.refresh_token, second.refresh_token);
    let bearer = bench.grants.admit(Some(&second.access_token), bench.now).unwrap();
    assert_eq!((bearer.token, bearer.refreshes), (2, 1));
    assert!(matches!(bench.refresh(&first.refresh_token), Err(TokenError::InvalidGrant(_))));
    assert!(matches!(
        bench.refresh(&second.refresh_token),
        Err(TokenError::InvalidGrant("the grant is revoked"))
    ));
    assert_eq!(bench.grants.admit(Some(&second.access_token), bench.now), None);
    let tally = bench.grants.tally();
    assert_eq!((tally.logins, tally.refreshes, tally.reuses, tally.refused), (1, 1, 1, 1));
}

#[test]
fn access_tokens_end_with_their_life() {
    let mut bench = Bench::new();
    assert_eq!(bench.grants.newest_expiry(), None);
    let code = bench.code();
    let issued = bench.exchange(&code).ok().unwrap();
    assert_eq!(issued.expires_in, LIFE);
    assert_eq!(bench.grants.newest_expiry(), Some(bench.now + LIFE));
    let just_before = bench.now + LIFE - Duration::from_millis(1);
    assert!(bench.grants.admit(Some(&issued.access_token), just_before).is_some());
    assert_eq!(bench.grants.admit(Some(&issued.access_token), bench.now + LIFE), None);
    assert_eq!(bench.grants.admit(None, bench.now), None);
}
