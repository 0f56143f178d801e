//! Many bridges of one user on a strict authorization server: one refresh serves them all.

use crate::support::authorization_server::Fault;
use crate::support::gate::Gate;
use crate::support::service::Service;

const PROCESSES: usize = 16;

/// A7, A12, A30: all start with an expired access token.
#[test]
fn sixteen_starts_with_an_expired_token_make_one_refresh() {
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
fn sixteen_refusals_of_an_unexpired_token_make_one_refresh() {
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
fn twenty_calls_at_once_at_expiry_make_one_refresh() {
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
