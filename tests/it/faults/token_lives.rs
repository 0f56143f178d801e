//! H: how long tokens live, by a clock that the tests move: rare rotations, unknown and short lives,
//! and authorization servers that change.

use std::collections::HashSet;

use mcp_front::credential::{Kind, OauthCredential};
use mcp_front::redact::ExposeSecret;
use mcp_front::store::Patience;
use serde_json::json;

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::clock::{Clock, DAY, HOUR};
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::kept_login::run;
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::service::{NAME, Service};

/// The login as it is stored.
fn stored(service: &Service) -> OauthCredential {
    let (_, store, key) = service.kept();
    let mut found = None;
    run(async { found = store.load(&key, Patience::Person).await.unwrap() });
    match found.expect("a record").kind {
        Kind::Oauth(login) => *login,
        Kind::Token(_) => panic!("a static token is stored"),
    }
}

/// The same refresh token comes again: no rotation is recorded.
#[test]
fn h07_a_repeated_refresh_token_is_no_rotation() {
    let (home, clock) = Clock::in_home(Home::with_file_store());
    let service = Service::front_like_in(home);
    service.authorization.pass_time(0);
    service.login(&[]).expect(0);
    let before = stored(&service);
    let mut bridge = service.bridge();
    bridge.initialize();
    for round in 1..=3 {
        clock.advance(2 * HOUR);
        service.authorization.pass_time(2 * HOUR);
        assert_eq!(bridge.echo(round, "on"), "on");
    }
    let after = stored(&service);
    let token = |login: &OauthCredential| login.refresh_token.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(token(&after), token(&before));
    assert_eq!(after.refresh_token_obtained_at, before.refresh_token_obtained_at);
    assert_ne!(after.access_token.obtained_at, before.access_token.obtained_at);
    assert_eq!(service.authorization.refreshes(), 3);
}

/// As Front is described: the refresh token stays for half a year, and one answer of its last day holds
/// the next one; whoever misses that has to log in.
#[test]
fn h08_thirteen_months_of_rare_rotation_cost_no_login() {
    let (home, clock) = Clock::in_home(Home::with_file_store());
    let service = Service::front_like_in(home);
    service.authorization.pass_time(0);
    service.login(&[]).expect(0);
    let (mut now, mut calls, mut tokens) = (0, 0, HashSet::new());
    let mut rotated = 0;
    while now < 396 * DAY {
        let mut bridge = service.bridge();
        bridge.initialize();
        // A bridge lives for about a month, and is used less often while nothing can happen.
        for _ in 0..8 {
            let age = now - rotated;
            let step = if age > 170 * DAY { 23 * HOUR } else { 5 * DAY };
            now += step;
            clock.advance(step);
            service.authorization.pass_time(step);
            calls += 1;
            assert_eq!(bridge.echo(calls, "on"), "on", "after {} days", now / DAY);
            if tokens.insert(stored(&service).refresh_token.unwrap().expose_secret().to_owned()) {
                rotated = now;
            }
        }
    }
    assert_eq!(tokens.len(), 3, "the first refresh token, and two that came by the way");
    assert_eq!(service.authorization.authorizations().len(), 1, "one login");
    assert_eq!((service.authorization.replays(), service.authorization.living_grants()), (0, 1));
    assert_eq!(i64::try_from(service.authorization.refreshes()).unwrap(), calls, "one refresh a call");
}

/// Nothing is said of the end: the token is used until it is refused, and then renewed once.
#[test]
fn h10_a_token_without_an_end_is_used_until_it_is_refused() {
    let (service, clock) = Service::with_clock();
    service.authorization.set_expiry(json!({}));
    service.login(&["--force"]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    for round in 0..3 {
        let refreshes = service.authorization.refreshes();
        for call in 1..=5 {
            clock.advance(10 * HOUR);
            assert_eq!(bridge.echo(10 * round + call, "on"), "on");
        }
        assert_eq!(service.authorization.refreshes(), refreshes, "no hourly refresh");
        service.authorization.refuse_issued_access_tokens();
        assert_eq!(bridge.echo(10 * round + 6, "renewed"), "renewed");
        assert_eq!(service.authorization.refreshes(), refreshes + 1);
    }
}

/// A life of five seconds is lived: a refresh for each, and no storm between.
#[test]
fn h12_short_lives_are_renewed_as_needed() {
    let (service, clock) = Service::with_clock();
    service.authorization.set_expiry(json!({"expires_in": 5}));
    service.login(&["--force"]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    let before = service.authorization.refreshes();
    for round in 0..20 {
        clock.advance(6);
        for call in 1..=5 {
            assert_eq!(bridge.echo(10 * round + call, "on"), "on");
        }
    }
    // The machine's own time passes as well.
    let refreshes = service.authorization.refreshes() - before;
    assert!((20..=30).contains(&refreshes), "{refreshes} refreshes for 20 ends of life");
    assert_eq!((service.authorization.replays(), service.authorization.living_grants()), (0, 2));
}

#[test]
fn h13_a_narrowed_scope_is_listed_and_what_is_missing_is_explained() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        scope: Some("mail:read mail:send"),
        script: Some(Box::new(|request, responder| {
            let is_call = request.json()["method"] == "tools/call";
            if is_call {
                let challenge = r#"Bearer error="insufficient_scope", scope="mail:send""#;
                responder.reply(&Reply::json(403, "{}").header("WWW-Authenticate", challenge));
            }
            is_call
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    assert_eq!(service.row()["scopes"], json!(["mail:read", "mail:send"]));
    service.authorization.refuse_issued_access_tokens();
    service.authorization.fault(Fault::Members(json!({"scope": "mail:read"})));
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(service.row()["scopes"], json!(["mail:read"]));
    let error = bridge.refused(1);
    assert_eq!(error["data"]["reason"], "insufficient_scope", "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("--scope=mail:read --scope=mail:send"), "{message}");
    assert_eq!(service.authorization.refreshes(), 1, "scopes are not refreshed for");
}

/// The service names another authorization server, rightly or not: it gets nothing of what was stored,
/// the host is told, and a person's login is bound to the new one.
#[test]
fn h17_a_moved_authorization_server_is_told_and_a_login_binds_anew() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    let successor = AuthorizationServer::start();
    service.server.move_to(&successor);
    let error = bridge.refused(1);
    assert_eq!(error["data"]["reason"], "token_rejected", "{error}");
    assert!(error["data"]["command"].as_str().is_some_and(|command| command.contains(" login ")), "{error}");
    assert!(successor.token_requests().is_empty() && successor.authorizations().is_empty());
    let said = service.login(&["--force"]).expect(0).stderr;
    for server in [service.authorization.issuer(), successor.issuer()] {
        assert!(said.contains("the authorization server changed") && said.contains(&server), "{said}");
    }
    assert_eq!(bridge.echo(2, "bound anew"), "bound anew");
    let sent: String = successor.token_requests().iter().map(|request| format!("{request:?}")).collect();
    let old = service.authorization.secrets();
    assert!(!old.iter().any(|secret| sent.contains(secret.as_str())), "what was stored went nowhere");
    assert_eq!(stored(&service).binding.issuer, Some(successor.issuer()));
}

/// However many processes fail to refresh, and however often: the metadata is read again once a minute.
#[test]
fn h19_metadata_is_read_again_once_a_minute_at_most() {
    let (service, clock) = Service::with_clock();
    let authorization = &service.authorization;
    authorization.script(|| vec![Fault::Reply(Reply::status(503))]);
    let reads = || {
        let seen = authorization.seen();
        seen.iter().filter(|request| request.path().starts_with("/.well-known/")).count()
    };
    let before = reads();
    for minute in 1..=3 {
        // At the begin of a minute, for the machine's own time passes as well.
        let into_a_minute = jiff::Timestamp::now().as_second().rem_euclid(60);
        clock.set(2 * HOUR + 60 * minute - into_a_minute);
        for _ in 0..4 {
            service.home.run(["refresh", NAME, "--force"]).expect(3);
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| service.home.run(["refresh", NAME, "--force"]).expect(3));
            }
        });
        assert_eq!(i64::try_from(reads() - before), Ok(minute), "in minute {minute}");
    }
    assert_eq!((authorization.replays(), authorization.living_grants()), (0, 1));
}

/// H17, H19, A11: a token endpoint that moved within its issuer, and answers nothing where the login is
/// bound to: that is told with the command that binds anew, and nothing goes to the new one before that.
#[test]
fn h19_a_token_endpoint_that_moved_is_told_and_never_followed() {
    for by_itself in [false, true] {
        let service = Service::with_expired_token();
        let authorization = &service.authorization;
        authorization.script(|| vec![Fault::Reply(Reply::status(503))]);
        let elsewhere = McpServer::open();
        let moved_to = |endpoint: String| authorization.set_metadata(json!({"token_endpoint": endpoint}));
        moved_to(elsewhere.url());
        let mut bridge = service.strict_bridge();
        let refused = bridge.refusal();
        assert_eq!(refused["data"]["reason"], "login_required", "{refused}");
        let message = refused["message"].as_str().expect("a message");
        assert!(
            message.contains("moved its token endpoint") && message.contains(&elsewhere.url()),
            "{message}"
        );
        assert!(
            refused["data"]["command"].as_str().is_some_and(|line| line.contains(" login ")),
            "{refused}"
        );
        assert_eq!(service.row()["last_error"]["code"], "token_endpoint_moved");
        assert!(elsewhere.requests().is_empty() && authorization.living_grants() == 1);

        moved_to(format!("{}/token?moved", authorization.issuer()));
        if by_itself {
            bridge = Bridge::start(&service.home, &[NAME, "--login", "--strict"]);
        } else {
            let command = refused["data"]["command"].as_str().expect("a command");
            service.home.in_another_terminal(command, &[], b"").expect(0);
        }
        bridge.initialize();
        assert_eq!(bridge.echo(1, "bound anew"), "bound anew");
        assert_eq!(service.browser.tabs(), 1);
    }
}
