//! Rows of the requirements that need a story of their own; the others are named by the tests of
//! the rooms that serve them.

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::redirect_of;
use crate::support::canaries::{KEY, KEY_VARIABLE};
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;

/// The error that the bridge answers `initialize` with.
fn refusal(home: &Home) -> Value {
    let mut bridge = Bridge::start(home, &[NAME, "--strict"]);
    let answer = bridge.call(0, "initialize", initialize_params());
    assert!(answer["error"].is_object(), "{answer}");
    answer["error"].clone()
}

/// A1: a service that refuses the stored token is told as such, with both ways out, and listed once,
/// however many ask; the token stays until somebody deletes it.
#[test]
fn a_refused_token_names_what_helps() {
    let service = Service::new();
    let set = || {
        let arguments = ["tokens", "set", &service.server.url(), "--name", NAME];
        service.home.run_with_input(arguments, b"a-token\n").expect(0);
        let row = service.row();
        assert_eq!((&row["kind"], &row["state"]), (&json!("token"), &json!("static")));
        assert_eq!(row["last_error"], Value::Null);
    };
    set();
    let error = refusal(&service.home);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("refuses the stored token"), "{message}");
    for command in [format!("tokens set {NAME}"), format!("login {NAME}")] {
        assert!(message.contains(&command), "`{command}` is not in {message}");
    }
    let row = service.row();
    assert_eq!((&row["kind"], &row["state"]), (&json!("token"), &json!("login_required")));
    assert!(row["reason"].as_str().is_some_and(|text| text.contains("refused the stored token")), "{row}");
    assert_eq!(row["last_error"]["code"], "token_rejected");
    let listed = service.home.run(["tokens", "list"]).expect(0).stdout;
    assert!(listed.contains("login required") && listed.contains("tokens set"), "{listed}");

    let changed = || std::fs::metadata(service.entry_file()).unwrap().modified().unwrap();
    let first = changed();
    let mut bridge = service.strict_bridge();
    for id in 0..5 {
        assert!(bridge.call(id, "initialize", initialize_params())["error"].is_object());
    }
    assert_eq!(changed(), first, "it is noted once");
    set();
    assert!(bridge.call(5, "initialize", initialize_params())["error"].is_object());
    assert_eq!(service.row()["state"], "login_required", "what was set anew was refused as well");

    service.login(&[]).expect(0);
    assert_eq!(service.row()["kind"], "oauth");
    let mut bridge = service.bridge();
    bridge.initialize();

    let noted = service.home.run_with_input(["tokens", "set", "front"], b"a-token\n").expect(0);
    assert!(noted.stderr.contains("Front's MCP server takes no API tokens"), "{}", noted.stderr);
}

/// A10, A25, A29: a sandbox without keychain and browser, whose key comes in a variable: paste to
/// log in, and the bridge renews by itself from then on; without the key nothing is readable.
#[test]
fn a_sandbox_logs_in_once_and_renews_by_itself() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let nowhere = "unix:path=/nonexistent/bus";
    let home = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", nowhere).with(KEY_VARIABLE, KEY);
    let url = server.url();
    let arguments = ["login", &url, "--name", NAME, "--no-browser", "--store", "file"];
    let mut terminal = Terminal::start(&home, &arguments);
    let address = terminal.printed_url(&format!("{}/authorize?", authorization.issuer()));
    terminal.type_in(&format!("{}\r", redirect_of(&address)));
    assert!(terminal.wait().success(), "{}", terminal.text());

    for round in 1..=2 {
        authorization.refuse_issued_access_tokens();
        let mut bridge = Bridge::start(&home, &[NAME]);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "from the sandbox"), "from the sandbox");
        assert_eq!(authorization.refreshes(), round);
    }
    let secrets = authorization.secrets();
    for (path, content) in home.files() {
        let text = String::from_utf8_lossy(&content);
        let seen = secrets.iter().any(|secret| text.contains(secret.as_str())) || text.contains(KEY);
        assert!(!seen, "{} holds a secret in the clear", path.display());
    }

    let home = home.with(KEY_VARIABLE, "0123456789abcdef0123456789abcdef");
    let error = refusal(&home);
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(KEY_VARIABLE)), "{error}");
}

/// A16, A20, A24: before the browser opens, the login says what it asks for, of whom, and as whom it
/// will act; afterwards, what it got.
#[test]
fn a_login_says_what_it_asks_for_and_as_whom_it_acts() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        scope: Some("mail:read mail:send"),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    let said = service.login(&[]).expect(0).stderr;
    let before = &said[..said.find("/authorize?").expect("the address is shown")];
    assert!(before.contains("at 127.0.0.1, asking for mail:read mail:send"), "{said}");
    assert!(before.contains("acts as whoever is signed in there"), "{said}");
    let got = said.lines().find(|line| line.trim_start().starts_with("scopes"));
    assert!(got.is_some_and(|line| line.ends_with("mail:read mail:send")), "{said}");
}

/// A26: both expiries are listed, as far as the server tells them.
#[test]
fn both_expiries_are_listed() {
    let service = Service::new();
    let half_a_year = 15_552_000;
    service.authorization.set_expiry(json!({"expires_in": 3600, "refresh_token_expires_in": half_a_year}));
    let now = jiff::Timestamp::now().as_second();
    let said = service.login(&[]).expect(0).stderr;
    assert!(said.contains("renews by itself"), "{said}");
    let row = service.row();
    for (member, life) in [("access_token_expires_at", 3600), ("refresh_token_expires_at", half_a_year)] {
        let expiry: jiff::Timestamp = row[member].as_str().expect(member).parse().expect("RFC 3339");
        assert!((0..120).contains(&(expiry.as_second() - now - life)), "{member}: {row}");
    }
    assert_eq!(row["renews"], true);
    assert!(service.home.run(["tokens", "list"]).expect(0).stdout.contains("renews by itself"));
}

/// A28: why a login does not do any more is told apart, and in no case is it deleted.
#[test]
fn the_reasons_of_an_end_are_told_apart() {
    for (status, error, ended, says) in [
        (400, "invalid_grant", true, "revoked"),
        (401, "invalid_client", true, "client"),
        (503, "temporarily_unavailable", false, "503"),
        (429, "slow_down", false, "wait"),
    ] {
        let service = Service::logged_in();
        service.authorization.refuse_issued_access_tokens();
        let answer = json!({ "error": error }).to_string();
        service.authorization.script(move || vec![Fault::Reply(Reply::json(status, answer.clone()))]);
        let refused = refusal(&service.home);
        let reason = if ended { "login_required" } else { "unavailable" };
        assert_eq!(refused["data"]["reason"], reason, "{error}: {refused}");
        assert!(refused["message"].as_str().is_some_and(|text| text.contains(says)), "{error}: {refused}");
        let row = service.row();
        assert_eq!(row["state"] == "login_required", ended, "{error}: {row}");
        assert!(row["last_error"]["text"].is_string(), "{error}: {row}");
        assert_eq!(service.authorization.living_grants(), 1);
    }
}
