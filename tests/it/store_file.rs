//! The encrypted file store across processes: killed in the middle of saving, and without its key.

use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use mcp_front::credential::{Kind, StaticToken};
use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::paths::Paths;
use mcp_front::redact::Secret;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::{Patience, Store, StoreConfig, StoreKind};

use crate::support::DEADLINE;
use crate::support::authorization_server::AuthorizationServer;
use crate::support::home::{Home, finish, write_private};
use crate::support::mcp_server::McpServer;
use crate::support::process::{Captured, Process};
use crate::support::service::Service;

const HOME: &str = "MCP_FRONT_TEST_HOME";

struct Stage {
    paths: Paths,
    store: Store,
}

impl Stage {
    fn at(home: &Path) -> Self {
        let paths = Paths::resolve(Some(home)).unwrap();
        let config = StoreConfig { kind: StoreKind::File, paths: paths.clone(), encryption_key: None };
        Self { paths, store: Store::open(config) }
    }

    async fn lock(&self) -> ServiceLock {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        ServiceLock::acquire(&self.paths, &key(), Purpose::Refresh, deadline).await.unwrap()
    }
}

fn key() -> ServiceKey {
    ServiceKey::new("default", &ServerUri::parse("https://mcp.example/", false).unwrap())
}

/// A token whose length differs from one to the next.
fn token(number: usize) -> Kind {
    Kind::Token(StaticToken { value: Secret::from("x".repeat(1 + number * 997)), set_at: Timestamp::now() })
}

/// Runs the scene `name` of this file in a process of its own.
fn scene(name: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("store_file::{name}"), "--nocapture"]);
    command.env_clear().env(HOME, home).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// A scene: saves until it is killed. Without a home there is nothing to play.
#[tokio::test]
async fn saving_for_ever() {
    let Ok(home) = std::env::var(HOME) else {
        return;
    };
    let stage = Stage::at(home.as_ref());
    let mut lock = stage.lock().await;
    for number in (0..64).cycle() {
        let (back, saved) = stage.store.save(lock, token(number), Patience::Bridge).await;
        eprintln!("saved {}", saved.unwrap().generation.as_str());
        lock = back.back().unwrap();
    }
}

/// A29: a record is written whole or not at all, and the kernel frees a dead process's lock.
#[tokio::test]
async fn a_save_that_is_killed_leaves_a_whole_record_and_a_free_lock() {
    let home = tempfile::tempdir().unwrap();
    for round in 1..=12 {
        let mut saving = Process::start(&mut scene("saving_for_ever", home.path()));
        drop(saving.child.stdout.take().map(Captured::new));
        saving.stderr.wait_for("some saves", |text| text.matches("saved").count() >= round);
        saving.signal(rustix::process::Signal::KILL);
        saving.wait();
        let stage = Stage::at(home.path());
        let _lock = stage.lock().await;
        stage.store.load(&key(), Patience::Bridge).await.unwrap().unwrap();
    }
}

/// Whoever stores a secret reads once what the key beside it protects against, as talk and no log.
#[test]
fn a_generated_key_is_told_once_to_the_person() {
    let home = || Home::bare().with("MCP_FRONT_STORE", "file");
    let sentence = "and not against programs that run as you";
    let authorization = AuthorizationServer::start();
    let service = Service::of(authorization.clone(), McpServer::guarded_by(&authorization), home());
    for (flags, told) in [(&[][..], true), (&["--force"], false)] {
        let said = service.login(flags).expect(0).stderr;
        assert_eq!(said.contains(sentence) && said.contains("encryption.key"), told, "{said}");
        assert!(!said.contains("WARN"), "{said}");
    }

    let home = home();
    for (value, told) in [(b"one", true), (b"two", false)] {
        let said = home.run_with_input(["tokens", "set", "https://a.example/"], value).expect(0).stderr;
        assert_eq!(said.contains(sentence), told, "{said}");
        assert!(!said.contains("WARN"), "{said}");
    }
    let given = Home::with_file_store();
    let said = given.run_with_input(["tokens", "set", "https://a.example/"], b"one").expect(0).stderr;
    assert!(!said.contains(sentence), "{said}");
}

/// A key that could not keep the login is told before anything is asked of the service or the
/// person; the error names where the key is looked for, and the hint what to do.
#[test]
fn a_login_without_its_key_ends_before_the_browser() {
    const FILE: &str = "MCP_FRONT_ENCRYPTION_KEY_FILE";
    const INLINE: &str = "MCP_FRONT_ENCRYPTION_KEY";
    let keyless = || {
        let home = Home::bare();
        let place = home.path().to_str().unwrap().to_owned();
        home.with("MCP_FRONT_HOME", place).with("MCP_FRONT_STORE", "file")
    };
    let with_lost_key = || {
        let home = keyless();
        let arguments = ["tokens", "set", "https://other.example/"];
        home.run_with_input(arguments, b"a-token\n").expect(0);
        std::fs::remove_file(Paths::resolve(Some(home.path())).unwrap().key_file()).unwrap();
        home
    };
    for (home, named, hint) in [
        (keyless().with(FILE, "/nowhere/key"), "/nowhere/key", FILE),
        (keyless().with(INLINE, "short"), INLINE, "openssl rand"),
        (keyless().with(INLINE, format!("{}\n", "k".repeat(31))), INLINE, "openssl rand"),
        (keyless().with(INLINE, ""), "MCP_FRONT_ENCRYPTION_KEY is set, and empty", "openssl rand"),
        (keyless().with(FILE, ""), "MCP_FRONT_ENCRYPTION_KEY_FILE is set, and empty", "do not set it"),
        (with_lost_key(), "encryption.key", "tokens delete"),
    ] {
        let authorization = AuthorizationServer::start();
        let service = Service::of(authorization.clone(), McpServer::guarded_by(&authorization), home);
        let refused = service.login(&["--force"]).expect(5);
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
        let said = refused.stderr.lines().last().unwrap();
        assert!(said.starts_with("hint: ") && said.contains(hint), "{}", refused.stderr);
        assert!(service.server.requests().is_empty() && authorization.authorizations().is_empty());
    }

    let service = Service::logged_in();
    let before = service.server.requests().len();
    let Service { home, server, .. } = &service;
    let other = home.path().join("another-key");
    write_private(&other, "another-encryption-key-32-bytes!");
    for flags in [&[][..], &["--force"]] {
        let mut command = home.command(["login", &server.url()].iter().chain(flags));
        command.env(FILE, &other);
        let refused = finish(command, b"").expect(5);
        assert!(refused.stderr.contains(&format!("{} ({FILE})", other.display())), "{}", refused.stderr);
    }
    assert_eq!((server.requests().len(), service.browser.tabs()), (before, 0));
}
