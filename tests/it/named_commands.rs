//! The commands that errors and hints name work as they stand: pasted into a shell of another
//! terminal, which has none of the variables that the bridge was started with.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, CLIENT_ID};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::{ENCRYPTION_KEY, Home, write_private};
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};

/// A service whose person keeps everything in places with awkward names.
fn service() -> Service {
    let home = Home::bare();
    let (place, key) = (home.path().join("it's $HOME; no\"t"), home.path().join("a key & a half"));
    write_private(&key, ENCRYPTION_KEY);
    let home = home
        .with("MCP_FRONT_HOME", place.to_string_lossy())
        .with("MCP_FRONT_ENCRYPTION_KEY_FILE", key.to_string_lossy())
        .with("MCP_FRONT_STORE", "file")
        .with("MCP_FRONT_PROFILE", "a-seat");
    guarded(home)
}

fn guarded(home: Home) -> Service {
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    Service::of(authorization, server, home)
}

/// The error that `initialize` gets.
fn refusal(bridge: &mut Bridge) -> Value {
    let answer = bridge.call(0, "initialize", initialize_params());
    assert!(answer["error"]["message"].is_string(), "no error: {answer}");
    answer["error"].clone()
}

/// The command of an error, which its text names too.
fn command(error: &Value) -> &str {
    let command = error["data"]["command"].as_str().unwrap_or_else(|| panic!("no command: {error}"));
    assert!(error["message"].as_str().is_some_and(|message| message.contains(command)), "{error}");
    command
}

/// The command in a hint.
fn hinted(stderr: &str) -> &str {
    let hint = stderr.lines().find(|line| line.starts_with("hint: ")).expect("a hint");
    hint.split('`').nth(1).unwrap_or_else(|| panic!("no command: {hint}"))
}

fn works(bridge: &mut Bridge) {
    bridge.initialize();
    assert_eq!(bridge.echo(1, "it works"), "it works");
}

/// A6: a first login, by URL, and one that ended, by name.
#[test]
fn a_login_that_is_missing_or_ended() {
    let service = service();
    let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--strict"]);
    let error = refusal(&mut bridge);
    service.home.in_another_terminal(command(&error), &[], b"").expect(0);
    works(&mut bridge);

    service.authorization.revoke_grants();
    service.authorization.refuse_issued_access_tokens();
    let error = refusal(&mut bridge);
    assert!(command(&error).ends_with("--store file --profile a-seat"), "{error}");
    service.home.in_another_terminal(command(&error), &[], b"").expect(0);
    works(&mut bridge);
    let shown = service.home.run(["tokens", "list", "--json"]).expect(0).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown[0]["profile"], &shown[1]), (&json!("a-seat"), &Value::Null));
}

/// What ended a login took its name along: the command gives it back, for the host calls it by that.
#[test]
fn a_login_that_was_deleted() {
    let service = service();
    service.login(&[]).expect(0);
    for end in [&["logout", NAME, "--local-only"][..], &["tokens", "delete", NAME, "--yes"]] {
        let mut bridge = service.bridge();
        works(&mut bridge);
        let said = service.home.run(end).expect(0).stderr;
        assert!(said.contains("Nothing was revoked; to end the login itself"), "{end:?}: {said}");
        let error = bridge.refused(2);
        assert!(command(&error).contains(&format!("--name {NAME} ")), "{error}");
        service.home.in_another_terminal(command(&error), &[], b"").expect(0);
        assert_eq!(bridge.echo(3, "again"), "again");
        works(&mut service.strict_bridge());
    }
}

/// A login in files that was to go into a keychain, where there is none, is good as it lies.
#[test]
fn a_login_that_cannot_be_moved() {
    let nowhere = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let service = guarded(Home::with_file_store().with(nowhere.0, nowhere.1));
    service.login(&[]).expect(0);
    service.browser.opened();
    let failed = service.login(&["--store", "keyring", "--force"]).expect(5).stderr;
    let said = service.home.in_another_terminal(hinted(&failed), &[], b"").expect(0).stderr;
    assert!(said.contains("Already logged in"), "{said}");
    assert_eq!(service.browser.tabs(), 0);
}

/// What `--login` was given with decides which login it is, so that the command says it again.
#[test]
fn a_login_that_was_given_with_its_flags() {
    let service = Service::front_like();
    let url = service.server.url();
    let secret = service.home.path().join("client-secret");
    let (given, secret) =
        (["--name", "a-team", "--client-id", CLIENT_ID, "--callback-port"], secret.display());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (secret_file, scope) = (format!("--client-secret-file={secret}"), "--scope=feature:mcp");
    let arguments = [&[&url, "--login", "--strict"], &given[..], &[&port, &secret_file, scope]].concat();
    let mut bridge = Bridge::start(&service.home, &arguments);
    let error = refusal(&mut bridge);
    let words = format!("--client-id={CLIENT_ID} {secret_file} --callback-port={port} {scope}");
    let expected = format!("login {url} --name a-team --store file {words}");
    assert!(command(&error).ends_with(&expected), "{error}\n{expected}");

    drop(taken);
    service.home.in_another_terminal(command(&error), &[], b"").expect(0);
    works(&mut bridge);
    assert_eq!((&service.row()["name"], service.browser.tabs()), (&json!("a-team"), 1));
    service.authorization.revoke_grants();
    service.authorization.refuse_issued_access_tokens();
    let taken = TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port again");
    let error = refusal(&mut bridge);
    assert!(command(&error).ends_with(&format!("login a-team --store file {words}")), "{error}");
    drop(taken);
}

#[test]
fn a_token_that_is_refused() {
    let service = service();
    let url = service.server.url();
    service.home.run_with_input(["tokens", "set", &url], b"a-wrong-one").expect(0);
    let mut bridge = Bridge::start(&service.home, &[&url, "--strict"]);
    let error = refusal(&mut bridge);
    assert!(command(&error).contains(" tokens set "), "{error}");
    let set = service.home.in_another_terminal(command(&error), &[], b"another").expect(0);
    assert!(set.stderr.starts_with("Updated"), "{}", set.stderr);
}

/// The key itself is asked for in words, and never shown.
#[test]
fn a_key_in_the_environment() {
    let key = ("MCP_FRONT_ENCRYPTION_KEY", ENCRYPTION_KEY);
    let service = guarded(Home::bare().with("MCP_FRONT_STORE", "file").with(key.0, key.1));
    let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--strict"]);
    let error = refusal(&mut bridge);
    assert!(error.to_string().contains("MCP_FRONT_ENCRYPTION_KEY=…"), "{error}");
    assert!(!error.to_string().contains(ENCRYPTION_KEY), "{error}");
    service.home.in_another_terminal(command(&error), &[key], b"").expect(0);
    works(&mut bridge);
}

/// What can be done about a damaged record, and about one whose key is another by now.
#[test]
fn a_record_that_cannot_be_read() {
    let service = service();
    service.login(&[]).expect(0);
    for (path, _) in service.home.files() {
        if path.extension().is_some_and(|end| end == "sealed") {
            std::fs::write(path, "cut").expect("a writable file");
        }
    }
    let mut bridge = service.strict_bridge();
    let error = refusal(&mut bridge);
    assert_eq!(error["code"], -32013, "{error}");
    service.home.in_another_terminal(command(&error), &[], b"").expect(0);
    works(&mut bridge);

    std::fs::write(service.home.path().join("a key & a half"), ENCRYPTION_KEY.replace('1', "2"))
        .expect("a file");
    let mut bridge = service.strict_bridge();
    let error = refusal(&mut bridge);
    assert_eq!(error["data"]["command"], Value::Null, "nothing to run unasked: {error}");
    let message = error["message"].as_str().expect("a message");
    let confirmed = format!("{} --yes", message.split('`').nth(1).expect("a command"));
    service.home.in_another_terminal(&confirmed, &[], b"").expect(0);
    service.login(&[]).expect(0);
    works(&mut bridge);
}

/// A login that is pinned to the keychain, where there is none any more: what an error or a hint
/// says leads out, and not round in a circle.
#[test]
fn a_keychain_that_is_gone() {
    let Some(mut session) = Session::unlocked() else { return };
    let service = guarded(session.home());
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    works(&mut bridge);
    session.stop_keyring();

    service.authorization.refuse_issued_access_tokens();
    let mut late = service.strict_bridge();
    let error = refusal(&mut late);
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    let failed = service.login(&[]).expect(5).stderr;
    assert_eq!(command(&error), hinted(&failed));
    let pinned = service.login(&["--store", "file"]).expect(2).stderr;
    assert_eq!(command(&error), pinned.rsplit('`').nth(1).expect("a command"));

    let moved = service.home.in_another_terminal(command(&error), &[], b"").expect(0).stderr;
    assert_eq!(service.row()["store"], "file");
    works(&mut late);
    bridge.initialize();
    assert_eq!(bridge.echo(2, "in files"), "in files");

    // What could not be reached is named with what removes it.
    assert!(moved.contains("what it holds of before stays there"), "{moved}");
    let line = moved.lines().find(|line| line.contains("tokens delete")).expect("a command");
    let removal = format!("{} --yes", line.split('`').nth(1).expect("a command"));
    session.start_keyring_with_the_password();
    assert!(session.search("service", "mcp-front").contains("canary"));
    service.home.in_another_terminal(&removal, &[], b"").expect(0);
    assert!(!session.search("service", "mcp-front").contains("canary"));
    assert_eq!(late.echo(3, "still in files"), "still in files");
}

/// What was left in a keychain that was out of reach goes with the login, or is named once more.
#[test]
fn what_a_move_left_behind_does_not_come_back() {
    let Some(mut session) = Session::unlocked() else { return };
    for end in [&["logout", NAME, "--local-only"][..], &["tokens", "delete", NAME, "--yes"]] {
        for by_then in ["back", "gone", "stalled"] {
            let service = Service::in_keychain(&session);
            service.login(&[]).expect(0);
            session.stop_keyring();
            service.login(&["--store", "file", "--force"]).expect(0);
            if by_then != "gone" {
                session.start_keyring_with_the_password();
            }
            if by_then == "stalled" {
                session.stall_keyring();
            }
            let said = service.home.run(end).expect(0).stderr;
            assert_eq!(said.contains("what it holds of before stays there"), by_then != "back", "{said}");
            if by_then != "back" {
                session.stop_keyring();
                session.start_keyring_with_the_password();
                let line = said.lines().find(|line| line.contains("--store keyring")).expect("a command");
                let removal = format!("{} --yes", line.split('`').nth(1).expect("a command"));
                service.home.in_another_terminal(&removal, &[], b"").expect(0);
            }
            assert!(!session.search("service", "mcp-front").contains("canary"), "{said}");
            assert_eq!(service.row(), Value::Null);
            let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--strict"]);
            assert_eq!(refusal(&mut bridge)["data"]["reason"], "login_required");
        }
    }
}

/// Deleting, and setting a token, where the keychain is gone.
#[test]
fn a_keychain_that_is_gone_for_tokens() {
    let Some(mut session) = Session::unlocked() else { return };
    let service = guarded(session.home());
    let url = service.server.url();
    let set = |value: &[u8]| service.home.run_with_input(["tokens", "set", &url, "--name", NAME], value);
    set(b"one").expect(0);
    session.stop_keyring();
    let failed = set(b"two").expect(5).stderr;
    service.home.in_another_terminal(hinted(&failed), &[], b"two").expect(0);
    assert_eq!(service.row()["store"], "file");

    session.start_keyring_with_the_password();
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    set(b"three").expect(0);
    session.stop_keyring();
    let failed = service.home.run(["tokens", "delete", NAME, "--yes"]).expect(5).stderr;
    service.home.in_another_terminal(&format!("{} --yes", hinted(&failed)), &[], b"").expect(0);
    assert_eq!(service.row(), Value::Null);
}
