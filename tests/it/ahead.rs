//! Refreshing ahead of need: behind the calls while a token is still good, once for all bridges, never
//! for nothing; and `--keep-alive`, for a login that nobody uses.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::authorization_server::Fault;
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::http_server::Reply;
use crate::support::service::{NAME, Service};

/// The token of the last request that the service got.
fn last_token(service: &Service) -> String {
    let requests = service.server.requests();
    requests.last().expect("a request").header("Authorization").expect("a token").to_owned()
}

/// A login whose access tokens live for so many seconds.
fn short_lived(seconds: u32) -> Service {
    let service = Service::new();
    service.authorization.set_life(seconds);
    service.login(&[]).expect(0);
    service
}

/// A bridge that keeps an idle login alive, whose refresh tokens live for two seconds: it renews
/// about every second, which is how time passes here.
struct Clock {
    service: Service,
    bridge: Bridge,
}

impl Clock {
    fn start() -> Self {
        let service = Service::new();
        service.authorization.set_expiry(json!({"expires_in": 3600, "refresh_token_expires_in": 2}));
        service.login(&[]).expect(0);
        let bridge = Bridge::start(&service.home, &[NAME, "--keep-alive"]);
        Self { service, bridge }
    }

    /// Waits for three seconds or more.
    fn pass(&self) {
        let authorization = &self.service.authorization;
        authorization.wait_for_refreshes(authorization.refreshes() + 4);
    }
}

/// The token endpoint takes as long as it likes: the token at hand is good, and calls use it.
#[test]
fn no_call_waits_for_the_token_endpoint_while_the_token_is_good() {
    let service = Service::with_token_in_its_last_minutes();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.bridge();
    bridge.initialize();
    gate.wait_for_arrivals(1);
    let old = last_token(&service);
    for id in 1..=20 {
        assert_eq!(bridge.echo(id, "at once"), "at once");
        assert_eq!(last_token(&service), old);
    }
    gate.open();
    // How soon the answer is saved is the helper's affair; what is sent until then is good.
    let mut id = 21;
    while last_token(&service) == old {
        assert_eq!(bridge.echo(id, "and on"), "and on");
        id += 1;
    }
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (1, 1));
}

/// The token in use is renewed without a call, and the next call finds it renewed.
#[test]
fn a_token_in_use_is_renewed_before_the_next_call() {
    let service = short_lived(5);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "used"), "used");
    let old = last_token(&service);
    service.authorization.wait_for_refreshes(1);
    while last_token(&service) == old {
        assert_eq!(bridge.echo(2, "renewed"), "renewed");
    }
    assert_eq!(service.authorization.refreshes(), 1);
}

/// An idle bridge renews the token that it used, and none after that; the next call renews on need.
/// One that is to keep its login alive goes on.
#[test]
fn an_idle_bridge_asks_for_nothing() {
    let service = short_lived(2);
    let mut bridge = service.bridge();
    bridge.initialize();
    let clock = Clock::start();
    let posted = clock.service.server.posted().len();
    clock.pass();
    let refreshes = service.authorization.refreshes();
    assert!(refreshes <= 2, "{refreshes} refreshes for an idle bridge");
    assert_eq!(bridge.echo(1, "back"), "back");
    assert_eq!(service.authorization.living_grants(), 1);
    assert_eq!(clock.service.authorization.living_grants(), 1);
    assert_eq!(clock.service.server.posted().len(), posted, "that login was kept alive without any use");
}

/// Many busy bridges on one login, and a token endpoint that takes a second: no refresh token is sent twice,
/// and there is about one refresh a life.
#[test]
fn many_busy_bridges_make_one_refresh_a_life() {
    const BRIDGES: usize = 6;
    const LIVES: usize = 3;
    let service = short_lived(5);
    service.authorization.script(|| vec![Fault::Delay(Duration::from_secs(1))]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..BRIDGES {
            let (service, done) = (&service, &done);
            scope.spawn(move || {
                let mut bridge = service.bridge();
                bridge.initialize();
                for id in 1.. {
                    assert_eq!(bridge.echo(id, "busy"), "busy");
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        service.authorization.wait_for_refreshes(LIVES);
        done.store(true, Ordering::Relaxed);
    });
    let sent = service.authorization.sent_refresh_tokens();
    let different: HashSet<_> = sent.iter().map(|(token, _)| token).collect();
    assert_eq!(different.len(), sent.len(), "a refresh token was sent twice");
    for pair in sent.windows(2) {
        let pause = pair[1].1 - pair[0].1;
        assert!(pause > Duration::from_secs(2), "the next refresh came after {pause:?}");
    }
    assert_eq!(service.authorization.living_grants(), 1);
}

/// H04: a server that asks to wait is left alone for as long, also behind the calls.
#[test]
fn a_refresh_ahead_waits_as_long_as_the_server_asks() {
    let service = Service::with_token_in_its_last_minutes();
    let busy = Reply::json(429, "{}").header("Retry-After", "3");
    service.authorization.fault(Fault::Reply(busy));
    let mut bridge = service.bridge();
    bridge.initialize();
    let mut id = 0;
    while service.authorization.refreshes() < 2 {
        id += 1;
        assert_eq!(bridge.echo(id, "on"), "on");
    }
    let sent = service.authorization.sent_refresh_tokens();
    assert!(sent[1].1 - sent[0].1 >= Duration::from_secs(3), "{:?}", sent[1].1 - sent[0].1);
}

/// H04: what one bridge was asked to wait holds for all.
#[test]
fn all_bridges_wait_as_long_as_the_server_asks_one() {
    let service = Service::with_token_in_its_last_minutes();
    service.authorization.fault(Fault::Reply(Reply::json(429, "{}").header("Retry-After", "3")));
    let mut bridges: Vec<_> = (0..4).map(|_| service.bridge()).collect();
    for bridge in &mut bridges {
        bridge.initialize();
    }
    let mut id = 0;
    while service.authorization.refreshes() < 2 {
        id += 1;
        for bridge in &mut bridges {
            assert_eq!(bridge.echo(id, "on"), "on");
        }
    }
    let sent = service.authorization.sent_refresh_tokens();
    assert!(sent[1].1 - sent[0].1 >= Duration::from_secs(3), "{:?}", sent[1].1 - sent[0].1);
}

/// A refresh ahead that the server refuses for good ends the login, and not the token at hand.
#[test]
fn an_end_that_is_seen_ahead_leaves_the_token_to_its_own_end() {
    let service = Service::with_token_in_its_last_minutes();
    service.authorization.fault(Fault::Reply(Reply::json(400, r#"{"error":"invalid_grant"}"#)));
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.wait_for_refreshes(1);
    while service.row()["state"] != "login_required" {}
    assert_eq!(bridge.echo(1, "still good"), "still good");
    assert_eq!(service.authorization.refreshes(), 1);
}

/// A server may answer with the token that is good already: nobody refused that one, and where the
/// service does later, it is renewed.
#[test]
fn a_token_that_is_issued_once_more_is_not_taken_for_refused() {
    let service = Service::new();
    let authorization = &service.authorization;
    // Renewed after some three seconds, and again after as many.
    authorization.set_expiry(json!({"expires_in": 3600, "refresh_token_expires_in": 8}));
    service.login(&[]).expect(0);
    let (same, _) = authorization.tokens(0);
    authorization.fault(Fault::Members(json!({ "access_token": same })));
    let mut bridge = Bridge::start(&service.home, &[NAME, "--keep-alive"]);
    bridge.initialize();
    authorization.wait_for_refreshes(1);
    while service.row()["last_refresh_at"].is_null() {
        assert_eq!(bridge.echo(1, "meanwhile"), "meanwhile");
    }
    authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(2, "renewed"), "renewed");
    assert_eq!(authorization.refreshes(), 2);
}

/// What the service refuses for a while, the authorization server still renews: an idle host would not
/// notice the end of the outage, nor of the login.
#[test]
fn a_token_that_the_service_refuses_is_kept_alive() {
    let service = Service::new();
    let authorization = &service.authorization;
    authorization.set_expiry(json!({"expires_in": 3600, "refresh_token_expires_in": 8}));
    service.login(&[]).expect(0);
    let mut bridge = Bridge::start(&service.home, &[NAME, "--keep-alive"]);
    bridge.initialize();
    authorization.revoke_access_for_ever();
    let error = bridge.refused(1);
    assert_eq!(error["data"]["reason"], "token_rejected", "{error}");
    // Nor does an outage of both make an end of it.
    authorization.fault(Fault::Reply(Reply::status(503)));
    authorization.fault(Fault::Reply(Reply::status(503)));
    let refreshes = authorization.refreshes();
    authorization.wait_for_refreshes(refreshes + 1);
}

/// A login that was deleted is kept alive no longer, by whichever bridge.
#[test]
fn a_deleted_login_is_left_alone() {
    let mut clock = Clock::start();
    clock.pass();
    clock.bridge.initialize();
    clock.service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    let refreshes = clock.service.authorization.refreshes();
    Clock::start().pass();
    assert_eq!(clock.service.authorization.refreshes(), refreshes);
}
