//! The encrypted files against their promises (needs A10 and A29; attacks C01 to C04).

use std::os::unix::fs::{MetadataExt, symlink};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::redact::SecretSlice;
use crate::server_uri::{ServerUri, ServiceKey};

struct Place {
    root: tempfile::TempDir,
    paths: Paths,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::resolve(Some(root.path())).unwrap();
    Place { root, paths }
}

impl Place {
    fn items(&self) -> FileItems {
        FileItems::of(&self.paths, None, GeneratedKey::default())
    }

    fn with(&self, key: &[u8]) -> FileItems {
        FileItems::of(&self.paths, Some(&inline(key)), GeneratedKey::default())
    }

    fn with_file(&self, path: &Path) -> FileItems {
        FileItems::of(&self.paths, Some(&KeySource::File(path.to_owned())), GeneratedKey::default())
    }
}

fn inline(key: &[u8]) -> KeySource {
    KeySource::Inline(SecretSlice::from(key.to_vec()))
}

fn name(url: &str) -> ItemName {
    ItemName::record(&ServiceKey::new("default", &ServerUri::parse(url, false).unwrap()))
}

fn one() -> ItemName {
    name("https://one.example/")
}

const VALUE: &[u8] = b"a canary in the file";

#[test]
fn a_generated_key_opens_what_it_sealed_and_everything_is_private() {
    let place = place();
    assert!(place.items().get(&one()).unwrap().is_none());
    place.items().check_key().unwrap();
    assert!(!place.paths.key_file().exists(), "reading generates no key");
    place.items().put(&one(), VALUE).unwrap();
    place.items().put(&one(), VALUE).unwrap();
    assert_eq!(&**place.items().get(&one()).unwrap().unwrap(), VALUE);

    let file = place.items().path(&one());
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
    for (path, mode) in [
        (file.as_path(), 0o600),
        (&place.paths.key_file(), 0o600),
        (&place.paths.credentials(), 0o700),
        (place.paths.state(), 0o700),
    ] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, mode, "{}", path.display());
    }
    assert_eq!(fs::read_dir(place.paths.credentials()).unwrap().count(), 1);
    assert!(place.items().erase(&one()).unwrap());
    assert!(!place.items().erase(&one()).unwrap());
}

#[test]
fn every_save_has_its_own_nonce() {
    let place = place();
    let sealed: std::collections::HashSet<Vec<u8>> = (0..20)
        .map(|_| {
            place.items().put(&one(), VALUE).unwrap();
            fs::read(place.items().path(&one())).unwrap()
        })
        .collect();
    assert_eq!(sealed.len(), 20);
}

#[test]
fn keys_come_raw_or_in_base64_and_nothing_else() {
    let raw: Vec<u8> = (0..32).map(|byte| byte * 7 + 4).collect();
    let typed_and_too_short = [&[b'k'; 31][..], b"\n"].concat();
    let ends_in_newline = [&raw[..31], b"\n"].concat();
    // 43 characters, and 32 that are raw although they would read as base64 too.
    let url_safe = b"-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8";
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEF";
    let place = place();
    place.with(&raw).put(&one(), VALUE).unwrap();
    let standard = STANDARD.encode(&raw);
    let unpadded = standard.trim_end_matches('=').to_owned();
    for same in [
        raw.clone(),
        [&raw[..], b"\n"].concat(),
        [&raw[..], b"\r\n"].concat(),
        standard.clone().into_bytes(),
        format!("{standard}\n").into_bytes(),
        unpadded.clone().into_bytes(),
        format!("{unpadded}\r\n").into_bytes(),
        standard.replace('+', "-").replace('/', "_").into_bytes(),
    ] {
        assert!(place.with(&same).get(&one()).unwrap().is_some(), "{same:?}");
        let file = place.root.path().join("given");
        fs::write(&file, &same).unwrap();
        assert!(place.with_file(&file).get(&one()).unwrap().is_some(), "{same:?}");
    }
    for other in [ends_in_newline, letters.to_vec(), url_safe.to_vec()] {
        assert!(matches!(place.with(&other).get(&one()), Err(StoreError::Key(KeyError::Other { .. }))));
    }
    for no_key in [
        &b""[..],
        b"\n",
        &raw[..31],
        &typed_and_too_short,
        &[&[b'k'; 30][..], b"\r\n"].concat(),
        &[&raw[..], b"x"].concat(),
        &[&raw[..], b"\n\n"].concat(),
        format!(" {standard}").as_bytes(),
        &b"0123456789abcdef".repeat(4),
        b"AAAA",
    ] {
        let error = place.with(no_key).get(&one()).map(|_| ()).unwrap_err();
        let StoreError::Key(KeyError::Malformed { place }) = &error else { panic!("{error}") };
        assert_eq!(place, "MCP_FRONT_ENCRYPTION_KEY");
    }
    assert!(matches!(
        place.with_file(Path::new("/nowhere/key")).get(&one()),
        Err(StoreError::Key(KeyError::Unreadable { .. }))
    ));
}

#[test]
fn a_wrong_key_names_both_and_destroys_nothing() {
    let place = place();
    let (right, wrong) = ([1; 32], [2; 32]);
    place.with(&right).put(&one(), VALUE).unwrap();
    let before = fs::read(place.items().path(&one())).unwrap();
    for error in [
        place.with(&wrong).get(&one()).map(|_| ()).unwrap_err(),
        place.with(&wrong).put(&one(), b"new").unwrap_err(),
    ] {
        let StoreError::Key(KeyError::Other { needed, given, place, .. }) = &error else { panic!("{error}") };
        assert_ne!(needed, given);
        assert_eq!(place, "MCP_FRONT_ENCRYPTION_KEY");
    }
    assert_eq!(fs::read(place.items().path(&one())).unwrap(), before);
    // Another service may have a key of its own, and what cannot be opened can still be erased.
    place.with(&wrong).put(&name("https://two.example/"), VALUE).unwrap();
    assert!(place.with(&wrong).erase(&one()).unwrap());
}

#[test]
fn no_key_is_generated_while_files_wait_for_a_lost_one() {
    let place = place();
    place.items().put(&one(), VALUE).unwrap();
    fs::remove_file(place.paths.key_file()).unwrap();
    for error in [
        place.items().get(&one()).map(|_| ()).unwrap_err(),
        place.items().put(&one(), VALUE).unwrap_err(),
        place.items().put(&name("https://two.example/"), VALUE).unwrap_err(),
        place.items().check_key().unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Key(KeyError::Missing { .. })), "{error}");
    }
    assert!(!place.paths.key_file().exists());
}

#[test]
fn one_key_is_generated_however_many_want_it() {
    let place = place();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let place = &place;
            scope.spawn(move || {
                let name = name(&format!("https://{number}.example/"));
                place.items().put(&name, VALUE).unwrap();
                assert_eq!(&**place.items().get(&name).unwrap().unwrap(), VALUE);
            });
        }
    });
}

#[test]
fn a_damaged_key_file_is_an_error_and_stays() {
    let place = place();
    paths::write_private(&place.paths.key_file(), b"short").unwrap();
    let error = place.items().put(&one(), VALUE).unwrap_err();
    assert!(matches!(error, StoreError::Key(KeyError::Malformed { .. })));
    assert_eq!(fs::read(place.paths.key_file()).unwrap(), b"short");
}

#[test]
fn altered_moved_and_cut_files_do_not_open() {
    let place = place();
    place.items().put(&one(), VALUE).unwrap();
    let file = place.items().path(&one());
    let whole = fs::read(&file).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        place.items().get(&one()).map(|_| ()).unwrap_err()
    };
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x40;
        let error = refused(&altered);
        match at {
            3 => assert!(matches!(error, StoreError::NewerSchema { .. }), "{error}"),
            4..12 => assert!(matches!(error, StoreError::Key(KeyError::Other { .. })), "{error}"),
            _ => assert!(matches!(error, StoreError::Corrupt { .. }), "{at}: {error}"),
        }
        assert!(matches!(refused(&whole[..at]), StoreError::Corrupt { .. }));
    }
    fs::write(&file, &whole).unwrap();
    let two = name("https://two.example/");
    fs::copy(&file, place.items().path(&two)).unwrap();
    assert!(matches!(place.items().get(&two), Err(StoreError::Corrupt { .. })));
    assert!(place.items().get(&one()).unwrap().is_some());
}

#[test]
fn damage_is_set_aside_as_it_is() {
    let place = place();
    place.items().put(&one(), VALUE).unwrap();
    let file = place.items().path(&one());
    fs::write(&file, b"MFS damaged").unwrap();
    place.items().set_aside(&one()).unwrap();
    place.items().set_aside(&one()).unwrap();
    assert!(place.items().get(&one()).unwrap().is_none());
    assert_eq!(fs::read(place.items().path(&one().damaged())).unwrap(), b"MFS damaged");
}

#[test]
fn links_are_neither_read_nor_written_through() {
    let place = place();
    let target = place.root.path().join("theirs");
    fs::write(&target, "theirs").unwrap();
    paths::create_private_dir(&place.paths.credentials()).unwrap();
    symlink(&target, place.items().path(&one())).unwrap();
    assert!(place.items().get(&one()).is_err());
    assert!(place.items().put(&one(), VALUE).is_err());
    assert_eq!(fs::read(&target).unwrap(), b"theirs");
}
