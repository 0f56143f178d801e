//! What is stored: entries of the index, records, journals and keys are read or refused, in words that
//! quote no secret, whatever became of their files.

use std::cell::OnceCell;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use aes_gcm::aead::{Aead, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::paths::{Paths, create_private_dir, write_private};
use mcp_front::redact::SecretSlice;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::index::{Entry, Index};
use mcp_front::store::{KeySource, Patience, Store, StoreConfig, StoreKind};
use sha2::{Digest, Sha256};

use super::{shown, wait};

/// What no error may quote of a sealed value.
const CANARY: &str = "canary";
const KEY: [u8; 32] = [7; 32];
/// A nonce that is used for any number of values: nobody is kept from reading them.
const NONCE: [u8; 12] = [0; 12];

struct Home {
    _directory: tempfile::TempDir,
    paths: Paths,
    key: ServiceKey,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = Paths::resolve(Some(directory.path())).expect("an absolute path");
        let server = ServerUri::parse("https://mcp.example/mcp", false).expect("a URL");
        let home = Self { _directory: directory, paths, key: ServiceKey::new("default", &server) };
        create_private_dir(&home.paths.services()).expect("a directory");
        for file in [home.entry(), home.sealed(""), home.sealed(".journal")] {
            write_private(&file, b"").expect("a file");
        }
        home
    }

    fn entry(&self) -> PathBuf {
        self.paths.services().join(format!("{}.json", self.key))
    }

    fn sealed(&self, suffix: &str) -> PathBuf {
        self.paths.credentials().join(format!("{}{suffix}.sealed", self.key))
    }
}

/// The first byte says what the others are: an entry of the index, a record's or a journal's value
/// before it is sealed, a sealed file, or a key. `KEY` stands for the service's.
pub fn check(data: &[u8]) {
    let Some((&control, bytes)) = data.split_first() else { return };
    thread_local! {
        static HOME: OnceCell<Home> = const { OnceCell::new() };
    }
    HOME.with(|home| {
        let home = home.get_or_init(Home::new);
        let text = || String::from_utf8_lossy(bytes).replace("KEY", home.key.as_str()).into_bytes();
        match control % 5 {
            0 => check_entry(home, &text()),
            1 => check_sealed(home, "", &seal(home, "", &text()), &KEY),
            2 => check_sealed(home, ".journal", &seal(home, ".journal", &text()), &KEY),
            3 => check_sealed(home, "", bytes, &KEY),
            _ => check_sealed(home, "", &seal(home, "", b"{}"), bytes),
        }
    });
}

fn check_entry(home: &Home, bytes: &[u8]) {
    fs::write(home.entry(), bytes).expect("a file");
    let index = Index::open(home.paths.clone());
    match index.get(&home.key) {
        Ok(entry) => {
            let entry = entry.expect("there is a file");
            let again = serde_json::to_vec(&entry).expect("it can be stored");
            assert_eq!(serde_json::from_slice::<Entry>(&again).expect("it was stored"), entry);
            assert_eq!(index.list().expect("a directory").len(), 1);
            assert!(index.generation(&home.key).is_some());
        }
        Err(error) => {
            super::assert_printable(&shown(&error));
            assert!(index.list().expect("a directory").is_empty());
        }
    }
}

/// As `src/store/file.rs` writes it.
fn seal(home: &Home, suffix: &str, value: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(b"mcp-front encryption key id\0").chain_update(KEY).finalize();
    let label = [b"MFS\x01", &digest[..8]].concat();
    let associated = [&label[..], home.key.as_str().as_bytes(), suffix.as_bytes()].concat();
    let nonce = Nonce::<Aes256Gcm>::from(NONCE);
    let payload = Payload { msg: value, aad: &associated };
    let sealed = Aes256Gcm::new((&KEY).into()).encrypt(&nonce, payload).expect("it is short");
    [&label[..], &NONCE, &sealed].concat()
}

fn check_sealed(home: &Home, suffix: &str, file: &[u8], key: &[u8]) {
    fs::write(home.sealed(suffix), file).expect("a file");
    let key = Some(KeySource::Inline(SecretSlice::from(key.to_vec())));
    let store =
        Store::open(StoreConfig { kind: StoreKind::File, paths: home.paths.clone(), encryption_key: key });
    let error: Option<Box<dyn Error>> = wait(async {
        if suffix.is_empty() {
            return store.load(&home.key, Patience::Bridge).await.err().map(Into::into);
        }
        let lock = ServiceLock::try_acquire(&home.paths, &home.key, Purpose::Refresh).expect("a lock");
        let read = store.journal(&lock.expect("it is free"), Patience::Bridge).await;
        read.err().map(Into::into)
    });
    if let Some(error) = error {
        super::assert_printable(&shown(&*error));
        assert!(!format!("{error:?} {}", shown(&*error)).contains(CANARY), "{error}");
    }
    assert!(wait(store.holds(&home.key, Patience::Bridge)).is_ok_and(|holds| holds));
}
