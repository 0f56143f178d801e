//! F: one login, and several processes, calls or people at it at once.

use std::fs;
use std::time::{Duration, Instant};

use mcp_front::authorizer::stored;
use mcp_front::store::StoreKind::{File, Memory};
use mcp_front::store::index::State;
use mcp_front::store::{Patience, StoreConfig};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::authorization_server::Fault;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::clock::HOUR;
use crate::support::gate::Gate;
use crate::support::http_server::Reply;
use crate::support::kept_login::{KeptLogin, carried, refreshing_process, refreshing_processes, run, until};
use crate::support::service::{NAME, Service};

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

/// A7: many calls at once in one process make one refresh too, whether the token is over or refused.
#[test]
fn f02_twenty_calls_at_once_at_expiry_make_one_refresh() {
    for over in [true, false] {
        let (service, clock) = Service::with_clock();
        let mut bridge = service.bridge();
        bridge.initialize();
        match over {
            true => clock.advance(2 * HOUR),
            false => service.authorization.refuse_issued_access_tokens(),
        }
        for id in 1..=20 {
            bridge.send(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{id}"}}}}}}"#
            ));
        }
        for id in 1..=20 {
            let response = bridge.response(&json!(id));
            assert_eq!(response["result"]["content"][0]["text"], id.to_string(), "{response}");
        }
        assert_eq!(service.authorization.refreshes(), 1, "over: {over}");
    }
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
        assert!(deleting.await.unwrap().unwrap().any);
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

/// The frame of a call.
fn echo(id: i64) -> String {
    let params = json!({"name": "echo", "arguments": {"text": "x"}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

#[test]
fn f03_a_hundred_expiries_in_five_processes_leave_the_grant_alive() {
    const ROUNDS: usize = 100;
    let (service, clock) = Service::with_clock();
    let mut bridges: Vec<_> = (0..5).map(|_| service.bridge()).collect();
    for bridge in &mut bridges {
        bridge.initialize();
    }
    for round in 1..=ROUNDS {
        clock.advance(2 * HOUR);
        let id = i64::try_from(round).unwrap();
        for bridge in &mut bridges {
            bridge.send(echo(id));
        }
        for bridge in &mut bridges {
            let answer = bridge.response(&json!(id));
            assert!(answer["result"].is_object(), "round {round}: {answer}");
        }
        assert_eq!(service.authorization.refreshes(), round);
    }
    assert_eq!((service.authorization.replays(), service.authorization.living_grants()), (0, 1));
    assert_eq!(service.browser.tabs(), 0);
}

/// Somebody who takes no lock (a copy of the home on another machine, say) has refreshed meanwhile.
#[test]
fn f04_a_loser_adopts_what_the_winner_stored() {
    run(async {
        for (left, refreshes) in [(3000, 1), (-10, 2)] {
            let kept = KeptLogin::new(File, -10).await;
            let place = kept.paths.credentials();
            let files = || {
                let sealed = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path());
                let sealed = sealed.filter(|path| path.extension().is_some_and(|end| end == "sealed"));
                sealed.map(|path| (path.clone(), fs::read(path).unwrap())).collect::<Vec<_>>()
            };
            let old = files();
            kept.authorization.rotate();
            kept.save(kept.oauth(left)).await;
            let new = files();
            let put = |files: Vec<(std::path::PathBuf, Vec<u8>)>| {
                files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
            };
            put(old);
            kept.authorization.fault(Fault::Answer(Box::new(move |_| {
                put(new);
                Reply::json(400, r#"{"error":"invalid_grant"}"#)
            })));
            let token = carried(&kept.authorizer().authorize().await.unwrap());
            assert_eq!(token, kept.access_token(refreshes));
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(refreshes));
            assert_eq!(kept.authorization.refreshes(), refreshes);
            assert_eq!(kept.entry().state, State::Valid);
        }
    });
}

/// The kernel frees the lock of a dead process, and whoever waits goes on at once.
#[test]
fn f05_a_waiter_goes_on_when_the_holder_is_killed() {
    let service = Service::with_expired_token();
    service.authorization.be_lenient();
    let (first, second) = (Gate::default(), Gate::default());
    service.authorization.fault(Fault::Hold(first.clone()));
    let mut holder = service.bridge();
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    holder.send(start.to_string());
    first.wait_for_arrivals(1);
    let helper = refreshing_process(service.home.path());
    service.authorization.fault(Fault::Hold(second.clone()));
    let mut waiter = service.bridge();
    waiter.send(start.to_string());
    while refreshing_processes(service.home.path()).len() < 2 {
        std::thread::yield_now();
    }
    let killed = Instant::now();
    kill_process(helper, Signal::KILL).unwrap();
    second.wait_for_arrivals(1);
    assert!(killed.elapsed() < Duration::from_secs(1), "it took {:?}", killed.elapsed());
    first.open();
    second.open();
    for bridge in [&mut holder, &mut waiter] {
        assert!(bridge.response(&json!(0))["result"].is_object());
    }
    assert_eq!(service.authorization.living_grants(), 1);
}

/// A holder that is stopped keeps its lock, whatever time passes: others say that they are waiting,
/// nobody sends the token again, and what it saves in the end counts.
#[test]
fn f06_a_stopped_holder_is_not_robbed() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut holder = service.bridge();
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    holder.send(start.to_string());
    gate.wait_for_arrivals(1);
    let helper = refreshing_process(service.home.path());
    kill_process(helper, Signal::STOP).unwrap();
    gate.open();
    let mut waiter = service.strict_bridge();
    let error = waiter.call(0, "initialize", initialize_params())["error"].clone();
    assert_eq!(error["data"]["reason"], "busy", "{error}");
    assert_eq!(service.authorization.refreshes(), 1);
    kill_process(helper, Signal::CONT).unwrap();
    waiter.initialize();
    assert_eq!(waiter.echo(1, "on"), "on");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (1, 1));
}

/// A person's login outlives the refresh that was under way when it was made.
#[test]
fn f08_a_login_during_a_refresh_wins() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.bridge();
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    bridge.send(start.to_string());
    gate.wait_for_arrivals(1);
    std::thread::scope(|scope| {
        let login = scope.spawn(|| service.login(&["--force"]).expect(0));
        while service.authorization.token_requests().len() < 3 {
            std::thread::yield_now();
        }
        gate.open();
        login.join().unwrap();
    });
    assert!(bridge.response(&json!(0))["result"].is_object());
    service.authorization.revoke_grant(0);
    assert_eq!(bridge.echo(1, "the new login"), "the new login");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (1, 1));
    assert_eq!(service.row()["state"], "renews");
}

#[test]
fn f09_two_profiles_refresh_beside_each_other() {
    let (service, clock) = Service::with_clock();
    service.login(&["--profile", "seat"]).expect(0);
    clock.advance(2 * HOUR);
    let gate = Gate::default();
    for _ in 0..2 {
        service.authorization.fault(Fault::Hold(gate.clone()));
    }
    let mut bridges =
        [&[NAME][..], &[NAME, "--profile", "seat"]].map(|arguments| Bridge::start(&service.home, arguments));
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    for bridge in &mut bridges {
        bridge.send(start.to_string());
    }
    gate.wait_for_arrivals(2);
    gate.open();
    for bridge in &mut bridges {
        assert!(bridge.response(&json!(0))["result"].is_object());
        assert_eq!(bridge.echo(1, "on"), "on");
    }
    clock.advance(2 * HOUR);
    for bridge in &mut bridges {
        assert_eq!(bridge.echo(2, "and on"), "and on");
    }
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (4, 2));
    assert_eq!(service.authorization.replays(), 0);
}

/// What a newer version wrote is refused by name, and left as it is, by whoever meets it.
#[test]
fn f10_a_newer_version_s_record_is_left_alone() {
    let service = Service::logged_in();
    let (paths, _, key) = service.kept();
    let record = paths.credentials().join(format!("{key}.sealed"));
    let entry = service.entry_file();
    let mut sealed = fs::read(&record).unwrap();
    // The version, behind the three bytes that say what file it is.
    sealed[3] += 1;
    let listed = fs::read_to_string(&entry).unwrap().replace("\"schema\": 1", "\"schema\": 99");
    assert!(listed.contains("99"), "{listed}");
    for (path, newer, reason) in
        [(&record, sealed, "credential_store"), (&entry, listed.into_bytes(), "index")]
    {
        let older = fs::read(path).unwrap();
        fs::write(path, &newer).unwrap();
        let mut bridge = service.strict_bridge();
        let error = bridge.refusal();
        assert_eq!(error["data"]["reason"], reason, "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("update mcp-front")), "{error}");
        for arguments in [&["tokens", "delete", NAME, "--yes"][..], &["tokens", "set", NAME, "--force"]] {
            let refused = service.home.run_with_input(arguments, b"a-token\n");
            assert_ne!(refused.code(), 0, "{arguments:?}: {refused:?}");
        }
        assert_ne!(service.login(&["--force"]).code(), 0);
        assert_eq!(fs::read(path).unwrap(), newer, "{}", path.display());
        fs::write(path, older).unwrap();
    }
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "as before"), "as before");
}

/// A host that starts its bridge twice has two that work.
#[test]
fn f13_two_bridges_of_one_host_share_one_refresh() {
    let service = Service::with_expired_token();
    let mut bridges = [service.bridge(), service.bridge()];
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
    for bridge in &mut bridges {
        bridge.send(start.to_string());
    }
    for bridge in &mut bridges {
        assert!(bridge.response(&json!(0))["result"].is_object());
        assert_eq!(bridge.echo(1, "both"), "both");
    }
    assert_eq!((service.authorization.refreshes(), service.server.sessions().1), (1, 2));
}
