//! A bridge whose name means nothing yet, or nothing any more: it stays, says what to run, and serves
//! once that has been run.

use serde_json::{Value, json};

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::BINARY;
use crate::support::service::{NAME, Service};

/// The error of a request; fails the test where it succeeds.
fn refusal(bridge: &mut Bridge, id: i64, method: &str) -> Value {
    let answer = bridge.call(id, method, initialize_params());
    assert!(answer["error"]["message"].is_string(), "no error: {answer}");
    answer["error"].clone()
}

/// A6: every request is answered, the command works, and the login is found by the same process.
#[test]
fn a_service_that_is_not_there_yet_is_served_once_it_is() {
    let service = Service::new();
    let mut bridge = service.bridge();
    for (id, method) in [(0, "initialize"), (1, "tools/list"), (2, "ping")] {
        let error = refusal(&mut bridge, id, method);
        assert_eq!(error["data"]["reason"], "unknown_service", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("{BINARY} login URL --name {NAME}")), "{error}");
        let command = error["data"]["command"].as_str().unwrap();
        assert!(command.ends_with(&format!("{BINARY} tokens list")) && message.contains(command), "{error}");
        service.home.in_another_terminal(command, &[], b"").expect(0);
    }
    assert_eq!(refusal(&mut bridge, 3, "server/discover")["code"], -32601);
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    bridge.send("no message");
    assert_eq!(bridge.message()["error"]["code"], -32700);

    service.login(&[]).expect(0);
    bridge.initialize();
    assert_eq!(bridge.echo(4, "served"), "served");
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
    let said = bridge.process.stderr.text();
    assert_eq!(said.matches("no service is named").count(), 1, "{said}");
}

#[test]
fn a_host_that_leaves_meanwhile_is_left_in_peace() {
    let service = Service::new();
    let mut bridge = service.bridge();
    refusal(&mut bridge, 0, "initialize");
    bridge.close_stdin();
    let (status, rest) = bridge.wait();
    assert!(status.success() && rest.is_empty(), "{status}");
}

/// A deletion that a running bridge does not outlive, and its next start.
#[test]
fn a_deleted_service_is_told_and_may_come_back() {
    let service = Service::logged_in();
    service.home.run(["tokens", "delete", NAME, "--yes"]).expect(0);
    let mut bridge = service.bridge();
    assert_eq!(refusal(&mut bridge, 0, "initialize")["data"]["reason"], "unknown_service");
    service.login(&[]).expect(0);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "back"), "back");
}

/// Neither a mistyped name nor another store than the login's is told to stderr alone.
#[test]
fn other_mistakes_about_what_is_stored_are_told_to_the_host() {
    let service = Service::logged_in();
    let mut bridge = Bridge::start(&service.home, &["servic"]);
    let error = refusal(&mut bridge, 0, "initialize");
    assert!(error["message"].as_str().unwrap().contains("did you mean `service`?"), "{error}");

    let mut bridge = Bridge::start(&service.home, &[NAME, "--store", "memory"]);
    let error = refusal(&mut bridge, 0, "initialize");
    assert_eq!((&error["data"]["reason"], &error["data"]["command"]), (&json!("store_pinned"), &Value::Null));
    let mut bridge = Bridge::start(&service.home, &[NAME, "--store", "keyring"]);
    let error = refusal(&mut bridge, 0, "initialize");
    let command = error["data"]["command"].as_str().unwrap();
    assert!(command.contains(" login service --store keyring --force"), "{error}");
}
