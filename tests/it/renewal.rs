//! A login's life after its start: expiry, refusal, faults of the token endpoint, the end of a
//! grant, and what the host is told.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, REFUSAL_LIMIT, initialize_params};
use crate::support::gate::Gate;
use crate::support::home::BINARY;
use crate::support::http_server::{Reply, Request};
use crate::support::kept_login::run;
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::service::{NAME, Service};

/// How long an outage of the token endpoint may hold up an answer, repetitions included: hosts give a
/// server that starts half a minute.
const OUTAGE_LIMIT: Duration = Duration::from_secs(15);

/// A call's error; fails the test where the call succeeds.
fn refused(bridge: &mut Bridge, id: i64) -> Value {
    let answer = bridge.call(id, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
    assert!(answer["error"]["message"].is_string(), "no error: {answer}");
    answer["error"].clone()
}

/// The token that a request carries.
fn bearer(request: &Request) -> String {
    request.header("Authorization").expect("no request without a token").to_owned()
}

/// A12: an access token that has ended is refreshed before the first request, without a 401.
#[test]
fn an_expired_token_is_refreshed_before_it_is_sent() {
    let service = Service::with_expired_token();
    let before = service.server.requests().len();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "fresh"), "fresh");
    assert_eq!(service.authorization.refreshes(), 1);
    let sent: HashSet<_> = service.server.requests()[before..].iter().map(bearer).collect();
    assert_eq!(sent.len(), 1, "the token that had ended was never sent");
    let refresh = service.authorization.token_requests().pop().expect("a refresh");
    assert_eq!(refresh.form["resource"], service.server.url());
    assert!(service.row()["last_refresh_at"].is_string());
}

/// A7: the new refresh token is stored before the new access token is used: a second start, and a
/// third after another refusal, find it.
#[test]
fn rotation_survives_restarts() {
    let service = Service::with_expired_token();
    for round in 1..=4 {
        let mut bridge = service.bridge();
        bridge.initialize();
        assert_eq!(bridge.echo(1, "on"), "on");
        service.authorization.refuse_issued_access_tokens();
        assert_eq!(bridge.echo(2, "and on"), "and on");
        assert_eq!(service.authorization.refreshes(), 1 + round);
    }
    assert_eq!(service.authorization.living_grants(), 1);
}

/// A12: a fresh token that is refused again is told as such and listed, with no loop.
#[test]
fn a_fresh_token_that_is_refused_is_not_tried_for_ever() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.revoke_access_for_ever();
    let error = refused(&mut bridge, 1);
    assert_eq!(error["data"]["reason"], "token_rejected");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("rights. Should the")), "{error}");
    assert!(service.authorization.refreshes() <= 2);
    let row = service.row();
    assert_eq!(
        (&row["state"], &row["last_error"]["code"]),
        (&json!("login_required"), &json!("token_rejected"))
    );
    let entry = std::fs::read(service.entry_file()).unwrap();
    let calls = service.server.posted().len();
    refused(&mut bridge, 2);
    assert!(service.server.posted().len() <= calls + 2);
    assert!(service.authorization.refreshes() <= 3, "{} refreshes", service.authorization.refreshes());
    assert_eq!(std::fs::read(service.entry_file()).unwrap(), entry, "it is noted once");
}

/// A28: what is transient keeps the login, is told as retryable, and heals without a restart.
#[test]
fn transient_failures_keep_the_login() {
    let page = "<html><body>Welcome to the hotel</body></html>";
    for (what, reply) in [
        ("500", Reply::status(500)),
        ("502 with a page", Reply::html(502, page)),
        ("503", Reply::json(503, "{}")),
        ("429", Reply::json(429, "{}").header("Retry-After", "120")),
        ("a captive portal", Reply::html(200, page)),
        ("an empty 200", Reply::status(200)),
        ("a gateway's empty 401", Reply::status(401)),
        ("a gateway's 401", Reply::json(401, r#"{"message":"Unauthorized"}"#)),
        ("a gateway's 403", Reply::json(403, r#"{"error":"access_denied"}"#)),
    ] {
        let service = Service::with_expired_token();
        for _ in 0..8 {
            service.authorization.fault(Fault::Reply(reply.clone()));
        }
        let mut bridge = service.strict_bridge();
        let error = bridge.refused_within(OUTAGE_LIMIT, "initialize", initialize_params());
        assert_eq!(error["data"]["reason"], "unavailable", "{what}: {error}");
        assert_ne!(service.row()["state"], "login_required", "{what}");
        assert_eq!(service.authorization.living_grants(), 1);
    }
}

/// A6, A28: a grant that has ended is told with the command that helps; the login is kept and marked.
#[test]
fn the_end_of_a_grant_names_the_command_and_costs_one_request() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.revoke_grants();
    let error = refused(&mut bridge, 1);
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("{BINARY} login {NAME}")), "{message}");
    for id in 2..=50 {
        refused(&mut bridge, id);
    }
    assert_eq!(service.authorization.refreshes(), 1, "a terminal failure is not repeated");
    let row = service.row();
    assert_eq!(row["state"], "login_required");
    assert!(row["reason"].is_string(), "{row}");
    assert_eq!(row["last_error"]["code"], "invalid_grant", "{row}");
    assert_eq!(row["renews"], false, "what wants a person does not renew: {row}");
    assert_eq!(service.browser.tabs(), 0, "no tab is opened");
}

/// A6: a login in another terminal is picked up by the next request, without a restart.
#[test]
fn a_login_in_another_terminal_is_picked_up() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.revoke_grants();
    refused(&mut bridge, 1);
    service.login(&[]).expect(0);
    assert_eq!(bridge.echo(2, "back"), "back");
}

#[test]
fn a_bridge_without_any_login_says_so_within_five_seconds_and_opens_nothing() {
    let service = Service::new();
    let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--strict"]);
    let error = bridge.refused_within(REFUSAL_LIMIT, "initialize", initialize_params());
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(" login ")), "{error}");
    assert_eq!(service.browser.tabs(), 0);
    service.login(&[]).expect(0);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "now"), "now");
}

/// A scope without end is cut: the login goes on, and what is stored can be replaced and deleted.
#[test]
fn an_oversized_scope_leaves_the_login_usable() {
    let service = Service::with_expired_token();
    let flood = json!({"scope": "a ".repeat(300_000), "expires_in": "1e400"});
    service.authorization.fault(Fault::Members(flood));
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    assert_eq!(service.row()["scopes"].as_array().map(Vec::len), Some(256));
    service.login(&["--force"]).expect(0);
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
}

/// A26: what a server says of an access token's end, in every dialect, and what it leaves out.
#[test]
fn expiries_of_every_dialect_are_understood() {
    let now = jiff::Timestamp::now();
    let at = now.as_second() + 1800;
    for (members, known) in [
        (json!({"expires_in": 1800}), true),
        (json!({"expires_in": "1800"}), true),
        (json!({"expires_in": 1800.5}), true),
        (json!({"expires_in": null, "expires_at": at}), true),
        (json!({"expires_in": null, "expires_at": at * 1000}), true),
        (json!({"expires_in": null, "expires_at": at.to_string()}), true),
        (
            json!({"expires_in": null, "expires_at": jiff::Timestamp::from_second(at).unwrap().to_string()}),
            true,
        ),
        (json!({"expires_in": null}), false),
    ] {
        let service = Service::new();
        service.authorization.fault(Fault::Members(members.clone()));
        service.login(&[]).expect(0);
        let expiry = service.row()["access_token_expires_at"].clone();
        assert_eq!(expiry.is_string(), known, "{members}: {expiry}");
        if let Some(expiry) = expiry.as_str() {
            let expiry: jiff::Timestamp = expiry.parse().expect("RFC 3339");
            assert!((expiry.as_second() - at).abs() < 60, "{members}: {expiry}");
        }
        let mut bridge = service.bridge();
        bridge.initialize();
        assert_eq!(bridge.echo(1, "x"), "x");
        assert_eq!(service.authorization.refreshes(), 0, "{members}");
    }
}

/// Absurd lives: no tight loop, no failure.
#[test]
fn absurd_lives_make_no_storm() {
    for members in [
        json!({"expires_in": 0}),
        json!({"expires_in": -5}),
        json!({"expires_in": 1e18}),
        json!({"expires_in": 5}),
        json!({"expires_in": "soon"}),
    ] {
        let service = Service::new();
        service.authorization.set_expiry(members.clone());
        service.login(&[]).expect(0);
        let mut bridge = service.bridge();
        bridge.initialize();
        for id in 1..=5 {
            assert_eq!(bridge.echo(id, "x"), "x", "{members}");
        }
        let refreshes = service.authorization.refreshes();
        assert!(refreshes <= 8, "{members}: {refreshes} refreshes for 7 requests");
        assert_eq!(service.authorization.living_grants(), 1);
    }
}

/// A7, A30: a host that kills its bridge in the middle of a refresh loses nothing: the refresh runs
/// in a process of its own, to the save.
#[test]
fn a_killed_bridge_does_not_interrupt_its_refresh() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.bridge();
    bridge.send(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}).to_string());
    gate.wait_for_arrivals(1);
    bridge.signal(Signal::KILL);
    bridge.wait();
    gate.open();
    let mut next = service.bridge();
    next.initialize();
    assert_eq!(next.echo(1, "kept"), "kept");
    assert_eq!(service.authorization.refreshes(), 1, "the killed bridge's refresh was saved");
    assert_eq!(service.authorization.living_grants(), 1);
}

/// A slow authorization server spends a refresh token all the same: whoever waits gets an error in
/// time, and the answer is listened to until it comes.
#[test]
fn an_answer_that_comes_late_is_kept() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.strict_bridge();
    let late = bridge.initialize();
    assert_eq!(late["error"]["data"]["reason"], "unavailable", "{late}");
    gate.open();
    let mut next = service.bridge();
    next.initialize();
    assert_eq!(next.echo(1, "kept"), "kept");
    assert_eq!(service.authorization.refreshes(), 1, "the token is sent once");
    assert_eq!(service.authorization.living_grants(), 1);
}

/// A journal that was sealed with another key than the login can never be opened: that costs one
/// line in the log, and neither the login nor a command.
#[test]
fn a_journal_of_another_key_blocks_nothing() {
    let service = Service::with_expired_token();
    run(service.leave_foreign_journal());
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(2, "and on"), "and on");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (2, 1));
    bridge.close_stdin();
    bridge.wait();
    let said = bridge.process.stderr.text();
    assert_eq!(said.matches("going on without the journal").count(), 1, "{said}");

    run(service.leave_foreign_journal());
    service.login(&["--force"]).expect(0);
    run(service.leave_foreign_journal());
    service.home.run_with_input(["tokens", "set", NAME], b"a-token").expect(0);
    run(service.leave_foreign_journal());
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    let is_sealed = |path: &Path| path.extension().is_some_and(|end| end == "sealed");
    assert!(!service.home.files().iter().any(|(path, _)| is_sealed(path)));
}

/// A wider scope that the server asks for is not fetched in a loop; the command is named.
#[test]
fn a_step_up_is_told_and_not_repeated() {
    let authorization = crate::support::authorization_server::AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(|request, responder| {
            let is_call = request.json()["method"] == "tools/call";
            if is_call {
                let challenge = r#"Bearer error="insufficient_scope", scope="mcp:admin""#;
                responder.reply(&Reply::json(403, "{}").header("WWW-Authenticate", challenge));
            }
            is_call
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, crate::support::home::Home::with_file_store());
    service.login(&[]).expect(0);
    service.browser.opened();
    let mut bridge = service.bridge();
    bridge.initialize();
    let error = refused(&mut bridge, 1);
    assert_eq!(error["data"]["reason"], "insufficient_scope", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("--scope=mcp:admin")), "{error}");
    assert_eq!((service.authorization.refreshes(), service.browser.tabs()), (0, 0));
}

/// A login is bound to where it came from: a service that starts to name another authorization
/// server gets nothing secret there.
#[test]
fn another_authorization_server_gets_nothing() {
    let service = Service::logged_in();
    let evil = crate::support::authorization_server::AuthorizationServer::start();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.server.name_authorization_server(&evil.issuer());
    service.authorization.revoke_access_for_ever();
    refused(&mut bridge, 1);
    service.authorization.revoke_grants();
    refused(&mut bridge, 2);
    assert!(evil.token_requests().is_empty());
    assert!(evil.authorizations().is_empty());
}

/// With `--login` the bridge opens one tab, over all processes, and answers in time.
#[test]
fn with_login_allowed_one_tab_serves_all_bridges() {
    let service = Service::new();
    let url = service.server.url();
    let mut bridges: Vec<_> =
        (0..3).map(|_| Bridge::start(&service.home, &[&url, "--login", "--name", NAME])).collect();
    std::thread::scope(|scope| {
        for bridge in &mut bridges {
            scope.spawn(move || {
                bridge.initialize();
                assert_eq!(bridge.echo(1, "in"), "in");
            });
        }
    });
    assert_eq!(service.browser.tabs(), 1);
    assert_eq!(service.authorization.token_requests().len(), 1);
}

/// The same for a client created by hand that the flags name again, secret and all: neither a
/// bridge that may log in by itself nor `login` takes it to another authorization server.
#[test]
fn a_named_client_stays_with_its_authorization_server() {
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
        let answer = bridge.call(0, "initialize", crate::support::bridge::initialize_params());
        assert_eq!(answer["error"].is_object(), ended, "{answer}");
        if ended {
            assert!(answer.to_string().contains("the authorization server changed"), "{answer}");
        }
        let outcome = service.login(&["--force"]).expect(3);
        assert!(outcome.stderr.contains("the authorization server changed"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("tokens delete"), "{}", outcome.stderr);
        assert_eq!(service.browser.tabs(), 0);
        assert!(evil.authorizations().is_empty() && evil.token_requests().is_empty());
    }
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    service.login(&[]).expect(0);
    assert_eq!(evil.token_requests().len(), 1);
}
