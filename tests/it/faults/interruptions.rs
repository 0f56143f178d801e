//! G01, G02: a refresh whose process dies at each of its steps, by kill and by power cut.

use std::path::{Path, PathBuf};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::clock::{Clock, HOUR};
use crate::support::failpoint::{self, Failpoint};
use crate::support::gate::Gate;
use crate::support::home::{Home, finish};
use crate::support::kept_login::{refreshing_process, refreshing_processes};
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};

/// The points between the request and the end of the save, in their order, and whether whoever dies
/// there takes the only copy of the answer along.
const POINTS: [(&str, bool); 8] = [
    ("before-send", false),
    ("after-headers", true),
    ("after-body", true),
    ("after-journal", false),
    ("after-store-write", false),
    ("after-read-back", false),
    ("before-clear", false),
    ("file-removed", false),
];

/// Whether the authorization server takes the previous refresh token once more.
#[derive(Clone, Copy, PartialEq)]
enum Server {
    Lenient,
    /// It revokes the grant.
    Strict,
}

/// A login in this home whose access token is over.
fn expired(home: Home, server: Server) -> Service {
    let authorization = AuthorizationServer::start();
    if server == Server::Lenient {
        authorization.be_lenient();
    }
    let endpoint = McpServer::guarded_by(&authorization);
    let (home, clock) = Clock::in_home(home);
    let service = Service::of(authorization, endpoint, home);
    service.login(&[]).expect(0);
    service.browser.opened();
    clock.advance(2 * HOUR);
    service
}

/// Has a bridge refresh and die at the point, with its helper; whether it came there.
fn die_at(service: &Service, point: &str) -> bool {
    let failpoint = Failpoint::set(&service.home, point);
    dies(service.bridge_with(&failpoint), &failpoint)
}

/// Has the bridge refresh and die there. Some points lie behind the answer: the refreshing process gets as far
/// as it does.
pub(super) fn dies(mut bridge: Bridge, failpoint: &Failpoint) -> bool {
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    bridge.send(start.to_string());
    let answered = std::cell::RefCell::new(bridge);
    let is_over = || refreshing_processes(failpoint.home()).is_empty();
    let died = failpoint.wait_or(|| answered.borrow_mut().has_line() && is_over());
    let bridge = answered.into_inner();
    bridge.signal(Signal::KILL);
    died
}

/// What a bridge makes of it that is started afterwards: it works, or one state needs a login, which
/// helps.
pub(super) fn comes_back(service: &Service, what: &str) -> bool {
    let mut bridge = service.strict_bridge();
    let answer = bridge.call(0, "initialize", initialize_params());
    if let Some(error) = answer.get("error") {
        assert_eq!(error["data"]["reason"], "login_required", "{what}: {error}");
        let text = error["message"].as_str().unwrap_or_default();
        assert!(text.contains("cut off before its answer was saved"), "{what}: {text}");
        let row = service.row();
        assert_eq!(row["state"], "login_required", "{what}: {row}");
        service.login(&[]).expect(0);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "logged in again"), "logged in again", "{what}");
        return false;
    }
    assert_eq!(bridge.echo(1, "on"), "on", "{what}");
    let mut later = Bridge::start(&service.home, &[NAME]);
    service.authorization.refuse_issued_access_tokens();
    later.initialize();
    assert_eq!(later.echo(1, "and on"), "and on", "{what}: its refresh token is the newest");
    true
}

/// Kills at one point, and holds what follows to what is promised.
fn killed_at(service: &Service, server: Server, (point, is_lost): (&str, bool)) {
    assert!(die_at(service, point), "{point} is not reached");
    let works = comes_back(service, point);
    assert_eq!(works, !is_lost || server == Server::Lenient, "{point}");
    assert_eq!(service.authorization.replays(), usize::from(is_lost), "{point}: spent tokens were sent");
    let alive = if works { 1 } else { service.authorization.living_grants() };
    assert_eq!(service.authorization.living_grants(), alive, "{point}");
}

#[test]
fn g01_a_refresh_killed_at_any_point_is_recovered_in_files() {
    std::thread::scope(|scope| {
        for server in [Server::Lenient, Server::Strict] {
            scope.spawn(move || {
                for point in POINTS {
                    killed_at(&expired(Home::with_file_store(), server), server, point);
                }
            });
        }
    });
}

#[test]
fn g01_a_refresh_killed_at_any_point_is_recovered_in_the_keychain() {
    let Some(session) = Session::unlocked() else { return };
    // Those where it matters which store it is.
    for point in POINTS.iter().filter(|(point, _)| point.starts_with("after-") && *point != "after-headers") {
        killed_at(&expired(session.home(), Server::Strict), Server::Strict, *point);
    }
}

/// The point that no code can name: the request is out, and nothing has come back.
#[test]
fn g01_a_refresh_killed_after_its_request_is_tried_once_more() {
    for server in [Server::Lenient, Server::Strict] {
        let service = expired(Home::with_file_store(), server);
        let gate = Gate::default();
        service.authorization.fault(Fault::Hold(gate.clone()));
        let mut bridge = service.bridge();
        let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
        bridge.send(start.to_string());
        gate.wait_for_arrivals(1);
        let helper = refreshing_process(service.home.path());
        bridge.signal(Signal::KILL);
        kill_process(helper, Signal::KILL).unwrap();
        gate.open();
        while service.authorization.rotations() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(comes_back(&service, "after-send"), server == Server::Lenient);
        assert_eq!(service.authorization.replays(), 1);
    }
}

/// What a write had not synced is gone after a power cut: such a file is emptied here.
fn lose_what_is_not_synced(home: &Home) {
    let is_temporary =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".new-"));
    let unsynced: Vec<PathBuf> = home.files().into_iter().map(|(path, _)| path).collect();
    for path in unsynced.iter().filter(|path| is_temporary(path)) {
        std::fs::write(path, b"").unwrap();
    }
}

/// Every file that a refresh writes, at each step of its writing: record, journal and index are the
/// old or the new ones, never torn and never empty.
#[test]
fn g02_a_power_cut_at_any_write_leaves_old_or_new() {
    let cut_at = |step: &'static str| {
        let mut lost = Vec::new();
        for time in 1.. {
            let service = expired(Home::with_file_store(), Server::Strict);
            let point = format!("{step}:{time}");
            if !die_at(&service, &point) {
                break;
            }
            if step == "file-written" {
                lose_what_is_not_synced(&service.home);
            }
            assert!(service.row()["state"].is_string(), "{point}: the index is readable");
            if !comes_back(&service, &point) {
                lost.push(time);
            }
            assert!(time < 20, "{step} has no end");
        }
        (step, lost)
    };
    let steps = ["file-written", "file-synced", "file-renamed", "file-removed"];
    let lost: Vec<_> = std::thread::scope(|scope| {
        let cutting = steps.map(|step| scope.spawn(move || cut_at(step)));
        cutting.into_iter().map(|cut| cut.join().unwrap()).collect()
    });
    // The answer is lost until the journal, the second file to be written, has it.
    let expected = [
        ("file-written", vec![2]),
        ("file-synced", vec![2]),
        ("file-renamed", vec![]),
        ("file-removed", vec![]),
    ];
    assert_eq!(lost, expected);
}

/// Runs a login that takes the stored one's place, and dies at the point.
pub(super) fn login_dies_at(service: &Service, point: &str) {
    move_dies_at(service, &[], point);
}

/// As above, to where `more` says.
fn move_dies_at(service: &Service, more: &[&str], point: &str) {
    let failpoint = Failpoint::set(&service.home, point);
    let mut command = service.home.command(service.login_arguments(&[&["--force"], more].concat()));
    command.env(failpoint::VARIABLE, failpoint.value());
    let outcome = finish(command, b"");
    assert!(failpoint.is_reached(), "{outcome:?}");
}

/// A login that dies before it is listed works, and is listed then, whatever it took the place of.
#[test]
fn g01_a_login_that_dies_before_it_is_listed_works() {
    for moved in [false, true] {
        let service = Service::new();
        let successor = AuthorizationServer::start();
        if moved {
            service.login(&[]).expect(0);
            service.server.move_to(&successor);
        } else {
            let url = service.server.url();
            service.home.run_with_input(["tokens", "set", &url, "--name", NAME], b"of the user's").expect(0);
        }
        login_dies_at(&service, "after-store-write");
        let mut bridge = service.bridge();
        bridge.initialize();
        assert_eq!(bridge.echo(1, "there"), "there");
        let issuer = if moved { successor.issuer() } else { service.authorization.issuer() };
        let entry = std::fs::read_to_string(service.entry_file()).unwrap();
        assert!(entry.contains(&issuer) && !entry.contains("coming"), "{entry}");
    }
}

/// Nor does a login die that stands in the journal alone, whatever else is not listed yet.
#[test]
fn g01_a_login_that_dies_before_its_record_outlives_an_index_that_lags() {
    let service = expired(Home::with_file_store(), Server::Strict);
    assert!(die_at(&service, "after-store-write"));
    let successor = AuthorizationServer::start();
    service.server.move_to(&successor);
    login_dies_at(&service, "before-record");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there"), "there");
    let entry = std::fs::read_to_string(service.entry_file()).unwrap();
    assert!(entry.contains(&successor.issuer()) && !entry.contains("coming"), "{entry}");
}

/// What a move to another store left there goes with the login, wherever it died.
#[test]
fn g01_a_move_that_dies_leaves_nothing_that_outlives_its_deletion() {
    for point in ["before-record", "after-store-write"] {
        for is_reachable in [true, false] {
            let Some(mut session) = Session::unlocked() else { return };
            let service = Service::in_keychain(&session);
            service.authorization.publish_revocation();
            service.login(&[]).expect(0);
            move_dies_at(&service, &["--store", "file"], point);
            let is_sealed = |path: &Path| path.extension().is_some_and(|end| end == "sealed");
            let left = || service.home.files().into_iter().filter(|(path, _)| is_sealed(path)).count();
            assert!(left() > 0, "{point}");
            if is_reachable {
                service.home.run(["logout", NAME]).expect(0);
                assert!(!session.search("service", "mcp-front").contains("canary"), "{point}");
                assert_eq!(service.authorization.living_grants(), 0, "{point}");
            } else {
                session.stop_keyring();
                service.home.run(["tokens", "delete", NAME, "--yes", "--force"]).expect(0);
            }
            assert_eq!(left(), 0, "{point}");
        }
    }
}

/// Nor is it thrown away by a token, unasked.
#[test]
fn g01_a_login_that_dies_before_its_record_is_not_replaced_by_a_token() {
    let service = Service::new();
    let url = service.server.url();
    let set = || service.home.run_with_input(["tokens", "set", &url, "--name", NAME], b"of the user's");
    set().expect(0);
    login_dies_at(&service, "before-record");
    let said = set().expect(2).stderr;
    assert!(said.contains("a login is stored for this service"), "{said}");
    assert_eq!(service.row()["kind"], "oauth");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there"), "there");
}

/// The end of a login that dies before it is listed is listed by whoever finds it.
#[test]
fn g01_an_end_that_is_not_listed_is_found() {
    let service = expired(Home::with_file_store(), Server::Strict);
    service.authorization.revoke_grants();
    assert!(die_at(&service, "after-read-back"));
    assert_eq!(service.row()["state"], "renews");
    service.strict_bridge().refusal();
    service.home.run(["status", NAME]).expect(4);
}

/// The answer of an interrupted refresh outlives a login that comes to nothing.
#[test]
fn g01_a_login_that_dies_leaves_the_answer_of_a_refresh() {
    let service = expired(Home::with_file_store(), Server::Strict);
    assert!(die_at(&service, "after-journal"));
    login_dies_at(&service, "after-store-write");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "renewed"), "renewed");
    assert_eq!((service.authorization.refreshes(), service.authorization.replays()), (1, 0));
    assert!(service.row()["last_refresh_at"].is_string(), "it is the refresh that was kept");
}
