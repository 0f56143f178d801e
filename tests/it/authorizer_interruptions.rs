//! A refresh that is cut off, or cannot save: what is left, and what the next one makes of it.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use mcp_front::authorizer::{AuthorizerError, stored};
use mcp_front::challenge::Challenge;
use mcp_front::credential::Generation;
use mcp_front::redact::SecretSlice;
use mcp_front::store::StoreKind::{File, Memory};
use mcp_front::store::{JournalEntry, KeySource, Patience, Store, StoreConfig};
use rustix::process::{Pid, Signal, getsid, kill_process};
use serde_json::json;

use crate::support::DEADLINE;
use crate::support::authorization_server::Fault;
use crate::support::gate::Gate;
use crate::support::kept_login::{KeptLogin, carried, run};

/// Waits until `count` requests stand at the gate.
async fn arrivals(gate: &Gate, count: usize) {
    let gate = gate.clone();
    tokio::task::spawn_blocking(move || gate.wait_for_arrivals(count)).await.unwrap();
}

/// Waits until something holds that nothing announces.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = std::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "{what} did not come about");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// The refreshing process of this home, by its environment.
fn helper(home: &Path) -> Pid {
    let mark = format!("MCP_FRONT_HOME={}", home.display());
    let is_ours = |process: &Path| {
        fs::read(process.join("environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|line| line == mark.as_bytes()))
    };
    let found = fs::read_dir("/proc").unwrap().flatten().find(|entry| is_ours(&entry.path()));
    let name = found.expect("a helper runs").file_name();
    Pid::from_raw(name.to_str().unwrap().parse().unwrap()).unwrap()
}

/// G01: an answer that was held when its process was killed is promoted; no refresh is needed.
#[test]
fn a_held_answer_is_promoted() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::new(kind, -10).await;
            let succeeds = Some(kept.record().await.unwrap().generation);
            kept.authorization.rotate();
            let kind = kept.oauth(3000);
            kept.leave_journal(JournalEntry::AnswerHeld { succeeds, at: Timestamp::now(), kind }).await;
            assert_eq!(carried(&kept.authorizer().authorize().await.unwrap()), kept.access_token(1));
            assert_eq!(kept.authorization.refreshes(), 0);
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
            assert!(kept.journal().await.is_none());
        }
    });
}

/// A first login that was killed before its record stands in the journal alone: who is refused a
/// bare request finds it.
#[test]
fn a_first_login_that_was_killed_before_its_record_is_found() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::empty(kind);
            let kind = kept.oauth(3000);
            let held = JournalEntry::AnswerHeld { succeeds: None, at: Timestamp::now(), kind };
            kept.leave_journal(held).await;
            let authorizer = kept.authorizer();
            let bare = authorizer.authorize().await.unwrap();
            assert!(bare.is_bare());
            let found = authorizer.refused(&bare, &Challenge::default()).await.unwrap();
            assert_eq!(carried(&found), kept.access_token(0));
            assert_eq!(kept.authorization.refreshes(), 0);
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(0));
            assert!(kept.journal().await.is_none());
            assert_eq!(kept.entry().identity.name, "service");
        }
    });
}

/// A damaged journal does not keep a good record from being refreshed.
#[test]
fn a_damaged_journal_is_set_aside() {
    run(async {
        let kept = KeptLogin::new(File, -10).await;
        let succeeds = Some(kept.record().await.unwrap().generation);
        kept.leave_journal(JournalEntry::RequestSent { succeeds, at: Timestamp::now() }).await;
        let mut files = fs::read_dir(kept.paths.credentials()).unwrap().flatten().map(|entry| entry.path());
        let is_journal = |path: &std::path::PathBuf| path.to_string_lossy().contains(".journal");
        fs::write(files.find(is_journal).expect("a journal"), b"{\"cut").unwrap();
        assert_eq!(carried(&kept.authorizer().authorize().await.unwrap()), kept.access_token(1));
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
        assert!(kept.journal().await.is_none());
    });
}

/// Neither does one that was sealed with another key than the record: nobody can promote what is in
/// it. It is kept aside as it is.
#[test]
fn a_journal_of_another_key_is_set_aside() {
    run(async {
        let kept = KeptLogin::new(File, -10).await;
        let succeeds = Some(kept.record().await.unwrap().generation);
        let held = JournalEntry::AnswerHeld { succeeds, at: Timestamp::now(), kind: kept.oauth(3000) };
        let encryption_key = Some(KeySource::Inline(SecretSlice::from([b'k'; 32].to_vec())));
        let config = StoreConfig { kind: File, paths: kept.paths.clone(), encryption_key };
        Store::open(config).write_journal(kept.lock().await, held, Patience::Person).await.1.unwrap();
        let journal = kept.paths.credentials().join(format!("{}.journal.sealed", kept.key));
        let sealed = fs::read(&journal).unwrap();
        for _ in 0..2 {
            assert_eq!(carried(&kept.authorizer().authorize().await.unwrap()), kept.access_token(1));
        }
        assert_eq!(kept.authorization.refreshes(), 1);
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
        assert!(kept.journal().await.is_none());
        let aside = kept.paths.credentials().join(format!("{}.journal.damaged.sealed", kept.key));
        assert_eq!(fs::read(aside).unwrap(), sealed);
    });
}

/// F08, G01: an answer that succeeds another record than the stored one is worthless.
#[test]
fn a_late_answer_is_discarded() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        let mut kind = kept.oauth(3000);
        if let mcp_front::credential::Kind::Oauth(oauth) = &mut kind {
            oauth.refresh_token = Some("canary-refresh-of-an-older-login".into());
        }
        let succeeds = Some(Generation::draw().unwrap());
        kept.leave_journal(JournalEntry::AnswerHeld { succeeds, at: Timestamp::now(), kind }).await;
        assert_eq!(carried(&kept.authorizer().authorize().await.unwrap()), kept.access_token(1));
        assert_eq!((kept.authorization.refreshes(), kept.authorization.living_grants() == 1), (1, true));
        assert!(kept.journal().await.is_none());
    });
}

/// G01: a process that was killed between request and answer. The next one tries the old token
/// once; then the server's verdict stands, and says what happened.
#[test]
fn a_killed_refresh_is_tried_once_more() {
    run(async {
        for lenient in [true, false] {
            let kept = KeptLogin::new(File, -10).await;
            if lenient {
                kept.authorization.be_lenient();
            }
            let gate = Gate::default();
            kept.authorization.fault(Fault::Hold(gate.clone()));
            let authorizer = kept.authorizer();
            let waiting = tokio::spawn(async move { authorizer.authorize().await });
            arrivals(&gate, 1).await;
            kill_process(helper(kept.home.path()), Signal::KILL).unwrap();
            let error = waiting.await.unwrap().unwrap_err();
            assert!(matches!(error, AuthorizerError::Unavailable { .. }), "{error}");
            assert!(matches!(kept.journal().await, Some(JournalEntry::RequestSent { .. })));
            gate.open();
            until("the rotation", || kept.authorization.rotations() == 1).await;

            let next = kept.authorizer().authorize().await;
            assert_eq!(kept.authorization.refreshes(), 2);
            match next {
                Ok(authorization) if lenient => assert_eq!(carried(&authorization), kept.access_token(1)),
                Err(AuthorizerError::LoginRequired { reason, .. }) if !lenient => {
                    assert!(reason.contains("cut off"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
            assert!(kept.journal().await.is_none());
        }
    });
}

/// C05, C06, I09: the refreshing process has a session of its own and shrugs off what ends hosts;
/// its arguments and its environment hold nothing of ours that is secret.
#[test]
fn a_refresh_outlives_what_ends_its_host() {
    run(async {
        let kept = KeptLogin::new(File, -10).await;
        let gate = Gate::default();
        kept.authorization.fault(Fault::Hold(gate.clone()));
        let authorizer = kept.authorizer();
        let waiting = tokio::spawn(async move { authorizer.authorize().await });
        arrivals(&gate, 1).await;
        let pid = helper(kept.home.path());
        assert_eq!(getsid(Some(pid)).unwrap(), pid);
        for file in ["environ", "cmdline"] {
            let content = fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero())).unwrap();
            assert!(!String::from_utf8_lossy(&content).contains("canary"), "{file}");
        }
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            kill_process(pid, signal).unwrap();
        }
        gate.open();
        assert_eq!(carried(&waiting.await.unwrap().unwrap()), kept.access_token(1));
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
    });
}

/// A request that is cancelled stops waiting, and nothing else.
#[test]
fn a_cancelled_request_does_not_cancel_the_refresh() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::new(kind, -10).await;
            let gate = Gate::default();
            kept.authorization.fault(Fault::Hold(gate.clone()));
            let authorizer = kept.authorizer();
            let cancelled = tokio::spawn({
                let authorizer = authorizer.clone();
                async move { authorizer.authorize().await }
            });
            arrivals(&gate, 1).await;
            cancelled.abort();
            gate.open();
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(1));
            assert_eq!(kept.authorization.refreshes(), 1);
        }
    });
}

/// F07: a deletion during a refresh wins.
#[test]
fn a_deletion_during_a_refresh_wins() {
    run(async {
        let kept = KeptLogin::new(File, -10).await;
        let gate = Gate::default();
        kept.authorization.fault(Fault::Hold(gate.clone()));
        let authorizer = kept.authorizer();
        let waiting = tokio::spawn({
            let authorizer = authorizer.clone();
            async move { authorizer.authorize().await }
        });
        arrivals(&gate, 1).await;
        let config = StoreConfig { kind: File, paths: kept.paths.clone(), encryption_key: None };
        let key = kept.key.clone();
        let deleting = tokio::spawn(async move { stored::delete(config, &key, Patience::Person).await });
        gate.open();
        assert!(deleting.await.unwrap().unwrap());
        // The request itself may go either way; what follows may not.
        drop(waiting.await.unwrap());
        assert!(kept.record().await.is_none() && kept.index.get(&kept.key).unwrap().is_none());
        assert!(authorizer.authorize().await.unwrap().is_bare());
    });
}

/// G03, G04: what cannot be saved is used all the same, costs no second refresh, and is saved as
/// soon as the store takes it: also where the access token stays and only the refresh token is new.
#[test]
fn an_answer_that_cannot_be_saved_is_used_and_saved_later() {
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
            arrivals(&gate, 1).await;
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

/// F12: without a lock nothing is refreshed.
#[test]
fn nothing_is_refreshed_unlocked() {
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

/// F05, F06: while somebody else holds the lock, a token that is still good is used.
#[test]
fn a_good_token_is_used_while_the_lock_is_held() {
    run(async {
        let kept = KeptLogin::new(Memory, 200).await;
        let lock = kept.lock().await;
        let authorizer = kept.authorizer();
        assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
        drop(lock);
        until("the refresh", || kept.authorization.refreshes() == 1).await;
    });
}
