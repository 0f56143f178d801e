//! Services that take a key in their address: it goes to the service, lies in the index, and is shown to
//! nobody.

use serde_json::json;

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::Browser;
use crate::support::home::{Home, finish};
use crate::support::http_server::{Reply, Request};
use crate::support::mcp_server::{McpServer, Setup};

const KEY: &str = "canary-key-in-the-address";

/// A server that wants a login besides.
fn guarded() -> McpServer {
    let refuse = |_: &_| Some(Reply::json(401, "{}").header("WWW-Authenticate", "Bearer"));
    McpServer::start(Setup { unguarded: Some(Box::new(refuse)), ..Setup::default() })
}

fn assert_free_of_key(what: &str, said: &[u8]) {
    let said = String::from_utf8_lossy(said);
    assert!(!said.contains(KEY), "{what}: {said}");
}

/// All that the host, its model and whoever reads the log see of a bridge.
fn said_by_a_bridge(home: &Home, arguments: &[&str]) -> Vec<u8> {
    let mut bridge = Bridge::start(home, arguments);
    let mut said = Vec::new();
    for (id, method, params) in [
        (1, "initialize", initialize_params()),
        (2, "tools/list", json!({})),
        (3, "tools/call", json!({"name": "log_in", "arguments": {}})),
    ] {
        said.extend(bridge.call(id, method, params).to_string().into_bytes());
    }
    bridge.close_stdin();
    said.extend(bridge.wait().1.concat());
    said.extend(bridge.process.stderr.to_end());
    said
}

#[test]
fn a_key_in_the_address_is_shown_to_nobody() {
    let server = guarded();
    let url = format!("{}?api_key={KEY}&region=eu", server.url());
    let home = Home::with_file_store();
    for arguments in [&[url.as_str()] as &[_], &[&url, "--strict"], &[&url, "-vvv"]] {
        assert_free_of_key("bridge", &said_by_a_bridge(&home, arguments));
    }
    let shown = said_by_a_bridge(&home, &[&url]);
    assert!(String::from_utf8_lossy(&shown).contains("?api_key=…&region=…"));
    let run = |arguments: &[&str], input: &str| {
        let outcome = home.run_with_input(arguments, input.as_bytes());
        assert_free_of_key(&arguments.join(" "), format!("{outcome:?}").as_bytes());
        outcome
    };
    run(&["doctor", &url], "");
    run(&["doctor", &url, "--json"], "");
    run(&["status", &url], "");
    run(&["login", &url, "--no-input"], "");
    run(&["login", &url.replace("://", "//"), "--no-input"], "");
    let set = run(&["tokens", "set", &url, "--name", "keyed"], "some-token\n").expect(0);
    assert!(set.stderr.contains("`api_key` in the address looks like a key"), "{}", set.stderr);
    for arguments in [
        &["doctor"] as &[_],
        &["doctor", "--json"],
        &["status"],
        &["status", "keyed", "--json"],
        &["tokens", "list"],
        &["tokens", "list", "--json"],
        &["tokens", "set", "http://127.0.0.1:9/other", "--name", "keyed"],
        &["refresh", "keyed"],
    ] {
        run(arguments, "other-token\n");
    }
    assert_free_of_key("bridge keyed", &said_by_a_bridge(&home, &["keyed", "-vvv"]));
    let holders = home.files().into_iter().filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains(KEY));
    let holders: Vec<_> = holders.map(|(path, _)| path).collect();
    let is_index = holders[0].parent().is_some_and(|parent| parent.ends_with("services"));
    assert!(holders.len() == 1 && is_index, "{holders:?}");
    run(&["tokens", "delete", "keyed", "--yes"], "").expect(0);
    let requests = server.requests().into_iter().filter(|request| request.path() == "/mcp");
    let keys: Vec<_> = requests.map(|request| request.query().remove("api_key")).collect();
    assert!(keys.len() > 5 && keys.iter().all(|key| key.as_deref() == Some(KEY)), "{keys:?}");
}

/// What a login says of where it looks, with the log as it goes deepest.
#[test]
fn a_key_in_the_address_is_in_no_log_of_a_login() {
    let refuse = |_: &_| {
        let pointer = "Bearer resource_metadata=\"http://169.254.169.254/metadata\"";
        Some(Reply::json(401, "{}").header("WWW-Authenticate", pointer))
    };
    let pointed_away = McpServer::start(Setup { unguarded: Some(Box::new(refuse)), ..Setup::default() });
    let authorization = AuthorizationServer::start();
    let sound = McpServer::guarded_by(&authorization);
    for (server, said, code) in [
        (&pointed_away, "names its metadata at an address that is not asked", 3),
        (&sound, "resource=\"http://127.0.0.1", 0),
    ] {
        let url = format!("{}?api_key={KEY}", server.url());
        let browser = Browser::consenting();
        let home = Home::with_file_store().with("BROWSER", browser.executable());
        for directive in ["mcp_front=trace,rmcp=trace", "trace"] {
            let mut command = home.command(["login", &url, "--force"]);
            command.env("MCP_FRONT_LOG", directive);
            let outcome = finish(command, b"").expect(code);
            assert_free_of_key(directive, format!("{outcome:?}").as_bytes());
            assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        }
    }
}

/// A server that repeats the key wherever a refusal has room for text.
#[test]
fn a_key_in_the_address_that_a_refusal_repeats_is_told_to_nobody() {
    for refusal in [
        |key: &str| Reply::status(302).header("Location", format!("http://{key}.example/{key}?{key}")),
        |key: &str| challenge(401, &format!("error=\"{key}\", scope=\"{key}\"")),
        |key: &str| challenge(403, &format!("error=\"insufficient_scope\", scope=\"{key} more\"")),
    ] {
        let refuse = move |request: &Request| {
            request.query().get("api_key").map(|key| refusal(key)).or_else(|| Some(Reply::status(404)))
        };
        let server = McpServer::start(Setup { unguarded: Some(Box::new(refuse)), ..Setup::default() });
        let url = format!("{}?api_key={KEY}", server.url());
        let home = Home::with_file_store();
        for arguments in [&["doctor", &url] as &[_], &["login", &url, "--no-input", "-vvv"]] {
            assert_free_of_key(arguments[0], format!("{:?}", home.run(arguments)).as_bytes());
        }
        let set = home.run_with_input(["tokens", "set", &url, "--name", "keyed", "-vv"], b"some-token\n");
        assert_free_of_key("tokens set", format!("{set:?}").as_bytes());
        for target in ["keyed", &url] {
            assert_free_of_key("bridge", &said_by_a_bridge(&home, &[target, "--strict", "-vvv"]));
        }
        assert_free_of_key("status", format!("{:?}", home.run(["status"])).as_bytes());
    }
}

fn challenge(status: u16, parameters: &str) -> Reply {
    Reply::json(status, "{}").header("WWW-Authenticate", format!("Bearer {parameters}"))
}

/// What is pasted from where the key is not shown would lead to another service.
#[test]
fn an_address_without_its_key_is_refused() {
    let home = Home::with_file_store();
    let refused = home.run(["tokens", "set", "https://mcp.example/mcp?api_key=…"]).expect(2);
    assert!(refused.stderr.contains("put the value there"), "{}", refused.stderr);
    assert!(home.run(["tokens", "list"]).expect(0).stderr.contains("Nothing is stored"));
}
