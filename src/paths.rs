//! Where things live, and how private files come to be.
//!
//! Everything resolves from the home directory alone: hosts start the bridge with little more than
//! `HOME`, so a directory named by `XDG_STATE_HOME` or the like at login would not be found again.
//! `MCP_FRONT_HOME` moves all of it. Nothing is created by resolving.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::hex::hex;

mod private;

pub use private::{
    append_private, check_room, create_prepared, create_private_dir, is_want_of_room, open_private,
    read_private, remove_private, write_new_private, write_private,
};

/// The product's directory name below a platform's own.
const NAME: &str = "mcp-front";

/// The places of one installation, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    state: PathBuf,
}

/// Why the places are unknown.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PathsError {
    /// Neither the environment nor the user database names a home directory.
    #[error("no home directory is known: set HOME, or MCP_FRONT_HOME")]
    NoHome,
    /// A relative path would mean another place in each working directory.
    #[error("MCP_FRONT_HOME must be an absolute path, and `{}` is not", .0.display())]
    Relative(PathBuf),
}

impl Paths {
    /// Resolves the places below `home` (`MCP_FRONT_HOME`), or else below the user's home
    /// directory. Touches no file.
    ///
    /// # Errors
    /// [`PathsError`], where no absolute home is known.
    pub fn resolve(home: Option<&Path>) -> Result<Self, PathsError> {
        if let Some(home) = home {
            if !home.is_absolute() {
                return Err(PathsError::Relative(home.to_owned()));
            }
            return Ok(Self { state: home.join("state") });
        }
        let directories = directories::BaseDirs::new().ok_or(PathsError::NoHome)?;
        if !directories.home_dir().is_absolute() {
            return Err(PathsError::NoHome);
        }
        Ok(Self::of_platform(&directories))
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    fn of_platform(directories: &directories::BaseDirs) -> Self {
        Self { state: directories.home_dir().join(".local/state").join(NAME) }
    }

    #[cfg(not(all(unix, not(target_os = "macos"))))]
    fn of_platform(directories: &directories::BaseDirs) -> Self {
        Self { state: directories.data_local_dir().join(NAME).join("state") }
    }

    /// What the product keeps for itself.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What tells this installation from others of the same person, in 16 hex digits: what they share, such
    /// as a keychain, is guarded by no lock of theirs both. One directory has one, whatever links lead to it.
    pub fn installation(&self) -> String {
        let real = self.state.ancestors().find_map(|ancestor| {
            let (real, rest) = (fs::canonicalize(ancestor).ok()?, self.state.strip_prefix(ancestor).ok()?);
            // An empty rest would leave a separator behind.
            Some(real.join(rest).components().collect::<PathBuf>())
        });
        let place = real.as_deref().unwrap_or(&self.state);
        hex(&Sha256::digest(place.as_os_str().as_encoded_bytes())[..8])
    }

    /// The index: one non-secret file a service.
    pub fn services(&self) -> PathBuf {
        self.state.join("services")
    }

    /// What is known of the servers' eras, one non-secret file a service.
    pub fn eras(&self) -> PathBuf {
        self.state.join("eras")
    }

    /// Lock files, empty and never deleted.
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// Which bridges are running, an empty file each.
    pub fn running(&self) -> PathBuf {
        self.state.join("running")
    }

    /// The encrypted file store.
    pub fn credentials(&self) -> PathBuf {
        self.state.join("credentials")
    }

    /// The file store's key, where it was generated here.
    pub fn key_file(&self) -> PathBuf {
        self.state.join("encryption.key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_moves_everything() {
        let paths = Paths::resolve(Some(Path::new("/elsewhere"))).unwrap();
        let kept = [paths.services(), paths.eras(), paths.locks(), paths.running(), paths.credentials()];
        for path in kept.into_iter().chain([paths.key_file()]) {
            assert!(path.starts_with("/elsewhere"), "{}", path.display());
        }
    }

    #[test]
    fn an_installation_is_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let of = |name: &str| Paths::resolve(Some(&directory.path().join(name))).unwrap().installation();
        let before = of("one");
        fs::create_dir_all(directory.path().join("one/state")).unwrap();
        assert_eq!(of("one"), before);
        assert_ne!(of("one"), of("two"));
        assert_eq!(before.len(), 16);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("one", directory.path().join("three")).unwrap();
            assert_eq!(of("three"), before);
        }
    }

    #[test]
    fn a_relative_home_is_refused() {
        let relative = Path::new("here");
        assert_eq!(Paths::resolve(Some(relative)), Err(PathsError::Relative(relative.to_owned())));
    }

    #[test]
    fn the_home_directory_alone_is_enough() {
        assert!(Paths::resolve(None).unwrap().state().is_absolute());
    }
}
