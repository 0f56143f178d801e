//! A service that moves to another authorization server: a login is bound to the one that it was
//! made with, and nothing of it goes to the next (MCP authorization, "Authorization Server Binding").

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::http_server::Reply;
use crate::support::service::{NAME, Service};

/// A service whose authorization server issues no refresh tokens, and a bridge that may log in.
fn without_refresh_tokens() -> (Service, Bridge) {
    let service = Service::new();
    service.authorization.fault(Fault::Members(json!({"refresh_token": null})));
    let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--login", "--name", NAME]);
    bridge.initialize();
    assert_eq!(service.browser.tabs(), 1);
    (service, bridge)
}

/// The error of a call.
fn refused(bridge: &mut Bridge, id: i64) -> Value {
    let answer = bridge.call(id, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
    assert!(answer["error"]["message"].is_string(), "no error: {answer}");
    answer["error"].clone()
}

/// Nothing secret of the old authorization server's was told to the new one, which knows no client
/// that has not registered with it.
fn assert_separate(old: &AuthorizationServer, new: &AuthorizationServer) {
    let told = format!("{:?} {:?}", new.token_requests(), new.authorizations());
    assert!(old.secrets().iter().all(|secret| !told.contains(secret.as_str())), "{told}");
}

/// Even a moment after a login: the client is registered anew, the person asked anew.
#[test]
fn a_service_that_moves_gets_a_login_of_its_own() {
    let (service, mut bridge) = without_refresh_tokens();
    let next = AuthorizationServer::start();
    service.server.move_to(&next);
    assert_eq!(bridge.echo(1, "moved"), "moved");
    assert_eq!(service.browser.tabs(), 1);
    assert_eq!(next.token_requests().len(), 1);
    assert_separate(&service.authorization, &next);

    next.revoke_access_for_ever();
    refused(&mut bridge, 2);
    refused(&mut bridge, 3);
    assert!(service.browser.tabs() <= 1, "no tab for each refusal");
}

/// The same where the old one still promises tokens that it does not give any more.
#[test]
fn a_service_whose_old_server_is_gone_gets_a_login_of_its_own() {
    let service = Service::logged_in();
    let mut bridge = Bridge::start(&service.home, &[NAME, "--login"]);
    bridge.initialize();
    for _ in 0..8 {
        service.authorization.fault(Fault::Reply(Reply::status(503)));
    }
    let next = AuthorizationServer::start();
    service.server.move_to(&next);
    assert_eq!(bridge.echo(1, "moved"), "moved");
    assert_eq!((service.browser.tabs(), next.token_requests().len()), (1, 1));
    assert_separate(&service.authorization, &next);
}

/// One that refuses a token of a moment ago, and has not moved, opens nothing again.
#[test]
fn a_service_that_only_refuses_opens_no_second_tab() {
    let (service, mut bridge) = without_refresh_tokens();
    service.authorization.revoke_access_for_ever();
    let error = refused(&mut bridge, 1);
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    refused(&mut bridge, 2);
    assert_eq!(service.browser.tabs(), 0);
}

/// Without `--login` nothing opens; the command that is named makes the new login.
#[test]
fn without_leave_to_log_in_the_command_is_named() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    let next = AuthorizationServer::start();
    service.server.move_to(&next);
    let error = refused(&mut bridge, 1);
    assert!(error["message"].to_string().contains(&format!("login {NAME} --force")), "{error}");
    assert!(service.browser.tabs() == 0 && next.authorizations().is_empty());
    service.login(&["--force"]).expect(0);
    assert_eq!(bridge.echo(2, "moved"), "moved");
    assert_separate(&service.authorization, &next);
}
