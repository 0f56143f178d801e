//! G03: a disk without room, whichever write it is that finds none.

use serde_json::json;

use crate::support::authorization_server::Fault;
use crate::support::bridge::initialize_params;
use crate::support::clock::{Clock, HOUR};
use crate::support::disk::Disk;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::service::{NAME, Service};

/// What the system says of it.
const FULL: &str = "No space left on device";

/// A service whose login is kept on the disk, and nothing else of the test's.
fn on(disk: &Disk) -> (Service, Clock) {
    let home = Home::with_file_store().with("MCP_FRONT_HOME", disk.place().to_string_lossy());
    Service::with_clock_in(home)
}

/// What the server counted: refreshes, spent tokens that came again, and grants that are alive.
fn counted(service: &Service) -> (usize, usize, usize) {
    let authorization = &service.authorization;
    (authorization.refreshes(), authorization.replays(), authorization.living_grants())
}

/// The login is as good as before: another bridge works on it, now and after the next expiry.
fn is_unharmed(service: &Service, clock: &Clock, refreshes: usize) {
    let mut bridge = service.strict_bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there is room"), "there is room");
    assert_eq!(counted(service), (refreshes, 0, 1));
    clock.advance(2 * HOUR);
    assert_eq!(bridge.echo(2, "and again"), "and again");
    assert_eq!(counted(service), (refreshes + 1, 0, 1));
}

/// However little room there is: either nothing is sent, and the error says why, or the host is served.
/// Nothing is lost, and with room all goes on, in the same process too.
#[test]
fn g03_a_refresh_on_a_full_disk_is_not_begun_or_not_lost() {
    let mut outcomes = Vec::new();
    for pages in 0..5 {
        let Some(disk) = Disk::mount("size=1m") else { return };
        let (service, clock) = on(&disk);
        service.login(&[]).expect(0);
        clock.advance(2 * HOUR);
        disk.fill_but(pages);
        let mut bridge = service.strict_bridge();
        let answer = bridge.call(0, "initialize", initialize_params());
        let is_served = answer["result"].is_object();
        if is_served {
            assert_eq!(bridge.echo(1, "served"), "served", "{pages} pages");
        } else {
            assert_eq!(answer["error"]["data"]["reason"], "credential_store", "{pages} pages: {answer}");
            assert!(answer["error"]["message"].to_string().contains(FULL), "{pages} pages: {answer}");
        }
        assert_eq!(counted(&service), (usize::from(is_served), 0, 1), "{pages} pages");
        disk.make_room();
        bridge.initialize();
        assert_eq!(bridge.echo(2, "the same process"), "the same process", "{pages} pages");
        is_unharmed(&service, &clock, 1);
        outcomes.push(is_served);
    }
    assert_eq!((outcomes.first(), outcomes.last()), (Some(&false), Some(&true)), "{outcomes:?}");
}

/// The disk fills while the token endpoint thinks: the answer is used, loudly, and saved once there is
/// room; nobody sends the spent token meanwhile.
#[test]
fn g03_an_answer_that_finds_the_disk_full_is_used_and_saved_later() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let (service, clock) = on(&disk);
    service.login(&[]).expect(0);
    clock.advance(2 * HOUR);
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.strict_bridge();
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    bridge.send(start.to_string());
    gate.wait_for_arrivals(1);
    disk.fill_but(0);
    gate.open();
    assert!(bridge.response(&json!(0))["result"].is_object());
    assert_eq!(bridge.echo(1, "not saved"), "not saved");
    bridge.process.stderr.wait_for("the warning", |text| text.contains("could not be saved yet"));
    assert_eq!(counted(&service), (1, 0, 1));
    bridge.signal(rustix::process::Signal::KILL);
    disk.make_room();
    is_unharmed(&service, &clock, 1);
}

/// Nobody goes to the browser for a login that could not be kept; what is stored stands.
#[test]
fn g03_a_login_without_room_is_refused_before_the_browser_opens() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let (service, clock) = on(&disk);
    let refused = |more: &[&str]| {
        let said = service.login(more).expect(5).stderr;
        assert!(said.contains(FULL) && said.contains("with room"), "{said}");
    };
    disk.fill_but(0);
    refused(&[]);
    assert_eq!((service.browser.tabs(), counted(&service)), (0, (0, 0, 0)));
    disk.make_room();
    service.login(&[]).expect(0);
    service.browser.opened();

    disk.fill_but(0);
    refused(&["--force"]);
    let set = ["tokens", "set", NAME, "--force"];
    let said = service.home.run_with_input(set, b"a-token\n").expect(5).stderr;
    assert!(said.contains(FULL), "{said}");
    assert_eq!((service.browser.tabs(), counted(&service)), (0, (0, 0, 1)));
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "as before"), "as before");
    drop(bridge);
    disk.make_room();
    clock.advance(2 * HOUR);
    is_unharmed(&service, &clock, 1);
}

/// The disk fills while the person is at the browser: the login before stands, and the next one works.
#[test]
fn g03_a_login_that_finds_the_disk_full_leaves_the_one_before() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let (service, clock) = on(&disk);
    service.login(&[]).expect(0);
    let service = service.watched();
    let (mut login, page) = service.waiting_login(&["--force"]);
    disk.fill_but(0);
    let shown = crate::support::browser::follow(&page).expect("an answer");
    let (code, said) = login.outcome();
    assert_eq!(code, 5, "{said}");
    assert!(said.contains(FULL) && shown.text().contains("Not logged in"), "{said}\n{}", shown.text());
    service.authorization.revoke_grant(1);
    disk.make_room();
    clock.advance(2 * HOUR);
    is_unharmed(&service, &clock, 1);
}

/// A logout needs no room: it makes some.
#[test]
fn g03_a_full_disk_holds_no_logout_up() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let (service, _) = on(&disk);
    service.authorization.publish_revocation();
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    disk.fill_but(0);
    service.home.run(["logout", NAME]).expect(0);
    assert_eq!(service.authorization.revocations().len(), 2);
    let said = bridge.call(1, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}})).to_string();
    assert!(said.contains(" login "), "{said}");
    let listed = service.home.run(["tokens", "list", "--json"]).expect(0).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&listed).unwrap(), json!([]));
}
