//! F12: locks that are not to be had. A token that is good is used; nothing is refreshed, logged in or
//! forgotten, and the error says why.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::support::bridge::{Bridge, REFUSAL_LIMIT};
use crate::support::clock::{Clock, HOUR};
use crate::support::disk::Disk;
use crate::support::home::{Home, SOMEBODY, finish};
use crate::support::locks::Locks;
use crate::support::service::{NAME, Service};

/// A service with a clock, logged in from `home`.
fn logged_in(home: Home) -> (Service, Clock) {
    let (service, clock) = Service::with_clock_in(home);
    service.authorization.publish_revocation();
    service.login(&[]).expect(0);
    service.browser.opened();
    (service, clock)
}

/// Everything that a command could have done without a lock.
fn done(service: &Service) -> (usize, usize, usize, usize) {
    let authorization = &service.authorization;
    let asked = authorization.authorizations().len();
    (authorization.refreshes(), authorization.revocations().len(), asked, service.browser.tabs())
}

fn is_locking(check: &Value) -> bool {
    check == "directory" || check == "lock"
}

/// What becomes of everything that needs a lock: started by `command`, where none is to be had for
/// `cause`. Returns the bridge that was there before its token ended.
fn without_a_lock(
    (service, clock): (&Service, &Clock),
    command: &dyn Fn(&[&str]) -> Command,
    cause: &str,
) -> Bridge {
    let before = done(service);
    let mut bridge = Bridge::spawn(command(&["bridge", NAME, "--strict"]));
    bridge.initialize();
    assert_eq!(bridge.echo(1, "its token is good"), "its token is good", "{cause}");
    clock.advance(2 * HOUR);
    let call = json!({"name": "echo", "arguments": {"text": "x"}});
    let error = bridge.refused_within(REFUSAL_LIMIT, "tools/call", call);
    let message = error["message"].as_str().unwrap_or_default();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    assert!(
        message.contains(cause) && message.contains("Nothing is refreshed without the lock"),
        "{message}"
    );

    let url = service.server.url();
    for words in [
        &["refresh", NAME, "--force"][..],
        &["login", &url, "--name", NAME, "--force"],
        &["logout", NAME],
        &["tokens", "delete", NAME, "--yes"],
        &["tokens", "set", &url, "--name", NAME, "--force"],
    ] {
        let outcome = finish(command(words), b"a-token\n").expect(5);
        let said = outcome.stderr;
        assert!(said.contains(cause) && said.contains("MCP_FRONT_HOME moves it"), "{words:?}: {said}");
    }
    let document = finish(command(&["doctor", "--json"]), b"").expect(1).stdout;
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let findings = document["findings"].as_array().expect("a list");
    let bad = findings.iter().filter(|finding| finding["mark"] == "bad" && is_locking(&finding["check"]));
    let bad: Vec<_> = bad.collect();
    assert!(
        !bad.is_empty() && bad.iter().any(|finding| finding["text"].to_string().contains(cause)),
        "{document}"
    );
    assert!(bad.iter().all(|finding| finding["remedy"].to_string().contains("MCP_FRONT_HOME")), "{bad:#?}");
    assert_eq!(done(service), before, "{cause}");
    bridge
}

/// The same process goes on once locks are to be had.
fn mended(service: &Service, mut bridge: Bridge) {
    assert_eq!(bridge.echo(3, "mended"), "mended");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (1, 1));
}

fn on(disk: &Disk) -> Home {
    Home::with_file_store().with("MCP_FRONT_HOME", disk.place().to_string_lossy())
}

#[test]
fn f12_nothing_is_done_unlocked_where_nothing_may_be_written() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let (service, clock) = logged_in(on(&disk));
    disk.allow_writing(false);
    let command = |words: &[&str]| service.home.command(words);
    let bridge = without_a_lock((&service, &clock), &command, "Read-only file system");
    disk.allow_writing(true);
    mended(&service, bridge);
}

/// What the person did in the browser is kept, though nothing can be listed just then.
#[test]
fn f12_a_login_outlives_an_index_that_somebody_keeps() {
    let service = Service::new();
    service.login(&[]).expect(0);
    let before = service.row()["logged_in_at"].clone();
    let index = fs::File::open(service.home.path().join("state/locks/index")).unwrap();
    index.lock().unwrap();
    let said = service.login(&["--force"]).expect(6).stderr;
    assert!(said.contains("holds the index lock"), "{said}");
    drop(index);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "there"), "there");
    assert_ne!(service.row()["logged_in_at"], before);
}

/// The lock files are never deleted, but by those who clear up.
fn clear(locks: &Path) {
    for file in fs::read_dir(locks).unwrap().flatten() {
        fs::remove_file(file.path()).unwrap();
    }
}

#[test]
fn f12_nothing_is_done_unlocked_where_there_is_no_room_for_a_lock() {
    let Some(disk) = Disk::mount("size=1m,nr_inodes=64") else { return };
    let (service, clock) = logged_in(on(&disk));
    clear(&disk.place().join("state/locks"));
    disk.take_no_more_files();
    let command = |words: &[&str]| service.home.command(words);
    let bridge = without_a_lock((&service, &clock), &command, "No space left on device");
    disk.take_more_files();
    mended(&service, bridge);
}

#[test]
fn f12_nothing_is_done_unlocked_where_the_user_may_not() {
    let user = if geteuid().is_root() { SOMEBODY } else { geteuid().as_raw() };
    let (service, clock) = logged_in(Home::with_file_store());
    let locks = service.home.path().join("state/locks");
    clear(&locks);
    fs::set_permissions(&locks, Permissions::from_mode(0o500)).unwrap();
    service.home.belong_to(user);
    let command = |words: &[&str]| {
        let mut command = service.home.command(words);
        command.uid(user);
        command
    };
    let bridge = without_a_lock((&service, &clock), &command, "Permission denied");
    fs::set_permissions(&locks, Permissions::from_mode(0o700)).unwrap();
    mended(&service, bridge);
}

#[test]
fn f12_nothing_is_done_unlocked_where_the_file_system_refuses_locks() {
    let Some(locks) = Locks::refused() else { return };
    let (service, clock) = logged_in(Home::with_file_store());
    let command = |words: &[&str]| locks.around(&service.home.command(words));
    without_a_lock((&service, &clock), &command, "No locks available");
    let mut bridge = service.strict_bridge();
    bridge.initialize();
    mended(&service, bridge);
}
