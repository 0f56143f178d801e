//! The whole demo: the real binary playing server, person and host for itself, and what it leaves
//! behind however it ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use url::Url;

use crate::support::browser::{Browser, follow};
use crate::support::fetch;
use crate::support::home::{BINARY, Home, Outcome};
use crate::support::process::{Captured, Process};
use crate::support::processes;
use crate::support::terminal::Terminal;

/// What the demo promises.
const PROMISED: Duration = Duration::from_secs(20);

/// A home whose temporary files lie in a folder of their own.
fn home() -> (Home, PathBuf) {
    let home = Home::bare();
    let temporary = home.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    (home.with("TMPDIR", temporary.to_str().unwrap()), temporary)
}

/// Nothing of the demo is left: no file, in the home or among the temporary ones, and no process.
#[track_caller]
fn assert_nothing_stays(home: &Home, temporary: &Path) {
    let files: Vec<_> = home.files().into_iter().map(|(path, _)| path).collect();
    assert!(files.is_empty(), "{files:?}");
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
    let processes = processes::with_variable(&format!("TMPDIR={}", temporary.display()));
    let lines: Vec<_> = processes.iter().map(|seen| String::from_utf8_lossy(&seen.arguments)).collect();
    assert!(lines.is_empty(), "{lines:?}");
}

/// The transcript tells the whole story, in order, and no secret.
#[track_caller]
fn assert_whole(outcome: &Outcome) {
    let mut rest = outcome.stdout.as_str();
    for part in [
        "401 Unauthorized",
        "$ mcp-front login http://127.0.0.1:",
        "logged in",
        "$ mcp-front bridge demo",
        "initialize",
        "echo, whoami",
        "the login was not renewed yet",
        "expired",
        "the login was renewed once",
        "1 login, 1 refresh, no use of a spent refresh token",
        "$ mcp-front tokens list",
        "ended with 0",
        "Done:",
    ] {
        let (_, after) =
            rest.split_once(part).unwrap_or_else(|| panic!("no {part:?} in its place:\n{}", outcome.stdout));
        rest = after;
    }
    for secret in ["demo-access-", "demo-refresh-", "demo-code-"] {
        assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{secret} was shown");
    }
}

#[test]
fn the_demo_shows_everything_and_leaves_nothing() {
    let (home, temporary) = home();
    let begun = Instant::now();
    let outcome = home.run(["demo"]).expect(0);
    let took = begun.elapsed();
    assert_whole(&outcome);
    assert_nothing_stays(&home, &temporary);
    assert!(took < PROMISED, "{took:?}");
}

/// What it repeats is cut where a line of the terminal ends, and a countdown stays where nobody reads it.
#[test]
fn the_demo_fits_its_terminal() {
    let (home, temporary) = home();
    let home = home.with("NO_COLOR", "1");
    let mut terminal = Terminal::sized(&home, &["demo"], 80);
    assert!(terminal.wait().success(), "{}", terminal.text());
    let text = terminal.text().replace("\u{1b}[2K", "");
    let shown = || text.split(['\r', '\n']);
    assert!(shown().any(|line| line.contains("expires in")), "{text}");
    let quoted = || shown().filter(|line| line.contains('│'));
    assert!(quoted().any(|line| line.ends_with('…')), "{text}");
    assert_eq!(quoted().filter(|line| line.chars().count() > 80).collect::<Vec<_>>(), Vec::<&str>::new());

    let mut terminal = Terminal::shell(&home, &format!("{BINARY} demo | cat"));
    assert!(terminal.wait().success(), "{}", terminal.text());
    let text = terminal.text();
    assert!(text.contains("Done:") && !text.contains("expires in"), "{text}");
    assert_nothing_stays(&home, &temporary);
}

#[test]
fn the_users_own_settings_do_not_reach_the_demo() {
    let (home, temporary) = home();
    let home = home
        .with("MCP_FRONT_STORE", "keyring")
        .with("MCP_FRONT_PROFILE", "work")
        .with("MCP_FRONT_ENCRYPTION_KEY", "mcp-front-tests-encryption-key-1")
        .with("MCP_FRONT_HOME", home_of_the_user())
        .with("HTTP_PROXY", "http://127.0.0.1:9")
        .with("http_proxy", "http://127.0.0.1:9");
    assert_whole(&home.run(["demo"]).expect(0));
    assert_nothing_stays(&home, &temporary);
}

/// A place that cannot be used: a demo that touched it would fail.
fn home_of_the_user() -> &'static str {
    "/proc/version/mcp-front"
}

#[test]
fn a_person_answers_in_a_browser() {
    let (home, temporary) = home();
    let browser = Browser::start(|url| {
        answer(url, "allow");
    });
    let home = home.with("BROWSER", browser.executable());
    assert_whole(&home.run(["demo", "--browser"]).expect(0));
    assert_eq!(browser.tabs(), 1);
    assert_nothing_stays(&home, &temporary);
}

#[test]
fn a_person_who_denies_ends_the_demo() {
    let (home, temporary) = home();
    let browser = Browser::start(|url| {
        answer(url, "deny");
    });
    let home = home.with("BROWSER", browser.executable());
    let outcome = home.run(["demo", "--browser"]).expect(4);
    assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{}", outcome.stderr);
    assert_nothing_stays(&home, &temporary);
}

/// Presses a button of the consent page at `url`, and follows where it leads.
fn answer(url: &Url, decision: &str) {
    let page = fetch::get(url).unwrap().text();
    let (_, ticket) = page.split_once("name=\"ticket\" value=\"").unwrap();
    let (ticket, _) = ticket.split_once('"').unwrap();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("ticket={ticket}&decision={decision}");
    let answered = fetch::send("POST", &url.join("/consent").unwrap(), &form, body.as_bytes()).unwrap();
    follow(&Url::parse(answered.header("Location").unwrap()).unwrap()).unwrap();
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    for (signal, moment) in [
        (Signal::INT, "the login was not renewed yet"),
        (Signal::TERM, "$ mcp-front bridge demo"),
        (Signal::HUP, "$ mcp-front login"),
    ] {
        let (home, temporary) = home();
        let mut demo = Process::start(home.command(["demo"]).stdout(Stdio::piped()));
        let transcript = Captured::new(demo.child.stdout.take().unwrap());
        transcript.wait_for(moment, |text| text.contains(moment));
        demo.signal(signal);
        let status = demo.wait();
        assert_eq!(status.code(), Some(130), "{moment}: {}", demo.stderr.text());
        assert_nothing_stays(&home, &temporary);
    }
}

#[test]
fn a_reader_that_leaves_early_ends_the_demo_quietly() {
    let (home, temporary) = home();
    let mut demo = Process::start(home.command(["demo"]).stdout(Stdio::piped()));
    drop(demo.child.stdout.take());
    assert_eq!(demo.wait().code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&demo.stderr.to_end()), "");
    assert_nothing_stays(&home, &temporary);
}
