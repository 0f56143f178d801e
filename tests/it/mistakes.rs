//! What is typed wrong or goes wrong, and whether the answer leads on.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::home::{ENCRYPTION_KEY, Home};
use crate::support::http_server::{Reply, Server};
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;

#[test]
fn an_address_without_its_scheme_is_recognised() {
    let home = Home::with_file_store();
    for (typed, meant) in [
        ("mcp.example.com", "did you mean `https://mcp.example.com/`?"),
        ("example.com/mcp", "did you mean `https://example.com/mcp`?"),
        ("127.0.0.1:3000/mcp", "did you mean `http://127.0.0.1:3000/mcp`?"),
        ("front/mcp", "login URL` logs in to a new one"),
        ("acme", "login URL --name acme` logs in to a new one"),
    ] {
        let said = home.run(["login", typed]).expect(2).stderr;
        assert!(said.contains(meant), "{said}");
        assert_eq!(said.contains("--name"), typed == "acme", "{said}");
    }
    let mut bridge = Bridge::start(&home, &["example.com/mcp"]);
    let answer = bridge.initialize();
    assert!(answer["error"]["message"].as_str().unwrap().contains("`https://example.com/mcp`"), "{answer}");
}

/// The metadata know the right path, and only a resource of the same origin can be meant.
#[test]
fn an_address_with_a_wrong_path_leads_to_the_right_one() {
    let service = Service::new();
    let meant = service.server.url().replace("/mcp", "/v2/m'cp");
    let endless = format!("{meant}/{}", "x".repeat(1000));
    for (described, is_suggested) in
        [(meant.as_str(), true), ("https://mcp.example.com/mcp", false), (&endless, false)]
    {
        service.server.describe(json!({"resource": described}));
        let said = service.home.run(service.login_arguments(&["--profile", "work"])).expect(3).stderr;
        let suggestion = format!("mcp-front login \"{meant}\" --name {NAME} --store file --profile work`");
        assert_eq!(said.contains(&suggestion), is_suggested, "{suggestion}: {said}");
        assert!(!said.contains(&endless), "{said}");
        let url = service.server.url();
        let said = service.home.run(["doctor", &url]).stdout;
        assert_eq!(said.contains(&format!("mcp-front login \"{meant}\"")), is_suggested, "{said}");
        assert!(!said.contains(&format!("login {url}")), "that would fail: {said}");
    }
}

/// What this program calls itself by is neither suggested nor waits for a person to type a request.
#[test]
fn what_is_no_command_for_people_is_not_offered_to_them() {
    let home = Home::with_file_store();
    for typo in ["logn", "login-chld", "refrsh", "refresh-chil", "open-browsr", "browser"] {
        let said = home.run([typo]).expect(2).stderr;
        assert!(!said.contains("-child") && !said.contains("open-browser"), "{said}");
    }
    assert!(home.run(["logn"]).expect(2).stderr.contains("'login'"));
    for word in ["login-child", "refresh-child", "open-browser"] {
        let said = home.run([word]).expect(1).stderr;
        assert!(said.starts_with(&format!("error: `{word}` is no command for people")), "{said}");
        let mut terminal = Terminal::start(&home, &[word]);
        terminal.expect("is no command for people");
        assert_eq!(terminal.wait().code(), Some(1));
    }
}

/// What a person can do stands at the end, and is there whatever stands before it.
#[test]
fn a_long_error_is_told_to_its_end() {
    let service = Service::logged_in();
    let words = "long words ".repeat(200);
    let refused = json!({"error": "invalid_grant", "error_description": words});
    for _ in 0..2 {
        service.authorization.fault(Fault::Reply(Reply::json(400, refused.to_string())));
    }
    let outcome = service.home.run(["refresh", NAME, "--force"]).expect(4);
    assert!(outcome.stderr.contains("…") && !outcome.stderr.contains(&words), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with("works, without restarting anything\n"), "{}", outcome.stderr);

    let service = Service::logged_in();
    std::fs::write(service.home.key_file(), ENCRYPTION_KEY.replace('1', "2")).unwrap();
    let outcome = service.home.run(["refresh", NAME, "--force"]).expect(5);
    assert!(outcome.stderr.contains(&format!("tokens delete {NAME} ")), "{}", outcome.stderr);
    let outcome = service.home.run(["refresh", NAME, "--force", "--json"]).expect(5);
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(told["message"].as_str().unwrap().ends_with("can be made."), "{told}");
}

/// A service that knows API tokens alone publishes nothing, and registers nobody.
#[test]
fn a_service_without_logins_leads_to_setting_a_token() {
    for status in [404, 405] {
        let server = Server::start(move |request, responder| {
            let status = if request.path() == "/mcp" { 401 } else { status };
            responder.reply(&Reply::status(status));
        });
        let url = format!("{}/mcp", server.origin());
        let said = Home::with_file_store().run(["login", &url]).expect(3).stderr;
        assert!(said.contains("error: the service publishes no OAuth metadata\n"), "{said}");
        assert!(said.contains(&format!("tokens set {url}")) && !said.contains("--client-id"), "{said}");
    }
}

/// Several servers of one host are told apart by their ports.
#[test]
fn who_does_not_answer_is_named_with_its_port() {
    let home = Home::with_file_store();
    let said = home.run(["login", "http://127.0.0.1:1/mcp"]).expect(3).stderr;
    assert!(
        said.contains("cannot reach 127.0.0.1:1\n") && said.contains("connect to 127.0.0.1:1\n"),
        "{said}"
    );
    let said = home.run(["doctor", "http://127.0.0.1:1/mcp"]).expect(1).stdout;
    assert!(said.contains("127.0.0.1:1"), "{said}");
    let said = home.run(["login", "https://mcp.invalid:443/mcp"]).expect(3).stderr;
    assert!(said.contains("cannot reach mcp.invalid\n"), "{said}");
}

#[test]
fn a_dead_proxy_is_named_with_who_named_it() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let home = Home::with_file_store().with(variable, "http://user:canary@127.0.0.1:1");
        let said = home.run(["login", "https://mcp.example.com/mcp"]).expect(3).stderr;
        assert!(said.contains(&format!("by way of the proxy 127.0.0.1:1 ({variable})")), "{said}");
        assert!(said.contains("hint: check that the proxy is up") && !said.contains("canary"), "{said}");
    }
}

/// At a terminal it would seem to hang.
#[test]
fn a_bridge_that_a_person_starts_says_what_it_is() {
    let service = Service::logged_in();
    let mut terminal = Terminal::start(&service.home, &["bridge", NAME]);
    terminal.expect("Ctrl-C ends it");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(0));

    let mut bridge = service.home.command(["bridge", NAME]);
    let (code, said) = Process::start(bridge.stdin(Stdio::null())).outcome();
    assert_eq!((code, said.as_str()), (0, ""));
}

#[test]
fn a_refused_word_is_told_with_what_would_do() {
    let home = Home::with_file_store();
    for (arguments, told) in [
        (&["status", "--profile", "büro"][..], "at most 64 ASCII letters"),
        (&["status", "--profile", "-x"], "a letter or digit first"),
        (&["bridge", "front", "--header", "X Team"], "error: --header: it takes `Name: value`"),
        (&["bridge", "front", "--header", "Host: a"], "error: header host: "),
    ] {
        let arguments: Vec<_> = match arguments {
            [command, "--profile", name] => vec![(*command).to_owned(), format!("--profile={name}")],
            all => all.iter().map(|word| (*word).to_owned()).collect(),
        };
        let said = home.run(&arguments).expect(2).stderr;
        assert!(said.contains(told), "{said}");
    }
}

/// A remedy is whole sentences, and the tool's description goes on behind them.
#[test]
fn a_stand_in_ends_each_sentence_once() {
    let home = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let server = McpServer::guarded_by(&AuthorizationServer::start());
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    bridge.initialize();
    let tools = bridge.call(1, "tools/list", json!({}));
    let description = tools["result"]["tools"][0]["description"].as_str().unwrap();
    assert!(description.contains("Start a keychain") && !description.contains(".."), "{description}");
}

#[test]
fn several_names_make_one_sentence_and_a_code_stands_once() {
    let service = Service::logged_in();
    let names = ["one", "two"];
    for name in names {
        service.home.run(["login", &format!("{}?{name}", service.server.url()), "--name", name]).expect(0);
    }
    let said = service.home.run(["status", "--fail-within", "1h", "--strict"]).expect(1).stderr;
    let sentence = "the login of `one`, `service` and `two` ends";
    assert!(said.contains(sentence), "{said}");

    let refused = json!({"error": "invalid_client", "error_description": "bad secret"});
    for _ in 0..2 {
        service.authorization.fault(Fault::Reply(Reply::json(401, refused.to_string())));
    }
    service.home.run(["refresh", NAME, "--force"]).expect(4);
    let shown = service.home.run(["status", NAME]).expect(4).stdout;
    let line = shown.lines().find(|line| line.contains("Last error")).unwrap();
    assert_eq!(line.matches("invalid_client").count(), 1, "{shown}");
}
