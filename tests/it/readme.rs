//! Every command of the README is run here, or by `.ci/run` where it builds: addresses and paths
//! are replaced by the tests' own, nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::authorization_server::{CLIENT_ID, CLIENT_SECRET};
use crate::support::bridge::Bridge;
use crate::support::browser::redirect_of;
use crate::support::home::{BINARY, Home, finish};
use crate::support::mcp_server::McpServer;
use crate::support::service::Service;
use crate::support::terminal::Terminal;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of every `sh` block.
fn commands() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let blocks =
        text.split("```").skip(1).step_by(2).filter_map(|block| block.trim_start().strip_prefix("sh\n"));
    blocks.flat_map(str::lines).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Runs a command's words.
type Runner = fn(&[&str]);

/// Who runs which command.
const RUN: [(&str, Runner); 16] = [
    ("mcp-front login front", log_in_to_front),
    ("claude mcp add front -- /absolute/path/mcp-front bridge front", add_to_claude_code),
    ("mcp-front login front --redirect-uri https://localhost:41789/callback", paste_a_registered_redirect),
    ("mcp-front status front", tell),
    ("mcp-front status front --fail-within 14d", tell),
    ("mcp-front refresh front --force", refresh),
    ("mcp-front login https://mcp.example.com/mcp", log_in_by_url),
    ("mcp-front bridge example", bridge_by_name),
    (
        "mcp-front login https://mcp.example.com/mcp --client-id ID --client-secret-file PATH",
        log_in_with_a_client,
    ),
    ("mcp-front tokens set https://mcp.example.com/mcp", set_a_token),
    ("mcp-front tokens delete example --yes", delete_a_token),
    ("mcp-front login front --no-browser", paste),
    ("mcp-front login front --no-browser --store file", paste),
    ("mcp-front logout front", log_out),
    ("mcp-front doctor front", examine),
    ("cargo run --release -- demo", run_the_demo),
];

/// What builds for minutes; `.ci/run` runs the first, and is what runs the second.
const RUN_BY_CI: [&str; 2] = ["cargo install --locked --path .", "tests/run"];

/// A9, A25: what the README tells people to type works.
#[test]
fn every_command_is_run() {
    let known: BTreeSet<_> = RUN.iter().map(|(line, _)| *line).chain(RUN_BY_CI).map(str::to_owned).collect();
    assert_eq!(commands(), known);
    let ci = std::fs::read_to_string(root().join(".ci/run")).expect("a script");
    for line in RUN_BY_CI.into_iter().chain(["cargo run --release"]) {
        assert!(ci.contains(line.trim_end_matches(" --path .")), "`{line}` is not in .ci/run");
    }
    for (line, run) in RUN {
        let words: Vec<_> = line.split(' ').collect();
        run(&words);
    }
}

/// What stands in backticks between the blocks.
fn spans() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
}

/// What the prose names beside the blocks is known: commands with their arguments, and options.
#[test]
fn the_commands_in_the_prose_are_understood() {
    let (home, spans) = (Home::bare(), spans());
    // Behind what is wrong, nobody asks for help any more.
    let help = |words: &[String]| {
        let words = words.iter().map(|word| if word == "COMMAND" { "login" } else { word.as_str() });
        home.run(words.chain(["--help"])).expect(0).stdout
    };
    let commands: BTreeSet<_> =
        ["login", "bridge", "status", "refresh", "logout", "doctor", "tokens", "demo"].into();
    let (mut named, mut options) = (0, BTreeSet::new());
    for span in &spans {
        let words = shlex::split(span).expect(span);
        let words = words.strip_prefix(&["mcp-front".to_owned()][..]).unwrap_or(&words);
        match words.first() {
            Some(first) if commands.contains(first.as_str()) || first == "COMMAND" => {
                help(words);
                named += 1;
            }
            _ => {}
        }
        let is_option = |word: &&String| word.starts_with("--") && word.len() > 2;
        options.extend(words.iter().filter(is_option).cloned());
    }
    let helps: String = commands.iter().map(|command| help(&[(*command).to_owned()])).collect();
    let missing: Vec<_> = options.iter().filter(|option| !helps.contains(option.as_str())).collect();
    assert!(missing.is_empty(), "no command has {missing:?}");
    assert!(named > 10 && options.len() > 10, "{named} commands and {options:?} in {spans:?}");
}

/// A Front-like service that is known as `front`, and whose login has ended.
fn front() -> Service {
    let service = Service::front_like();
    let url = service.server.url();
    let secret = service.home.path().join("client-secret");
    let arguments = ["login", &url, "--name", "front", "--client-id", CLIENT_ID, "--client-secret-file"];
    let mut command = service.home.command(arguments);
    command.arg(secret);
    finish(command, b"").expect(0);
    service.authorization.revoke_grants();
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = Bridge::start(&service.home, &["front", "--strict"]);
    let ended = bridge.call(0, "initialize", serde_json::json!({}));
    assert_eq!(ended["error"]["data"]["reason"], "login_required", "{ended}");
    service.browser.opened();
    service
}

fn works(home: &Home, name: &str) {
    let mut bridge = Bridge::start(home, &[name]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, name), name);
}

fn log_in_to_front(words: &[&str]) {
    let service = front();
    service.home.run(&words[1..]).expect(0);
    works(&service.home, "front");
}

fn add_to_claude_code(words: &[&str]) {
    let service = front();
    let said = service.home.run(["login", "front"]).expect(0);
    // Between its halves stand the variables that this store needs.
    let line = words.join(" ").replace("/absolute/path/mcp-front", BINARY);
    let (said, (add, start)) = (said.stdout + &said.stderr, line.split_once(" -- ").expect("two halves"));
    assert!(said.contains(add) && said.contains(start), "the login does not end with `{line}`:\n{said}");
    let start = words.iter().position(|word| *word == "bridge").expect("the bridge's arguments");
    works(&service.home, words[start + 1]);
}

/// Types back where the browser ended.
fn paste_into(service: &Service, arguments: &[&str]) {
    let mut terminal = Terminal::start(&service.home, arguments);
    let address = format!("{}/authorize?", service.authorization.issuer());
    let opened = terminal.printed_url(&address);
    terminal.type_in(&format!("{}\r", redirect_of(&opened)));
    assert!(terminal.wait().success(), "{}", terminal.text());
    works(&service.home, "front");
}

fn paste(words: &[&str]) {
    paste_into(&front(), &words[1..]);
}

fn paste_a_registered_redirect(words: &[&str]) {
    paste_into(&front(), &words[1..]);
}

/// The login has ended; then there is one again.
fn tell(words: &[&str]) {
    let service = front();
    let over = service.home.run(&words[1..]).expect(4);
    assert!(over.stdout.contains("front") && over.stdout.contains("login required"), "{}", over.stdout);
    service.home.run(["login", "front"]).expect(0);
    let good = service.home.run(&words[1..]).expect(0);
    assert!(good.stdout.contains("renews by itself"), "{}", good.stdout);
}

fn refresh(words: &[&str]) {
    let service = front();
    service.home.run(&words[1..]).expect(4);
    service.home.run(["login", "front"]).expect(0);
    let renewed = service.home.run(&words[1..]).expect(0);
    assert!(renewed.stdout.contains("renewed until"), "{}", renewed.stdout);
}

/// The words with the README's address replaced.
fn at<'a>(words: &[&'a str], url: &'a str) -> Vec<&'a str> {
    words
        .iter()
        .skip(1)
        .map(|word| if word.starts_with("https://mcp.example.com") { url } else { word })
        .collect()
}

fn log_in_by_url(words: &[&str]) {
    let service = Service::new();
    let url = service.server.url();
    service.home.run(at(words, &url)).expect(0);
    works(&service.home, &url);
}

fn bridge_by_name(words: &[&str]) {
    let service = Service::new();
    service.home.run(["login", &service.server.url(), "--name", "example"]).expect(0);
    works(&service.home, words.last().expect("a name"));
}

fn log_in_with_a_client(words: &[&str]) {
    let service = Service::front_like();
    let (url, secret) = (service.server.url(), service.home.path().join("client-secret"));
    let secret = secret.to_string_lossy().into_owned();
    let words = at(words, &url).into_iter().map(|word| match word {
        "ID" => CLIENT_ID,
        "PATH" => &secret,
        word => word,
    });
    service.home.run(words).expect(0);
    works(&service.home, &url);
}

fn set_a_token(words: &[&str]) {
    let (server, home) = (McpServer::open(), Home::with_file_store());
    let url = server.url();
    home.run_with_input(at(words, &url), CLIENT_SECRET.as_bytes()).expect(0);
    works(&home, &url);
    let sent = server.requests().pop().and_then(|request| request.header("Authorization").map(str::to_owned));
    assert_eq!(sent, Some(format!("Bearer {CLIENT_SECRET}")));
}

fn delete_a_token(words: &[&str]) {
    let (server, home) = (McpServer::open(), Home::with_file_store());
    let set = ["tokens", "set", &server.url(), "--name", "example"];
    home.run_with_input(set, CLIENT_SECRET.as_bytes()).expect(0);
    home.run(&words[1..]).expect(0);
    let mut bridge = Bridge::start(&home, &["example"]);
    let answer = bridge.call(0, "initialize", serde_json::json!({}));
    assert_eq!(answer["error"]["data"]["reason"], "unknown_service", "{answer}");
}

fn log_out(words: &[&str]) {
    let service = front();
    service.home.run(&words[1..]).expect(0);
    assert_eq!(service.row(), serde_json::Value::Null);
}

fn examine(words: &[&str]) {
    let service = front();
    let found = service.home.run(&words[1..]).expect(1).stdout;
    assert!(found.contains("✗ token") && found.contains("login front"), "{found}");
}

fn run_the_demo(words: &[&str]) {
    let start = words.iter().position(|word| *word == "--").expect("the demo's arguments");
    Home::bare().run(&words[start + 1..]).expect(0);
}
