//! What only a person at a terminal sees: hidden input, confirmations, Ctrl-C.

use crate::support::authorization_server::AuthorizationServer;
use crate::support::browser::{Browser, redirect_of, write_executable};
use crate::support::home::Home;
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;
use rustix::process::Signal;
use std::process::Stdio;
use url::Url;

const ENDPOINT: &str = "https://mcp.example.com/mcp";
const TOKEN: &str = "canary-typed-token-77ab";

#[test]
fn a_typed_token_is_not_shown() {
    let home = Home::with_file_store();
    let mut terminal = Terminal::start(&home, &["tokens", "set", ENDPOINT]);
    terminal.expect("Token (not shown): ");
    terminal.type_in(TOKEN);
    terminal.type_in("x\u{7f}\r");
    terminal.expect("Added the token of example");
    assert!(terminal.wait().success());
    assert!(!terminal.text().contains("canary"), "{}", terminal.text());
}

#[test]
fn ctrl_c_at_a_hidden_prompt_gives_the_terminal_back() {
    let home = Home::with_file_store();
    let mut terminal = Terminal::start(&home, &["tokens", "set", ENDPOINT]);
    terminal.expect("Token (not shown): ");
    assert!(!terminal.echoes());
    terminal.type_in("canary");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
    assert!(terminal.echoes());
    assert!(!terminal.text().contains("canary"), "{}", terminal.text());
    assert!(!terminal.text().contains("error"), "{}", terminal.text());
}

/// A pipe that stays silent does not keep a signal from ending the command.
#[test]
fn a_signal_ends_a_command_that_waits_for_a_secret() {
    let home = Home::with_file_store();
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = home.command(["tokens", "set", "front"]);
        let mut process = Process::start(command.stdin(Stdio::piped()));
        process.stderr.wait_for("the note about tokens", |text| text.contains("note: "));
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(130), "{signal:?}");
    }
}

/// What is typed on a terminal is not shown, though the flag says stdin.
#[test]
fn a_secret_on_stdin_is_asked_for_on_a_terminal() {
    let home = Home::with_file_store();
    let arguments = ["login", ENDPOINT, "--client-id", "x", "--client-secret-stdin"];
    let mut terminal = Terminal::start(&home, &arguments);
    terminal.expect("Client secret (not shown): ");
    assert!(!terminal.echoes());
    terminal.type_in("canary\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
    assert!(!terminal.text().contains("canary"), "{}", terminal.text());
}

#[test]
fn deleting_asks_first() {
    let home = Home::with_file_store();
    home.run_with_input(["tokens", "set", ENDPOINT], TOKEN.as_bytes()).expect(0);
    for (answer, outcome) in
        [("\r", "Nothing was deleted"), ("n\r", "Nothing was deleted"), ("y\r", "Deleted")]
    {
        let mut terminal = Terminal::start(&home, &["tokens", "delete", "example"]);
        terminal.expect(ENDPOINT);
        terminal.expect("[y/N]: ");
        terminal.type_in(answer);
        terminal.expect(outcome);
        assert!(terminal.wait().success());
    }
}

#[test]
fn nothing_is_asked_with_no_input() {
    let home = Home::with_file_store();
    for arguments in [
        &["tokens", "set", ENDPOINT, "--no-input"] as &[&str],
        &["--no-input", "login"],
        &["login", "front", "--client-id", "x", "--no-input"],
    ] {
        let mut terminal = Terminal::start(&home, arguments);
        terminal.expect("error: ");
        terminal.expect("hint: ");
        assert_eq!(terminal.wait().code(), Some(2), "{arguments:?}");
    }
}

/// Nobody types a secret that no store would take.
#[test]
fn nothing_is_asked_where_nothing_can_be_stored() {
    let home = Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    for arguments in
        [&["login", "front"][..], &["login", "front", "--client-id", "x"], &["tokens", "set", ENDPOINT]]
    {
        let mut terminal = Terminal::start(&home, arguments);
        terminal.expect("error: ");
        terminal.expect("--store file");
        assert_eq!(terminal.wait().code(), Some(5), "{}", terminal.text());
        assert!(!terminal.text().contains("Client") && !terminal.text().contains("Token"), "{arguments:?}");
    }
}

#[test]
fn without_a_name_one_is_asked_for() {
    let home = Home::with_file_store();
    let mut terminal = Terminal::start(&home, &["login"]);
    terminal.expect("Service (`front`, or a URL): ");
    assert!(terminal.echoes());
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
}

/// A login that waits for a paste, and the address that it printed.
struct Waiting {
    terminal: Terminal,
    url: Url,
    authorization: AuthorizationServer,
    _server: McpServer,
    _home: Home,
}

impl Waiting {
    fn start(home: Home) -> Self {
        let authorization = AuthorizationServer::start();
        let server = McpServer::guarded_by(&authorization);
        let terminal = Terminal::start(&home, &["login", &server.url(), "--name", NAME, "--no-browser"]);
        terminal.expect("It is not shown.");
        let text = terminal.text();
        let address = format!("{}/authorize?", authorization.issuer());
        let start = text.rfind(&address).expect("the address is printed");
        let is_end = |character: char| character.is_whitespace() || character.is_control();
        let url = text[start..].split(is_end).next().unwrap().parse().expect("a whole URL on one line");
        Self { terminal, url, authorization, _server: server, _home: home }
    }
}

/// A10: what is wrong with a paste is said, what is right about it is enough, and the terminal is
/// given back.
#[test]
fn a_wrong_paste_is_named_and_a_right_one_ends_the_login() {
    let mut waiting = Waiting::start(Home::with_file_store());
    let terminal = &mut waiting.terminal;
    assert!(!terminal.echoes());
    for wrong in ["canary-no-url", "https://evil.example/callback?code=canary-code", ""] {
        terminal.type_in(&format!("{wrong}\r"));
        terminal.expect("That does not answer this login: ");
        terminal.expect("Still waiting.");
    }
    let redirect = redirect_of(&waiting.url);
    let begin = redirect.as_str().split('?').next().unwrap();
    assert!(terminal.text().contains(&format!("does not begin with {begin}")), "{}", terminal.text());
    // As a terminal wraps what is pasted.
    let (one, two) = redirect.as_str().split_at(60);
    terminal.type_in(&format!("\u{1b}[200~{one}\n{two}\u{1b}[201~\r"));
    terminal.expect("claude mcp add");
    assert!(terminal.wait().success(), "{}", terminal.text());
    assert!(terminal.echoes());
    assert!(!terminal.text().contains("canary"), "{}", terminal.text());
    assert_eq!(waiting.authorization.token_requests().len(), 1);
}

/// Where nothing can show a browser, the answer may be pasted, whatever launcher is there; where something
/// can, the launcher is believed.
#[test]
fn without_a_display_the_answer_may_be_pasted() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    for (variables, shows) in
        [(&[][..], false), (&[("DISPLAY", "")], false), (&[("WAYLAND_DISPLAY", "wayland-0")], true)]
    {
        let home = Home::with_file_store();
        let launcher = home.path().join("x-www-browser");
        write_executable(&launcher, "#!/bin/sh\nexit 3\n");
        let path = format!("{}:/usr/bin:/bin", home.path().display());
        let home =
            variables.iter().fold(home.with("PATH", path), |home, (name, value)| home.with(name, *value));
        let mut terminal = Terminal::start(&home, &["login", &server.url()]);
        if shows {
            terminal.expect("Your browser opens. ");
            terminal.expect("--no-browser");
            terminal.type_in("\u{3}");
            assert_eq!(terminal.wait().code(), Some(130));
            continue;
        }
        terminal.expect("this session has no display. Open this address");
        let url = terminal.printed_url(&format!("{}/authorize?", authorization.issuer()));
        terminal.expect("It is not shown.");
        terminal.type_in(&format!("{}\r", redirect_of(&url)));
        terminal.expect("claude mcp add");
        assert!(terminal.wait().success(), "{}", terminal.text());
    }
}

#[test]
fn ctrl_c_while_waiting_for_a_paste_gives_the_terminal_back() {
    let mut waiting = Waiting::start(Home::with_file_store());
    waiting.terminal.type_in("http://127.0.0.1/callback?code=canary\u{3}");
    assert_eq!(waiting.terminal.wait().code(), Some(130));
    assert!(waiting.terminal.echoes());
    assert!(!waiting.terminal.text().contains("canary"), "{}", waiting.terminal.text());
}

/// The spinner's last picture is cleared where it stands: nothing may have moved it.
#[test]
fn ctrl_c_while_waiting_for_the_browser_leaves_no_spinner() {
    let browser = Browser::watching();
    let home = Home::with_file_store().with("BROWSER", browser.executable());
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let mut terminal = Terminal::start(&home, &["login", &server.url()]);
    terminal.expect(" left");
    assert!(terminal.echoes());
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
    let text = terminal.text();
    assert!(text.ends_with("\r\u{1b}[2K") && !text.contains("^C"), "{text:?}");
}

#[test]
fn the_address_is_a_link_where_the_terminal_shows_links() {
    let waiting = Waiting::start(Home::with_file_store().with("TERM", "xterm-256color"));
    let (url, text) = (&waiting.url, waiting.terminal.text());
    assert!(text.contains(&format!("\u{1b}]8;;{url}\u{1b}\\{url}\u{1b}]8;;\u{1b}\\")), "{text}");
    let waiting = Waiting::start(Home::with_file_store().with("TERM", "linux"));
    assert!(!waiting.terminal.text().contains("\u{1b}]8;;"), "{}", waiting.terminal.text());
}

/// A6: what needs a login is offered where no name is given.
#[test]
fn a_login_that_ended_is_offered() {
    let service = Service::logged_in();
    service.authorization.revoke_grants();
    let mut bridge = service.bridge();
    bridge.call(0, "initialize", crate::support::bridge::initialize_params());
    assert_eq!(service.row()["state"], "login_required", "{}", service.row());

    let shown = service.home.run(["tokens", "list"]).expect(0).stdout;
    assert!(shown.contains("login required") && shown.contains("mcp-front login service"), "{shown}");
    let mut terminal = Terminal::start(&service.home, &["login"]);
    terminal.expect("These need a login:");
    terminal.expect("  1  service: ");
    terminal.expect("Number (or another service, or a URL): ");
    terminal.type_in("1\r");
    terminal.expect("Logged in to");
    assert!(terminal.wait().success());
    assert_eq!(service.row()["state"], "renews");
}

/// A24: Front's client is made by hand, so the prompt says where, and nothing is sent before.
#[test]
fn front_says_where_to_create_its_client() {
    let home = Home::with_file_store();
    let mut terminal = Terminal::start(&home, &["login", "front"]);
    terminal.expect("feature access to \"MCP Server\" and nothing else");
    terminal.expect("http://127.0.0.1:41789/callback");
    terminal.expect("Client id: ");
    terminal.type_in("an-id\r");
    terminal.expect("Client secret (not shown): ");
    assert!(!terminal.echoes());
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
    assert!(terminal.echoes());
    let refused = home.run(["login", "front", "--no-input"]).expect(2);
    assert!(refused.stderr.contains("hint: create an OAuth client"), "{}", refused.stderr);
}

/// Elsewhere than on a terminal: plain lines, and all talk on stderr.
#[test]
fn without_a_terminal_a_login_speaks_in_plain_lines() {
    let service = Service::new();
    let outcome = service.login(&[]).expect(0);
    assert_eq!(outcome.stdout, "");
    assert!(!outcome.stderr.contains('\u{1b}') && !outcome.stderr.contains('\r'), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("Waiting for the browser until "), "{}", outcome.stderr);
}

/// Deleting is not revoking, which the person hears before and after.
#[test]
fn deleting_a_login_tells_what_ends_it() {
    for can_be_revoked in [true, false] {
        let service = Service::new();
        if can_be_revoked {
            service.authorization.publish_revocation();
        }
        service.login(&[]).expect(0);
        let mut terminal = Terminal::start(&service.home, &["tokens", "delete", NAME]);
        terminal.expect("good at its provider until it ends");
        let logout = format!("logout {NAME}");
        terminal.expect(if can_be_revoked { &logout } else { "remove mcp-front's access at the provider" });
        terminal.expect("[y/N]: ");
        terminal.type_in("y\r");
        terminal.expect("Nothing was revoked; to end the login itself");
        assert!(terminal.wait().success());
    }
}
