//! The keychain store against a real keychain (gnome-keyring in a private D-Bus session), and
//! against keychains that lie or never answer.
//!
//! The session bus is found through the environment, which a process cannot change for itself
//! safely: each case runs in a process of its own, started by the test that sets the scene.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mcp_front::credential::{Credential, Generation, Kind, StaticToken};
use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::paths::Paths;
use mcp_front::redact::Secret;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::{JournalEntry, Patience, Store, StoreConfig, StoreError, StoreKind};

use crate::support::fake_keychain::{Conduct, FakeKeychain};
use crate::support::gate::Gate;
use crate::support::keychain::Session;

const CASE: &str = "MCP_FRONT_TEST_CASE";
const HOME: &str = "MCP_FRONT_TEST_HOME";
const CANARY: &str = "keychain-canary";

/// A bridge answers within five seconds, so its store must have answered before.
const IN_TIME: Duration = Duration::from_millis(4_500);
/// A person who is asked to unlock takes longer than this.
const LONGER_THAN_A_BRIDGE_WAITS: Duration = Duration::from_secs(6);

/// Runs `case` in an environment of nothing but `variables` and the case's own.
fn run(case: &str, variables: Vec<(String, String)>) {
    let home = tempfile::tempdir().unwrap();
    run_in(home.path(), case, variables);
}

fn run_in(home: &std::path::Path, case: &str, variables: Vec<(String, String)>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store_keyring::inside", "--nocapture"]);
    command.env_clear().envs(variables).env(CASE, case).env(HOME, home);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{case}:\n{shown}");
    // The one that ran is the one that was meant.
    assert!(shown.contains("1 passed"), "{case}:\n{shown}");
}

/// The scene that the other tests of this file play, each in an environment of its own. Without a
/// case there is nothing to play.
#[test]
fn inside() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let paths = Paths::resolve(Some(std::env::var(HOME).unwrap().as_ref())).unwrap();
    let stage = Stage {
        store: Store::open(StoreConfig {
            kind: StoreKind::Keyring,
            paths: paths.clone(),
            encryption_key: None,
        }),
        paths,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    runtime.block_on(stage.play(&case));
    // A thread that hangs in the keychain must not hold up the process's end.
    drop(runtime);
    eprintln!("{case}: {:?}", started.elapsed());
}

struct Stage {
    store: Store,
    paths: Paths,
}

impl Stage {
    fn lock(&self) -> ServiceLock {
        ServiceLock::try_acquire(&self.paths, &key(), Purpose::Refresh).unwrap().unwrap()
    }

    async fn play(&self, case: &str) {
        match case {
            "keeps" => self.keeps().await,
            "saves" => self.save(Patience::Bridge).await.map(|_| ()).unwrap(),
            "finds" => assert!(self.load().await.unwrap().is_some()),
            "absent" => assert!(matches!(self.load().await, Err(StoreError::Absent { .. }))),
            "locked" => {
                assert!(matches!(self.load().await, Err(StoreError::Locked)));
                assert!(matches!(self.save(Patience::Bridge).await, Err(StoreError::Locked)));
            }
            "dismissed" => {
                let outcome = self.store.load(&key(), Patience::Prompt).await;
                assert!(matches!(outcome, Err(StoreError::Locked)), "{outcome:?}");
            }
            "stalled" => {
                assert!(matches!(self.load().await, Err(StoreError::Unresponsive { .. })));
            }
            "stalled-write" => {
                let (lock, saved) = self.store.save(self.lock(), token(), Patience::Bridge).await;
                assert!(matches!(saved, Err(StoreError::Unresponsive { .. })));
                assert!(lock.back().is_none());
                let again = ServiceLock::try_acquire(&self.paths, &key(), Purpose::Refresh).unwrap();
                assert!(again.is_none(), "the write still runs, and so nobody else may write");
            }
            "forgets" => {
                assert!(matches!(self.save(Patience::Bridge).await, Err(StoreError::Untrusted { .. })));
            }
            "unlocked-by-a-person" => {
                assert!(matches!(self.load().await, Err(StoreError::Locked)));
                assert!(self.store.load(&key(), Patience::Person).await.unwrap().is_none());
                assert!(self.load().await.unwrap().is_none());
            }
            "waits-for-a-person" => {
                let key = key();
                let wait = self.store.load(&key, Patience::Person);
                let waited = tokio::time::timeout(LONGER_THAN_A_BRIDGE_WAITS, wait).await;
                assert!(waited.is_err(), "{waited:?}");
            }
            other => panic!("no case {other}"),
        }
    }

    async fn load(&self) -> Result<Option<Credential>, StoreError> {
        let asked = Instant::now();
        let outcome = self.store.load(&key(), Patience::Bridge).await;
        assert!(asked.elapsed() < IN_TIME, "{:?}", asked.elapsed());
        outcome
    }

    async fn save(&self, patience: Patience) -> Result<Generation, StoreError> {
        self.store.save(self.lock(), token(), patience).await.1.map(|saved| saved.generation)
    }

    async fn keeps(&self) {
        assert!(self.load().await.unwrap().is_none());
        let first = self.save(Patience::Bridge).await.unwrap();
        let second = self.save(Patience::Bridge).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(self.load().await.unwrap().unwrap().generation, second);

        let sent = JournalEntry::RequestSent { succeeds: Some(second), at: Timestamp::now() };
        let (lock, written) = self.store.write_journal(self.lock(), sent, Patience::Bridge).await;
        written.unwrap();
        let lock = lock.back().unwrap();
        assert!(self.store.journal(&lock, Patience::Bridge).await.unwrap().is_some());
        let (lock, erased) = self.store.erase(lock, Patience::Bridge).await;
        assert!(erased.unwrap());
        let (lock, erased) = self.store.erase(lock.back().unwrap(), Patience::Bridge).await;
        assert!(!erased.unwrap());
        assert!(self.store.journal(&lock.back().unwrap(), Patience::Bridge).await.unwrap().is_none());
        assert!(self.load().await.unwrap().is_none());
    }
}

fn key() -> ServiceKey {
    ServiceKey::new("default", &ServerUri::parse("https://mcp.keychain-canary.example/", false).unwrap())
}

fn token() -> Kind {
    Kind::Token(StaticToken { value: Secret::from(CANARY), set_at: Timestamp::now() })
}

#[test]
fn an_open_keychain_keeps_a_record_whose_attributes_tell_nothing() {
    let Some(session) = Session::unlocked() else { return };
    run("keeps", session.variables());
    assert_eq!(session.search("service", "mcp-front"), "");

    run("saves", session.variables());
    let shown = session.search("service", "mcp-front");
    assert!(shown.contains(&format!("attribute.username = {}", key())), "{shown}");
    assert!(shown.contains(CANARY), "{shown}");
    // Everything but the secret, which goes on to the line after.
    let open = shown.lines().filter(|line| line.starts_with("attribute.") || line.starts_with("label"));
    assert_eq!(open.filter(|line| line.contains("canary")).count(), 0, "{shown}");
}

#[test]
fn a_keychain_that_starts_later_is_found_and_one_that_restarts_is_found_again() {
    let Some(mut session) = Session::without_keychain() else { return };
    let home = tempfile::tempdir().unwrap();
    let play = |case: &str, session: &Session| run_in(home.path(), case, session.variables());
    play("absent", &session);
    session.start_keyring(Some("password"));
    play("saves", &session);
    session.stop_keyring();
    play("absent", &session);
    session.start_keyring(Some("password"));
    play("finds", &session);
}

#[test]
fn without_a_bus_there_is_no_keychain() {
    let nowhere = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}/bus", nowhere.path().display());
    for variables in [
        vec![("DBUS_SESSION_BUS_ADDRESS".to_owned(), address)],
        vec![("DBUS_SESSION_BUS_ADDRESS".to_owned(), "nonsense".to_owned())],
        vec![("XDG_RUNTIME_DIR".to_owned(), nowhere.path().display().to_string())],
    ] {
        run("absent", variables);
    }
}

#[test]
fn a_locked_keychain_is_told_from_an_empty_one() {
    let Some(session) = Session::locked() else { return };
    run("locked", session.variables());
}

#[test]
fn a_record_in_a_locked_keychain_is_locked() {
    let Some(session) = Session::unlocked() else { return };
    run("saves", session.variables());
    session.lock();
    run("locked", session.variables());
    // Nothing on this bus can ask a person: the keychain takes that as a refusal.
    run("dismissed", session.variables());
}

#[test]
fn a_keychain_that_stalls_is_given_up_in_time() {
    let Some(session) = Session::unlocked() else { return };
    run("saves", session.variables());
    session.stall_keyring();
    run("stalled", session.variables());
    run("stalled-write", session.variables());
}

#[test]
fn a_keychain_that_forgets_what_it_is_given_is_found_out() {
    let Some(session) = Session::without_keychain() else { return };
    let _fake = FakeKeychain::start(&session, Conduct::Lying);
    run("forgets", session.variables());
}

#[test]
fn a_prompt_that_nobody_answers_holds_up_a_person_only() {
    let Some(session) = Session::without_keychain() else { return };
    let _fake = FakeKeychain::start(&session, Conduct::Prompting(Gate::default()));
    run("locked", session.variables());
    run("waits-for-a-person", session.variables());
}

#[test]
fn a_person_is_asked_to_unlock_and_a_bridge_asks_nobody() {
    let Some(session) = Session::without_keychain() else { return };
    let gate = Gate::default();
    gate.open();
    let _fake = FakeKeychain::start(&session, Conduct::Prompting(gate));
    run("unlocked-by-a-person", session.variables());
}
