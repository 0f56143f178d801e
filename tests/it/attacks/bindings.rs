//! Attacks on a login that was made in good faith: its service starts to name somebody else (A).

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::canaries::{Evidence, secrets_of};
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};

/// Fails the test where a request at `evil` holds a secret of the login's, in any form.
#[track_caller]
fn assert_learned_nothing(evil: &AuthorizationServer, service: &Service) {
    let mut evidence = Evidence::in_home(&service.home);
    for request in evil.seen() {
        let head = format!("{} {} {:?}\n", request.method, request.target, request.headers);
        evidence.add("a request to another authorization server", [head.as_bytes(), &request.body].concat());
    }
    evidence.assert_free_of(&secrets_of(&service.authorization));
}

/// `doctor`'s verdict on discovery.
fn diagnosis(service: &Service) -> Value {
    let outcome = service.home.run(["doctor", "--json", NAME]).expect(1);
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("a list");
    findings.iter().find(|finding| finding["check"] == "discovery").expect("the check").clone()
}

/// A login is bound to where it came from: a service that starts to name another authorization server
/// gets nothing secret there, whatever is run, and the person is told.
#[test]
fn a10_another_authorization_server_gets_nothing() {
    let service = Service::logged_in();
    service.authorization.publish_revocation();
    service.login(&["--force"]).expect(0);
    let evil = AuthorizationServer::start();
    evil.publish_revocation();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.server.name_authorization_server(&evil.issuer());
    service.authorization.revoke_access_for_ever();
    bridge.refused(1);
    service.home.run(["refresh", NAME, "--force"]);
    let discovery = diagnosis(&service);
    assert_eq!(discovery["mark"], "bad", "{discovery}");
    assert!(discovery["text"].as_str().unwrap().contains(&evil.issuer()), "{discovery}");
    assert!(discovery["remedy"].as_str().unwrap().contains("login service"), "{discovery}");
    service.authorization.revoke_grants();
    bridge.refused(2);
    service.home.run(["refresh", NAME]);
    service.strict_bridge().refusal();
    assert!(evil.token_requests().is_empty() && evil.authorizations().is_empty());
    service.home.run(["logout", NAME]);
    assert!(evil.revocations().is_empty());
    assert_learned_nothing(&evil, &service);
}

/// The same for a client created by hand that the flags name again, secret and all: neither a
/// bridge that may log in by itself nor `login` takes it to another authorization server.
#[test]
fn a10_a_named_client_stays_with_its_authorization_server() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    service.browser.opened();
    let evil = AuthorizationServer::front_like();
    service.server.name_authorization_server(&evil.issuer());
    for ended in [false, true] {
        if ended {
            service.authorization.revoke_grants();
        }
        service.authorization.refuse_issued_access_tokens();
        let mut arguments = service.login_arguments(&["--login", "--strict"]);
        arguments.remove(0);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut bridge = Bridge::start(&service.home, &arguments);
        let answer = bridge.call(0, "initialize", initialize_params());
        assert_eq!(answer["error"].is_object(), ended, "{answer}");
        if ended {
            assert!(answer.to_string().contains("the authorization server changed"), "{answer}");
        }
        let outcome = service.login(&["--force"]).expect(3);
        assert!(outcome.stderr.contains("the authorization server changed"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("tokens delete"), "{}", outcome.stderr);
        assert_eq!(service.browser.tabs(), 0);
        assert!(evil.authorizations().is_empty() && evil.token_requests().is_empty());
        assert_learned_nothing(&evil, &service);
    }
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    service.login(&[]).expect(0);
    assert_eq!(evil.token_requests().len(), 1);
}

/// A login of the bridge's own at the other one is a new one: what was stored goes nowhere.
#[test]
fn a10_a_login_anew_takes_nothing_of_the_old_one_along() {
    let service = Service::logged_in();
    let evil = AuthorizationServer::start();
    service.server.move_to(&evil);
    service.authorization.revoke_grants();
    let mut bridge = Bridge::start(&service.home, &[NAME, "--login"]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "anew"), "anew");
    assert_eq!(evil.token_requests().len(), 1);
    assert_learned_nothing(&evil, &service);
}

/// The token endpoint is bound as well: the same issuer that names another one is not followed, by a
/// refresh as little as by a revocation.
#[test]
fn a11_a_token_endpoint_elsewhere_gets_nothing() {
    for refuses in [false, true] {
        let service = Service::with_expired_token();
        let evil = AuthorizationServer::start();
        service.authorization.set_metadata(json!({
            "token_endpoint": format!("{}/token", evil.issuer()),
            "revocation_endpoint": format!("{}/revoke", evil.issuer()),
        }));
        if refuses {
            service.authorization.script(|| vec![Fault::Reply(Reply::status(503))]);
        }
        let mut bridge = service.strict_bridge();
        if refuses {
            let refusal = bridge.refusal();
            assert!(refusal.to_string().contains("moved its token endpoint"), "{refusal}");
        } else {
            bridge.initialize();
            assert_eq!(bridge.echo(1, "where it was"), "where it was");
        }
        assert_eq!(diagnosis(&service)["mark"], "bad");
        service.home.run(["refresh", NAME, "--force"]);
        service.home.run(["logout", NAME]);
        assert!(evil.seen().is_empty(), "{:?}", evil.seen());
    }
}

/// A client created by hand does not follow the token endpoint either, until the person says so.
#[test]
fn a11_a_named_client_does_not_follow_its_token_endpoint() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    service.browser.opened();
    let elsewhere = McpServer::open();
    service.authorization.set_metadata(json!({"token_endpoint": elsewhere.url()}));
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "where it was"), "where it was");
    for ended in [false, true] {
        if ended {
            service.authorization.revoke_grants();
        }
        let outcome = service.login(&["--force"]).expect(3);
        assert!(outcome.stderr.contains("the authorization server changed"), "{}", outcome.stderr);
        assert_eq!(service.browser.tabs(), 0);
    }
    assert!(elsewhere.requests().is_empty());
}
