//! What only a person at a terminal sees: hidden input, confirmations, Ctrl-C.

use crate::support::home::Home;
use crate::support::terminal::Terminal;

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

#[test]
fn the_menu_offers_what_can_be_typed() {
    let home = Home::with_file_store();
    let mut terminal = Terminal::start(&home, &["login"]);
    terminal.expect("Service (`front`, or a URL): ");
    assert!(terminal.echoes());
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
}
