//! The encrypted files' key: given by the user, or generated here.
//!
//! A key is 32 bytes, raw or in base64 (RFC 4648 §4 or §5, padded or not); one newline at the end of
//! a text is not part of it. A generated key lies beside the files, readable by this user alone: it protects
//! them where they are copied without it (a backup, a synced folder, a stolen disk image), and not
//! against programs that run as the same user.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::lock::{NamedLock, Shared};
use crate::paths::{self, Paths};
use crate::redact::{ExposeSecret, SecretBox};
use crate::store::{KeyError, KeySource, StoreError};

const KEY_BYTES: usize = 32;

pub(super) const KEY_ID_BYTES: usize = 8;

/// A longer file holds no key, and is not read to its end.
const FILE_LIMIT: u64 = 4 << 10;

/// Generating takes a few file operations.
const LOCK_LIMIT: Duration = Duration::from_secs(2);

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ALPHABETS: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&base64::alphabet::STANDARD, CONFIG),
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, CONFIG),
];

/// What tells keys apart without telling them: the start of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; KEY_ID_BYTES]> for KeyId {
    fn from(bytes: [u8; KEY_ID_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&crate::hex::hex(&self.0))
    }
}

/// A key in hand; wiped when dropped, and without `Debug`. It has one place in memory, for a value that is
/// moved stays behind where it was.
pub(super) struct EncryptionKey {
    bytes: SecretBox<[u8; KEY_BYTES]>,
    id: KeyId,
}

impl EncryptionKey {
    /// The key that the user gave.
    pub(super) fn given(source: &KeySource) -> Result<Self, KeyError> {
        let parsed = match source {
            KeySource::Inline(value) => Self::parse(value.expose_secret()),
            KeySource::File(path) => {
                let unreadable =
                    |source| KeyError::Unreadable { path: path.clone(), source: Arc::new(source) };
                Self::parse(&read_given(path).map_err(unreadable)?)
            }
            KeySource::Empty { variable } => return Err(KeyError::Empty { variable }),
        };
        parsed.ok_or_else(|| KeyError::Malformed { place: source.place() })
    }

    /// The key that was generated here, if one was.
    pub(super) fn generated(path: &Path) -> Result<Option<Self>, KeyError> {
        let read = paths::read_private(path)
            .map_err(|source| KeyError::Unreadable { path: path.to_owned(), source: Arc::new(source) })?;
        let Some(bytes) = read.map(Zeroizing::new) else {
            return Ok(None);
        };
        let malformed = || KeyError::Malformed { place: path.display().to_string() };
        Self::parse(&bytes).map(Some).ok_or_else(malformed)
    }

    /// Generates the key file, unless another process just did, and reads it back; tells whether it
    /// was made here. `allowed` is asked under the lock, before anything is written.
    pub(super) fn generate(
        paths: &Paths,
        allowed: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(Self, bool), StoreError> {
        let path = paths.key_file();
        let failed = |error| StoreError::platform(format!("generating {}", path.display()), error);
        let _lock = NamedLock::acquire(paths, Shared::KeyFile, LOCK_LIMIT)
            .map_err(|error| StoreError::platform("waiting for the key file's lock", error))?;
        if let Some(key) = Self::generated(&path)? {
            return Ok((key, false));
        }
        allowed()?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *bytes).map_err(|error| failed(io::Error::other(error)))?;
        let mut text = Zeroizing::new(ALPHABETS[0].encode(bytes.as_slice()));
        text.push('\n');
        paths::write_new_private(&path, text.as_bytes()).map_err(failed)?;
        match Self::generated(&path)?.filter(|read| read.expose() == &*bytes) {
            Some(key) => Ok((key, true)),
            None => Err(KeyError::Malformed { place: path.display().to_string() }.into()),
        }
    }

    fn parse(given: &[u8]) -> Option<Self> {
        let raw = |bytes: &[u8]| {
            let boxed = || SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| key.copy_from_slice(bytes));
            (bytes.len() == KEY_BYTES).then(boxed)
        };
        let line = given.strip_suffix(b"\n").map_or(given, |line| line.strip_suffix(b"\r").unwrap_or(line));
        // Bytes that nobody typed are the key as they are, even where the last happens to be a newline.
        let is_typed = || str::from_utf8(line).is_ok_and(|text| !text.contains(char::is_control));
        let whole = raw(given).filter(|_| line.len() == given.len() || !is_typed());
        let key = whole.or_else(|| raw(line)).or_else(|| {
            let decode = |alphabet: &GeneralPurpose| alphabet.decode(line).ok().map(Zeroizing::new);
            ALPHABETS.iter().find_map(|alphabet| raw(&decode(alphabet)?))
        })?;
        let digest =
            Sha256::new().chain_update(b"mcp-front encryption key id\0").chain_update(key.expose_secret());
        let id = digest.finalize().first_chunk().copied().map(KeyId)?;
        Some(Self { bytes: key, id })
    }

    pub(super) fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key's one exit: into the cipher.
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        self.bytes.expose_secret()
    }
}

impl KeySource {
    /// Where the key comes from, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File(path) => format!("{} (MCP_FRONT_ENCRYPTION_KEY_FILE)", path.display()),
            Self::Inline(_) => "MCP_FRONT_ENCRYPTION_KEY".to_owned(),
            Self::Empty { variable } => (*variable).to_owned(),
        }
    }
}

/// Reads a key file of the user's: mounted secrets are links, and belong to somebody else.
fn read_given(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    warn_if_open(path, &file);
    // Growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * FILE_LIMIT as usize));
    file.take(FILE_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn warn_if_open(path: &Path, file: &File) {
    use std::os::unix::fs::MetadataExt;
    if file.metadata().is_ok_and(|metadata| metadata.mode() & 0o007 != 0) {
        tracing::warn!(path = %path.display(), "the encryption key's file is open to every user");
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path, _: &File) {}
