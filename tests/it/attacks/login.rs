//! Attacks around the person who logs in (B): what is pasted, what is shown, and two at once.

use std::collections::BTreeSet;
use std::time::Instant;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rustix::process::Signal;
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use crate::support::DEADLINE;
use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::browser::{Browser, altered, follow, parameter, redirect_of};
use crate::support::canaries::{Evidence, secrets_of};
use crate::support::fetch;
use crate::support::gate::Gate;
use crate::support::http_server::Request;
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::scene::{LOGS, Scene};
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;

/// What looks like the address on which a browser ends, and is not this login's.
fn foreign_pastes(right: &Url) -> Vec<(&'static str, String)> {
    let text = right.as_str();
    let (own, port) = (parameter(right, "state"), right.port().unwrap());
    let query = right.query().unwrap_or_default();
    let at = |origin: &str, path: &str| format!("{origin}{path}?{query}");
    let here = format!("http://127.0.0.1:{port}");
    vec![
        ("another state", altered(right, &[("state", Some("another"))]).into()),
        ("no state", altered(right, &[("state", None)]).into()),
        ("two states", altered(right, &[("state", Some("another")), ("state", Some(&own))]).into()),
        ("another issuer", altered(right, &[("iss", Some("https://evil.example"))]).into()),
        ("no issuer", altered(right, &[("iss", None)]).into()),
        ("an empty code", altered(right, &[("code", Some(""))]).into()),
        ("another host", at("https://evil.example", "/callback")),
        ("another host on the port", at(&format!("http://evil.example:{port}"), "/callback")),
        ("a host that begins as ours", at(&format!("http://127.0.0.1.evil.example:{port}"), "/callback")),
        ("ours as user information", at(&format!("http://127.0.0.1:{port}@evil.example"), "/callback")),
        ("a user", at(&format!("http://user@127.0.0.1:{port}"), "/callback")),
        ("another name for here", at(&format!("http://localhost:{port}"), "/callback")),
        ("another family", at(&format!("http://[::1]:{port}"), "/callback")),
        ("another address of here", at(&format!("http://127.0.0.2:{port}"), "/callback")),
        ("another port", at("http://127.0.0.1:1", "/callback")),
        ("no port", at("http://127.0.0.1", "/callback")),
        ("another scheme", at(&format!("https://127.0.0.1:{port}"), "/callback")),
        ("a scheme that runs", format!("javascript:{text}")),
        ("another path", at(&here, "/other")),
        ("the path with a slash", at(&here, "/callback/")),
        ("the path in another case", at(&here, "/Callback")),
        ("an encoded letter", at(&here, "/%63allback")),
        ("a path behind", at(&here, "/callback/../other")),
        ("a fragment in place of the query", text.replace('?', "#")),
        ("a fragment that begins before the state", text.replace("state=", "#state=")),
        ("the address without its end", text.split('?').next().unwrap_or_default().to_owned()),
        ("the query alone", query.to_owned()),
        ("the code alone", parameter(right, "code")),
        ("two addresses", format!("{text}{text}")),
        ("words before it", format!("code: {text}")),
        ("a code of 30 KB", altered(right, &[("code", Some(&"x".repeat(30_000)))]).into()),
        ("nothing", String::new()),
    ]
}

#[test]
fn b11_what_is_pasted_is_held_to_what_a_callback_is() {
    let service = Service::new();
    let (mut terminal, page) = service.printed_login(&[]);
    terminal.expect("It is not shown.");
    let right = redirect_of(&page);
    for (what, paste) in foreign_pastes(&right) {
        terminal.type_in(&format!("{paste}\r"));
        terminal.expect("That does not answer this login: ");
        terminal.expect("Still waiting.");
        assert_eq!(service.authorization.token_requests().len(), 0, "{what}");
    }
    let megabyte = altered(&right, &[("code", Some(&"x".repeat(1024 * 1024)))]);
    terminal.type_in(&format!("{megabyte}\r"));
    terminal.expect("That cannot be used: it is too long. Still waiting.");
    // What is around it, and how a terminal breaks it, is no part of it; nor is the fragment, which no
    // server would see.
    let (one, two) = right.as_str().split_at(70);
    terminal.type_in(&format!(" \t\u{1b}[200~  {one}\r\n{two}#_=_ \n\u{1b}[201~ \r"));
    assert!(terminal.wait().success(), "{}", terminal.text());
    assert_eq!(service.authorization.token_requests().len(), 1, "none of the others was exchanged");
    let shown = terminal.text();
    for secret in [parameter(&right, "code"), "x".repeat(100)] {
        assert!(!shown.contains(&secret), "`{secret}` is echoed:\n{shown}");
    }
}

/// A refusal that is pasted is one; somebody else's is none.
#[test]
fn b11_a_pasted_refusal_ends_the_login() {
    let service = Service::new();
    let (mut terminal, page) = service.printed_login(&[]);
    terminal.expect("It is not shown.");
    let declined = altered(&redirect_of(&page), &[("code", None), ("error", Some("access_denied"))]);
    terminal.type_in(&format!("{}\r", altered(&declined, &[("state", Some("another"))])));
    terminal.expect("Still waiting.");
    terminal.type_in(&format!("{declined}\r"));
    terminal.expect("declined (access_denied)");
    assert_eq!(terminal.wait().code(), Some(4));
    assert_eq!(service.authorization.token_requests().len(), 0);
}

/// Bar 6: a callback that is not this login's, and the pages that both end on.
#[test]
fn b12_codes_of_callbacks_are_not_shown() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        let browser = Browser::watching();
        scene.service.home = scene.service.home.with("BROWSER", browser.executable());
        let mut login = Process::start(&mut scene.login_command(&[]));
        let right = redirect_of(&browser.opened());
        let mut wrong = right.clone();
        let foreign = ["canary-foreign-code", "canary-foreign-state"];
        wrong.query_pairs_mut().clear().append_pair("code", foreign[0]).append_pair("state", foreign[1]);
        let refused = fetch::get(&wrong).expect("an answer");
        assert_eq!(refused.status, 400);
        let accepted = fetch::get(&right).expect("an answer");
        assert!(login.wait().success());
        scene.evidence.add("stderr of login", login.stderr.to_end());
        scene.evidence.add("the pages", refused.text() + &accepted.text());
        let state =
            right.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        scene.evidence.assert_free_of(&foreign.map(str::to_owned).into());
        let response = [refused.text(), accepted.text()].concat();
        assert!(state.is_some_and(|state| !response.contains(&state)));
        scene.conclude();
    }
}

/// At a terminal: what is pasted, right or wrong, whole or not, stays off the screen, the log and the
/// argument lists, and what was typed in vain does not wait for the shell.
#[test]
fn b12_what_is_pasted_is_not_shown() {
    let vain = ["canary-wrong-code", "canary-no-address", "canary-half-an-answer", "canary-typed-late"];
    for log in LOGS {
        let mut scene = Scene::new(log);
        let arguments = scene.service.login_arguments(&["--force", "--no-browser", "-vvv"]);
        let arguments: Vec<_> = arguments.iter().chain(&scene.client).map(String::as_str).collect();
        let address = format!("{}/authorize?", scene.service.authorization.issuer());
        for is_finished in [true, false] {
            let mut terminal = Terminal::start(&scene.service.home, &arguments);
            let page = terminal.printed_url(&address);
            terminal.expect("It is not shown.");
            let right = redirect_of(&page);
            assert!(!terminal.echoes());
            for wrong in [altered(&right, &[("state", None), ("code", Some(vain[0]))]).as_str(), vain[1]] {
                terminal.type_in(&format!("{wrong}\r"));
                terminal.expect("Still waiting.");
            }
            if is_finished {
                terminal.type_in(&format!("{right}\r{}", vain[3]));
                assert!(terminal.wait().success(), "{}", terminal.text());
            } else {
                terminal.type_in(&format!("{right}{}\u{3}", vain[2]));
                assert_eq!(terminal.wait().code(), Some(130));
            }
            assert!(terminal.echoes(), "the terminal is given back");
            scene.evidence.add("the terminal", terminal.text());
        }
        scene.evidence.assert_free_of(&vain.map(str::to_owned).into());
        scene.conclude();
    }
}

/// Two logins of one service at a time: one tab, and both end well.
#[test]
fn b13_a_login_that_comes_second_waits_for_the_first() {
    let service = Service::new().watched();
    let (mut first, page) = service.waiting_login(&[]);
    let mut second = Process::start(&mut service.home.command(service.login_arguments(&[])));
    second.stderr.wait_for("a word about the other login", |text| !text.is_empty());
    follow(&page).expect("the first login's page");
    assert!(first.wait().success());
    assert!(second.wait().success(), "{}", second.stderr.text());
    assert_eq!(service.browser.tabs(), 0, "no second tab");
    assert_eq!(service.authorization.token_requests().len(), 1);
}

/// Fails the test unless exactly one login is stored, which serves.
fn is_consistent(service: &Service) {
    let listed = service.home.run(["tokens", "list", "--json"]).expect(0).stdout;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(rows.len(), 1, "{listed}");
    assert_eq!((&rows[0]["state"], &rows[0]["name"]), (&json!("renews"), &json!(NAME)), "{listed}");
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "one login"), "one login");
    assert_eq!(service.authorization.replays(), 0, "the stored refresh token is the newest");
}

#[test]
fn b13_logins_at_the_same_moment_open_one_browser() {
    for flags in [&[][..], &["--force"]] {
        let service = if flags.is_empty() { Service::new() } else { Service::logged_in() };
        let before = service.authorization.token_requests().len();
        let gate = Gate::default();
        service.authorization.fault(Fault::Hold(gate.clone()));
        let start = || Process::start(&mut service.home.command(service.login_arguments(flags)));
        let logins: Vec<_> = (0..4).map(|_| start()).collect();
        gate.wait_for_arrivals(1);
        let end = Instant::now() + DEADLINE;
        let waits = |login: &&Process| login.stderr.text().contains("waiting for it");
        while logins.iter().filter(waits).count() < 3 {
            assert!(Instant::now() < end, "{flags:?}: the others do not wait");
            std::thread::yield_now();
        }
        gate.open();
        for mut login in logins {
            assert!(login.wait().success(), "{flags:?}: {}", login.stderr.text());
        }
        assert_eq!(service.browser.tabs(), 1, "{flags:?}");
        assert_eq!(service.authorization.token_requests().len(), before + 1, "{flags:?}");
        is_consistent(&service);
    }
}

/// What the first one did not finish, the second does: one browser after the other.
#[test]
fn b13_a_login_takes_over_from_one_that_ends_without_a_result() {
    for signal in [Some(Signal::KILL), Some(Signal::INT), None] {
        let service = Service::new().watched();
        let (mut first, page) = service.waiting_login(&[]);
        let mut second = Process::start(&mut service.home.command(service.login_arguments(&[])));
        second.stderr.wait_for("a word about the other login", |text| text.contains("waiting for it"));
        assert_eq!(service.browser.tabs(), 0);
        match signal {
            Some(signal) => first.signal(signal),
            None => {
                let declined = [("code", None), ("error", Some("access_denied"))];
                fetch::get(&altered(&redirect_of(&page), &declined)).expect("the page");
            }
        }
        first.wait();
        let page = service.browser.opened();
        follow(&page).expect("the second login's page");
        assert!(second.wait().success(), "{signal:?}: {}", second.stderr.text());
        assert_eq!(service.browser.tabs(), 0, "{signal:?}");
        assert_eq!(service.authorization.token_requests().len(), 1, "{signal:?}");
        is_consistent(&service);
    }
}

/// A bridge that may open a browser, and a person who opens one.
#[test]
fn b13_a_bridge_opens_no_browser_beside_a_login() {
    let service = Service::new().watched();
    let (mut login, page) = service.waiting_login(&[]);
    let url = service.server.url();
    let mut bridge = Bridge::start(&service.home, &[&url, "--name", NAME, "--login", "--strict"]);
    let asked = std::thread::spawn(move || (bridge.initialize(), bridge));
    // What the endpoint said to the bridge is what makes it want a login.
    let is_the_bridges =
        |request: &Request| request.json()["params"]["clientInfo"]["name"] == "mcp-front-tests";
    service.server.wait_for("the bridge's request", is_the_bridges);
    follow(&page).expect("the page");
    assert!(login.wait().success(), "{}", login.stderr.text());
    let (answer, _bridge) = asked.join().expect("an answer");
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(service.browser.tabs(), 0);
    assert_eq!(service.authorization.token_requests().len(), 1);
    is_consistent(&service);
}

/// Two services that want one name: one gets it, and nothing of the other is kept under it.
#[test]
fn b13_two_services_do_not_get_one_name() {
    let service = Service::new().watched();
    let authorization = AuthorizationServer::start();
    let other = McpServer::guarded_by(&authorization);
    let (mut first, page) = service.waiting_login(&[]);
    let mut second = Process::start(&mut service.home.command(["login", &other.url(), "--name", NAME]));
    let others_page = service.browser.opened();
    follow(&page).expect("the first login's page");
    assert!(first.wait().success(), "{}", first.stderr.text());
    follow(&others_page).expect("the second login's page");
    let (code, said) = second.outcome();
    assert!(code == 2 && said.contains("choose another name"), "{said}");
    is_consistent(&service);
    assert_eq!(service.row()["url"], service.server.url());
}

/// What a login tells the browser, and everybody who sees the screen.
#[test]
fn b15_the_address_holds_the_challenge_and_the_state_and_no_secret() {
    let public = ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "resource"];
    let others = ["response_type", "scope", "state"];
    let allowed: BTreeSet<_> = public.into_iter().chain(others).collect();
    for service in [Service::new(), Service::front_like()] {
        let mut evidence = Evidence::in_home(&service.home);
        let mut states = BTreeSet::new();
        for is_printed in [false, true] {
            let page = if is_printed {
                let (mut terminal, page) = service.printed_login(&["--force"]);
                follow(&page).expect("the page");
                assert!(terminal.wait().success(), "{}", terminal.text());
                evidence.add("the terminal", terminal.text());
                page
            } else {
                let outcome = service.login(&[]).expect(0);
                evidence.add_outcome("login", &outcome);
                evidence.add("the browser and its helper", service.browser.seen());
                service.browser.opened()
            };
            let names: Vec<_> = page.query_pairs().map(|(name, _)| name.into_owned()).collect();
            let known: BTreeSet<_> = names.iter().map(String::as_str).collect();
            assert!(known.is_subset(&allowed) && known.len() == names.len(), "{page}");
            let request = service.authorization.token_requests().pop().expect("an exchange");
            let verifier = &request.form["code_verifier"];
            assert!(verifier.len() >= 43, "RFC 7636 §4.1");
            let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
            assert_eq!(parameter(&page, "code_challenge"), challenge);
            assert_eq!(parameter(&page, "code_challenge_method"), "S256");
            // 128 bits, and never the same.
            assert!(parameter(&page, "state").len() >= 22 && states.insert(parameter(&page, "state")));
            assert!(states.insert(challenge), "a challenge serves once");
        }
        evidence.look_at_files(&service.home, &[service.home.path().join("client-secret")]);
        evidence.assert_free_of(&secrets_of(&service.authorization));
    }
}

/// The same for somebody who is asked on a terminal that shows links.
#[test]
fn b15_a_link_on_the_terminal_holds_no_more() {
    let mut service = Service::new();
    service.home = service.home.with("TERM", "xterm-256color");
    let address = format!("{}/authorize?", service.authorization.issuer());
    let arguments = service.login_arguments(&["--no-browser"]);
    let mut terminal =
        Terminal::start(&service.home, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let page = terminal.printed_url(&address);
    follow(&page).expect("the page");
    assert!(terminal.wait().success(), "{}", terminal.text());
    let shown = terminal.text();
    assert!(shown.contains(&format!("\u{1b}]8;;{page}\u{1b}\\{page}\u{1b}]8;;\u{1b}\\")), "{shown}");
    let mut evidence = Evidence::in_home(&service.home);
    evidence.add("the terminal", shown);
    evidence.assert_free_of(&secrets_of(&service.authorization));
}
