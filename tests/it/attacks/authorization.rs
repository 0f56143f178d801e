//! Attacks on the authorization response (B): what answers a login, and what does not.

use std::io::Write;
use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Value, json};
use url::Url;

use crate::support::DEADLINE;
use crate::support::authorization_server::Fault;
use crate::support::bridge::Bridge;
use crate::support::browser::{altered, parameter, redirect_of};
use crate::support::fetch;
use crate::support::gate::Gate;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

/// A port that nobody has at the moment.
fn free_port() -> String {
    let held = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    held.local_addr().expect("its address").port().to_string()
}

/// Visits `answers` one by one: each gets 400, none is exchanged, and the login goes on waiting.
fn are_refused(service: &Service, login: &mut Process, answers: &[(&str, Url)]) {
    for (what, answer) in answers {
        assert_eq!(fetch::get(answer).expect("an answer").status, 400, "{what}: {answer}");
        assert!(!login.has_ended(), "{what}: {}", login.stderr.text());
    }
    assert_eq!(service.authorization.token_requests().len(), 0);
}

/// Visits the right answer, with which the login ends well after one exchange.
fn is_taken(service: &Service, login: &mut Process, answer: &Url) {
    let page = fetch::get(answer).expect("the page");
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(login.wait().success(), "{}", login.stderr.text());
    assert_eq!(service.authorization.token_requests().len(), 1);
    assert_eq!(service.row()["state"], "renews");
}

#[test]
fn b01_an_answer_without_the_logins_own_state_is_passed_over() {
    let service = Service::new().watched();
    let port = free_port();
    let flags = ["--callback-port", &port];
    // A person who gave up, and whose first page is still open somewhere.
    let (mut former, page) = service.waiting_login(&flags);
    let earlier = redirect_of(&page);
    former.signal(Signal::INT);
    former.wait();

    let (mut login, page) = service.waiting_login(&flags);
    let right = redirect_of(&page);
    assert_eq!(earlier.port(), right.port());
    let own = parameter(&right, "state");
    let with_state = |state: Option<&str>| altered(&right, &[("state", state)]);
    let mixed = altered(&earlier, &[("code", Some(&parameter(&right, "code")))]);
    let declined = [("code", None), ("error", Some("access_denied"))];
    let mut bare = right.clone();
    bare.set_query(None);
    let mut answers = vec![
        ("the answer to an earlier login", earlier.clone()),
        ("this login's code with an earlier state", mixed),
        ("another state", with_state(Some("another"))),
        ("no state", with_state(None)),
        ("an empty state", with_state(Some(""))),
        ("the state and more", with_state(Some(&format!("{own}x")))),
        ("a part of the state", with_state(Some(&own[1..]))),
        ("the state in another case", with_state(Some(&own.to_ascii_uppercase()))),
        ("the state twice", altered(&right, &[("state", Some(&own)), ("state", Some(&own))])),
        ("two states", altered(&right, &[("state", Some("another")), ("state", Some(&own))])),
        ("two codes", altered(&right, &[("code", Some("another")), ("code", Some("a"))])),
        ("an empty code", altered(&right, &[("code", Some(""))])),
        ("no code", altered(&right, &[("code", None)])),
        ("a code and an error", altered(&right, &[("error", Some("access_denied"))])),
        ("a refusal without a state", altered(&bare, &[("error", Some("access_denied"))])),
        ("a refusal of an earlier login", altered(&earlier, &declined)),
        ("nothing", bare),
    ];
    // One bad visit is no denial of service, and many are none.
    answers.extend((0..100).map(|_| ("one of many", with_state(Some("another")))));
    are_refused(&service, &mut login, &answers);
    is_taken(&service, &mut login, &right);
}

#[test]
fn b02_an_answer_of_another_issuer_is_passed_over() {
    for promised in [true, false] {
        let service = Service::new().watched();
        let metadata = json!({"authorization_response_iss_parameter_supported": promised});
        service.authorization.set_metadata(metadata);
        let (mut login, page) = service.waiting_login(&[]);
        let right = redirect_of(&page);
        let own = service.authorization.issuer();
        let with_issuer = |issuer: &str| altered(&right, &[("iss", Some(issuer))]);
        let declined =
            [("code", None), ("error", Some("access_denied")), ("iss", Some("https://evil.example"))];
        let mut answers = vec![
            ("another issuer", with_issuer("https://evil.example")),
            ("an issuer of another port", with_issuer("http://127.0.0.1:1")),
            ("the issuer with a slash", with_issuer(&format!("{own}/"))),
            ("the issuer and more", with_issuer(&format!("{own}.evil.example"))),
            ("the issuer as user information", with_issuer(&format!("{own}@evil.example"))),
            ("the issuer in another case", with_issuer(&own.to_ascii_uppercase())),
            ("the issuer with a space", with_issuer(&format!(" {own}"))),
            ("an empty issuer", with_issuer("")),
            ("two issuers", altered(&right, &[("iss", Some(&own)), ("iss", Some("https://evil.example"))])),
            ("a refusal of another issuer", altered(&right, &declined)),
        ];
        if promised {
            answers.push(("no issuer", altered(&right, &[("iss", None)])));
        }
        are_refused(&service, &mut login, &answers);
        let said = login.stderr.wait_for("the reason", |text| text.contains("Still waiting."));
        assert!(said.contains(&format!("did not come from {own}")) && !said.contains("evil"), "{said}");
        let answer = if promised { right } else { altered(&right, &[("iss", None)]) };
        is_taken(&service, &mut login, &answer);
    }
}

/// The attacker's code, and this login's verifier.
#[test]
fn b03_a_code_of_another_session_brings_nothing() {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let service = Service::new().watched();
    let foreign = Service::new().watched();
    for kind in ["another challenge", "another client", "another login of ours", "no code of anybody's"] {
        let (mut login, page) = service.waiting_login(&[]);
        let state = parameter(&page, "state");
        let redirect_uri = parameter(&page, "redirect_uri");
        let stolen = match kind {
            "another challenge" => redirect_of(&altered(
                &page,
                &[("code_challenge", Some(challenge)), ("state", Some("theirs"))],
            )),
            "another client" => {
                let register: Url = format!("{}/register", service.authorization.issuer()).parse().unwrap();
                let metadata = json!({"redirect_uris": [redirect_uri]}).to_string();
                let client = fetch::send("POST", &register, &[], metadata.as_bytes()).expect("a client");
                let client: Value = serde_json::from_slice(&client.body).expect("JSON");
                let client = client["client_id"].as_str().expect("an id");
                let changes = [("code_challenge", Some(challenge)), ("client_id", Some(client))];
                redirect_of(&altered(&page, &changes))
            }
            "another login of ours" => {
                let (mut other, page) = foreign.waiting_login(&[]);
                let stolen = redirect_of(&page);
                other.signal(Signal::INT);
                other.wait();
                stolen
            }
            _ => altered(&redirect_of(&page), &[("code", Some("made-up"))]),
        };
        let code = parameter(&stolen, "code");
        let injected = altered(&redirect_of(&page), &[("code", Some(&code)), ("state", Some(&state))]);
        let before = service.authorization.token_requests().len();
        let answer = fetch::get(&injected).expect("the page");
        assert_eq!(answer.status, 400, "{kind}: {}", answer.text());
        assert!(!answer.text().contains(&code), "{kind}");
        let (exit, said) = login.outcome();
        assert!(exit == 4 && !said.contains(&code), "{kind}: {said}");
        assert_eq!(service.authorization.token_requests().len(), before + 1, "{kind}: asked once");
        assert_eq!(service.authorization.living_grants(), 0, "{kind}");
        assert_eq!(service.row(), Value::Null, "{kind}: nothing is stored");
    }
}

/// The same with a login that is stored: it stays.
#[test]
fn b03_an_injected_code_leaves_the_stored_login_alone() {
    let service = Service::logged_in().watched();
    let before = service.row();
    let (mut login, page) = service.waiting_login(&["--force"]);
    let injected = altered(&redirect_of(&page), &[("code", Some("made-up"))]);
    assert_eq!(fetch::get(&injected).expect("the page").status, 400);
    assert_eq!(login.wait().code(), Some(4), "{}", login.stderr.text());
    assert_eq!(service.row(), before);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "as before"), "as before");
}

#[test]
fn b04_an_answer_that_comes_again_is_not_exchanged_again() {
    let service = Service::new().watched();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let (mut login, page) = service.waiting_login(&[]);
    let right = redirect_of(&page);
    let another = redirect_of(&page);
    let target = &right[url::Position::BeforePath..];
    let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", right.port().unwrap());
    // A connection that stood before the answer, and one that asks twice in one breath.
    let mut early = fetch::connect(&right).expect("a connection");
    let (url, twice) = (right.clone(), format!("{request}{request}"));
    let first = std::thread::spawn(move || fetch::raw(&url, twice.as_bytes()).expect("the page"));
    gate.wait_for_arrivals(1);

    assert!(fetch::get(&right).is_err(), "nobody listens while the code is exchanged");
    assert!(fetch::get(&another).is_err());
    let written = early.write_all(request.as_bytes());
    let late = fetch::rest_of(early);
    assert!(late.is_empty() || late.starts_with("HTTP/1.1 400"), "{written:?} {late}");
    gate.open();
    let answers = first.join().expect("the first visitor");
    assert_eq!((answers.matches("HTTP/1.1 ").count(), answers.starts_with("HTTP/1.1 200")), (1, true));
    assert!(login.wait().success(), "{}", login.stderr.text());
    assert!(fetch::get(&right).is_err());
    assert_eq!(service.authorization.token_requests().len(), 1);
    assert_eq!(service.authorization.living_grants(), 1);
}

/// A browser that loads a page ahead and then for good asks twice.
#[test]
fn b04_of_answers_at_the_same_moment_one_is_exchanged() {
    let service = Service::new().watched();
    let (mut login, page) = service.waiting_login(&[]);
    let right = redirect_of(&page);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let visits: Vec<_> = (0..16).map(|_| scope.spawn(|| fetch::get(&right))).collect();
        let answers = visits.into_iter().map(|visit| visit.join().expect("a visitor"));
        answers.filter_map(|answer| answer.ok().map(|answer| answer.status)).collect()
    });
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(login.wait().success(), "{}", login.stderr.text());
    assert_eq!(service.authorization.token_requests().len(), 1);
}

#[test]
fn b05_a_refusal_ends_the_login_with_a_clear_word_and_nothing_more() {
    let descriptions = [None, Some("The person said no")];
    for (error, description) in
        ["access_denied", "server_error", "temporarily_unavailable", "invalid_scope", "own"]
            .into_iter()
            .flat_map(|error| descriptions.map(|description| (error, description)))
    {
        let service = Service::new().watched();
        let (mut login, page) = service.waiting_login(&[]);
        let refusal = [("code", None), ("error", Some(error)), ("error_description", description)];
        let answer = fetch::get(&altered(&redirect_of(&page), &refusal)).expect("the page");
        assert_eq!(answer.status, 400, "{error}");
        let (code, said) = login.outcome();
        assert_eq!(code, 4, "{error}: {said}");
        let described = description.map(|text| format!(": {text}")).unwrap_or_default();
        let words = format!("the authorization server declined ({error}{described})");
        assert!(said.contains(&format!("error: {words}\n")), "{error}: {said}");
        assert!(answer.text().contains("Not logged in to") && answer.text().contains(error), "{error}");
        assert_eq!((service.browser.tabs(), service.authorization.token_requests().len()), (0, 0), "{error}");
        assert_eq!(service.row(), Value::Null, "{error}");
    }
}

/// A28: what was there before is kept until the new login is stored.
#[test]
fn b05_a_refused_login_leaves_the_old_one_alone() {
    let service = Service::logged_in();
    service.authorization.deny();
    let outcome = service.login(&["--force"]).expect(4);
    assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
    assert_eq!(service.row()["state"], "renews");
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "as before"), "as before");
}

/// A host that asks on and on does not send the person to the browser on and on.
#[test]
fn b05_a_refusal_makes_no_storm_of_tabs() {
    let service = Service::new();
    service.authorization.deny();
    let url = service.server.url();
    let mut bridge = Bridge::start(&service.home, &[&url, "--name", NAME, "--login", "--strict"]);
    for _ in 0..5 {
        let error = bridge.refused_within(DEADLINE, "initialize", json!({}));
        assert_eq!(error["data"]["reason"], "login_required", "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("declined")), "{error}");
    }
    assert_eq!((service.browser.tabs(), service.authorization.authorizations().len()), (1, 1));
    assert_eq!(service.authorization.token_requests().len(), 0);
}
