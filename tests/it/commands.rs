//! What the commands say, to a person and to a script: output, hints and exit codes.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::{Home, finish};
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};

const ENDPOINT: &str = "https://mcp.example.com/mcp";
const TOKEN: &str = "canary-static-token-0d3f";

fn listed(home: &Home) -> Vec<Value> {
    serde_json::from_str(&home.run(["tokens", "list", "--json"]).expect(0).stdout).unwrap()
}

/// A1, A8: a token that is tied to no session.
#[test]
fn a_token_is_set_sent_listed_and_deleted() {
    let home = Home::with_file_store();
    let server = McpServer::open();
    let set = |value: &str| {
        let token = format!("{value}\n");
        home.run_with_input(["tokens", "set", &server.url(), "--name", "mock"], token.as_bytes()).expect(0)
    };
    assert!(set("an-older-one").stderr.contains("Added the token of mock"));
    assert!(set(TOKEN).stderr.contains("Updated the token of mock"));

    let mut bridge = Bridge::start(&home, &["mock"]);
    bridge.initialize();
    let sent = server.requests().last().unwrap().header("authorization").map(str::to_owned);
    assert_eq!(sent, Some(format!("Bearer {TOKEN}")));

    let [service] = &listed(&home)[..] else { panic!("one service is stored") };
    assert_eq!(service["name"], "mock");
    assert_eq!(service["kind"], "token");
    assert_eq!(service["state"], "static");
    assert_eq!(service["store"], "file");
    let shown = home.run(["tokens", "list"]).expect(0);
    assert!(shown.stdout.contains("mock"), "{}", shown.stdout);
    for file in home.files() {
        let held = file.1.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!held, "{} holds the token in the clear", file.0.display());
    }

    home.run(["tokens", "delete", "mock", "--yes"]).expect(0);
    home.run(["tokens", "delete", "mock", "--yes"]).expect(0);
    assert_eq!(listed(&home), Vec::<Value>::new());
}

/// A login is not thrown away for a token unasked: listed or not, it serves on.
#[test]
fn a_login_gives_way_to_a_token_only_where_that_is_said() {
    let service = Service::logged_in();
    let url = service.server.url();
    let set = |more: &[&str]| {
        let arguments = [&["tokens", "set", &url, "--name", NAME], more].concat();
        service.home.run_with_input(arguments, TOKEN.as_bytes())
    };
    let refused = set(&[]).expect(2).stderr;
    assert!(refused.contains(&format!("logout {NAME} ")) && refused.contains("--force"), "{refused}");
    std::fs::remove_file(service.entry_file()).unwrap();
    set(&[]).expect(2);
    service.login(&[]).expect(0);
    assert_eq!((&service.row()["kind"], service.browser.tabs()), (&json!("oauth"), 0));

    let said = set(&["--force"]).expect(0).stderr;
    assert!(said.contains("Nothing was revoked; to end the login itself"), "{said}");
    assert_eq!(service.row()["kind"], "token");
    set(&[]).expect(0);
}

/// The record wins: a damaged index entry hides no login from whoever names its URL, and is named.
#[test]
fn a_damaged_index_entry_costs_no_login() {
    let services = |service: &Service| service.home.path().join("state/services");
    let foreign = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let key = path.file_stem().unwrap().to_str().unwrap();
        std::fs::write(path, text.replace(key, &"0".repeat(key.len()))).unwrap();
    };
    let cut = |path: &Path| std::fs::write(path, "{").unwrap();
    let fifo = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o600.into(), 0).unwrap();
    };
    for damage in [&foreign as &dyn Fn(&Path), &cut, &fifo] {
        let service = Service::with_expired_token();
        let url = service.server.url();
        let path = std::fs::read_dir(services(&service)).unwrap().next().unwrap().unwrap().path();
        damage(&path);
        let mut bridge = Bridge::start(&service.home, &[&url]);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "on"), "on");
        drop(bridge);
        assert_eq!(listed(&service.home).len(), 1, "the refresh repaired it");

        // Nothing but the record tells which store is meant.
        damage(&path);
        let mut command = service.home.command(["login", &url, "--name", NAME]);
        command.env_remove("MCP_FRONT_STORE");
        let again = finish(command, b"").expect(0).stderr;
        assert!(again.contains(path.to_str().unwrap()), "{again}");
        assert_eq!(service.browser.tabs(), 0, "the login is good");
        assert_eq!((&service.row()["name"], &service.row()["store"]), (&json!(NAME), &json!("file")));

        damage(&path);
        let list = service.home.run(["tokens", "list"]).expect(0);
        assert!(list.stderr.contains(path.to_str().unwrap()), "{}", list.stderr);
        assert!(list.stderr.contains("login URL`, with its address"), "{}", list.stderr);
        let mut bridge = service.bridge();
        let answer = bridge.call(0, "initialize", initialize_params());
        let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
        assert!(message.contains(path.to_str().unwrap()) && message.contains("by its URL"), "{message}");
        let unknown = service.home.run(["tokens", "delete", NAME, "--yes"]).expect(5);
        assert!(unknown.stderr.contains("found by its URL"), "{}", unknown.stderr);
        service.home.run(["tokens", "delete", &url, "--yes"]).expect(0);
        assert!(!path.exists());
        let sealed = service
            .home
            .files()
            .into_iter()
            .any(|(path, _)| path.extension().is_some_and(|end| end == "sealed"));
        assert!(!sealed && listed(&service.home).is_empty());
    }
}

/// A5: one identity a profile.
#[test]
fn profiles_keep_the_same_service_apart() {
    let home = Home::with_file_store();
    for profile in ["default", "service-user"] {
        let arguments = ["tokens", "set", ENDPOINT, "--profile", profile];
        home.run_with_input(arguments, profile.as_bytes()).expect(0);
    }
    let profiles: Vec<Value> = listed(&home).iter().map(|service| service["profile"].clone()).collect();
    assert_eq!(profiles, [json!("default"), json!("service-user")]);
    let one = home.run(["tokens", "list", "--json", "--profile", "service-user"]).expect(0).stdout;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&one).unwrap().len(), 1);
    home.run(["tokens", "delete", "example", "--yes"]).expect(0);
    assert_eq!(listed(&home)[0]["profile"], "service-user");
}

/// There is nothing to confirm where nothing is stored.
#[test]
fn deleting_nothing_says_so_without_asking() {
    let home = Home::with_file_store();
    for (target, name) in [("front", "front"), (ENDPOINT, "example"), ("elsewhere", "elsewhere")] {
        for arguments in [&["tokens", "delete", target][..], &["tokens", "delete", target, "--yes"]] {
            let said = home.run(arguments).expect(0).stderr;
            assert!(said.starts_with("Nothing ") && said.contains(name), "{said}");
        }
    }
    let keyless = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let said = keyless.run(["tokens", "delete", ENDPOINT]).expect(0).stderr;
    assert!(said.contains("Nothing is stored for example"), "{said}");
    // A record that the index does not know of is something.
    home.run_with_input(["tokens", "set", ENDPOINT], b"value").expect(0);
    std::fs::remove_dir_all(home.path().join("state/services")).unwrap();
    let asked = home.run(["tokens", "delete", ENDPOINT]).expect(2);
    assert!(asked.stderr.contains("a confirmation is needed"), "{}", asked.stderr);
    let deleted = home.run(["tokens", "delete", ENDPOINT, "--yes"]).expect(0);
    assert!(deleted.stderr.contains("Deleted what was stored for example"), "{}", deleted.stderr);
}

#[test]
fn tokens_that_no_header_can_carry_are_refused_without_being_shown() {
    let home = Home::with_file_store();
    let long = "x".repeat(4097);
    for (input, problem) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("canary\nsecond line\n", "has control characters"),
        ("canary\u{0}", "has control characters"),
        (&long, "is longer than 4096 bytes"),
        (" \n", "is empty"),
        ("\u{feff}", "is empty"),
        ("canary-t\u{f6}k", "no header can carry: copy it anew"),
        ("Bearer canary", "give the token alone"),
        ("\u{feff} bearer  canary ", "give the token alone"),
    ] {
        let refused = home.run_with_input(["tokens", "set", ENDPOINT], input.as_bytes()).expect(2);
        assert!(refused.stderr.contains(problem), "{}", refused.stderr);
        assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    }
    assert!(listed(&home).is_empty());
}

/// Editors leave a byte order mark, and clipboards blanks: they are no part of the token.
#[test]
fn what_stands_around_a_token_is_left_out() {
    let server = McpServer::open();
    for input in [format!("\u{feff}{TOKEN}\r\n"), format!("\u{feff}  {TOKEN} \n")] {
        let home = Home::with_file_store();
        home.run_with_input(["tokens", "set", &server.url(), "--name", "mock"], input.as_bytes()).expect(0);
        Bridge::start(&home, &["mock"]).initialize();
        let sent = server.requests().last().unwrap().header("authorization").map(str::to_owned);
        assert_eq!(sent, Some(format!("Bearer {TOKEN}")), "{input:?}");
    }
}

#[test]
fn mistakes_are_named_with_what_to_do_and_their_exit_code() {
    let home = Home::with_file_store().with("BROKEN", "a\nb");
    home.run_with_input(["tokens", "set", ENDPOINT, "--name", "example"], b"value").expect(0);
    for (arguments, error, hint) in [
        (
            &["tokens", "set", "exampel"] as &[&str],
            "no service is named `exampel`",
            "did you mean `example`?",
        ),
        (&["login", "other"], "no service is named `other`", "login URL --name other"),
        (&["bridge", "https://x.test/", "--client-id", "x"], "--client-id is of no use without --login", ""),
        (&["bridge", "https://x.test/", "--login", "--no-browser"], "needs a browser", ""),
        (&["login", "front", "--client-metadata-url", "http://x.test/c"], "it must be an https URL", ""),
        (&["login", "front", "--client-metadata-url", "https://x.test"], "must have a path", ""),
        (&["login", "front", "--client-metadata-url", "https://x.test/c#d"], "no fragment", ""),
        (&["bridge", "http://x.test/"], "plain http", "--allow-http"),
        (&["bridge", "https://x.test/", "--header", "X-Key: ${MISSING}"], "MISSING is not set", ""),
        (&["bridge", "https://x.test/", "--header", "X-Key: ${BROKEN}"], "x-key", ""),
        (&["bridge", "https://x.test/", "--header", "Authorization: x"], "authorization", ""),
        (&["bridge", "https://x.test/", "--header-file", "missing"], "cannot read missing", ""),
        (
            &["tokens", "set", "example", "--store", "keyring"],
            "in the store `file`, but --store says `keyring`",
            "--store file",
        ),
        (&["login"], "nothing can be asked here", "mcp-front login front"),
        (&["login", "front", "--client-id", "x"], "the client's secret is needed", "--client-secret-file"),
        (&["login", "https://y.test/", "--store", "memory"], "memory store forgets", ""),
        (
            &["login", "https://y.test/", "--name", "example"],
            "`example` is the name of https://mcp.example.com/mcp",
            "",
        ),
        (&["login", "https://y.test/", "--name", "a/b"], "--name: `a/b` is not a name", ""),
        (&["tokens", "delete", "example"], "a confirmation is needed", "--yes"),
        (&["--profile", "../x", "tokens", "list"], "--profile: `../x` is not a name", ""),
    ] {
        let refused = home.run(arguments).expect(2);
        assert_eq!(refused.stdout, "", "{arguments:?}");
        assert!(
            refused.stderr.starts_with("error: ") || refused.stderr.contains("\nerror: "),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains(error), "{arguments:?}: {}", refused.stderr);
        assert!(hint.is_empty() || refused.stderr.contains("hint: "), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(hint), "{arguments:?}: {}", refused.stderr);
    }
}

/// Where there is no keychain, the hint says how to store the token elsewhere, under its name.
#[test]
fn a_token_without_a_keychain_may_go_to_files() {
    let home = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let arguments = ["tokens", "set", ENDPOINT, "--name", "mine", "--store", "keyring"];
    let said = home.run_with_input(arguments, b"value").expect(5).stderr;
    assert!(said.contains(&format!("tokens set {ENDPOINT} --name mine --store file`")), "{said}");
}

#[test]
fn the_environment_is_checked_and_named() {
    for (name, value) in
        [("MCP_FRONT_STORE", "vault"), ("MCP_FRONT_PROFILE", "a b"), ("MCP_FRONT_LOG", "a=b=c")]
    {
        let refused = Home::with_file_store().with(name, value).run(["tokens", "list"]).expect(2);
        assert!(refused.stderr.contains(&format!("error: {name}: `{value}`")), "{}", refused.stderr);
    }
}

#[test]
fn headers_reach_the_service() {
    let server = McpServer::open();
    let home = Home::with_file_store().with("TEAM", "blue");
    std::fs::write(home.path().join("headers"), "# of the team\nX-Two: 2\n").unwrap();
    let url = server.url();
    let mut bridge = Bridge::start(&home, &[&url, "--header", "X-Team: ${TEAM}", "--header-file", "headers"]);
    bridge.initialize();
    let request = &server.requests()[0];
    assert_eq!(request.header("x-team"), Some("blue"));
    assert_eq!(request.header("x-two"), Some("2"));
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn help_names_every_command_and_no_hidden_one() {
    let home = Home::bare();
    let help = home.run(["--help"]).expect(0).stdout;
    for command in ["login", "logout", "bridge", "status", "refresh", "tokens", "demo"] {
        assert!(help.contains(&format!("\n  {command}  ")), "{help}");
        home.run([command, "--help"]).expect(0);
    }
    assert!(!help.contains("-child") && !help.contains("open-browser"), "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    assert!(home.run(["--version"]).expect(0).stdout.starts_with("mcp-front "));
}

/// A host that is called like a known service does not take its name by chance; and where a person gave
/// the name away, no command names the known service by it.
#[test]
fn the_name_of_a_known_service_means_it() {
    let home = Home::with_file_store();
    home.run_with_input(["tokens", "set", "https://mcp.front.example/mcp"], b"one").expect(0);
    let names = |home: &Home| -> Vec<String> {
        listed(home).iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&home), ["front-2"]);
    assert!(home.run(["status", "front"]).expect(4).stdout.contains("https://mcp.frontapp.com/mcp"));

    let given = ["tokens", "set", "https://other.example/mcp", "--name", "front"];
    home.run_with_input(given, b"two").expect(0);
    let known = home.run(["status", "https://mcp.frontapp.com/mcp"]).expect(4);
    assert!(known.stderr.contains("mcp-front login https://mcp.frontapp.com/mcp"), "{known:?}");
}
