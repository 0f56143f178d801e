//! `mcp-front refresh`: for a timer and for the curious, by the way that bridges take.

use std::collections::HashSet;

use mcp_front::lock::{Purpose, ServiceLock};
use serde_json::{Value, json};

use crate::support::authorization_server::Fault;
use crate::support::home::{Home, Outcome};
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};

fn refresh(service: &Service, more: &[&str]) -> Outcome {
    service.home.run([&["refresh", NAME], more].concat())
}

fn told(service: &Service, more: &[&str]) -> Value {
    let outcome = refresh(service, &[&["--json"], more].concat());
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// A27: a token is renewed by hand or by a timer as it is by a bridge.
#[test]
fn what_is_fresh_is_left_alone_unless_it_is_forced() {
    let service = Service::logged_in();
    let fresh = refresh(&service, &[]).expect(0);
    assert!(fresh.stdout.starts_with("service: not due, the access token is good until "), "{fresh:?}");
    assert_eq!((fresh.stdout.lines().count(), fresh.stderr.as_str()), (1, ""));
    assert_eq!(told(&service, &[])["outcome"], "fresh");
    assert_eq!(service.authorization.refreshes(), 0);

    let forced = refresh(&service, &["--force"]).expect(0);
    assert!(forced.stdout.starts_with("service: renewed until "), "{forced:?}");
    assert_eq!(service.authorization.refreshes(), 1);
    assert!(service.row()["last_refresh_at"].is_string());
    let json = told(&service, &["--force"]);
    assert_eq!(
        (&json["version"], &json["outcome"], &json["saved"]),
        (&json!(1), &json!("renewed"), &json!(true))
    );
    assert!(json["access_token_expires_at"].is_string(), "{json}");
    assert_eq!(service.authorization.living_grants(), 1, "each refresh sent the newest token");
}

/// Many at once renew once, as bridges do; and a bridge takes over what a timer renewed.
#[test]
fn it_shares_the_lock_and_its_outcome_with_everybody() {
    let service = Service::with_expired_token();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| refresh(&service, &[]).expect(0).stdout)).collect();
        all.into_iter().for_each(|one| drop(one.join().unwrap()));
    });
    assert_eq!(service.authorization.refreshes(), 1);

    let mut bridge = service.bridge();
    bridge.initialize();
    refresh(&service, &["--force"]).expect(0);
    let before = service.server.requests().len();
    assert_eq!(bridge.echo(1, "adopted"), "adopted");
    let tokens: HashSet<_> = service.server.requests()[before..]
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(tokens, HashSet::from([format!("Bearer {}", service.authorization.tokens(2).0)]));
    assert_eq!(service.authorization.refreshes(), 2);
}

#[test]
fn a_static_token_has_nothing_to_renew() {
    let (home, server) = (Home::with_file_store(), McpServer::open());
    home.run_with_input(["tokens", "set", &server.url(), "--name", "static"], b"value").expect(0);
    for more in [&[][..], &["--force"]] {
        let said = home.run([&["refresh", "static"], more].concat()).expect(0).stdout;
        assert_eq!(said, "static: nothing to renew, it is a static token\n");
    }
}

#[test]
fn an_end_is_exit_code_four() {
    let service = Service::with_expired_token();
    service.authorization.revoke_grants();
    for _ in 0..2 {
        let over = refresh(&service, &[]).expect(4);
        assert!(over.stderr.contains("invalid_grant") && over.stderr.contains("login service"), "{over:?}");
        assert_eq!(over.stdout, "");
    }
    assert_eq!(service.authorization.refreshes(), 1, "an end is asked about once");
    let json = told(&service, &["--force"]);
    assert_eq!(json["outcome"], "login_required", "{json}");
    assert!(json["command"].as_str().unwrap().contains("login service"), "{json}");
    let none = service.home.run(["refresh", "https://other.example/mcp"]).expect(4);
    assert!(none.stderr.contains("no login is stored"), "{none:?}");
    service.home.run(["refresh", "unheard-of"]).expect(2);
}

/// A login that was killed between the journal and the record is found.
#[test]
fn a_login_that_was_cut_off_is_settled() {
    let service = Service::logged_in();
    crate::support::kept_login::run(service.cut_off_login());
    let url = service.server.url();
    let found = service.home.run(["refresh", &url]).expect(0);
    assert!(found.stdout.contains("until "), "{found:?}");
    assert_eq!(service.authorization.refreshes(), 0);
}

#[test]
fn without_a_verdict_the_login_is_kept() {
    let service = Service::with_expired_token();
    for _ in 0..2 {
        service.authorization.fault(Fault::Reply(Reply::status(503)));
    }
    let failed = refresh(&service, &[]).expect(3);
    assert!(failed.stderr.contains("The login is kept; try again"), "{failed:?}");
    refresh(&service, &[]).expect(0);
    service.authorization.fault(Fault::Reply(Reply::status(429).header("Retry-After", "120")));
    let json = told(&service, &["--force"]);
    assert_eq!(
        (&json["outcome"], &json["retryAfterSeconds"]),
        (&json!("unavailable"), &json!(120)),
        "{json}"
    );
    assert_eq!(service.row()["state"], "renews");
}

/// Nothing is renewed without the lock.
#[test]
fn a_lock_that_stays_taken_is_exit_code_six() {
    let service = Service::with_expired_token();
    let (paths, _, key) = service.kept();
    let held = ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap().unwrap();
    let busy = refresh(&service, &[]).expect(6);
    assert!(busy.stderr.contains("another process"), "{busy:?}");
    assert_eq!(service.authorization.refreshes(), 0);
    drop(held);
    refresh(&service, &[]).expect(0);
}
