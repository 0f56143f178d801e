//! Attacks on the keychain (C10 to C12): what its items tell, a keychain that does not open, and items
//! that somebody else put there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::fake_keychain::{Conduct, FakeKeychain};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

/// The two seconds that a bridge leaves for what is pending, and as many for a busy machine.
const EXIT_LIMIT: Duration = Duration::from_secs(4);

/// Whoever lists a keychain's items reads a hash over profile and address for each login, and no more.
#[test]
fn c10_an_item_tells_nobody_whose_login_it_is() {
    let Some(session) = Session::unlocked() else { return };
    let (service, other) = (Service::in_keychain(&session), Service::in_keychain(&session));
    service.login(&[]).expect(0);
    service.login(&["--profile", "someone@canary.example.x".split('@').next().unwrap()]).expect(0);
    other.login(&[]).expect(0);
    let shown = session.search("service", "mcp-front");
    let line = |line: &str| line.strip_prefix("attribute.username = ").map(str::to_owned);
    let names: BTreeSet<_> = shown.lines().filter_map(line).collect();
    assert_eq!(names.len(), 3, "profile and address tell logins apart: {shown}");
    let is_hash =
        |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hashes: BTreeMap<_, _> = names.iter().filter_map(|name| name.split_once('@')).collect();
    assert!(hashes.iter().all(|(key, home)| is_hash(key, 64) && is_hash(home, 16)), "{names:?}");
    for service in [&service, &other] {
        let (_, _, key) = service.kept();
        assert!(hashes.contains_key(key.as_str()));
    }
    let is_open = |line: &&str| line.starts_with("attribute.") || line.starts_with("label");
    for line in shown.lines().filter(is_open) {
        let told = line.split_once(" = ").expect("a value").1;
        let is_expected = ["mcp-front", "mcp-front login", "org.freedesktop.Secret.Generic"].contains(&told);
        assert!(is_expected || names.contains(told), "{line}");
    }
}

/// Without a keychain nothing is stored anywhere else by itself; the error names the choices.
#[test]
fn c11_an_absent_keychain_is_told_with_the_choices() {
    let Some(session) = Session::without_keychain() else { return };
    for home in [session.home(), Home::bare().with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")]
    {
        let authorization = AuthorizationServer::start();
        let server = McpServer::guarded_by(&authorization);
        let service = Service::of(authorization, server, home);
        let outcome = service.login(&[]).expect(5);
        assert!(outcome.stderr.contains("--store file"), "{}", outcome.stderr);
        assert_eq!(service.browser.tabs(), 0, "told before the person goes to the browser");
        assert!(!service.home.files().iter().any(|(_, content)| contains(content, b"canary")));
    }
}

/// A person who declines the prompt has answered: nothing is waited for.
#[test]
fn c11_a_login_ends_when_the_person_declines_to_unlock() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Declining(Duration::from_secs(2)));
    let service = Service::in_keychain(&session);
    let stderr = service.login(&[]).expect(5).stderr;
    assert!(stderr.contains("unlock the keychain") && stderr.contains("--store file"), "{stderr}");
    assert_eq!((keychain.prompts(), service.browser.tabs()), (1, 0));
}

#[test]
fn c11_a_prompt_that_nobody_answers_does_not_hold_the_bridge() {
    let Some(session) = Session::without_keychain() else { return };
    let keychain = FakeKeychain::start(&session, Conduct::Honest);
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    keychain.lock(Conduct::Prompting(Gate::default()));
    let mut bridge = service.strict_bridge();
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    assert_eq!(keychain.prompts(), 0, "a bridge asks nobody");
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
}

#[test]
fn c11_ctrl_c_ends_a_login_that_waits_for_the_keychain() {
    let Some(session) = Session::without_keychain() else { return };
    let gate = Gate::default();
    let _keychain = FakeKeychain::start(&session, Conduct::Prompting(gate.clone()));
    let service = Service::in_keychain(&session);
    let mut login = Process::start(&mut service.home.command(service.login_arguments(&[])));
    gate.wait_for_arrivals(1);
    login.signal(Signal::INT);
    assert_eq!(login.wait().code(), Some(130), "{}", login.stderr.text());
}

/// A keychain that never answers holds up neither the answer nor the end of the process.
#[test]
fn c11_a_stalled_keychain_is_told_in_time_and_does_not_hold_the_exit() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.stall_keyring();
    let mut bridge = service.strict_bridge();
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    let start = Instant::now();
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
    assert!(start.elapsed() < EXIT_LIMIT, "the end took {:?}", start.elapsed());
}

/// Where no prompt can be shown, whoever logs out reads so at once, and need not wait.
#[test]
fn c11_a_logout_says_that_it_waits_for_the_keychain_and_ctrl_c_ends_it() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.lock();
    for flags in [&[][..], &["--local-only"]] {
        let arguments = ["logout", NAME].iter().chain(flags);
        let mut logout = Process::start(&mut service.home.command(arguments));
        logout.stderr.wait_for("a word about the waiting", |text| text.contains("the keychain is locked"));
        logout.signal(Signal::INT);
        assert_eq!(logout.wait().code(), Some(130), "{}", logout.stderr.text());
    }
}

/// No secret goes into a file instead, whichever way a keychain does not open.
#[test]
fn c11_nothing_is_stored_elsewhere_while_the_keychain_does_not_open() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.lock();
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = service.strict_bridge();
    assert_eq!(bridge.refusal()["data"]["reason"], "credential_store");
    session.stall_keyring();
    assert_eq!(bridge.refusal()["data"]["reason"], "credential_store");
    assert_eq!(service.authorization.refreshes(), 0, "what could not be saved was not asked for");
    for (path, content) in service.home.files() {
        assert!(!contains(&content, b"canary"), "{}", path.display());
        assert!(path.extension().is_none_or(|end| end != "sealed" && end != "key"), "{}", path.display());
    }
}

/// An item's text with its record changed.
fn changed(genuine: &str, change: impl FnOnce(&mut Value)) -> String {
    let (head, record) = genuine.split_once('\n').expect("a head line");
    let mut record: Value = serde_json::from_str(record).expect("a record");
    change(&mut record);
    format!("{head}\n{record}")
}

/// Binds a login to `evil`, with its issuer or without.
fn rebind(login: &mut Value, evil: &AuthorizationServer, issuer_too: bool) {
    let at = |path: &str| json!(format!("{}/{path}", evil.issuer()));
    login["binding"]["token_endpoint"] = at("token");
    login["binding"]["revocation_endpoint"] = at("revoke");
    if issuer_too {
        login["binding"]["issuer"] = json!(evil.issuer());
    }
}

/// The endpoints of a login are those that it was made with, whatever an item says: neither renewal nor
/// login nor logout asks others.
#[test]
fn c12_a_planted_login_leads_to_no_other_authorization_server() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    service.browser.opened();
    let evil = AuthorizationServer::start();
    let (_, _, key) = service.kept();
    let genuine = session.lookup(key.as_str());
    for (issuer_too, expired, same_stamp) in [
        (true, true, true),
        (false, true, true),
        (true, false, true),
        (true, true, false),
        (false, false, false),
    ] {
        let planted = changed(&genuine, |record| {
            rebind(&mut record["kind"]["oauth"], &evil, issuer_too);
            if expired {
                record["kind"]["oauth"]["access_token"]["obtained_at"] = json!("2020-01-01T00:00:00Z");
                record["kind"]["oauth"]["access_token"]["expires_at"] = json!("2020-01-01T01:00:00Z");
            }
            if !same_stamp {
                record["generation"] = json!("0123456789abcdef0123456789abcdef");
            }
        });
        session.plant(key.as_str(), &planted);
        let mut bridge = service.strict_bridge();
        let error = bridge.refusal();
        assert_eq!(error["data"]["reason"], "credential_store", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&evil.issuer()) && message.contains("login service --force"), "{message}");
        service.home.run(["refresh", NAME]).expect(5);
        service.home.run(["refresh", NAME, "--force"]).expect(5);
        let refused = service.login(&[]).expect(5).stderr;
        assert!(refused.contains("login service --force"), "{refused}");
        assert_eq!(session.lookup(key.as_str()), planted, "it is left as it is");
    }
    let said = service.home.run(["logout", NAME]).expect(3).stderr;
    assert!(said.contains("not revoked") && said.contains(&evil.issuer()), "{said}");
    assert!(evil.token_requests().is_empty() && evil.revocations().is_empty());
    assert!(evil.authorizations().is_empty() && service.browser.tabs() == 0);
    assert_eq!(service.authorization.refreshes(), 0);
}

/// The way out that is named works.
#[test]
fn c12_a_login_anew_replaces_a_planted_one() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let evil = AuthorizationServer::start();
    let (_, _, key) = service.kept();
    let planted = changed(&session.lookup(key.as_str()), |record| {
        rebind(&mut record["kind"]["oauth"], &evil, true);
    });
    let mut bridge = service.bridge();
    bridge.initialize();
    session.plant(key.as_str(), &planted);
    assert_eq!(bridge.echo(1, "with what is in memory"), "with what is in memory");
    service.login(&["--force"]).expect(0);
    assert_eq!(bridge.echo(2, "anew"), "anew");
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(3, "renewed"), "renewed");
    assert!(evil.token_requests().is_empty());
}

/// The side item from which an interrupted refresh is finished.
#[test]
fn c12_a_planted_journal_is_not_taken_for_an_answer() {
    let Some(session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    let evil = AuthorizationServer::start();
    let (_, _, key) = service.kept();
    let genuine = session.lookup(key.as_str());
    let journal = changed(&genuine, |record| {
        let mut kind = record["kind"].take();
        rebind(&mut kind["oauth"], &evil, true);
        kind["oauth"]["access_token"]["value"] = json!("canary-planted-access-token");
        let held = json!({"succeeds": record["generation"], "at": "2026-01-01T00:00:00Z", "kind": kind});
        *record = json!({"schema": 1, "entry": {"answer_held": held}});
    });
    let name = format!("{key}.journal");
    session.plant(&name, &journal.replacen(key.as_str(), &name, 1));
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "renewed"), "renewed");
    assert_eq!(service.authorization.refreshes(), 1);
    assert!(evil.token_requests().is_empty());
    let sent = service.server.requests();
    let planted = |header: &str| header.contains("planted");
    assert!(!sent.iter().any(|request| request.header("Authorization").is_some_and(planted)));
}

/// What is of another version, another service's, cut or twice there is refused, and stays as it is.
#[test]
fn c12_an_item_of_another_shape_is_refused_and_left_alone() {
    let Some(session) = Session::unlocked() else { return };
    let (service, other) = (Service::in_keychain(&session), Service::in_keychain(&session));
    service.login(&[]).expect(0);
    other.login(&[]).expect(0);
    let (_, _, key) = service.kept();
    let genuine = session.lookup(key.as_str());
    let (_, _, foreign) = other.kept();
    for planted in [
        changed(&genuine, |record| record["schema"] = json!(99)),
        changed(&genuine, |record| record["schema"] = json!("1")),
        changed(&genuine, |record| record["kind"] = json!({"command": {"run": "touch pwned"}})),
        changed(&genuine, |record| record["kind"]["oauth"]["binding"]["token_endpoint"] = json!("no URL")),
        genuine.replacen("\"layout\":1", "\"layout\":99", 1),
        genuine[..genuine.len() / 2].to_owned(),
        "no item of ours".to_owned(),
        session.lookup(foreign.as_str()),
    ] {
        session.plant(key.as_str(), &planted);
        let error = service.strict_bridge().refusal();
        assert_eq!(error["data"]["reason"], "credential_store", "{planted}: {error}");
        assert_eq!(session.lookup(key.as_str()), planted);
    }
    session.plant(key.as_str(), &genuine);
    session.plant_beside(key.as_str(), "a second one");
    assert_eq!(service.strict_bridge().refusal()["data"]["reason"], "credential_store");
    assert_eq!(service.authorization.refreshes(), 0);
    let mut bridge = other.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "unharmed"), "unharmed");
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
