//! The encrypted file store: one file an item, AES-256-GCM (NIST SP 800-38D) with a random nonce.
//!
//! A file is `MFS`, a version byte, the key's id (8 bytes), the nonce (12 bytes) and the sealed
//! value. What precedes the nonce, and the item's name (which starts with the service's key), are
//! its associated data: a file that is moved, renamed or relabelled does not open. No file is ever
//! replaced under another key than its own, so a wrong key destroys nothing.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aes_gcm::aead::{Aead, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use crate::paths::{self, Paths};
use crate::server_uri::ServiceKey;
use crate::store::items::{Bytes, ItemName, Items};
use crate::store::key::{EncryptionKey, KEY_ID_BYTES, KeyId};
use crate::store::{KeyError, KeySource, StoreError};

const MAGIC: [u8; 3] = *b"MFS";

/// The newest version of the format that this version reads and writes.
const VERSION: u8 = 1;

const LABEL_BYTES: usize = MAGIC.len() + 1 + KEY_ID_BYTES;
const NONCE_BYTES: usize = 12;

/// What the files' names end in.
const EXTENSION: &str = "sealed";

/// The encrypted files of one installation. The key is read when a file first needs it.
pub(super) struct FileItems {
    paths: Paths,
    source: Option<KeySource>,
    key: OnceCell<EncryptionKey>,
    generated: GeneratedKey,
}

/// Where a key was generated, once one was; shared by all that one store does.
pub(super) type GeneratedKey = Arc<OnceLock<PathBuf>>;

impl FileItems {
    pub(super) fn of(paths: &Paths, source: Option<&KeySource>, generated: GeneratedKey) -> Self {
        Self { paths: paths.clone(), source: source.cloned(), key: OnceCell::new(), generated }
    }

    fn path(&self, name: &ItemName) -> PathBuf {
        self.paths.credentials().join(format!("{name}.{EXTENSION}"))
    }

    /// Whether there is a record of the service, readable or not.
    pub(super) fn has_record(&self, key: &ServiceKey) -> bool {
        fs::symlink_metadata(self.path(&ItemName::record(key))).is_ok()
    }

    /// Whether there is certainly neither a record nor a journal of the service.
    pub(super) fn has_nothing(&self, key: &ServiceKey) -> bool {
        [ItemName::record(key), ItemName::journal(key)].iter().all(|name| {
            let found = fs::symlink_metadata(self.path(name));
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        })
    }

    /// Whether there is a journal of the service, readable or not.
    pub(super) fn has_journal(&self, key: &ServiceKey) -> bool {
        fs::symlink_metadata(self.path(&ItemName::journal(key))).is_ok()
    }

    fn read(&self, name: &ItemName) -> Result<Option<Sealed>, StoreError> {
        let path = self.path(name);
        let bytes = read_sealed(&path)?;
        bytes.map(|bytes| Sealed::parse(&path, bytes)).transpose()
    }

    /// The key, for a file that was sealed with the key `needed`.
    fn key_for(&self, path: &Path, needed: &KeyId) -> Result<&EncryptionKey, StoreError> {
        let key = match self.known_key()? {
            Some(key) => key,
            None => return Err(self.missing(path, needed).into()),
        };
        if key.id() != needed {
            return Err(KeyError::Other {
                item: path.display().to_string(),
                needed: needed.to_string(),
                given: key.id().to_string(),
                place: self.place(),
            }
            .into());
        }
        Ok(key)
    }

    /// The key, for a new file; generated where there is none and no file waits for a lost one.
    fn key_for_new(&self) -> Result<&EncryptionKey, StoreError> {
        if let Some(key) = self.known_key()? {
            return Ok(key);
        }
        let (key, made_here) = EncryptionKey::generate(&self.paths, || self.refuse_if_any())?;
        if made_here {
            self.generated.get_or_init(|| self.paths.key_file());
        }
        Ok(self.key.get_or_init(|| key))
    }

    fn known_key(&self) -> Result<Option<&EncryptionKey>, StoreError> {
        if self.key.get().is_none() {
            let read = match &self.source {
                Some(source) => Some(EncryptionKey::given(source)?),
                None => EncryptionKey::generated(&self.paths.key_file())?,
            };
            if let Some(key) = read {
                return Ok(Some(self.key.get_or_init(|| key)));
            }
        }
        Ok(self.key.get())
    }

    /// Refuses where there is any sealed file: a new key could not open it.
    pub(super) fn refuse_if_any(&self) -> Result<(), StoreError> {
        let directory = self.paths.credentials();
        let files = match fs::read_dir(&directory) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("reading", &directory)(error)),
        };
        for file in files {
            let path = file.map_err(failed("reading", &directory))?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            let bytes = read_sealed(&path)?.unwrap_or_default();
            return Err(self.missing(&path, &Sealed::parse(&path, bytes)?.key_id).into());
        }
        Ok(())
    }

    fn missing(&self, path: &Path, needed: &KeyId) -> KeyError {
        KeyError::Missing {
            needed: needed.to_string(),
            needed_by: path.display().to_string(),
            place: self.place(),
        }
    }

    fn place(&self) -> String {
        match &self.source {
            Some(source) => source.place(),
            None => self.paths.key_file().display().to_string(),
        }
    }
}

impl Items for FileItems {
    fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError> {
        let Some(sealed) = self.read(name)? else {
            return Ok(None);
        };
        let path = self.path(name);
        let key = self.key_for(&path, &sealed.key_id)?;
        let opened = cipher(key).decrypt(&sealed.nonce, sealed.payload(&associated(key.id(), name)));
        let corrupt = |_| corrupt(&path, "it was altered, or belongs to another item");
        opened.map(|value| Some(Zeroizing::new(value))).map_err(corrupt)
    }

    fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        let key = match self.read(name)? {
            Some(sealed) => self.key_for(&path, &sealed.key_id)?,
            None => self.key_for_new()?,
        };
        let mut nonce = Nonce::<Aes256Gcm>::default();
        getrandom::fill(&mut nonce).map_err(|error| StoreError::platform("drawing a nonce", error))?;
        let associated = associated(key.id(), name);
        let sealed = cipher(key).encrypt(&nonce, Payload { msg: value, aad: &associated });
        let sealed = sealed.map_err(|_| StoreError::platform("encrypting an item", "it is too long"))?;
        let bytes = [&associated[..LABEL_BYTES], &nonce, &sealed].concat();
        paths::write_private(&path, &bytes).map_err(failed("writing", &path))
    }

    fn erase(&self, name: &ItemName) -> Result<bool, StoreError> {
        let path = self.path(name);
        paths::remove_private(&path).map_err(failed("removing", &path))
    }

    fn check_key(&self) -> Result<(), StoreError> {
        match self.known_key()? {
            Some(_) => Ok(()),
            None => self.refuse_if_any(),
        }
    }

    /// A file that does not open cannot be copied into another; it is renamed.
    fn set_aside(&self, name: &ItemName) -> Result<(), StoreError> {
        let path = self.path(name);
        match fs::rename(&path, self.path(&name.damaged())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("setting aside", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// A file as it is.
struct Sealed {
    key_id: KeyId,
    nonce: Nonce<Aes256Gcm>,
    bytes: Vec<u8>,
}

impl Sealed {
    fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, StoreError> {
        let truncated = || corrupt(path, "it is cut short, or no credential file");
        let (magic, rest) = bytes.split_first_chunk::<3>().ok_or_else(truncated)?;
        let (version, rest) = rest.split_first().ok_or_else(truncated)?;
        if *magic != MAGIC || *version == 0 {
            return Err(truncated());
        }
        if *version > VERSION {
            return Err(StoreError::NewerSchema { found: u32::from(*version) });
        }
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or_else(truncated)?;
        let (nonce, _) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(truncated)?;
        Ok(Self { key_id: KeyId::from(*key_id), nonce: (*nonce).into(), bytes })
    }

    fn payload<'a>(&'a self, associated: &'a [u8]) -> Payload<'a, 'a> {
        Payload { msg: &self.bytes[LABEL_BYTES + NONCE_BYTES..], aad: associated }
    }
}

/// The associated data of an item: the file's first bytes, and the item's name.
fn associated(key_id: &KeyId, name: &ItemName) -> Vec<u8> {
    let mut data = Vec::with_capacity(LABEL_BYTES + 128);
    data.extend_from_slice(&MAGIC);
    data.push(VERSION);
    data.extend_from_slice(key_id.as_bytes());
    data.extend_from_slice(name.to_string().as_bytes());
    data
}

fn cipher(key: &EncryptionKey) -> Aes256Gcm {
    Aes256Gcm::new(key.expose().into())
}

/// A file's bytes. One that is too large to be ours is damaged, so that it can be replaced.
fn read_sealed(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    paths::read_private(path).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => corrupt(path, &error.to_string()),
        _ => failed("reading", path)(error),
    })
}

fn corrupt(path: &Path, reason: &str) -> StoreError {
    StoreError::Corrupt { item: path.display().to_string(), reason: reason.to_owned() }
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let doing = format!("{doing} {}", path.display());
    |error| StoreError::platform(doing, error)
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
