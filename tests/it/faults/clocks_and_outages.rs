//! I: clocks that jump, machines that sleep, networks that go away, and accounts that do.

use std::collections::HashSet;
use std::fs;
use std::time::Instant;

use serde_json::json;

use crate::support::DEADLINE;
use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, OUTAGE_LIMIT};
use crate::support::clock::{Clock, DAY, HOUR};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::line::Line;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is_named};
use crate::support::service::{NAME, Service};
use crate::support::silence::Silence;

/// How often calls came to the server.
fn calls(service: &Service) -> usize {
    service.server.posted().iter().filter(|body| is_named(body, "tools/call")).count()
}

/// After eight hours of sleep the first call renews once, in a session begun anew.
#[test]
fn i01_a_machine_that_slept_renews_once() {
    let (service, clock) = Service::with_clock();
    service.authorization.pass_time(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "before"), "before");
    let requests = calls(&service);
    clock.advance(8 * HOUR);
    service.authorization.pass_time(8 * HOUR);
    service.server.forget_sessions();
    assert_eq!(bridge.echo(2, "after"), "after");
    assert_eq!(service.authorization.refreshes(), 1);
    assert_eq!(service.server.sessions(), (2, 1));
    assert_eq!(calls(&service) - requests, 2, "one that met no session, and one that did");
}

/// Whatever the clock does while a bridge runs, an hour of the server's time costs one refused request
/// at most, and nobody is asked to log in.
#[test]
fn i02_a_clock_that_jumps_costs_a_refused_request_at_most() {
    let since_1970 = jiff::Timestamp::now().as_second();
    for (what, jumps) in [
        ("ahead", [2 * HOUR, 2 * HOUR]),
        ("behind", [-2 * HOUR, -2 * HOUR]),
        ("ahead and back", [2 * HOUR, 0]),
        ("behind and back", [-2 * HOUR, 0]),
        ("1970", [-since_1970, -since_1970]),
        ("1970 until the network is there", [-since_1970, 0]),
        ("a decade ahead, and back", [3650 * DAY, 0]),
    ] {
        let (service, clock) = Service::with_clock();
        service.authorization.pass_time(0);
        let mut bridge = service.bridge();
        bridge.initialize();
        for (round, jump) in (1..).zip(jumps) {
            clock.set(jump);
            assert_eq!(bridge.echo(10 * round, "jumped"), "jumped", "{what}");
            let requests = calls(&service);
            service.authorization.pass_time(2 * HOUR);
            for call in 1..=5 {
                assert_eq!(bridge.echo(10 * round + call, "on"), "on", "{what}");
            }
            assert!(calls(&service) - requests <= 6, "{what}: {} requests for 5", calls(&service) - requests);
        }
        assert!(service.authorization.refreshes() <= 4, "{what}: {}", service.authorization.refreshes());
        assert_eq!(
            (service.authorization.replays(), service.authorization.living_grants()),
            (0, 1),
            "{what}"
        );
        assert_eq!(service.row()["state"], "renews", "{what}");
    }
}

/// A login that was made by a wrong clock serves by the right one, and the other way round.
#[test]
fn i03_a_step_between_saving_and_reading_costs_a_refused_request_at_most() {
    let since_1970 = jiff::Timestamp::now().as_second();
    for (saved, read) in [(2 * HOUR, 0), (-2 * HOUR, 0), (0, 2 * HOUR), (0, -2 * HOUR), (-since_1970, 0)] {
        let (service, clock) = Service::with_clock();
        clock.set(saved);
        service.authorization.pass_time(0);
        service.login(&["--force"]).expect(0);
        clock.set(read);
        let mut bridge = service.bridge();
        bridge.initialize();
        for call in 1..=3 {
            assert_eq!(bridge.echo(call, "on"), "on", "{saved} {read}");
        }
        assert!(service.authorization.refreshes() <= 1, "{saved} {read}");
        let requests = calls(&service);
        service.authorization.pass_time(2 * HOUR);
        for call in 4..=6 {
            assert_eq!(bridge.echo(call, "and on"), "and on", "{saved} {read}");
        }
        assert!(calls(&service) - requests <= 4, "{saved} {read}");
        assert!(service.authorization.refreshes() <= 2, "{saved} {read}");
        assert_eq!(service.authorization.living_grants(), 2, "{saved} {read}");
    }
}

/// While the network is away, requests are answered with an error that says to try again, and what the
/// host writes is read; the same process works when it is back.
#[test]
fn i04_a_network_that_goes_away_comes_back_without_a_restart() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let lines = [Line::to(server.address()), Line::to(authorization.address())];
    server.call_itself(&lines[0].origin());
    authorization.call_itself(&lines[1].origin());
    server.name_authorization_server(&lines[1].origin());
    let (home, clock) = Clock::in_home(Home::with_file_store());
    let service = Service::of(authorization, server, home);
    let endpoint = format!("{}/mcp", lines[0].origin());
    service.home.run(["login", &endpoint, "--name", NAME]).expect(0);
    let mut bridge = Bridge::start(&service.home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there"), "there");

    lines.iter().for_each(Line::cut);
    let params = || json!({"name": "echo", "arguments": {"text": "x"}});
    let error = bridge.refused_within(OUTAGE_LIMIT, "tools/call", params());
    assert_eq!(error["data"]["mayHaveExecuted"], false, "{error}");
    clock.advance(2 * HOUR);
    let error = bridge.refused_within(OUTAGE_LIMIT, "tools/call", params());
    assert_eq!(
        (&error["data"]["reason"], &error["data"]["mayHaveExecuted"]),
        (&json!("unavailable"), &json!(false))
    );
    assert!(error["data"]["retryAfterSeconds"].is_u64(), "{error}");
    for id in 100..200 {
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params()});
        bridge.send(call.to_string());
    }
    for id in 100..200 {
        assert!(bridge.response(&json!(id))["error"].is_object());
    }

    lines.iter().for_each(Line::mend);
    assert_eq!(bridge.echo(2, "back"), "back");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (1, 1));
}

/// Whoever waits for an answer has the kernel ask whether the other end is still there: after a minute
/// of silence a connection that died on the way ends.
#[test]
fn i08_a_waiting_connection_is_kept_under_watch() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = McpServer::on_calls(move |_, responder| {
        held.pass();
        responder.reply(&Reply::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
    });
    let mut session = OpenSession::on(&server);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}});
    session.bridge.send(call.to_string());
    gate.wait_for_arrivals(1);
    let server_end = format!(":{:04X}", server.address().port());
    // State 01 is an established connection, timer 02 the one that asks; before it runs, the request
    // itself has to be acknowledged.
    let end = Instant::now() + DEADLINE;
    loop {
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let ours: Vec<_> = rows.filter(|row| row[3] == "01" && row[2].ends_with(&server_end)).collect();
        if !ours.is_empty() && ours.iter().all(|row| row[5].starts_with("02:")) {
            break;
        }
        assert!(Instant::now() < end, "{table}");
        std::thread::yield_now();
    }
    gate.open();
    assert!(session.bridge.response(&json!(1))["result"].is_object());
}

/// The same with the network truly gone: the request that waits is answered with an error, once and
/// without being sent again, and so is the one that goes out over a connection that has died. The next one
/// is well.
#[test]
fn i08_a_connection_that_fell_silent_ends_and_the_next_one_is_well() {
    for waits in [true, false] {
        let Some(silence) = Silence::to_come() else { return };
        let gate = Gate::default();
        let held = gate.clone();
        let server = McpServer::on_calls(move |request, responder| {
            let message = request.json();
            if message["params"]["name"] == "held" {
                held.pass();
            }
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {}});
            responder.reply(&Reply::json(200, answer.to_string()));
        });
        let home = silence.around(Home::with_file_store());
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        bridge.initialize();
        server.wait_for("the stream", |request| request.method == "GET");
        bridge.call(0, "tools/call", json!({"name": "first"}));
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "held"}});
        if waits {
            bridge.send(call.to_string());
            gate.wait_for_arrivals(1);
        }
        let Some(()) = silence.fall() else { return };
        if !waits {
            bridge.send(call.to_string());
        }
        gate.open();
        let answer = bridge.response(&json!(1));
        assert_eq!(answer["error"]["data"]["mayHaveExecuted"], true, "{answer}");
        let is_held = |body: &&Vec<u8>| memchr::memmem::find(body, b"held").is_some();
        assert_eq!(server.posted().iter().filter(is_held).count(), 1, "it is never sent again");
        let next = bridge.call(2, "tools/call", json!({"name": "next"}));
        assert!(next["result"].is_object(), "{next}");
        assert!(!bridge.has_line(), "one answer each");
    }
}

/// Whoever's account was disabled reads so, whatever else it may be, in the server's words too; every
/// request gets the same answer, and costs nothing more.
#[test]
fn i17_a_disabled_account_is_told_once_and_for_all() {
    let service = Service::with_expired_token();
    let refusal = r#"{"error":"invalid_grant","error_description":"The user is no longer active"}"#;
    service.authorization.fault(Fault::Reply(Reply::json(400, refusal)));
    let mut bridge = service.strict_bridge();
    let errors: HashSet<_> = (0..20)
        .map(|_| {
            bridge.call(0, "initialize", crate::support::bridge::initialize_params())["error"].to_string()
        })
        .collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let error = errors.into_iter().next().unwrap();
    for said in ["its account was disabled", "The user is no longer active", "login_required"] {
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(service.authorization.refreshes(), 1);
    assert_eq!(service.row()["state"], "login_required");
}
