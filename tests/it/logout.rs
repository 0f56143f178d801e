//! `mcp-front logout`: what is revoked, what is deleted in any case, and that nothing comes back.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mcp_front::credential::Kind;
use mcp_front::redact::Secret;
use mcp_front::store::{JournalEntry, Patience};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::authorization_server::{CLIENT_ID, CLIENT_SECRET, Fault};
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::Outcome;
use crate::support::http_server::Reply;
use crate::support::kept_login::run;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

/// A service whose authorization server revokes, and a login.
fn revocable() -> Service {
    logged_in(Service::new())
}

fn logged_in(service: Service) -> Service {
    service.authorization.publish_revocation();
    service.login(&[]).expect(0);
    service.browser.opened();
    service
}

/// What comes of it; the port of the authorization server is another each time, and left out.
fn log_out(service: &Service, more: &[&str]) -> Outcome {
    let mut outcome = service.home.run(["logout", NAME].iter().chain(more));
    let address = service.authorization.address();
    outcome.stderr = outcome.stderr.replace(&address.to_string(), &address.ip().to_string());
    outcome
}

/// The kinds of token that were to be revoked, in order.
fn asked(service: &Service) -> Vec<String> {
    let hint = |form: std::collections::HashMap<String, String>| form["token_type_hint"].clone();
    service.authorization.revocations().into_iter().map(|request| hint(request.form)).collect()
}

/// Nothing is stored, listed or left of it, and another logout says so.
#[track_caller]
fn assert_gone(service: &Service) {
    assert_eq!(service.row(), Value::Null);
    assert!(!service.entry_file().exists());
    let (_, store, key) = service.kept();
    run(async { assert!(!store.holds(&key, Patience::Person).await.unwrap()) });
    let before = service.authorization.revocations().len();
    let again = log_out(service, &[]).expect(0).stderr;
    assert!(again.starts_with("Nothing is stored"), "{again}");
    assert_eq!(service.authorization.revocations().len(), before);
}

#[track_caller]
fn assert_login_required(bridge: &mut Bridge) {
    let answer = bridge.call(9, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(answer["error"]["data"]["reason"], "login_required", "{answer}");
    assert!(message.contains("mcp-front login "), "{message}");
}

/// A running bridge has the token in memory, and its next request sees that the login is gone.
#[test]
fn a_login_is_revoked_and_deleted() {
    let service = revocable();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    let (access, refresh) = service.authorization.tokens(0);
    let said = log_out(&service, &[]).expect(0);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("", "Logged out of service: revoked by 127.0.0.1, and deleted here.\n")
    );
    let forms: Vec<_> = service.authorization.revocations().into_iter().map(|request| request.form).collect();
    let expected = [("refresh_token", refresh), ("access_token", access)];
    for (form, (hint, token)) in forms.iter().zip(expected) {
        assert_eq!((form["token_type_hint"].as_str(), &form["token"]), (hint, &token));
        assert_eq!(form["client_id"], "client-1");
    }
    assert_eq!((forms.len(), service.authorization.living_grants()), (2, 0));
    assert_login_required(&mut bridge);
    assert_gone(&service);
}

/// A confidential client authenticates as at the token endpoint.
#[test]
fn a_confidential_client_revokes_with_its_secret() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let service = logged_in(Service::front_like());
    let said = log_out(&service, &["--no-input"]).expect(0).stderr;
    assert_eq!(said, "Logged out of service: revoked by 127.0.0.1, and deleted here.\n");
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    for request in service.authorization.revocations() {
        assert_eq!(request.authorization.as_ref(), Some(&basic));
        assert!(!request.form.contains_key("client_secret"));
    }
    assert_eq!(asked(&service), ["refresh_token", "access_token"]);
    assert_gone(&service);
}

/// What a revocation endpoint can answer, and what a person is told: the login is gone here in any case.
#[test]
fn whatever_the_server_answers_the_login_is_deleted_here() {
    let error = |status, code: &str| Reply::json(status, json!({"error": code}).to_string());
    let busy = |wait: &str| error(503, "temporarily_unavailable").header("Retry-After", wait);
    let rt = "refresh_token";
    let at = "access_token";
    let done = "revoked by 127.0.0.1, and deleted here.\n";
    let rows: Vec<(Vec<Reply>, i32, &str, Vec<&str>)> = vec![
        (vec![Reply::status(204)], 0, done, vec![rt, at]),
        (vec![error(400, "invalid_token"), error(400, "invalid_grant")], 0, done, vec![rt, at]),
        (vec![busy("1")], 0, done, vec![rt, rt, at]),
        (vec![busy("120"), busy("120")], 3, "127.0.0.1: the authorization server asks to wait", vec![rt, at]),
        (vec![Reply::html(500, "<h1>"), Reply::html(200, "<h1>")], 0, done, vec![rt, rt, at]),
        (
            vec![Reply::html(500, "<h1>"), Reply::html(500, "<h1>")],
            3,
            "gave no verdict: it answered with HTTP status 500",
            vec![rt, rt, at],
        ),
        (vec![error(401, "invalid_client"); 2], 3, "refused the OAuth client (invalid_client)", vec![rt, at]),
        (vec![error(400, "unsupported_token_type")], 3, "does not revoke tokens of this kind", vec![rt, at]),
        (
            vec![Reply::status(200), error(400, "unsupported_token_type")],
            0,
            "Its last access token could not be revoked as well; it expires ",
            vec![rt, at],
        ),
        (
            vec![Reply::status(307).header("Location", "http://127.0.0.1:1/"); 2],
            3,
            "it answered with HTTP status 307",
            vec![rt, rt, at],
        ),
        (vec![Reply::status(404); 2], 3, "HTTP status 404 without an error code", vec![rt, at]),
    ];
    for (replies, code, told, kinds) in rows {
        let service = revocable();
        for reply in replies {
            service.authorization.fault_revocation(Fault::Reply(reply));
        }
        let said = log_out(&service, &[]).expect(code).stderr;
        assert!(said.contains(told), "{said}");
        if code != 0 {
            assert!(said.starts_with("error: service is deleted here, and not revoked: "), "{said}");
            assert!(said.contains("\nhint: to end the login itself, remove "), "{said}");
        }
        assert_eq!(asked(&service), kinds, "{said}");
        assert_gone(&service);
    }
}

/// A server that says nothing holds the deletion up for a while, and does not prevent it.
#[test]
fn a_server_that_hangs_is_not_waited_for_for_ever() {
    let service = revocable();
    let gate = Gate::default();
    for _ in 0..3 {
        service.authorization.fault_revocation(Fault::Hold(gate.clone()));
    }
    let said = log_out(&service, &[]).expect(3).stderr;
    gate.open();
    assert!(said.contains("in time") || said.contains("did not answer"), "{said}");
    assert_gone(&service);
}

/// Nobody listens there any more.
#[test]
fn a_server_that_is_gone_does_not_keep_the_login_here() {
    let service = Service::new();
    service.authorization.set_metadata(json!({"revocation_endpoint": "http://127.0.0.1:1/revoke"}));
    service.login(&[]).expect(0);
    service.browser.opened();
    let said = log_out(&service, &[]).expect(3).stderr;
    assert!(said.contains("did not reach the authorization server"), "{said}");
    assert_gone(&service);
}

/// What is deleted here alone is good elsewhere, and a person is told what ends it.
#[test]
fn without_a_revocation_endpoint_it_is_deleted_here() {
    let service = Service::logged_in();
    let said = log_out(&service, &[]).expect(0).stderr;
    assert_eq!(
        said,
        "Logged out of service: deleted here only, for 127.0.0.1 names no place to revoke a login at.\n\
         It is good there until it ends; to end the login itself, remove mcp-front's access at the provider.\n"
    );
    assert_eq!(service.authorization.living_grants(), 1);
    assert_gone(&service);
}

#[test]
fn local_only_asks_nobody() {
    let service = revocable();
    let said = log_out(&service, &["--local-only"]).expect(0).stderr;
    assert_eq!(
        said,
        "Logged out of service: deleted here only, as asked.\n\
         Nothing was revoked; to end the login itself, remove mcp-front's access at the provider.\n"
    );
    assert_eq!((asked(&service).len(), service.authorization.living_grants()), (0, 1));
    assert_gone(&service);
}

/// A login of before its server had such an endpoint: the issuer that it is bound to is asked, and
/// nobody else; one that is no longer the same gets nothing.
#[test]
fn the_bound_issuer_may_name_its_endpoint_later() {
    let service = Service::logged_in();
    service.authorization.publish_revocation();
    let said = log_out(&service, &[]).expect(0).stderr;
    assert!(said.contains("revoked by 127.0.0.1"), "{said}");
    assert_eq!(asked(&service), ["refresh_token", "access_token"]);
    assert_gone(&service);

    for changed in [
        json!({"issuer": "https://elsewhere.example"}),
        json!({"token_endpoint": "http://127.0.0.1:1/token"}),
    ] {
        let service = Service::logged_in();
        let mut members = changed.clone();
        members["revocation_endpoint"] = json!(format!("{}/revoke", service.authorization.issuer()));
        service.authorization.set_metadata(members);
        let said = log_out(&service, &[]).expect(3).stderr;
        assert!(said.contains("no longer that of the login's authorization server"), "{changed}: {said}");
        assert_eq!(asked(&service).len(), 0);
        assert_gone(&service);
    }
}

/// A token that a person made can be revoked where it was made.
#[test]
fn a_static_token_is_deleted_here() {
    let service = Service::new();
    let set = ["tokens", "set", &service.server.url(), "--name", NAME];
    service.home.run_with_input(set, b"canary-static-token-0d3f").expect(0);
    let said = log_out(&service, &[]).expect(0).stderr;
    assert_eq!(
        said,
        "Deleted the token of service here. It is good until it is revoked at the provider, where it was \
         made.\n"
    );
    assert_gone(&service);
}

/// That it cannot be read any more makes it no login.
#[test]
fn a_static_token_that_cannot_be_read_is_no_login() {
    let service = Service::new();
    let set = ["tokens", "set", &service.server.url(), "--name", NAME];
    service.home.run_with_input(set, b"a-token").expect(0);
    std::fs::write(service.home.key_file(), [b'k'; 32]).unwrap();
    let said = log_out(&service, &[]).expect(0).stderr;
    assert!(said.contains("until it is revoked at the provider, where it was made"), "{said}");
    assert_gone(&service);
}

/// Front publishes no endpoint: who can end the login is told. Nothing is asked of Front.
#[test]
fn for_front_an_admin_is_named() {
    let service = Service::new();
    let endpoint = "https://mcp.frontapp.com/mcp";
    service.home.run_with_input(["tokens", "set", endpoint], b"canary-static-token-0d3f").expect(0);
    let said = service.home.run(["logout", "front", "--local-only"]).expect(0).stderr;
    assert!(said.contains("an admin of Front removes the app's authorization in Front's settings"), "{said}");
    let again = service.home.run(["logout", "front"]).expect(0).stderr;
    assert_eq!(again, "Nothing is stored for front.\n");
}

/// F07: a refresh under way ends first; what is revoked is what it brought, and nothing comes back.
#[test]
fn a_refresh_under_way_is_waited_for() {
    let service = revocable();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.refuse_issued_access_tokens();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    bridge.send(
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}).to_string(),
    );
    gate.wait_for_arrivals(1);
    let mut logout = Process::start(&mut service.home.command(["logout", NAME]));
    logout.stderr.wait_for("the notice", |text| text.contains("waiting up to 190 s"));
    gate.open();
    let (status, said) = (logout.wait(), String::from_utf8(logout.stderr.to_end()).unwrap());
    assert!(status.success() && said.contains("revoked by 127.0.0.1"), "{status}: {said}");
    assert_eq!(service.authorization.rotations(), 1);
    let revoked: Vec<_> = service
        .authorization
        .revocations()
        .into_iter()
        .map(|request| request.form["token"].clone())
        .collect();
    let (access, refresh) = service.authorization.tokens(1);
    assert_eq!(revoked, [refresh, access]);
    // The request itself may go either way; what follows may not.
    bridge.response(&json!(1));
    assert_login_required(&mut bridge);
    assert_gone(&service);
}

/// A process that dies between revocation and deletion leaves nothing that a bridge uses; the next
/// logout finishes.
#[test]
fn a_logout_that_is_killed_is_finished_by_the_next() {
    let service = revocable();
    let mut bridge = service.bridge();
    bridge.initialize();
    // Each stays closed until all is over: what passes one meets the next fault.
    let gates = [Gate::default(), Gate::default()];
    for (round, gate) in gates.iter().enumerate() {
        service.authorization.fault_revocation(Fault::Members(Value::Null));
        service.authorization.fault_revocation(Fault::Hold(gate.clone()));
        let mut logout = Process::start(&mut service.home.command(["logout", NAME]));
        gate.wait_for_arrivals(1);
        logout.signal(Signal::KILL);
        logout.wait();
        assert_eq!(service.authorization.living_grants(), 0);
        assert_login_required(&mut bridge);
        assert_eq!(asked(&service).len(), 2 * (round + 1));
    }
    let said = log_out(&service, &[]).expect(0).stderr;
    assert!(said.contains("revoked by 127.0.0.1, and deleted here"), "{said}");
    gates.iter().for_each(Gate::open);
    assert_gone(&service);
}

/// G01: a refresh that was killed before its save left newer tokens in the journal: these are alive.
#[test]
fn what_an_interrupted_refresh_left_is_revoked() {
    let service = revocable();
    service.authorization.rotate();
    let (access, refresh) = service.authorization.tokens(1);
    run(async {
        let (_, store, key) = service.kept();
        let mut record = store.load(&key, Patience::Person).await.unwrap().unwrap();
        if let Kind::Oauth(login) = &mut record.kind {
            login.access_token.value = Secret::from(access.clone());
            login.refresh_token = Some(Secret::from(refresh.clone()));
        }
        let (succeeds, at) = (Some(record.generation), Timestamp::now());
        let held = JournalEntry::AnswerHeld { succeeds, at, kind: record.kind };
        store.write_journal(service.lock().await, held, Patience::Person).await.1.unwrap();
    });
    log_out(&service, &[]).expect(0);
    let revoked: BTreeSet<_> = service
        .authorization
        .revocations()
        .into_iter()
        .map(|request| request.form["token"].clone())
        .collect();
    assert_eq!(revoked, BTreeSet::from([access, refresh]));
    assert_gone(&service);
}

/// A login that only a bridge has, in its memory: the bridge forgets it.
#[test]
fn a_bridge_forgets_what_it_has_in_memory() {
    let service = Service::new();
    let url = service.server.url();
    let mut bridge = Bridge::start(&service.home, &[&url, "--login", "--store", "memory", "--name", NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    assert_eq!(service.browser.tabs(), 1);
    let said = log_out(&service, &["--local-only"]).expect(0).stderr;
    assert!(said.contains("the bridge that has the login in its memory forgets it"), "{said}");
    assert_eq!(bridge.echo(2, "again"), "again");
    assert_eq!(service.browser.tabs(), 1, "it had to log in anew");
}

/// What the index cannot tell is found by its address.
#[test]
fn a_damaged_entry_hides_no_login_from_a_logout() {
    let service = revocable();
    std::fs::write(service.entry_file(), "{").unwrap();
    let said = service.home.run(["logout", &service.server.url()]).expect(0).stderr;
    let done = format!("revoked by {}, and deleted here", service.authorization.address());
    assert!(said.contains(&done), "{said}");
    assert_eq!(service.authorization.living_grants(), 0);
    assert_gone(&service);
}

/// What is gone cannot be revoked, and nobody asked for that.
#[test]
fn a_login_whose_record_is_gone_is_not_said_to_be_revoked() {
    for (more, code) in [(&[][..], 3), (&["--local-only"], 0)] {
        let service = revocable();
        let sealed = |path: &std::path::Path| path.extension().is_some_and(|end| end == "sealed");
        let files = service.home.files().into_iter().map(|(path, _)| path);
        files.filter(|path| sealed(path)).for_each(|path| std::fs::remove_file(path).unwrap());
        let said = log_out(&service, more).expect(code).stderr;
        assert_eq!(said.contains("as asked"), code == 0, "{said}");
        assert_eq!(said.contains("not revoked: nothing was left of it"), code == 3, "{said}");
        assert_gone(&service);
    }
}

/// What cannot be read cannot be revoked, and is deleted all the same.
#[test]
fn a_login_that_cannot_be_read_is_deleted_here() {
    let service = revocable();
    std::fs::write(service.home.key_file(), [b'k'; 32]).unwrap();
    let said = log_out(&service, &[]).expect(3).stderr;
    assert!(said.contains("deleted here, and not revoked"), "{said}");
    assert_eq!(asked(&service).len(), 0);
    assert_gone(&service);
}
