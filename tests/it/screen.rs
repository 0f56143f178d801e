//! What a person sees on a terminal of eighty columns.

use crate::support::home::{ENCRYPTION_KEY, Home};
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;

const COLUMNS: u16 = 80;

/// What the terminal shows of a command.
fn screen(home: &Home, arguments: &[&str]) -> String {
    let mut terminal = Terminal::sized(home, arguments, COLUMNS);
    terminal.wait();
    terminal.text().replace('\r', "")
}

/// The lines that a terminal would break wherever they meet its edge.
fn too_wide(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.chars().count() > COLUMNS.into()).collect()
}

/// The text in single spaces, as if nothing was broken.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines are broken between words, none of which is lost, and only where a terminal shows them.
#[track_caller]
fn assert_fits(home: &Home, arguments: &[&str]) -> String {
    let shown = screen(home, arguments);
    for line in too_wide(&shown) {
        assert_eq!(line.trim().split(' ').count(), 1, "several words in a line that is too wide: {shown}");
    }
    let outcome = home.run(arguments);
    assert!(!too_wide(&outcome.stdout).is_empty() || !too_wide(&outcome.stderr).is_empty(), "{outcome:?}");
    assert_eq!(joined(&shown), joined(&(outcome.stdout + &outcome.stderr)), "{shown}");
    shown
}

#[test]
fn errors_and_hints_fit() {
    let home = Home::with_file_store().with("NO_COLOR", "1");
    let shown = assert_fits(&home, &["login", "acme"]);
    let hint = shown.split("hint: ").nth(1).unwrap();
    assert!(hint.lines().skip(1).all(|line| line.starts_with("  ")), "{shown}");

    let service = Service::logged_in();
    std::fs::write(service.home.key_file(), ENCRYPTION_KEY.replace('1', "2")).unwrap();
    assert_fits(&service.home, &["refresh", NAME, "--force"]);
}

#[test]
fn findings_fit_behind_what_they_are_about() {
    let mut service = Service::logged_in();
    service.home = service.home.with("NO_COLOR", "1");
    service.authorization.revoke_grants();
    service.home.run(["refresh", NAME, "--force"]).expect(4);
    let shown = screen(&service.home, &["doctor", NAME]);
    for line in too_wide(&shown) {
        assert_eq!(line.trim().split(' ').count(), 1, "several words in a line that is too wide: {shown}");
    }
    let (found, _) = shown.split_once("error: ").unwrap();
    let begins = |line: &str| line.starts_with(['✓', '!', '✗', '-', ' ']) || line.starts_with(NAME);
    assert!(found.lines().all(|line| line.is_empty() || begins(line)), "{shown}");
}

/// A table gives room where there are several words: half a name is none.
#[test]
fn names_stay_whole_in_tables() {
    let (home, server) = (Home::with_file_store().with("NO_COLOR", "1"), McpServer::open());
    let name = "a-long.name-45373";
    home.run_with_input(["tokens", "set", &server.url(), "--name", name], b"value").expect(0);
    for arguments in [&["tokens", "list"][..], &[]] {
        let shown = screen(&home, arguments);
        assert!(shown.contains(&format!("{name}  ")), "{shown}");
        // A command is not broken, whatever its length.
        let wide =
            too_wide(&shown).into_iter().filter(|line| line.contains("  # ") || !line.starts_with("  "));
        assert_eq!(wide.collect::<Vec<_>>(), Vec::<&str>::new(), "{shown}");
    }
}
