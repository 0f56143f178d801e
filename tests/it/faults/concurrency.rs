//! F: one login, and several processes, calls or people at it at once.

use mcp_front::authorizer::stored;
use mcp_front::store::StoreKind::{File, Memory};
use mcp_front::store::{Patience, StoreConfig};
use std::fs;

use crate::support::authorization_server::Fault;
use crate::support::gate::Gate;
use crate::support::kept_login::{KeptLogin, carried, run, until};
use crate::support::service::Service;

/// How many bridges a storm is.
const PROCESSES: usize = 16;

/// A7, A12, A30: all start with an expired access token.
#[test]
fn f01_sixteen_starts_with_an_expired_token_make_one_refresh() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridges: Vec<_> = (0..PROCESSES).map(|_| service.bridge()).collect();
    std::thread::scope(|scope| {
        for (number, bridge) in bridges.iter_mut().enumerate() {
            scope.spawn(move || {
                bridge.initialize();
                let text = format!("bridge {number}");
                assert_eq!(bridge.echo(1, &text), text);
            });
        }
        gate.wait_for_arrivals(1);
        gate.open();
    });
    assert_eq!(service.authorization.refreshes(), 1);
    assert_eq!(service.authorization.living_grants(), 1, "nobody used a spent refresh token");
    assert_eq!(service.browser.tabs(), 0);
}

/// A7, A12, A30: all run when the server starts to refuse an unexpired token.
#[test]
fn f01_sixteen_refusals_of_an_unexpired_token_make_one_refresh() {
    let service = Service::logged_in();
    let mut bridges: Vec<_> = (0..PROCESSES).map(|_| service.bridge()).collect();
    for bridge in &mut bridges {
        bridge.initialize();
    }
    for round in 1..=3 {
        service.authorization.refuse_issued_access_tokens();
        std::thread::scope(|scope| {
            for (number, bridge) in bridges.iter_mut().enumerate() {
                scope.spawn(move || {
                    let text = format!("round {round}, bridge {number}");
                    assert_eq!(bridge.echo(round, &text), text);
                });
            }
        });
        assert_eq!(service.authorization.refreshes(), usize::try_from(round).unwrap_or_default());
    }
    assert_eq!(service.authorization.living_grants(), 1, "nobody used a spent refresh token");
    assert_eq!(service.browser.tabs(), 0);
}

/// A7: many calls at once in one process make one refresh too.
#[test]
fn f02_twenty_calls_at_once_at_expiry_make_one_refresh() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.refuse_issued_access_tokens();
    for id in 1..=20 {
        bridge.send(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{id}"}}}}}}"#
        ));
    }
    for id in 1..=20 {
        let response = bridge.response(&serde_json::json!(id));
        assert_eq!(response["result"]["content"][0]["text"], id.to_string(), "{response}");
    }
    assert_eq!(service.authorization.refreshes(), 1);
}

/// F05, F06: while somebody else holds the lock, a token that is still good is used.
#[test]
fn f06_a_good_token_is_used_while_the_lock_is_held() {
    run(async {
        let kept = KeptLogin::new(Memory, 200).await;
        let lock = kept.lock().await;
        let authorizer = kept.authorizer();
        assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
        drop(lock);
        until("the refresh", || kept.authorization.refreshes() == 1).await;
    });
}

/// F07: a deletion during a refresh wins.
#[test]
fn f07_a_deletion_during_a_refresh_wins() {
    run(async {
        let kept = KeptLogin::new(File, -10).await;
        let gate = Gate::default();
        kept.authorization.fault(Fault::Hold(gate.clone()));
        let authorizer = kept.authorizer();
        let waiting = tokio::spawn({
            let authorizer = authorizer.clone();
            async move { authorizer.authorize().await }
        });
        gate.arrivals(1).await;
        let config = StoreConfig { kind: File, paths: kept.paths.clone(), encryption_key: None };
        let key = kept.key.clone();
        let deleting =
            tokio::spawn(async move { stored::delete(config, &key, Patience::Person, |_| ()).await });
        gate.open();
        assert!(deleting.await.unwrap().unwrap());
        // The request itself may go either way; what follows may not.
        drop(waiting.await.unwrap());
        assert!(kept.record().await.is_none() && kept.index.get(&kept.key).unwrap().is_none());
        assert!(authorizer.authorize().await.unwrap().is_bare());
    });
}

/// F12: without a lock nothing is refreshed.
#[test]
fn f12_nothing_is_refreshed_unlocked() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::new(kind, -10).await;
            let locks = kept.paths.locks();
            fs::rename(&locks, kept.home.path().join("away")).unwrap();
            fs::write(&locks, b"in the way").unwrap();
            let error = kept.authorizer().authorize().await.unwrap_err();
            assert_eq!(error.data()["reason"], "credential_store", "{error}");
            assert_eq!(kept.authorization.refreshes(), 0);
        }
    });
}
