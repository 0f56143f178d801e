//! `mcp-front login` where a login is stored already: what is still good stays, what the service
//! does not take any more is renewed or made anew, and nothing else is touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::store::index::Index;

use crate::support::DEADLINE;
use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::browser::follow;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::kept_login::run;
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

/// The five seconds in which a service has to answer the check, and ten for a busy machine: less than a
/// person takes for hanging.
const CHECK_LIMIT: Duration = Duration::from_secs(15);

#[test]
fn a_login_that_is_good_stays_and_force_renews_it() {
    let service = Service::logged_in();
    let first = service.row();
    service.login(&[]).expect(0);
    assert_eq!(service.browser.tabs(), 0, "a good login opens nothing");
    service.login(&["--force"]).expect(0);
    assert_eq!(service.browser.tabs(), 1);
    assert_ne!(first["logged_in_at"], service.row()["logged_in_at"]);
}

/// Another name for a good login: it answers to the new one, and only to that.
#[test]
fn a_good_login_takes_another_name() {
    let service = Service::logged_in();
    let outcome = service.home.run(["login", &service.server.url(), "--name", "two"]).expect(0);
    assert!(outcome.stderr.contains(&format!("renamed from  {NAME}")), "{}", outcome.stderr);
    assert_eq!(service.browser.tabs(), 0);
    assert_eq!(service.row()["name"], "two");
    let mut bridge = Bridge::start(&service.home, &["two"]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "renamed"), "renamed");
    service.home.run(["tokens", "set", NAME]).expect(2);
}

/// Whoever names no service takes no name away from it, though it had another one at the start.
#[test]
fn a_login_without_a_name_leaves_the_name_that_another_one_gives() {
    let service = Service::new().watched();
    let (mut naming, page) = service.waiting_login(&[]);
    let mut unnamed = Process::start(&mut service.home.command(["login", &service.server.url()]));
    unnamed.stderr.wait_for("a word about the other login", |text| text.contains("logs in to"));
    follow(&page).expect("the callback answers");
    assert!(naming.wait().success(), "{}", naming.stderr.text());
    let (code, said) = unnamed.outcome();
    assert_eq!((code, said.contains("renamed")), (0, false), "{said}");
    assert!(said.contains(&format!("bridge {NAME}")), "{said}");
    assert_eq!(service.row()["name"], NAME);
}

/// Nor does a bridge that logs in by itself, whatever it was started with.
#[test]
fn a_bridge_that_logs_in_leaves_the_name_that_a_person_gave_meanwhile() {
    let service = Service::logged_in();
    let url = service.server.url();
    for (target, name) in [(NAME, "one"), (&url, "two")] {
        let mut bridge = Bridge::start(&service.home, &[target, "--login"]);
        bridge.initialize();
        service.home.run(["login", &url, "--name", name]).expect(0);
        assert_eq!(service.row()["name"], name);
        service.authorization.revoke_grants();
        service.authorization.refuse_issued_access_tokens();
        assert_eq!(bridge.echo(1, "on"), "on");
        service.browser.opened();
        assert_eq!(service.row()["name"], name, "{target}");
    }
}

/// What the person did in the browser is not lost where the login was killed before its record.
#[test]
fn a_login_that_was_cut_off_is_found_before_a_browser_opens() {
    let service = Service::logged_in();
    run(service.cut_off_login());
    service.login(&[]).expect(0);
    assert_eq!(service.browser.tabs(), 0);
    assert_eq!(service.row()["state"], "renews");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "found"), "found");
    assert_eq!(service.authorization.token_requests().len(), 1);
}

/// What the service does not take any more is found out, though its time has not come: a revoked
/// access token is refreshed, and a revoked grant means a new login.
#[test]
fn a_login_that_was_revoked_is_not_called_good() {
    for grant_lives in [true, false] {
        let service = Service::logged_in();
        if grant_lives {
            service.authorization.refuse_issued_access_tokens();
        } else {
            service.authorization.revoke_grants();
        }
        let said = service.login(&[]).expect(0).stderr;
        let headline = if grant_lives { "Already logged in to" } else { "✓ Logged in to" };
        assert!(said.contains(headline), "{said}");
        assert_eq!(
            (service.browser.tabs(), service.authorization.refreshes()),
            (usize::from(!grant_lives), 1)
        );
        let mut bridge = service.bridge();
        bridge.initialize();
        assert_eq!(bridge.echo(1, "taken"), "taken");
        assert_eq!(service.authorization.refreshes(), 1);
    }
}

/// Finding out that a login is good costs one request with its token, and leaves nothing behind.
#[test]
fn a_good_login_is_shown_to_the_service_once() {
    let service = Service::logged_in();
    let before = service.server.requests().len();
    assert!(service.login(&[]).expect(0).stderr.contains("Already logged in to"));
    let requests = service.server.requests().split_off(before);
    let methods: Vec<_> = requests.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["POST", "DELETE"]);
    assert!(requests.iter().all(|request| request.header("Authorization").is_some()));
    assert_eq!((service.server.sessions(), service.authorization.refreshes()), ((1, 0), 0));
}

/// A service whose endpoint does what `disturb` says to requests with a token.
fn disturbed(disturb: impl Fn() -> Option<Reply> + Send + Sync + 'static) -> Service {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(move |_, responder| match disturb() {
            Some(reply) => {
                responder.reply(&reply);
                true
            }
            None => false,
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    service.browser.opened();
    service
}

/// Where the service refuses what its authorization server issues, a login is made anew, after one
/// refresh.
#[test]
fn a_fresh_token_that_is_refused_is_no_login() {
    let service = disturbed(|| Some(Reply::status(401)));
    assert!(service.login(&[]).expect(0).stderr.contains("✓ Logged in to"));
    assert_eq!((service.browser.tabs(), service.authorization.refreshes()), (1, 1));
}

/// A service that does not answer, or not to the point, is told as such: the login stays, soon.
#[test]
fn a_login_that_cannot_be_checked_is_said_to_be_unchecked() {
    let gate = Gate::default();
    let held = gate.clone();
    let silent = disturbed(move || {
        held.pass();
        None
    });
    let failing = disturbed(|| Some(Reply::status(503)));
    for (service, why) in [(silent, "did not answer in time"), (failing, "HTTP status 503")] {
        let start = Instant::now();
        let said = service.login(&[]).expect(0).stderr;
        assert!(start.elapsed() < CHECK_LIMIT, "{:?}", start.elapsed());
        assert!(said.contains("could not be checked") && said.contains(why), "{said}");
        assert!(said.contains("--force") && !said.contains("Already"), "{said}");
        assert_eq!((service.browser.tabs(), service.authorization.refreshes()), (0, 0));
        gate.open();
    }
    let Service { server, home, browser, .. } = Service::logged_in();
    let url = server.url();
    drop(server);
    let said = home.run(["login", &url, "--name", NAME]).expect(0).stderr;
    assert!(said.contains("could not be checked") && said.contains("--force"), "{said}");
    assert_eq!(browser.tabs(), 0);
}

/// An outage of the token endpoint is no verdict: the login stays, and no browser opens.
#[test]
fn a_login_that_cannot_be_renewed_for_now_stays() {
    let service = Service::with_expired_token();
    // One request, and its one repetition.
    for _ in 0..2 {
        service.authorization.fault(Fault::Reply(Reply::status(503)));
    }
    let said = service.login(&[]).expect(0).stderr;
    assert!(said.contains("could not be checked") && said.contains("cannot be renewed now"), "{said}");
    assert!(said.contains("--force") && !said.contains("Already"), "{said}");
    assert_eq!((service.browser.tabs(), service.authorization.living_grants()), (0, 1));
    assert!(service.login(&[]).expect(0).stderr.contains("Already logged in to"));
    assert_eq!(service.browser.tabs(), 0);
}

/// The record wins: a login whose index entry was lost or damaged is listed and found by its name
/// again.
#[test]
fn a_lost_index_entry_is_repaired_from_the_record() {
    let lose = |service: &Service| std::fs::remove_file(service.entry_file()).unwrap();
    let cut = |service: &Service| std::fs::write(service.entry_file(), "{").unwrap();
    for damage in [&lose as &dyn Fn(&Service), &cut] {
        let service = Service::logged_in();
        let before = service.row();
        damage(&service);
        assert_ne!(service.home.run(["tokens", "set", NAME]).code(), 0, "nothing leads to it");
        assert!(service.login(&[]).expect(0).stderr.contains("Already logged in to"));
        assert_eq!(service.row(), before);
        let mut bridge = service.bridge();
        bridge.initialize();
        assert_eq!(bridge.echo(1, "found"), "found");
        assert_eq!((service.browser.tabs(), service.authorization.refreshes()), (0, 0));
    }
}

/// What was noted against a token goes as soon as a login finds that the service takes it.
#[test]
fn a_token_that_is_taken_after_all_is_listed_as_good() {
    let refusing = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&refusing);
    let service = disturbed(move || refuses.load(Ordering::SeqCst).then(|| Reply::status(401)));
    let mut bridge = service.bridge();
    bridge.initialize();
    refusing.store(true, Ordering::SeqCst);
    let answer = bridge.call(1, "tools/list", serde_json::json!({}));
    assert_eq!(answer["error"]["data"]["reason"], "token_rejected", "{answer}");
    assert_eq!(service.row()["state"], "login_required");
    refusing.store(false, Ordering::SeqCst);
    assert!(service.login(&[]).expect(0).stderr.contains("Already logged in to"));
    let row = service.row();
    assert_eq!((row["state"].as_str(), row["last_error"].is_null()), (Some("renews"), true), "{row}");
    assert_eq!(bridge.echo(2, "on"), "on");
}

/// An outage of the service's own authorization: what was noted against the token goes with the first
/// request that is taken again, in whichever bridge.
#[test]
fn a_refusal_that_passed_is_listed_no_more() {
    let refusing = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&refusing);
    let server = McpServer::start(Setup {
        script: Some(Box::new(move |_, responder| {
            let refused = refuses.load(Ordering::SeqCst);
            if refused {
                responder.reply(&Reply::status(401));
            }
            refused
        })),
        ..Setup::default()
    });
    let home = Home::with_file_store();
    home.run_with_input(["tokens", "set", &server.url(), "--name", NAME], b"a-token").expect(0);
    let service = Service::of(AuthorizationServer::start(), server, home);
    let [mut noting, mut other] = [service.bridge(), service.bridge()];
    for bridge in [&mut noting, &mut other] {
        bridge.initialize();
        assert_eq!(bridge.echo(1, "before"), "before");
    }
    let note = |noting: &mut Bridge, id| {
        refusing.store(true, Ordering::SeqCst);
        noting.refused(id);
        assert_eq!(service.row()["state"], "login_required");
        refusing.store(false, Ordering::SeqCst);
    };
    note(&mut noting, 2);
    assert_eq!(other.echo(2, "after"), "after");
    becomes_good(&service);
    note(&mut noting, 3);
    assert_eq!(noting.echo(4, "after"), "after");
    becomes_good(&service);
}

/// Waits until nothing is listed against the service's token any more.
fn becomes_good(service: &Service) {
    let end = Instant::now() + DEADLINE;
    loop {
        let row = service.row();
        if row["state"] == "static" && row["last_error"].is_null() {
            return;
        }
        assert!(Instant::now() < end, "{row}");
    }
}

/// What a deletion left that was interrupted is no login.
#[test]
fn a_half_deleted_login_is_made_anew() {
    let service = Service::logged_in();
    let (paths, _, key) = service.kept();
    let lock = ServiceLock::try_acquire(&paths, &key, Purpose::Refresh).unwrap().unwrap();
    assert!(Index::open(paths).mark_deleted(&lock).unwrap().is_some());
    drop(lock);
    assert!(service.login(&[]).expect(0).stderr.contains("✓ Logged in to"));
    assert_eq!((service.browser.tabs(), service.row()["state"].as_str()), (1, Some("renews")));
}
