//! G: what is stored, when processes, disks and keychains fail.

use std::fs;
use std::path::Path;
use std::time::Instant;

use mcp_front::store::StoreKind::File;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use super::interruptions::login_dies_at;
use crate::support::DEADLINE;
use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::Browser;
use crate::support::clock::{Clock, HOUR};
use crate::support::fake_keychain::{Conduct, FakeKeychain};
use crate::support::gate::Gate;
use crate::support::home::finish;
use crate::support::kept_login::{KeptLogin, carried, refreshes_with, run};
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};

/// G03, G04: what cannot be saved is used all the same, costs no second refresh, and is saved as
/// soon as the store takes it: also where the access token stays and only the refresh token is new.
#[test]
fn g03_an_answer_that_cannot_be_saved_is_used_and_saved_later() {
    run(async {
        for stays in [false, true] {
            let kept = KeptLogin::new(File, -10).await;
            let gate = Gate::default();
            kept.authorization.fault(Fault::Hold(gate.clone()));
            if stays {
                kept.authorization.fault(Fault::Members(json!({"access_token": kept.access_token(0)})));
            }
            let authorizer = kept.authorizer();
            let waiting = tokio::spawn({
                let authorizer = authorizer.clone();
                async move { authorizer.authorize().await }
            });
            gate.arrivals(1).await;
            let (place, away) = (kept.paths.credentials(), kept.home.path().join("away"));
            fs::rename(&place, &away).unwrap();
            fs::write(&place, b"in the way").unwrap();
            gate.open();
            let renewed = carried(&waiting.await.unwrap().unwrap());
            let token = kept.access_token(usize::from(!stays));
            assert_eq!(renewed, token);
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), token);
            fs::remove_file(&place).unwrap();
            fs::rename(&away, &place).unwrap();
            // The lock is free once the answer is saved.
            drop(kept.lock().await);
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
            assert_eq!(kept.authorization.refreshes(), 1);
            assert!(kept.journal().await.is_none());
        }
    });
}

/// A locked keychain is said to be locked, and its being unlocked later is noticed.
#[test]
fn g06_a_locked_keychain_is_told_and_unlocking_it_helps_a_running_bridge() {
    let Some(mut session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.lock();
    assert_eq!(service.row()["state"], "renews", "listing needs no keychain");
    let mut bridge = service.strict_bridge();
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("locked")), "{error}");
    session.stop_keyring();
    session.start_keyring_with_the_password();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "unlocked"), "unlocked");
}

/// A login whose keychain is gone at the next start.
#[test]
fn g07_a_keychain_that_went_away_is_told_in_time() {
    let Some(mut session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.stop_keyring();
    let mut bridge = service.strict_bridge();
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    session.start_keyring_with_the_password();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "it is back"), "it is back");
}

/// G09: a damaged record is an error that names it and the way out, and stays as it is; a token
/// in memory goes on being used.
#[test]
fn g09_a_damaged_record_is_named_and_left_alone() {
    run(async {
        let kept = KeptLogin::new(File, 3000).await;
        let authorizer = kept.authorizer();
        authorizer.authorize().await.unwrap();
        let records: Vec<_> = std::fs::read_dir(kept.paths.credentials())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        for record in &records {
            std::fs::write(record, b"{\"cut").unwrap();
        }
        let error = kept.authorizer().authorize().await.unwrap_err();
        assert_eq!(error.data()["reason"], "credential_store", "{error}");
        assert!(error.message().contains("login service --force"), "{error}");
        assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
        for record in &records {
            assert_eq!(std::fs::read(record).unwrap(), b"{\"cut");
        }
    });
}

/// A bridge whose rotated token the keychain does not keep, as it conducts itself by then: the answer is
/// used all the same, and listed as unsaved.
fn unsaved_rotation(
    session: &Session,
    keychain: &FakeKeychain,
    conduct: Conduct,
) -> (Service, Clock, Bridge) {
    let (home, clock) = Clock::in_home(session.home());
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let service = Service::of(authorization, server, home);
    service.login(&[]).expect(0);
    clock.advance(2 * HOUR);
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.bridge();
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    bridge.send(start.to_string());
    gate.wait_for_arrivals(1);
    keychain.set_conduct(conduct);
    gate.open();
    assert!(bridge.response(&json!(0))["result"].is_object());
    assert_eq!(bridge.echo(1, "not saved"), "not saved");
    bridge.process.stderr.wait_for("the warning", |text| text.contains("could not be saved yet"));
    until_row(&service, |row| row["last_error"]["code"] == "unsaved_rotation");
    (service, clock, bridge)
}

/// What the keychain does not keep of a refresh, whether it refuses or pretends, is saved as soon as it
/// takes it; no token is sent twice.
fn a_rotation_is_not_kept(conduct: Conduct) {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let (service, clock, _bridge) = unsaved_rotation(&session, &keychain, conduct);
    keychain.set_conduct(Conduct::Honest);
    until_row(&service, |row| row["last_error"].is_null());
    let mut next = service.bridge();
    next.initialize();
    assert_eq!(next.echo(1, "saved"), "saved");
    assert_eq!((service.authorization.refreshes(), service.authorization.replays()), (1, 0));
    clock.advance(2 * HOUR);
    assert_eq!(next.echo(2, "renewed"), "renewed");
    assert_eq!((service.authorization.refreshes(), service.authorization.replays()), (2, 0));
}

/// Waits until the service's row satisfies `wanted`.
fn until_row(service: &Service, wanted: impl Fn(&Value) -> bool) {
    let end = Instant::now() + DEADLINE;
    loop {
        let row = service.row();
        if wanted(&row) {
            return;
        }
        assert!(Instant::now() < end, "{row}");
    }
}

#[test]
fn g04_a_keychain_that_refuses_a_rotation_gets_it_later() {
    a_rotation_is_not_kept(Conduct::Refusing);
}

/// A keychain that takes the journal and not the record: the answer outlives the process that held it.
#[test]
fn g04_a_rotation_that_stands_in_the_journal_alone_outlives_its_process() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let (service, clock, bridge) = unsaved_rotation(&session, &keychain, Conduct::Journalling);
    let refreshes = refreshes_with(&format!("HOME={}", service.home.path().display()));
    assert_eq!(refreshes.len(), 1);
    kill_process(refreshes[0], Signal::KILL).unwrap();
    drop(bridge);
    keychain.set_conduct(Conduct::Honest);
    let mut next = service.bridge();
    next.initialize();
    assert_eq!(next.echo(1, "promoted"), "promoted");
    assert_eq!((service.authorization.refreshes(), service.authorization.replays()), (1, 0));
    clock.advance(2 * HOUR);
    assert_eq!(next.echo(2, "renewed"), "renewed");
    assert_eq!((service.authorization.refreshes(), service.authorization.replays()), (2, 0));
}

/// A save may fail after the record was replaced: the login is there, and is not called off.
#[test]
fn g04_a_login_that_cannot_be_read_back_works_as_soon_as_it_can() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let successor = AuthorizationServer::start();
    service.server.move_to(&successor);
    keychain.set_conduct(Conduct::Fading);
    let said = service.login(&["--force"]).expect(5).stderr;
    assert!(said.contains("gone for a moment"), "{said}");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there"), "there");
}

/// Nor does calling one login off take another along that was not listed yet.
#[test]
fn g04_a_login_that_is_not_taken_leaves_one_that_was_not_listed() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let successor = AuthorizationServer::start();
    service.server.move_to(&successor);
    login_dies_at(&service, "after-store-write");
    keychain.set_conduct(Conduct::Journalling);
    // The person at the first one saw the login die.
    let browser = Browser::consenting();
    let mut second = service.home.command(service.login_arguments(&["--force"]));
    second.env("BROWSER", browser.executable());
    finish(second, b"").expect(5);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there"), "there");
}

/// A login that is refused is called off: it does not come back behind the person's back.
#[test]
fn g04_a_login_that_is_not_taken_leaves_the_former_one() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    keychain.set_conduct(Conduct::Journalling);
    service.login(&["--force"]).expect(5);
    assert_eq!(keychain.items(), 1, "the journal is cleared");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "as before"), "as before");
    assert_eq!(service.authorization.refreshes(), 0);
}

#[test]
fn g05_a_keychain_that_pretends_to_save_is_found_out_and_gets_it_later() {
    a_rotation_is_not_kept(Conduct::Lying);
}

/// A default collection that the session's end erases is told at the login.
#[test]
fn g07_a_keychain_that_forgets_is_told_at_the_login() {
    let Some(session) = Session::without_keychain() else { return };
    let _keychain = FakeKeychain::start(&session, Conduct::Volatile);
    let service = Service::in_keychain(&session);
    let said = service.login(&[]).expect(0).stderr;
    assert_eq!(said.matches("it forgets at logout").count(), 1, "{said}");
}

/// The token at hand serves to its end; then a login is required, and one helps.
#[test]
fn g10_an_item_that_the_person_deletes_ends_the_login_with_its_token() {
    let Some(session) = Session::unlocked() else { return };
    let (home, clock) = Clock::in_home(session.home());
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let service = Service::of(authorization, server, home);
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    session.clear("service", "mcp-front");
    assert_eq!(bridge.echo(1, "still"), "still");
    clock.advance(2 * HOUR);
    let error = bridge.refused(2);
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    assert_eq!(service.authorization.refreshes(), 0);
    service.login(&[]).expect(0);
    assert_eq!(bridge.echo(3, "anew"), "anew");
}

/// Copies a home's state: what a backup has, and what another machine gets.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else if path.is_file() {
            fs::copy(&path, &copied).unwrap();
        }
    }
}

/// The error of a bridge that only a login helps, twice, at the cost of one request.
fn is_over(service: &Service, mut bridge: Bridge, word: &str) {
    let before = service.authorization.refreshes();
    for _ in 0..2 {
        let error = bridge.call(0, "initialize", initialize_params())["error"].clone();
        assert_eq!(error["data"]["reason"], "login_required", "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(word)), "{error}");
    }
    assert_eq!(service.authorization.refreshes(), before + 1, "no loop");
}

#[test]
fn g11_a_restored_backup_is_explained() {
    let (service, clock) = Service::with_clock();
    let (paths, ..) = service.kept();
    let backup = tempfile::tempdir().unwrap();
    let saved = backup.path().join("state");
    copy(paths.state(), &saved);
    clock.advance(2 * HOUR);
    let mut bridge = service.bridge();
    bridge.initialize();
    bridge.close_stdin();
    bridge.wait();
    copy(&saved, paths.state());
    is_over(&service, service.strict_bridge(), "a restored backup");
    assert!(service.row()["reason"].as_str().is_some_and(|text| text.contains("backup")));
}

#[test]
fn g12_a_login_on_two_machines_is_explained() {
    let (service, clock) = Service::with_clock();
    let (paths, ..) = service.kept();
    let machine = tempfile::tempdir().unwrap();
    let other = machine.path().join("home");
    copy(service.home.path(), &other);
    assert!(paths.state().starts_with(service.home.path()));
    clock.advance(2 * HOUR);
    let mut bridge = service.bridge();
    bridge.initialize();
    let mut command = service.home.command(["bridge", NAME, "--strict"]);
    command.env("MCP_FRONT_HOME", &other);
    is_over(&service, Bridge::spawn(command), "another machine");
}
