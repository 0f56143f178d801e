//! The keychain as the store: unlocked, locked, asking, lying; and what a host's poor environment leaves
//! to find it by.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::Bridge;
use crate::support::fake_keychain::{Conduct, FakeKeychain};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};
use crate::support::skip;

/// A2: the default store is the keychain; what lies there tells nobody whose it is.
#[test]
fn a_login_lies_in_the_keychain_and_serves_the_bridge() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    assert_eq!(service.row()["store"], "keyring");
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(1, "kept"), "kept");

    let shown = session.search("service", "mcp-front");
    assert!(shown.contains("canary-refresh"), "the login lies here:\n{shown}");
    let attributes: String = shown.lines().filter(|line| line.starts_with("attribute.")).collect();
    for telling in ["127.0.0.1", "http", "canary"] {
        assert!(!attributes.contains(telling), "`{telling}` in {attributes}");
    }
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    assert!(!session.search("service", "mcp-front").contains("canary"), "deleted for good");
}

/// What two installations keep in one keychain are two logins: neither's locks guard the other's.
#[test]
fn another_home_leaves_a_login_alone() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let elsewhere = session.home();
    let url = service.server.url();
    let error = Bridge::start(&elsewhere, &[&url, "--strict"]).refusal();
    assert_eq!(error["data"]["reason"], "login_required", "{error}");
    elsewhere.run(["logout", &url]).expect(0);
    elsewhere.run(["tokens", "delete", &url, "--yes"]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "kept"), "kept");
    assert_eq!(service.authorization.refreshes(), 0);
}

/// The bus where a login session has it, when no variable says so.
struct UserBus {
    /// Held while the place is in use: test runs beside each other take turns.
    _turn: File,
    _session: Session,
    directory: PathBuf,
    made: bool,
}

impl UserBus {
    /// `/run/user/UID/bus`, where nobody else uses it.
    fn start() -> Option<Self> {
        let turn = File::create(std::env::temp_dir().join("mcp-front-tests-user-bus")).expect("a lock file");
        turn.lock().expect("a turn");
        let directory = Path::new("/run/user").join(rustix::process::getuid().as_raw().to_string());
        let socket = directory.join("bus");
        let made = std::fs::create_dir_all(&directory).is_ok()
            && std::fs::read_dir(&directory).ok()?.next().is_none();
        if UnixStream::connect(&socket).is_ok() || !directory.exists() {
            skip("a /run/user/UID/bus that is nobody's");
            return None;
        }
        let _ = std::fs::remove_file(&socket);
        let own = tempfile::tempdir().expect("a temporary directory");
        let mut session = Session::listening_at(&socket, own)?;
        session.start_keyring(Some("open"));
        Some(Self { _turn: turn, _session: session, directory, made })
    }
}

impl Drop for UserBus {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.directory.join("bus"));
        if self.made {
            let _ = std::fs::remove_dir(&self.directory);
        }
    }
}

/// A11: with HOME, LOGNAME, PATH, SHELL, TERM and USER alone, as the TypeScript SDK passes on, the
/// bridge finds its login in the keychain, and refreshes it there.
#[test]
fn a_poor_environment_is_enough() {
    let Some(_bus) = UserBus::start() else { return };
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let service = Service::of(authorization, server, Home::bare());
    service.login(&[]).expect(0);
    let mut command = service.home.command(["bridge", NAME]);
    command.env_remove("BROWSER");
    let mut names: Vec<_> = command.get_envs().filter_map(|(name, value)| value.and(name.to_str())).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"]);
    let mut bridge = Bridge::spawn(command);
    bridge.initialize();
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(1, "found"), "found");
    assert_eq!(service.row()["store"], "keyring");
}

/// Whoever wants no login is bridged without asking any store.
#[test]
fn a_server_that_wants_no_login_needs_no_keychain() {
    let server = McpServer::open();
    let home = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "open"), "open");
}

/// `login` waits for the person who unlocks; the bridge asks nobody.
#[test]
fn a_login_waits_for_a_person_to_unlock() {
    let Some(session) = Session::without_keychain() else { return };
    let gate = Gate::default();
    let keychain = FakeKeychain::start(&session, Conduct::Prompting(gate.clone()));
    let service = Service::in_keychain(&session);
    let mut login = Process::start(&mut service.home.command(service.login_arguments(&[])));
    gate.wait_for_arrivals(1);
    gate.open();
    assert!(login.wait().success(), "{}", login.stderr.text());
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "in"), "in");
    assert!(keychain.items() >= 1);
}

/// Where no prompt can be shown, as over ssh, `login` says so and waits until somebody unlocks the
/// keychain otherwise, starting it anew even.
#[test]
fn a_login_waits_for_a_keychain_that_cannot_ask() {
    let Some(mut session) = Session::locked() else { return };
    let service = Service::in_keychain(&session);
    let mut login = Process::start(&mut service.home.command(service.login_arguments(&[])));
    login.stderr.wait_for("a word about the waiting", |text| text.contains("the keychain is locked"));
    session.stop_keyring();
    session.start_keyring_with_the_password();
    assert!(login.wait().success(), "{}", login.stderr.text());
    assert_eq!(service.browser.tabs(), 1);
    session.lock();
    let row = service.row();
    let forgotten = service.home.run(["tokens", "delete", NAME, "--yes", "--force"]).expect(0);
    assert!(forgotten.stderr.contains("stays there"), "{row}: {}", forgotten.stderr);
}

/// Whoever gives up waiting for the keychain has deleted nothing.
#[test]
fn a_deletion_that_waits_for_the_keychain_has_not_begun() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.lock();
    for arguments in [&["tokens", "delete", NAME, "--yes"][..], &["logout", NAME, "--local-only"]] {
        let mut deletion = Process::start(&mut service.home.command(arguments));
        deletion.stderr.wait_for("a word about the waiting", |text| {
            ["up to 5 minutes", "--unlock", "--store file"].iter().all(|word| text.contains(word))
        });
        deletion.signal(Signal::INT);
        assert_eq!(deletion.wait().code(), Some(130));
        assert_eq!(service.row()["state"], "renews", "{arguments:?}: {}", service.row());
    }
}

/// A save that is not kept is a failure: at login, and at a refresh, where the token in hand still
/// serves, and nothing is believed to be stored.
#[test]
fn a_lying_keychain_is_found_out() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Lying);
    let service = Service::in_keychain(&session);
    let outcome = service.login(&[]).expect(5);
    assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
    assert_eq!(service.row(), Value::Null, "nothing is listed as stored");

    keychain.set_conduct(Conduct::Honest);
    service.login(&[]).expect(0);
    keychain.set_conduct(Conduct::Lying);
    service.login(&["--force"]).expect(5);
    keychain.set_conduct(Conduct::Honest);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "the old login"), "the old login");
}

/// The store is pinned at login: another choice later is an error that names both.
#[test]
fn the_store_is_pinned_at_login() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let outcome = service.login(&["--store", "file"]).expect(2);
    assert!(outcome.stderr.contains("keyring") && outcome.stderr.contains("file"), "{}", outcome.stderr);
    let mut bridge = Bridge::start(&service.home, &[NAME, "--store", "file"]);
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "store_pinned", "{error}");
}

/// A keychain that does not delete: that the login is revoked is said all the same.
#[test]
fn a_keychain_that_does_not_delete_is_told_with_what_was_revoked() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let service = Service::in_keychain(&session);
    service.authorization.publish_revocation();
    service.login(&[]).expect(0);
    keychain.set_conduct(Conduct::Keeping);
    let said = service.home.run(["logout", NAME]).expect(5).stderr;
    assert!(
        said.contains("revoked the login, and what is stored of it here could not all be deleted"),
        "{said}"
    );
    assert_eq!(service.authorization.living_grants(), 0);
    keychain.set_conduct(Conduct::Honest);
    let said = service.home.run(["logout", NAME]).expect(0).stderr;
    assert!(said.contains("and deleted here"), "{said}");
}
