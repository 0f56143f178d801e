//! Attacks on memory (C08, C09): what a panic or `Debug` shows, and what is left where a token was.

use std::fs::File;
use std::os::unix::fs::FileExt;

use jiff::Timestamp;
use mcp_front::credential::Kind;
use mcp_front::redact::{ExposeSecret, Secret};
use mcp_front::store::{JournalEntry, KeySource, StoreConfig, StoreKind};

use crate::support::authorization_server::CLIENT_SECRET;
use crate::support::canaries::KEY;
use crate::support::kept_login::{KeptLogin, run};
use crate::support::service::Service;
use crate::support::skip;

/// Whoever panics with one of these, or logs it, tells nothing.
#[test]
fn c08_neither_debug_nor_a_panic_shows_a_token() {
    run(async {
        let kept = KeptLogin::new(StoreKind::File, 3000).await;
        let mut kind = kept.oauth(3000);
        if let Kind::Oauth(login) = &mut kind {
            login.client.secret = Some(Secret::from(CLIENT_SECRET));
        }
        kept.save(kind.clone()).await;
        let authorizer = kept.authorizer();
        let authorization = authorizer.authorize().await.unwrap();
        let record = kept.record().await.unwrap();
        let held = JournalEntry::AnswerHeld { succeeds: None, at: Timestamp::now(), kind };
        let store = StoreConfig {
            kind: StoreKind::File,
            paths: kept.paths.clone(),
            encryption_key: Some(KeySource::Inline(KEY.as_bytes().to_vec().into())),
        };
        let shown = [
            format!("{record:?} {held:?} {store:?} {authorizer:?} {authorization:?}"),
            format!("{record:#?} {held:#?} {store:#?} {authorizer:#?} {authorization:#?}"),
        ];
        let panicked = std::panic::catch_unwind(|| panic!("{record:?} {held:?}")).unwrap_err();
        let said = panicked.downcast_ref::<String>().expect("a message").clone();
        for text in shown.iter().chain([&said]) {
            assert!(text.contains("REDACTED"), "{text}");
            for secret in kept.authorization.secrets().iter().map(String::as_str).chain([CLIENT_SECRET, KEY])
            {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
            let bytes = format!("{:?}", KEY.as_bytes());
            assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
        }
    });
}

/// What a process has in memory that it can write to; `None` where this user may not look.
fn memory_of(id: u32) -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).ok()?;
    let memory = File::open(format!("/proc/{id}/mem")).ok()?;
    let mut found = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        if !rest.starts_with("rw") {
            continue;
        }
        let mut part = vec![0; usize::try_from(end - start).ok()?];
        // What the system keeps for itself cannot be read.
        if memory.read_exact_at(&mut part, start).is_ok() {
            found.append(&mut part);
        }
    }
    Some(found)
}

fn holds(memory: &[u8], secret: &str) -> bool {
    memchr::memmem::find(memory, secret.as_bytes()).is_some()
}

/// A bridge reads the record, and keeps of it what a request carries, for as long as it does: not what
/// renews the login, nor a token that was replaced. What the libraries beneath copy is theirs: a request's
/// head in a connection's buffer, a key in a cipher's.
#[test]
fn c09_a_bridge_has_neither_refresh_token_nor_client_secret_nor_old_tokens_in_memory() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "before"), "before");
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(2, "after"), "after");
    let Some(memory) = memory_of(bridge.process.id()) else {
        return skip("root, who alone sees the memory of a process of ours,");
    };
    let (access, refresh) = service.authorization.tokens(service.authorization.rotations());
    assert!(holds(&memory, &access), "what is there is found");
    for (what, secret) in [("refresh token", refresh.as_str()), ("client secret", CLIENT_SECRET)] {
        assert!(!holds(&memory, secret), "the {what} is in memory");
    }
    let (old, _) = service.authorization.tokens(0);
    let count = |text: &str| memchr::memmem::find_iter(&memory, text).count();
    assert_eq!(count(&old), count(&format!("authorization: Bearer {old}")), "it is not in heads alone");
}

/// Where a secret was, nothing of it is left once it is dropped.
#[test]
fn c09_dropped_secrets_are_overwritten() {
    let Ok(memory) = File::open("/proc/self/mem") else { return skip("/proc/self/mem") };
    let read = |address: usize, length: usize| {
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, address as u64).expect("own memory");
        bytes
    };
    run(async {
        let kept = KeptLogin::new(StoreKind::File, 3000).await;
        let authorizer = kept.authorizer();
        let authorization = authorizer.authorize().await.unwrap();
        let mut headers = ::http::HeaderMap::new();
        authorization.apply(&mut headers);
        let value = headers["authorization"].as_bytes();
        let sent = (value.as_ptr() as usize, value.to_vec());
        assert_eq!(read(sent.0, sent.1.len()), sent.1);
        drop(headers);
        assert_eq!(read(sent.0, sent.1.len()), sent.1, "it may be sent again");
        drop(authorization);
        drop(authorizer);
        assert_ne!(read(sent.0, sent.1.len())[7..], sent.1[7..]);

        let record = kept.record().await.unwrap();
        let Kind::Oauth(login) = &record.kind else { panic!("a login") };
        let refresh_token = login.refresh_token.as_ref().unwrap();
        let places = [&login.access_token.value, refresh_token].map(|secret| {
            let text = secret.expose_secret();
            (text.as_ptr() as usize, text.to_owned())
        });
        drop(record);
        for (address, text) in places {
            assert_ne!(read(address, text.len()), text.as_bytes());
        }
    });
}
