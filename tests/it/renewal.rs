//! A login's life after its start: expiry, refusal, faults of the token endpoint, the end of a
//! grant, and what the host is told.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, OUTAGE_LIMIT, REFUSAL_LIMIT, initialize_params};
use crate::support::browser::follow;
use crate::support::gate::Gate;
use crate::support::home::{BINARY, Home};
use crate::support::http_server::{Reply, Request};
use crate::support::kept_login::run;
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::service::{NAME, Service};

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

/// A6, A28: a grant that has ended is told with the command that helps; the login is kept and marked.
#[test]
fn the_end_of_a_grant_names_the_command_and_costs_one_request() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.revoke_grants();
    let error = bridge.refused(1);
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("{BINARY} login {NAME}")), "{message}");
    for id in 2..=50 {
        bridge.refused(id);
    }
    assert_eq!(service.authorization.refreshes(), 1, "a terminal failure is not repeated");
    let row = service.row();
    assert_eq!(row["state"], "login_required");
    assert!(row["reason"].is_string(), "{row}");
    assert_eq!(row["last_error"]["code"], "invalid_grant", "{row}");
    assert_eq!(row["renews"], false, "what wants a person does not renew: {row}");
    assert_eq!(service.browser.tabs(), 0, "no tab is opened");
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
    service.home.run_with_input(["tokens", "set", NAME, "--force"], b"a-token").expect(0);
    run(service.leave_foreign_journal());
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    let is_sealed = |path: &Path| path.extension().is_some_and(|end| end == "sealed");
    assert!(!service.home.files().iter().any(|(path, _)| is_sealed(path)));
}

/// With `--login` the bridge opens one tab, over all processes, and answers in time.
/// The host is answered in time; the person's login goes on when the host has gone.
#[test]
fn a_login_that_takes_long_outlives_the_bridge_that_began_it() {
    let service = Service::new().watched();
    let url = service.server.url();
    let mut bridge = Bridge::start(&service.home, &[&url, "--login", "--name", NAME, "--strict"]);
    let asked = Instant::now();
    let answer = bridge.call(0, "initialize", initialize_params());
    assert!(asked.elapsed() < Duration::from_secs(25), "hosts wait for half a minute");
    assert_eq!(answer["error"]["data"]["reason"], "login_required", "{answer}");
    let page = service.browser.opened();
    bridge.process.signal(Signal::KILL);
    follow(&page).unwrap();
    // It waits for a login under way, and opens no tab for one that is good.
    service.login(&[]).expect(0);
    assert_eq!(service.browser.tabs(), 0);
    let mut next = service.bridge();
    next.initialize();
    assert_eq!(next.echo(1, "in"), "in");
}

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

/// A person who logs in for a request gets its answer, and not its two refusals.
#[test]
fn a_request_that_a_login_was_made_for_is_sent_with_it() {
    let refusals = AtomicUsize::new(2);
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(move |request, responder| {
            let is_refused = request.json()["method"] == "tools/call"
                && refusals.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            if is_refused {
                responder.reply(&Reply::json(401, "{}").header("WWW-Authenticate", "Bearer"));
            }
            is_refused
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    service.browser.opened();
    let mut bridge = Bridge::start(&service.home, &[NAME, "--login"]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "in"), "in");
    assert_eq!(service.browser.tabs(), 1);
}

/// What is encoded cannot be read: nobody offers that, and if a server does so all the same, the refresh
/// token in its answer is lost.
#[test]
fn no_content_coding_is_offered_and_an_answer_in_one_is_a_lost_one() {
    let service = Service::with_expired_token();
    service.authorization.fault(Fault::Header("Content-Encoding", "gzip"));
    let mut bridge = service.strict_bridge();
    let error = bridge.refused_within(OUTAGE_LIMIT, "initialize", initialize_params());
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("could not be used")), "{error}");
    for request in service.authorization.seen().into_iter().chain(service.server.requests()) {
        // The browser's are its own.
        let is_ours = request.path() != "/authorize";
        assert!(!is_ours || request.header("Accept-Encoding") == Some("identity"), "{request:?}");
    }
}
