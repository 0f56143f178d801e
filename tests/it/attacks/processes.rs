//! Attacks by looking at processes (C05, C06): their arguments, and what they hand to their children.

use serde_json::json;

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::canaries::{Evidence, HEADER_VARIABLES, KEY, KEY_VARIABLE};
use crate::support::gate::Gate;
use crate::support::home::{BINARY, Home};
use crate::support::mcp_server::McpServer;
use crate::support::processes;
use crate::support::scene::{LOGS, Scene};
use crate::support::service::{NAME, Service};
use crate::support::skip;

/// Secrets of the host's and of other programs, under the names that they usually have.
const FOREIGN: [(&str, &str); 14] = [
    ("AWS_SECRET_ACCESS_KEY", "canary-foreign-aws-1"),
    ("GITHUB_TOKEN", "canary-foreign-github-2"),
    ("ANTHROPIC_API_KEY", "canary-foreign-anthropic-3"),
    ("OPENAI_KEY", "canary-foreign-openai-4"),
    ("DATABASE_PASSWORD", "canary-foreign-database-5"),
    ("NPM_CONFIG__AUTH", "canary-foreign-npm-6"),
    ("AZURE_DEVOPS_PAT", "canary-foreign-azure-7"),
    ("GOOGLE_CREDENTIALS", "canary-foreign-google-8"),
    ("front_api_token", "canary-foreign-front-9"),
    ("DATABASE_URL", "postgres://user:canary-foreign-database-10@db.example/"),
    ("SENTRY_DSN", "https://canary-foreign-sentry-11@sentry.example/1"),
    ("STRIPE_SK", "canary-foreign-stripe-12"),
    ("SIGNING_KEY_BASE64", "canary-foreign-signing-13"),
    ("XDG_SECRET_TOKEN", "canary-foreign-desktop-14"),
];

/// Bar 6, A29: login by callback and by paste, refresh, listing and deleting, with an encrypted store.
#[test]
fn c05_a_login_that_goes_well_leaves_no_secret_in_arguments_or_anywhere() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        let seen = scene.service.browser.seen();
        assert!(seen.contains("HOME=") && seen.contains("/authorize?"), "{seen}");
        assert!(!seen.contains(KEY_VARIABLE), "{seen}");
        scene.evidence.add("the browser", seen);
        scene.log_in_by_paste().expect(0);
        scene.list();

        let mut bridge = scene.bridge(&[NAME]);
        bridge.initialize();
        scene.service.authorization.refuse_issued_access_tokens();
        let echoed = scene.look_while_held("refresh-child", || (bridge.echo(1, "hello"), bridge));
        assert_eq!(echoed.0, "hello");
        scene.leave(echoed.1);
        scene.list();
        scene.run(&["tokens", "delete", NAME, "--yes"], "").expect(0);
        scene.conclude();
    }
}

/// There is no flag that takes a secret, and none is learned from a mistake.
#[test]
fn c05_no_flag_takes_a_secret() {
    let service = Service::front_like();
    let url = service.server.url();
    for words in [
        &["login", &url, "--client-id", "id", "--client-secret", "x"][..],
        &["login", &url, "--token", "x"],
        &["login", &url, "--password", "x"],
        &["bridge", &url, "--login", "--client-id", "id", "--client-secret", "x"],
        &["bridge", &url, "--token", "x"],
        &["bridge", &url, "--bearer", "x"],
        &["tokens", "set", &url, "x"],
        &["tokens", "set", &url, "--token", "x"],
        &["tokens", "set", &url, "--encryption-key", "x"],
        &["refresh", &url, "--refresh-token", "x"],
    ] {
        service.home.run(words).expect(2);
    }
    assert!(service.server.requests().is_empty() && service.authorization.token_requests().is_empty());
}

/// Bar 6: what a browser and each helper get of a host's environment: the key goes to whoever opens the
/// store, and a foreign secret to nobody.
#[test]
fn c06_foreign_secrets_reach_neither_a_browser_nor_a_helper() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let home = Home::bare().with("MCP_FRONT_STORE", "file").with(KEY_VARIABLE, KEY);
    let home = FOREIGN.iter().fold(home, |home, (name, value)| home.with(name, *value));
    let service = Service::of(authorization.clone(), server, home);
    let look_at_helper = |subcommand: &str| {
        let mark = format!("HOME={}", service.home.path().display());
        let command = format!("{BINARY}\0{subcommand}\0");
        let seen = processes::with_variable(&mark);
        let mut helpers = seen.iter().filter(|seen| seen.arguments == command.as_bytes());
        let helper = helpers.next().unwrap_or_else(|| panic!("no {subcommand} runs"));
        let Some(environment) = &helper.environment else {
            return skip("root, who alone sees what a helper of ours got,");
        };
        assert!(memchr::memmem::find(environment, KEY_VARIABLE.as_bytes()).is_some(), "it opens the store");
        for (name, value) in FOREIGN {
            assert!(memchr::memmem::find(environment, value.as_bytes()).is_none(), "{name}: {subcommand}");
        }
    };
    let url = service.server.url();
    let mut bridge = Bridge::start(&service.home, &[&url, "--login", "--strict", "--name", NAME]);
    for (subcommand, id) in [("login-child", 0), ("refresh-child", 1)] {
        let gate = Gate::default();
        authorization.fault(Fault::Hold(gate.clone()));
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| match id {
                0 => bridge.initialize(),
                id => bridge.call(id, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}})),
            });
            gate.wait_for_arrivals(1);
            look_at_helper(subcommand);
            gate.open();
            assert!(answer.join().expect("an answer")["result"].is_object());
        });
        authorization.refuse_issued_access_tokens();
    }
    let browser = service.browser.seen();
    assert!(browser.contains("HOME=") && browser.contains("/authorize?"), "{browser}");
    assert!(!browser.contains("canary-foreign") && !browser.contains(KEY_VARIABLE), "{browser}");
}

/// Bar 6, C06: what a header's variables hold reaches the server, and neither a browser nor any other
/// helper of the bridge's.
#[test]
fn c06_what_stands_in_headers_reaches_no_helper() {
    let values = ["canary-of-the-team-41", "canary-of-the-team-42"];
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let home = HEADER_VARIABLES
        .iter()
        .zip(values)
        .fold(Home::with_file_store(), |home, (name, value)| home.with(name, value));
    let mut evidence = Evidence::in_home(&home);
    let service = Service::of(authorization.clone(), server, home);
    let gate = Gate::default();
    authorization.fault(Fault::Hold(gate.clone()));
    let url = service.server.url();
    let headers = HEADER_VARIABLES.map(|name| format!("X-{}: ${{{name}}}", name.replace('_', "-")));
    let flags = ["--login", "--strict", "--header", &headers[0], "--header", &headers[1]];
    let mut bridge = Bridge::start(&service.home, &[&[url.as_str()][..], &flags].concat());
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| bridge.initialize());
        gate.wait_for_arrivals(1);
        let seen = evidence.look_at_processes();
        assert!(seen.iter().any(|line| line.contains("login-child")), "{seen:#?}");
        gate.open();
        assert!(answer.join().expect("an answer")["result"].is_object());
    });
    evidence.add("the browser", service.browser.seen());
    let sent = service.server.requests().pop().expect("a request");
    for (name, value) in HEADER_VARIABLES.iter().zip(values) {
        assert_eq!(sent.header(&format!("X-{}", name.replace('_', "-"))), Some(value));
    }
    evidence.assert_free_of(&values.map(str::to_owned).into());
}
