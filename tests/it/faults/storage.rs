//! G: what is stored, when processes, disks and keychains fail.

use std::fs;

use mcp_front::store::StoreKind::File;
use serde_json::json;

use crate::support::authorization_server::Fault;
use crate::support::gate::Gate;
use crate::support::kept_login::{KeptLogin, carried, run};
use crate::support::keychain::Session;
use crate::support::service::Service;

/// G03, G04: what cannot be saved is used all the same, costs no second refresh, and is saved as
/// soon as the store takes it: also where the access token stays and only the refresh token is new.
#[test]
fn g03_an_answer_that_cannot_be_saved_is_used_and_saved_later() {
    run(async {
        for stays in [false, true] {
            let kept = KeptLogin::new(File, -10).await;
            let gate = Gate::default();
            kept.authorization.fault(Fault::Hold(gate.clone()));
            if stays {
                kept.authorization.fault(Fault::Members(json!({"access_token": kept.access_token(0)})));
            }
            let authorizer = kept.authorizer();
            let waiting = tokio::spawn({
                let authorizer = authorizer.clone();
                async move { authorizer.authorize().await }
            });
            gate.arrivals(1).await;
            let (place, away) = (kept.paths.credentials(), kept.home.path().join("away"));
            fs::rename(&place, &away).unwrap();
            fs::write(&place, b"in the way").unwrap();
            gate.open();
            let renewed = carried(&waiting.await.unwrap().unwrap());
            let token = kept.access_token(usize::from(!stays));
            assert_eq!(renewed, token);
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), token);
            fs::remove_file(&place).unwrap();
            fs::rename(&away, &place).unwrap();
            // The lock is free once the answer is saved.
            drop(kept.lock().await);
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
            assert_eq!(kept.authorization.refreshes(), 1);
            assert!(kept.journal().await.is_none());
        }
    });
}

/// A locked keychain is said to be locked, and its being unlocked later is noticed.
#[test]
fn g06_a_locked_keychain_is_told_and_unlocking_it_helps_a_running_bridge() {
    let Some(mut session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.lock();
    assert_eq!(service.row()["state"], "renews", "listing needs no keychain");
    let mut bridge = service.strict_bridge();
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("locked")), "{error}");
    session.stop_keyring();
    session.start_keyring_with_the_password();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "unlocked"), "unlocked");
}

/// A login whose keychain is gone at the next start.
#[test]
fn g07_a_keychain_that_went_away_is_told_in_time() {
    let Some(mut session) = Session::unlocked() else { return };
    let service = Service::in_keychain(&session);
    service.login(&[]).expect(0);
    session.stop_keyring();
    let mut bridge = service.strict_bridge();
    let error = bridge.refusal();
    assert_eq!(error["data"]["reason"], "credential_store", "{error}");
    session.start_keyring_with_the_password();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "it is back"), "it is back");
}

/// G09: a damaged record is an error that names it and the way out, and stays as it is; a token
/// in memory goes on being used.
#[test]
fn g09_a_damaged_record_is_named_and_left_alone() {
    run(async {
        let kept = KeptLogin::new(File, 3000).await;
        let authorizer = kept.authorizer();
        authorizer.authorize().await.unwrap();
        let records: Vec<_> = std::fs::read_dir(kept.paths.credentials())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        for record in &records {
            std::fs::write(record, b"{\"cut").unwrap();
        }
        let error = kept.authorizer().authorize().await.unwrap_err();
        assert_eq!(error.data()["reason"], "credential_store", "{error}");
        assert!(error.message().contains("login service --force"), "{error}");
        assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
        for record in &records {
            assert_eq!(std::fs::read(record).unwrap(), b"{\"cut");
        }
    });
}
