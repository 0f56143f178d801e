//! `mcp-front doctor`: each break is found where it is, named, and comes with what to run.

use std::net::TcpListener;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::fake_keychain::{Conduct, FakeKeychain};
use crate::support::home::Home;
use crate::support::http_server::{Reply, Server};
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};
use crate::support::tls_service::TlsService;

/// What doctor finds, check by check.
pub(crate) fn examine(home: &Home, target: &[&str], code: i32) -> Vec<Value> {
    let words = ["doctor", "--json"].iter().chain(target);
    let outcome = home.run(words).expect(code);
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(document["version"], 1);
    document["findings"].as_array().expect("a list").clone()
}

pub(crate) fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check}"))
}

/// The checks that ended with `mark`.
pub(crate) fn marked<'a>(findings: &'a [Value], mark: &str) -> Vec<&'a str> {
    let marked = findings.iter().filter(|finding| finding["mark"] == mark);
    marked.map(|finding| finding["check"].as_str().unwrap()).collect()
}

#[test]
fn a_login_that_works_passes_every_check() {
    let service = Service::logged_in();
    let findings = examine(&service.home, &[NAME], 0);
    let order: Vec<_> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(
        order,
        [
            "settings",
            "directory",
            "lock",
            "store",
            "network",
            "clock",
            "discovery",
            "client",
            "redirect",
            "token",
            "scopes",
            "session"
        ]
    );
    assert_eq!(marked(&findings, "bad"), [""; 0], "{findings:?}");
    let session = finding(&findings, "session")["text"].as_str().unwrap();
    assert!(session.contains("tool; all of it took"), "{session}");
    let all = examine(&service.home, &[], 0);
    assert_eq!(all.len(), findings.len(), "the one service of the profile");
}

/// The output is there to be handed around.
#[test]
fn no_secret_is_told() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    for arguments in [&["doctor", NAME][..], &["doctor", "--json"], &["doctor", NAME, "-vvv"]] {
        let outcome = service.home.run(arguments);
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(
            service.authorization.secrets().iter().all(|secret| !told.contains(secret.as_str())),
            "{told}"
        );
    }
}

/// A service that takes a key in a header of its own, wants no login, and repeats the key.
#[test]
fn a_header_of_the_users_opens_the_door_and_is_in_no_report() {
    const KEY: &str = "canary-of-the-gateway";
    let server = McpServer::scripted(|request, responder| {
        if request.header("X-Gateway") != Some(KEY) {
            responder.reply(&Reply::json(401, json!({"error": "no way in"}).to_string()));
            return true;
        }
        let is_first = request.method == "POST" && request.json()["method"] == "initialize";
        if is_first {
            let server = json!({"name": KEY, "version": request.header("X-Empty").unwrap_or("?")});
            let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": server});
            let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result});
            responder.reply(&Reply::json(200, answer.to_string()));
        }
        is_first
    });
    let home = Home::with_file_store().with("GATEWAY_KEY", KEY);
    // What is hidden must not break up what holds it.
    let url = format!("{}?api_key=canary-of", server.url());
    let header = "X-Gateway: ${GATEWAY_KEY}";
    for (flags, input, code) in [
        (&[][..], "", 1),
        (&["--header", header, "--header=X-Empty:"], "", 0),
        (&["--header-file", "/dev/stdin"], &format!("{header}\nX-Empty:\n"), 0),
    ] {
        let outcome = home.run_with_input([&["doctor", "--json", &url], flags].concat(), input.as_bytes());
        assert!(!format!("{outcome:?}").contains(KEY), "{outcome:?}");
        let report: Value = serde_json::from_str(&outcome.expect(code).stdout).expect("JSON");
        let session = finding(report["findings"].as_array().unwrap(), "session")["text"].to_string();
        assert_eq!(session.contains("[secret]  speaks 2025-11-25"), code == 0, "{session}");
    }
    // Of the settings, where it cannot be read; and never for all services at once.
    let outcome = home.run(["doctor", &url, "--header", "X-Gateway: ${NO_SUCH_VARIABLE}"]).expect(1);
    assert!(outcome.stdout.contains("NO_SUCH_VARIABLE is not set"), "{}", outcome.stdout);
    home.run(["doctor", "--header", "X-Gateway: x"]).expect(2);
}

#[test]
fn a_token_that_ended_is_renewed_for_the_check() {
    let service = Service::with_expired_token();
    let findings = examine(&service.home, &[NAME], 0);
    let token = finding(&findings, "token");
    assert!(token["text"].as_str().unwrap().ends_with("and renews by itself"), "{token}");
}

#[test]
fn a_service_without_a_login_is_told_what_to_run() {
    let service = Service::new();
    let findings = examine(&service.home, &[&service.server.url()], 1);
    assert_eq!(marked(&findings, "bad"), ["token"]);
    assert_eq!(finding(&findings, "session")["mark"], "skipped");
    assert_eq!(finding(&findings, "discovery")["mark"], "good");
    let remedy = finding(&findings, "token")["remedy"].as_str().unwrap();
    let command = remedy.split('`').nth(1).expect("a command");
    service.home.in_another_terminal(command, &[], b"").expect(0);
    assert_eq!(marked(&examine(&service.home, &[&service.server.url()], 0), "bad"), [""; 0]);
}

#[test]
fn a_service_that_is_gone_is_told_from_a_login_that_is() {
    let service = Service::logged_in();
    service.authorization.revoke_grants();
    service.authorization.refuse_issued_access_tokens();
    let findings = examine(&service.home, &[NAME], 1);
    assert_eq!(marked(&findings, "bad"), ["session"], "its token is not due yet");
    let session = finding(&findings, "session");
    assert!(session["remedy"].as_str().unwrap().contains("login"), "{session}");
    let findings = examine(&service.home, &[NAME], 1);
    assert_eq!(marked(&findings, "bad"), ["token"]);

    let home = Home::with_file_store();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let findings = examine(&home, &[&format!("http://{closed}/mcp")], 1);
    assert_eq!(marked(&findings, "bad"), ["network"]);
    for skipped in ["clock", "discovery", "token", "session"] {
        assert_eq!(finding(&findings, skipped)["mark"], "skipped", "{skipped}");
    }
    let findings = examine(&home, &["https://no-such-host.invalid/mcp"], 1);
    let network = finding(&findings, "network");
    assert!(
        network["text"].as_str().unwrap().starts_with("no-such-host.invalid has no address"),
        "{network}"
    );
}

#[test]
fn a_pinned_port_that_is_taken_is_noticed() {
    let service = Service::front_like();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port.local_addr().unwrap().port().to_string();
    drop(port);
    service.login(&["--callback-port", &number]).expect(0);
    assert_eq!(finding(&examine(&service.home, &[NAME], 0), "redirect")["mark"], "good");
    let _taken = std::net::TcpListener::bind(format!("127.0.0.1:{number}")).unwrap();
    let findings = examine(&service.home, &[NAME], 0);
    assert_eq!(marked(&findings, "notice"), ["redirect"]);
}

/// G06, C11: bounded, and without a prompt.
#[test]
fn a_locked_keychain_is_named() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    assert_eq!(marked(&examine(&service.home, &[NAME], 0), "bad"), [""; 0]);
    session.lock();
    let findings = examine(&service.home, &[NAME], 1);
    assert_eq!(marked(&findings, "bad"), ["store", "token"]);
    assert_eq!(finding(&findings, "store")["remedy"], json!("unlock the keychain"));
}

/// G07: what is stored in a session's collection is gone at its end.
#[test]
fn a_keychain_that_forgets_is_noticed() {
    let Some(session) = Session::without_keychain() else { return };
    let _keychain = FakeKeychain::start(&session, Conduct::Volatile);
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let findings = examine(&service.home, &[NAME], 0);
    assert_eq!(marked(&findings, "notice"), ["store"], "{findings:?}");
    let store = finding(&findings, "store");
    assert!(store["text"].as_str().unwrap().contains("forgets at logout"), "{store}");
    assert!(store["remedy"].as_str().unwrap().contains("--store file"), "{store}");
}

#[test]
fn nothing_stored_leaves_the_machine_to_check() {
    let home = Home::with_file_store();
    let findings = examine(&home, &[], 0);
    assert_eq!(findings.len(), 4);
    let text = home.run(["doctor"]).expect(0).stdout;
    assert!(text.starts_with("✓ settings") && text.ends_with("\nNothing is broken.\n"), "{text}");
}

/// The network's finding on an endpoint, where `home` decides how it is reached.
fn network(home: &Home, url: &str) -> (String, String) {
    let findings = examine(home, &[url], 1);
    assert_eq!(marked(&findings, "bad"), ["network"], "{findings:?}");
    let network = finding(&findings, "network");
    let text = |member: &str| network[member].as_str().unwrap_or_default().to_owned();
    (text("text"), text("remedy"))
}

/// I02: the clock is held against the server's.
#[test]
fn a_clock_that_is_wrong_is_noticed() {
    for (ahead, mark) in [(0, "good"), (-180, "notice"), (7200, "bad"), (-7200, "bad")] {
        let server = Server::start(move |_, responder| {
            let now = Timestamp::now() - SignedDuration::from_secs(ahead);
            let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            responder.reply(&Reply::status(404).header("Date", date));
        });
        let url = format!("{}/mcp", server.origin());
        let findings = examine(&Home::with_file_store(), &[&url], 1);
        let clock = finding(&findings, "clock");
        assert_eq!(clock["mark"], mark, "{ahead}: {clock}");
        assert_eq!(clock["remedy"].is_string(), mark != "good", "{clock}");
    }
}

#[test]
fn a_certificate_that_nobody_trusts_is_told_with_the_flag_for_it() {
    let service = TlsService::on_loopback(None);
    let (text, remedy) = network(&service.home, &service.url);
    assert!(text.contains("certificate") && remedy.contains("--ca-file"), "{text}: {remedy}");
    let roots = service.authority.roots();
    let findings = examine(&service.home, &[&service.url, "--ca-file", &roots], 1);
    assert_eq!(marked(&findings, "bad"), ["token"], "nobody has logged in yet");
}

#[test]
fn a_proxy_that_does_not_work_is_told_from_the_server() {
    let refusing = Server::start(|_, responder| {
        responder.reply(&Reply::status(407).header("Proxy-Authenticate", "Basic"));
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for proxy in [refusing.origin(), format!("http://{closed}")] {
        let home = Home::with_file_store().with("HTTPS_PROXY", &proxy);
        let (text, remedy) = network(&home, "https://service.example/mcp");
        assert!(remedy.contains("HTTPS_PROXY"), "{proxy}: {text}: {remedy}");
        let findings = examine(&home, &["front"], 1);
        let token = finding(&findings, "token");
        assert_eq!(token["mark"], "skipped", "{token}");
        assert!(token["remedy"].as_str().is_some_and(|text| text.contains("login front")), "{token}");
    }
}

/// Each check has its limit.
#[test]
fn a_server_that_says_nothing_is_waited_for_no_longer_than_the_check_takes() {
    let silent = Server::start(|_, responder| responder.wait_for_close());
    let (text, _) = network(&Home::with_file_store(), &format!("{}/mcp", silent.origin()));
    assert!(text.contains("time"), "{text}");
}
