//! A refresh that is cut off, or cannot save: what is left, and what the next one makes of it.

use std::fs;

use jiff::Timestamp;
use mcp_front::authorizer::AuthorizerError;
use mcp_front::challenge::Challenge;
use mcp_front::credential::Generation;
use mcp_front::redact::SecretSlice;
use mcp_front::store::StoreKind::{File, Memory};
use mcp_front::store::{JournalEntry, KeySource, Patience, Store, StoreConfig};
use rustix::process::{Signal, kill_process};

use crate::support::authorization_server::Fault;
use crate::support::gate::Gate;
use crate::support::kept_login::{KeptLogin, carried, run, until};

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
            gate.arrivals(1).await;
            // It would try again by itself.
            waiting.abort();
            kill_process(kept.helper(), Signal::KILL).unwrap();
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
            gate.arrivals(1).await;
            cancelled.abort();
            gate.open();
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(1));
            assert_eq!(kept.authorization.refreshes(), 1);
        }
    });
}
