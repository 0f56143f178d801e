//! The index against its promises: nothing secret, one name a service, every change seen.

use super::*;
use crate::lock::Purpose;
use crate::server_uri::ServerUri;
use crate::store::{StoreKind, samples};

struct Place {
    _root: tempfile::TempDir,
    paths: Paths,
    index: Index,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::resolve(Some(root.path())).unwrap();
    let index = Index::open(paths.clone());
    Place { _root: root, paths, index }
}

impl Place {
    fn lock(&self, url: &str) -> ServiceLock {
        let key = ServiceKey::new("default", &ServerUri::parse(url, false).unwrap());
        ServiceLock::try_acquire(&self.paths, &key, Purpose::Refresh).unwrap().unwrap()
    }
}

fn identity(name: &str, url: &str) -> Identity {
    Identity::new(name, "default", &ServerUri::parse(url, false).unwrap(), StoreKind::File)
}

const ONE: &str = "https://one.example/mcp";
const TWO: &str = "https://two.example/mcp";

#[test]
fn an_entry_follows_its_record_and_holds_no_secret() {
    let place = place();
    let lock = place.lock(ONE);
    assert_eq!(place.index.generation(lock.key()), None);
    let credential = samples::oauth("access-canary", "refresh-canary");
    place.index.repair(&lock, identity("one", ONE), &credential).unwrap();

    let entry = place.index.find("default", "one").unwrap().unwrap();
    assert_eq!(place.index.list().unwrap().as_slice(), std::slice::from_ref(&entry));
    assert_eq!(place.index.get(lock.key()).unwrap().as_ref(), Some(&entry));
    assert_eq!((entry.kind, entry.renews, &entry.state), (EntryKind::Oauth, true, &State::Valid));
    assert_eq!(place.index.generation(lock.key()), Some(credential.generation));
    let text = fs::read_to_string(place.index.path(lock.key())).unwrap();
    assert!(!text.contains("canary") && text.contains("one.example"), "{text}");
}

#[test]
fn another_process_save_changes_the_generation() {
    let place = place();
    let lock = place.lock(ONE);
    for _ in 0..50 {
        let credential = samples::oauth("a", "r");
        // Another process's index, whose writes this one has not seen.
        let theirs = Index::open(place.paths.clone());
        theirs.repair(&lock, identity("one", ONE), &credential).unwrap();
        assert_eq!(place.index.generation(lock.key()), Some(credential.generation));
    }
}

#[test]
fn the_last_error_stays_for_its_generation_only() {
    let place = place();
    let lock = place.lock(ONE);
    let credential = samples::oauth("a", "r");
    place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
    let error = LastError { at: credential_time(), code: "timeout".to_owned(), text: "no answer".to_owned() };
    place.index.note(&lock, |entry| entry.last_error = Some(error.clone())).unwrap();
    place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
    assert_eq!(place.index.get(lock.key()).unwrap().unwrap().last_error, Some(error));
    place.index.repair(&lock, identity("one", ONE), &samples::oauth("b", "r")).unwrap();
    assert_eq!(place.index.get(lock.key()).unwrap().unwrap().last_error, None);
}

/// A login that is about to be saved is announced until its record is listed, or another one is.
#[test]
fn an_announcement_stays_for_the_record_that_it_succeeds() {
    let place = place();
    let lock = place.lock(ONE);
    let (listed, record) = (samples::oauth("a", "r"), samples::oauth("b", "r"));
    let mut coming = samples::oauth("c", "r");
    let Kind::Oauth(oauth) = &mut coming.kind else { panic!("an OAuth login") };
    oauth.binding.token_endpoint = "https://elsewhere.example/token".parse().unwrap();
    let announced = || place.index.get(lock.key()).unwrap().unwrap().coming.is_some();
    for (last, stays) in [(&record, true), (&coming, false), (&samples::oauth("d", "r"), false)] {
        place.index.repair(&lock, identity("one", ONE), &listed).unwrap();
        place.index.announce(&lock, &record.kind, Some(&record.generation)).unwrap();
        assert!(!announced(), "the entry would admit it");
        place.index.announce(&lock, &coming.kind, Some(&record.generation)).unwrap();
        assert!(announced());
        place.index.get(lock.key()).unwrap().unwrap().admit(&coming.kind).unwrap();
        place.index.repair(&lock, identity("one", ONE), last).unwrap();
        assert_eq!(announced(), stays);
    }
}

/// The store that a service left, or is about to go to, is known until nothing is left there.
#[test]
fn what_lies_in_another_store_is_known_until_it_is_erased() {
    let place = place();
    let lock = place.lock(ONE);
    let kept_in = |store| Identity { store, ..identity("one", ONE) };
    let list = |store, record: &str| {
        place.index.repair(&lock, kept_in(store), &samples::oauth(record, "r")).unwrap();
    };
    let also_in = || place.index.get(lock.key()).unwrap().unwrap().also_in;
    list(StoreKind::Keyring, "a");
    place.index.announce_move(&lock, StoreKind::Keyring).unwrap();
    assert_eq!(also_in(), None);
    place.index.announce_move(&lock, StoreKind::File).unwrap();
    list(StoreKind::Keyring, "b");
    assert_eq!(also_in(), Some(StoreKind::File), "a move that came to nothing");
    list(StoreKind::File, "c");
    place.index.note_erased(&lock, StoreKind::File).unwrap();
    list(StoreKind::File, "d");
    assert_eq!(also_in(), Some(StoreKind::Keyring));
    list(StoreKind::Keyring, "e");
    assert_eq!(also_in(), Some(StoreKind::File));
    place.index.note_erased(&lock, StoreKind::File).unwrap();
    assert_eq!(also_in(), None);
    list(StoreKind::Memory, "f");
    list(StoreKind::File, "g");
    assert_eq!(also_in(), Some(StoreKind::Keyring), "memory keeps nothing");
}

/// A refusal changes no generation, is noted once, and goes with its record.
#[test]
fn a_refusal_stays_for_its_generation_only() {
    let place = place();
    let lock = place.lock(ONE);
    let credential = samples::token("a");
    let refusal =
        |text: &str| LastError { at: credential_time(), code: "refused".to_owned(), text: text.to_owned() };
    let entry = || place.index.get(lock.key()).unwrap().unwrap();
    place.index.mark_refused(&lock, &credential.generation, refusal("unlisted")).unwrap();
    assert_eq!(place.index.get(lock.key()).unwrap(), None);

    place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
    place.index.mark_refused(&lock, &samples::token("b").generation, refusal("another's")).unwrap();
    assert_eq!((entry().state, entry().last_error), (State::Valid, None));
    for text in ["first", "second"] {
        place.index.mark_refused(&lock, &credential.generation, refusal(text)).unwrap();
        place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
        let reason = "first".to_owned();
        assert_eq!(
            entry().state,
            State::LoginRequired { reason, since: credential_time(), by_service: true }
        );
        assert_eq!(entry().last_error, Some(refusal("first")));
        assert_eq!(place.index.generation(lock.key()).as_ref(), Some(&credential.generation));
    }
    place.index.clear_refusal(&lock, &samples::token("b").generation).unwrap();
    assert_ne!(entry().state, State::Valid);
    place.index.clear_refusal(&lock, &credential.generation).unwrap();
    assert_eq!((entry().state, entry().last_error), (State::Valid, None));

    place.index.mark_refused(&lock, &credential.generation, refusal("again")).unwrap();
    place.index.repair(&lock, identity("one", ONE), &samples::token("a")).unwrap();
    assert_eq!((entry().state, entry().last_error), (State::Valid, None));
}

fn credential_time() -> jiff::Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[test]
fn an_ended_login_says_so() {
    let place = place();
    let lock = place.lock(ONE);
    let credential = samples::ended(samples::oauth("a", "r"), "invalid_grant");
    place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
    let entry = place.index.get(lock.key()).unwrap().unwrap();
    assert!(matches!(entry.state, State::LoginRequired { .. }));
    assert_eq!(entry.last_error.map(|error| error.code).as_deref(), Some("invalid_grant"));
}

#[test]
fn names_are_unique_within_a_profile() {
    let place = place();
    let (one, two) = (place.lock(ONE), place.lock(TWO));
    let credential = samples::oauth("a", "r");
    place.index.repair(&one, identity("name", ONE), &credential).unwrap();
    let error = place.index.repair(&two, identity("name", TWO), &credential).unwrap_err();
    assert!(matches!(error, IndexError::NameTaken { url, .. } if url == ONE));
    let elsewhere = Identity { profile: "work".to_owned(), ..identity("name", TWO) };
    place.index.repair(&two, elsewhere, &credential).unwrap();
    // Once its deletion has begun, the name is free.
    assert!(place.index.mark_deleted(&one).unwrap().is_some());
    place.index.repair(&two, identity("name", TWO), &credential).unwrap();
    assert_eq!(place.index.find("default", "name").unwrap().unwrap().key, *two.key());
}

#[test]
fn a_deletion_changes_the_generation_and_can_be_finished_later() {
    let place = place();
    let lock = place.lock(ONE);
    assert!(place.index.mark_deleted(&lock).unwrap().is_none());
    let credential = samples::oauth("a", "r");
    place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
    assert!(place.index.mark_deleted(&lock).unwrap().is_some());
    let stamp = place.index.generation(lock.key()).unwrap();
    assert_ne!(stamp, credential.generation);
    assert!(place.index.find("default", "one").unwrap().unwrap().deleted);
    assert!(place.index.remove(&lock).unwrap());
    assert!(!place.index.remove(&lock).unwrap());
    assert_eq!(place.index.generation(lock.key()), None);
    assert!(place.index.list().unwrap().is_empty());
}

#[test]
fn a_newer_entry_is_not_overwritten_and_hides_no_other() {
    let place = place();
    let (one, two) = (place.lock(ONE), place.lock(TWO));
    let credential = samples::oauth("a", "r");
    place.index.repair(&one, identity("one", ONE), &credential).unwrap();
    place.index.repair(&two, identity("two", TWO), &credential).unwrap();
    let path = place.index.path(one.key());
    let newer = fs::read_to_string(&path).unwrap().replacen("\"schema\": 1", "\"schema\": 2", 1);
    fs::write(&path, &newer).unwrap();
    assert!(matches!(place.index.get(one.key()), Err(IndexError::NewerSchema { found: 2, .. })));
    assert!(place.index.repair(&one, identity("one", ONE), &credential).is_err());
    assert!(place.index.mark_deleted(&one).is_err());
    assert!(place.index.remove(&one).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    assert_eq!(place.index.list().unwrap().len(), 1);
    assert_eq!(place.index.generation(one.key()), Some(credential.generation));
}

#[test]
fn a_damaged_entry_is_named_and_repaired_from_the_record() {
    let place = place();
    let lock = place.lock(ONE);
    let path = place.index.path(lock.key());
    for damaged in ["", "{", "{}", "[1]", "\u{0}"] {
        paths::write_private(&path, damaged.as_bytes()).unwrap();
        let error = place.index.get(lock.key()).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(place.index.generation(lock.key()), None);
        place.index.repair(&lock, identity("one", ONE), &samples::oauth("a", "r")).unwrap();
        assert!(place.index.get(lock.key()).unwrap().is_some());
    }
}

#[test]
fn what_is_no_file_of_ours_is_damage_too_and_is_replaced() {
    let place = place();
    let lock = place.lock(ONE);
    let path = place.index.path(lock.key());
    let elsewhere = place.paths.state().join("elsewhere");
    let credential = samples::oauth("a", "r");
    let fifo = || {
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), 0).unwrap();
    };
    let link = || std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let bloat = || fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    for damage in [&fifo as &dyn Fn(), &link, &bloat] {
        place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
        fs::write(&elsewhere, "theirs").unwrap();
        fs::remove_file(&path).unwrap();
        damage();
        assert!(matches!(place.index.get(lock.key()), Err(IndexError::Corrupt { .. })));
        assert_eq!(place.index.generation(lock.key()), None);
        let (entries, unreadable) = place.index.survey().unwrap();
        assert!(entries.is_empty() && unreadable.len() == 1);
        place.index.repair(&lock, identity("one", ONE), &credential).unwrap();
        assert!(place.index.get(lock.key()).unwrap().is_some());
        fs::remove_file(&path).unwrap();
        damage();
        assert!(place.index.mark_deleted(&lock).unwrap().is_none());
        assert!(place.index.remove(&lock).unwrap());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"theirs");
    }
}

#[test]
fn an_entry_belongs_to_its_file() {
    let place = place();
    let (one, two) = (place.lock(ONE), place.lock(TWO));
    place.index.repair(&one, identity("one", ONE), &samples::oauth("a", "r")).unwrap();
    fs::copy(place.index.path(one.key()), place.index.path(two.key())).unwrap();
    assert!(matches!(place.index.get(two.key()), Err(IndexError::Corrupt { .. })));
}
