//! G09: a record that is damaged, in files and in the keychain.

use std::fs;

use serde_json::Value;

use crate::support::keychain::Session;
use crate::support::service::{NAME, Service};

/// What a bridge, a person and `doctor` are told of a damaged record, each with the command that mends it;
/// and a login that would leave it as it is. Returns that command.
fn told(service: &Service, item: &str) -> String {
    let error = service.strict_bridge().refusal();
    let message = error["message"].as_str().unwrap_or_default();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    assert!(message.contains(item) && message.contains("is left as it is"), "{message}");
    let command = error["data"]["command"].as_str().expect("a command").to_owned();
    assert!(command.contains(" login ") && command.contains(" --force"), "{command}");

    let said = service.login(&[]).expect(5).stderr;
    assert!(said.contains(item) && said.contains("--force"), "{said}");
    let document = service.home.run(["doctor", NAME, "--json"]).expect(1).stdout;
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let findings = document["findings"].as_array().expect("a list");
    let token = findings.iter().find(|finding| finding["check"] == "token").expect("a finding");
    assert!(
        token["text"].to_string().contains(item) && token["remedy"].to_string().contains("--force"),
        "{token}"
    );
    assert_eq!((service.authorization.refreshes(), service.browser.tabs()), (0, 0));
    command
}

/// The login that was told helps, and works.
fn is_replaced_by(service: &Service, command: &str) {
    service.home.in_another_terminal(command, &[], b"").expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "replaced"), "replaced");
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(2, "renews"), "renews");
}

#[test]
fn g09_a_damaged_file_is_named_and_kept_beside_what_replaces_it() {
    for way in 0..5 {
        let service = Service::logged_in();
        let (paths, _, key) = service.kept();
        let record = paths.credentials().join(format!("{key}.sealed"));
        let whole = fs::read(&record).unwrap();
        let (half, last) = (whole.len() / 2, whole.len() - 1);
        let damaged = match way {
            0 => Vec::new(),
            1 => whole[..half].to_vec(),
            2 => [&whole[..last], &[whole[last] ^ 1]].concat(),
            3 => vec![0; whole.len()],
            _ => b"{\"refresh_token\": \"cut".to_vec(),
        };
        fs::write(&record, &damaged).unwrap();
        let command = told(&service, record.to_str().unwrap());
        assert_eq!(fs::read(&record).unwrap(), damaged, "it is left alone");
        is_replaced_by(&service, &command);
        let backup = paths.credentials().join(format!("{key}.damaged.sealed"));
        assert_eq!(fs::read(backup).unwrap(), damaged, "it is kept");
    }
}

#[test]
fn g09_a_damaged_keychain_item_is_named_and_kept_beside_what_replaces_it() {
    for damaged in ["", "{\"schema\":1,\"gener", "not ours at all"] {
        let Some(session) = Session::unlocked() else { return };
        let service = Service::in_keychain(&session);
        service.login(&[]).expect(0);
        service.browser.opened();
        let (_, _, key) = service.kept();
        session.plant(key.as_str(), damaged);
        let command = told(&service, key.as_str());
        assert_eq!(session.lookup(key.as_str()), damaged, "it is left alone");
        is_replaced_by(&service, &command);
        assert_eq!(session.lookup(&format!("{}.damaged", key.as_str())), damaged, "it is kept");
    }
}
