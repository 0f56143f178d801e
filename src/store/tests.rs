//! The store against its promises, with stores that forget, hang, are short, or are locked.

use std::sync::Mutex;
use std::sync::mpsc;

use zeroize::Zeroizing;

use super::items::{Bytes, ItemName};
use super::*;
use crate::lock::Purpose;
use crate::server_uri::ServerUri;

const NOW: Patience = Patience::Bridge;

struct Place {
    _root: tempfile::TempDir,
    paths: Paths,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::resolve(Some(root.path())).unwrap();
    Place { _root: root, paths }
}

impl Place {
    fn store(&self, kind: StoreKind) -> Store {
        Store::open(StoreConfig { kind, paths: self.paths.clone(), encryption_key: None })
    }

    fn lock(&self) -> Option<ServiceLock> {
        let key = ServiceKey::new("default", &ServerUri::parse("https://mcp.example/", false).unwrap());
        ServiceLock::try_acquire(&self.paths, &key, Purpose::Refresh).unwrap()
    }
}

/// A store whose items are those of `connector`.
fn store(
    connector: impl Fn(Patience) -> Result<Box<dyn Items>, StoreError> + Send + Sync + 'static,
) -> Store {
    Store {
        kind: StoreKind::Memory,
        place: "a test".into(),
        attempts: Attempts::new(connector),
        generated: GeneratedKey::default(),
    }
}

/// Memory items with a fault.
struct Faulty {
    memory: MemoryItems,
    fault: Fault,
}

#[derive(Clone, Copy)]
enum Fault {
    ForgetsWrites,
    ReturnsSomethingElse,
    HoldsLittle,
    RefusesWrites,
}

impl Items for Faulty {
    fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError> {
        let value = self.memory.get(name)?;
        Ok(match self.fault {
            Fault::ReturnsSomethingElse => {
                value.map(|value| Zeroizing::new(value[..value.len() - 1].to_vec()))
            }
            _ => value,
        })
    }

    fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError> {
        match self.fault {
            Fault::ForgetsWrites => Ok(()),
            Fault::RefusesWrites => Err(StoreError::platform("writing", "no space left")),
            _ => self.memory.put(name, value),
        }
    }

    fn erase(&self, name: &ItemName) -> Result<bool, StoreError> {
        self.memory.erase(name)
    }

    fn limit(&self) -> usize {
        // What Windows' credential manager holds.
        if matches!(self.fault, Fault::HoldsLittle) { 2_560 } else { usize::MAX }
    }
}

fn faulty(place: &Place, fault: Fault) -> Store {
    let state = place.paths.state().to_owned();
    store(move |_| Ok(Box::new(Faulty { memory: MemoryItems::of(&state), fault })))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[tokio::test]
async fn every_store_keeps_replaces_and_erases_a_record() {
    let place = place();
    let stores = [
        place.store(StoreKind::Memory),
        place.store(StoreKind::File),
        faulty(&self::place(), Fault::HoldsLittle),
    ];
    for store in stores {
        let lock = place.lock().unwrap();
        let key = lock.key().clone();
        assert!(store.load(&key, NOW).await.unwrap().is_none());
        let (lock, erased) = store.erase(lock, NOW).await;
        assert!(!erased.unwrap());

        let mut lock = lock.back().unwrap();
        let long = "x".repeat(9_000);
        let mut generations = std::collections::HashSet::new();
        let first = samples::oauth(&long, "refresh");
        for Credential { kind, .. } in [first, samples::token("value"), samples::oauth("short", &long)] {
            let (back, saved) = store.save(lock, kind.clone(), NOW).await;
            lock = back.back().unwrap();
            let saved = saved.unwrap();
            assert_eq!(text(&saved.kind), text(&kind));
            assert!(generations.insert(saved.generation.as_str().to_owned()));
            let loaded = store.load(&key, NOW).await.unwrap().unwrap();
            assert_eq!(text(&loaded), text(&saved), "{store:?}");
        }
        let (lock, erased) = store.erase(lock, NOW).await;
        assert!(erased.unwrap());
        assert!(lock.back().is_some() && store.load(&key, NOW).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_journal_lies_beside_the_record_and_goes_with_it() {
    let place = place();
    for kind in [StoreKind::Memory, StoreKind::File] {
        let store = place.store(kind);
        let (lock, saved) = store.save(place.lock().unwrap(), samples::oauth("a", "r").kind, NOW).await;
        let succeeds = Some(saved.unwrap().generation);
        let lock = lock.back().unwrap();
        assert!(store.journal(&lock, NOW).await.unwrap().is_none());

        let at = Timestamp::UNIX_EPOCH;
        let sent = JournalEntry::RequestSent { succeeds: succeeds.clone(), at };
        let (lock, written) = store.write_journal(lock, sent, NOW).await;
        written.unwrap();
        let lock = lock.back().unwrap();
        assert!(matches!(
            store.journal(&lock, NOW).await.unwrap(),
            Some(JournalEntry::RequestSent { succeeds: found, .. }) if found == succeeds
        ));

        let kind = samples::oauth("new", "rotated").kind;
        let held = JournalEntry::AnswerHeld { succeeds, at, kind: kind.clone() };
        let (lock, written) = store.write_journal(lock, held, NOW).await;
        written.unwrap();
        let lock = lock.back().unwrap();
        assert!(matches!(
            store.journal(&lock, NOW).await.unwrap(),
            Some(JournalEntry::AnswerHeld { kind: found, .. }) if text(&found) == text(&kind)
        ));

        let (lock, cleared) = store.clear_journal(lock, NOW).await;
        cleared.unwrap();
        let lock = lock.back().unwrap();
        assert!(store.journal(&lock, NOW).await.unwrap().is_none());
        assert!(store.load(lock.key(), NOW).await.unwrap().is_some());

        let sent = JournalEntry::RequestSent { succeeds: None, at };
        let (lock, _) = store.write_journal(lock, sent, NOW).await;
        let (lock, erased) = store.erase(lock.back().unwrap(), NOW).await;
        assert!(erased.unwrap());
        let lock = lock.back().unwrap();
        assert!(store.journal(&lock, NOW).await.unwrap().is_none());

        let sent = JournalEntry::RequestSent { succeeds: None, at };
        let (lock, _) = store.write_journal(lock, sent, NOW).await;
        let (lock, erased) = store.erase(lock.back().unwrap(), NOW).await;
        assert!(erased.unwrap(), "a journal alone is something");
        let (_, erased) = store.erase(lock.back().unwrap(), NOW).await;
        assert!(!erased.unwrap());
    }
}

#[tokio::test]
async fn a_store_that_lies_about_a_save_is_found_out() {
    for fault in [Fault::ForgetsWrites, Fault::ReturnsSomethingElse] {
        let place = place();
        let (lock, saved) =
            faulty(&place, fault).save(place.lock().unwrap(), samples::token("t").kind, NOW).await;
        assert!(matches!(saved, Err(StoreError::Untrusted { .. })));
        assert!(lock.back().is_some());
    }
}

#[tokio::test]
async fn a_refused_write_leaves_the_old_record_and_hands_the_lock_back() {
    let place = place();
    let memory = place.store(StoreKind::Memory);
    let (lock, saved) = memory.save(place.lock().unwrap(), samples::token("old").kind, NOW).await;
    let generation = saved.unwrap().generation;
    let refusing = faulty(&place, Fault::RefusesWrites);
    let (lock, saved) = refusing.save(lock.back().unwrap(), samples::token("new").kind, NOW).await;
    assert!(matches!(saved, Err(StoreError::Platform { .. })));
    let key = lock.back().unwrap().key().clone();
    assert_eq!(memory.load(&key, NOW).await.unwrap().unwrap().generation, generation);
}

/// A store that hangs until the sender is dropped, and says what it was opened with.
fn hanging(place: &Place) -> (mpsc::Sender<()>, Store) {
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let state = place.paths.state().to_owned();
    let store = store(move |_| {
        // It ends, one way or another, when the sender is gone.
        let _ = hang.lock().unwrap().recv();
        Ok(Box::new(MemoryItems::of(&state)))
    });
    (release, store)
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_in_time_and_in_number() {
    let place = place();
    let (release, store) = hanging(&place);
    let key = place.lock().unwrap().key().clone();
    let attempts = (0..8).map(|_| store.load(&key, NOW));
    for outcome in futures_util::future::join_all(attempts).await {
        assert!(matches!(outcome, Err(StoreError::Unresponsive { after }) if after == NOW.limit()));
    }
    let error = store.load(&key, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unresponsive { after } if after == NOW.limit()));
    let (lock, saved) = store.save(place.lock().unwrap(), samples::token("t").kind, NOW).await;
    assert!(lock.back().is_some() && matches!(saved, Err(StoreError::Unresponsive { .. })));
    drop(release);
}

#[tokio::test]
async fn a_write_that_hangs_keeps_its_lock_until_it_ends() {
    let place = place();
    let (release, store) = hanging(&place);
    let save = store.save(place.lock().unwrap(), samples::token("late").kind, NOW);
    // The caller gives up before the deadline: the same as a cancelled request.
    assert!(tokio::time::timeout(Duration::from_millis(20), save).await.is_err());
    assert!(place.lock().is_none());
    drop(release);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let key = ServiceKey::new("default", &ServerUri::parse("https://mcp.example/", false).unwrap());
    let lock = ServiceLock::acquire(&place.paths, &key, Purpose::Refresh, deadline).await.unwrap();
    assert!(place.store(StoreKind::Memory).load(lock.key(), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn a_write_that_hangs_hands_its_lock_back_to_who_waited() {
    let place = place();
    let (release, store) = hanging(&place);
    let (lent, saved) = store.save(place.lock().unwrap(), samples::token("late").kind, NOW).await;
    assert!(matches!(saved, Err(StoreError::Unresponsive { .. })));
    let Lent::Away(lock) = lent else { panic!("the write still has it") };
    drop(release);
    let lock = lock.await.unwrap();
    assert!(place.lock().is_none(), "nobody else gets it");
    assert!(place.store(StoreKind::Memory).load(lock.key(), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_comes_back_is_found_by_the_next_attempt() {
    let place = place();
    let state = place.paths.state().to_owned();
    let attempts = Mutex::new(0);
    let store = store(move |_| {
        let mut attempts = attempts.lock().unwrap();
        *attempts += 1;
        match *attempts {
            1 => Err(StoreError::absent("no bus")),
            2 => Err(StoreError::Locked),
            _ => Ok(Box::new(MemoryItems::of(&state))),
        }
    });
    let key = place.lock().unwrap().key().clone();
    assert!(matches!(store.load(&key, NOW).await, Err(StoreError::Absent { .. })));
    assert!(matches!(store.load(&key, NOW).await, Err(StoreError::Locked)));
    assert!(store.load(&key, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn newer_records_are_refused_and_damaged_ones_set_aside() {
    let place = place();
    let store = place.store(StoreKind::Memory);
    let items = MemoryItems::of(place.paths.state());
    let lock = place.lock().unwrap();
    let name = ItemName::record(lock.key());
    let head = format!("{{\"layout\":1,\"item\":\"{name}\",\"body\":\"here\"}}\n");

    let newer = format!("{head}{{\"schema\":2,\"canary\":\"x\"}}");
    items.put(&name, newer.as_bytes()).unwrap();
    let key = lock.key().clone();
    assert!(matches!(store.load(&key, NOW).await, Err(StoreError::NewerSchema { found: 2 })));
    let (lock, saved) = store.save(lock, samples::token("t").kind, NOW).await;
    assert!(matches!(saved, Err(StoreError::NewerSchema { found: 2 })));
    let (lock, erased) = store.erase(lock.back().unwrap(), NOW).await;
    assert!(matches!(erased, Err(StoreError::NewerSchema { found: 2 })));
    assert_eq!(&**items.get(&name).unwrap().unwrap(), newer.as_bytes());

    let damaged = format!("{head}{{\"schema\":1,\"generation\":\"canary\",\"kind\":\"canary");
    items.put(&name, damaged.as_bytes()).unwrap();
    let error = store.load(&key, NOW).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { .. }));
    assert!(!format!("{error} {error:?}").contains("canary"));
    let (lock, saved) = store.save(lock.back().unwrap(), samples::token("t").kind, NOW).await;
    saved.unwrap();
    assert_eq!(&**items.get(&name.damaged()).unwrap().unwrap(), damaged.as_bytes());
    let (_, erased) = store.erase(lock.back().unwrap(), NOW).await;
    assert!(erased.unwrap() && items.get(&name.damaged()).unwrap().is_none());
}

#[tokio::test]
async fn a_file_that_is_too_large_is_damaged_and_can_be_replaced_and_erased() {
    let place = place();
    let store = place.store(StoreKind::File);
    let (lock, saved) = store.save(place.lock().unwrap(), samples::token("t").kind, NOW).await;
    saved.unwrap();
    let lock = lock.back().unwrap();
    let key = lock.key().clone();
    let path = place.paths.credentials().join(format!("{}.sealed", ItemName::record(&key)));
    let bloat = || std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    bloat();
    assert!(matches!(store.load(&key, NOW).await, Err(StoreError::Corrupt { .. })));
    let (lock, saved) = store.save(lock, samples::token("t").kind, NOW).await;
    saved.unwrap();
    assert!(store.load(&key, NOW).await.unwrap().is_some());
    bloat();
    let (_, erased) = store.erase(lock.back().unwrap(), NOW).await;
    assert!(erased.unwrap() && !path.exists());
}

#[test]
fn kinds_have_names() {
    for kind in [StoreKind::Keyring, StoreKind::File, StoreKind::Memory] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert!("keychain".parse::<StoreKind>().unwrap_err().to_string().contains("keyring, file or memory"));
}
