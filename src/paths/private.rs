//! Private files and directories: this user's alone, from the first byte on.
//!
//! Files appear whole or not at all (a random, private temporary file in the same directory,
//! synced, renamed, the directory synced). Symbolic links, other kinds of file and other users'
//! files are refused; a mode that lets others in is narrowed with a warning before anything is
//! read or written. Elsewhere than on Unix the directory's inherited access rules stand in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::failpoint;

#[cfg_attr(not(unix), path = "other.rs")]
#[cfg_attr(unix, path = "unix.rs")]
mod platform;

/// No file of ours is longer; a longer one is neither read nor written.
const LIMIT_BYTES: u64 = 1 << 20;

/// What reading to a file's end wants to have free behind it.
const PROBE_BYTES: usize = 64;

/// What a temporary file's name starts with.
const TEMPORARY: &str = ".new-";

/// A temporary file older than this was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// Creates the directory and its parents, for this user alone (mode 0700).
///
/// # Errors
/// Where the directory is a symbolic link, where it or its parent belongs to somebody else, and
/// what the system refuses.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|place| !place.is_dir()).collect();
    if !missing.is_empty() {
        platform::dir_builder().recursive(true).create(path)?;
    }
    for parent in missing.into_iter().filter_map(Path::parent) {
        // Else what is synced below might have no name after a crash. Who may write to a directory may not
        // always read it.
        let _as_far_as_it_goes = platform::sync_dir(parent);
    }
    platform::check_dir(path)
}

/// Replaces the file atomically and durably: after a crash it holds the old or the new content.
///
/// # Errors
/// As [`create_private_dir`]; where the file is not a regular file of this user's, or would be
/// longer than 1 MiB; and what the system refuses. The old content is then still there.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (file, parent) = temporary(path, bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    failpoint::reached("file-renamed");
    platform::sync_dir(parent)
}

/// Creates the file with this content, whole and durable.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where there is one; otherwise as [`write_private`].
pub fn write_new_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (file, parent) = temporary(path, bytes)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    platform::sync_dir(parent)
}

/// Creates the file empty and gives it its name only once `prepare` has had it, for instance to lock
/// it. It is not made durable.
///
/// # Errors
/// As [`write_new_private`], and whatever `prepare` returns.
pub fn create_prepared(path: &Path, prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let parent = parent(path)?;
    create_private_dir(parent)?;
    sweep(parent);
    let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(parent)?;
    prepare(file.as_file())?;
    file.persist_noclobber(path).map_err(|error| error.error)
}

/// Finds out whether so many bytes could be written into the directory now. Nothing of it stays.
///
/// # Errors
/// As [`create_private_dir`]; and what the system refuses, for want of room above all.
pub fn check_room(directory: &Path, bytes: usize) -> io::Result<()> {
    create_private_dir(directory)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
    file.write_all(&vec![b'x'; bytes])?;
    // Some file systems look for the room only when it is needed.
    file.as_file().sync_all()
}

/// Reads the file; `None` where there is none.
///
/// # Errors
/// Where it is not a regular file of this user's, or longer than 1 MiB; what the system refuses.
pub fn read_private(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match platform::open_options(OpenOptions::new().read(true)).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(platform::refused_link(error)),
    };
    platform::check_file(path, &file)?;
    // Room for all of it: what it grew out of would stay behind in memory, a key perhaps.
    let length = file.metadata()?.len().min(LIMIT_BYTES);
    let mut bytes = Vec::with_capacity(length as usize + PROBE_BYTES);
    file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// Opens the file for locking, creating it empty where there is none. Its content stays.
///
/// # Errors
/// As [`write_private`].
pub fn open_private(path: &Path) -> io::Result<File> {
    // Who can exchange the file can take the lock away; and nothing is created behind a link.
    create_private_dir(parent(path)?)?;
    open(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

/// Opens the file for writing at its end, creating it empty where there is none.
///
/// # Errors
/// As [`write_private`]; where the file has another name, too, under which it would be written to as well.
pub fn append_private(path: &Path) -> io::Result<File> {
    // Windows locks no file that is open for appending alone.
    let file = open(path, OpenOptions::new().read(true).append(true).create(true))?;
    platform::check_single(&file)?;
    Ok(file)
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let options = platform::open_options(options);
    let parent = parent(path)?;
    let file = match options.open(path) {
        // A directory that is there and takes no files is somebody else's, and stays as it is.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !parent.is_dir() => {
            create_private_dir(parent)?;
            options.open(path)
        }
        opened => opened,
    };
    let file = file.map_err(platform::refused_link)?;
    platform::check_file(path, &file)?;
    Ok(file)
}

/// Removes the file, durably, and says whether there was one. A symbolic link is removed itself,
/// never what it points at.
///
/// # Errors
/// What the system refuses.
pub fn remove_private(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => {
            failpoint::reached("file-removed");
            platform::sync_dir(parent(path)?).map(|()| true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a synced temporary file beside `path`; dropping it removes it.
fn temporary<'a>(path: &'a Path, bytes: &[u8]) -> io::Result<(NamedTempFile, &'a Path)> {
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(too_large());
    }
    let parent = parent(path)?;
    create_private_dir(parent)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) => platform::check_replaceable(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    sweep(parent);
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(parent)?;
    file.write_all(bytes)?;
    failpoint::reached("file-written");
    file.as_file().sync_all()?;
    failpoint::reached("file-synced");
    Ok((file, parent))
}

/// Whether a disk is full, or the user's share of it is.
pub fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Removes what killed processes left behind. It is in nobody's way, so failing is no error.
fn sweep(directory: &Path) {
    let Ok(files) = fs::read_dir(directory) else {
        return;
    };
    for file in files.flatten() {
        let is_temporary = file.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        let modified = || file.metadata().and_then(|metadata| metadata.modified()).ok();
        let age = || modified().and_then(|modified| modified.elapsed().ok());
        if is_temporary && age().is_some_and(|age| age > LEFT_BEHIND) {
            let _ = fs::remove_file(file.path());
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB")
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no directory"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn directories_and_files_are_private_and_nothing_is_left_over() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/file");
        assert_eq!(read_private(&path).unwrap(), None);
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap(), b"two");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(remove_private(&path).unwrap());
        assert!(!remove_private(&path).unwrap());
    }

    #[test]
    fn what_killed_processes_left_is_swept_and_what_is_being_written_is_not() {
        let root = tempfile::tempdir().unwrap();
        let (stale, fresh) = (root.path().join(".new-stale"), root.path().join(".new-fresh"));
        for path in [&stale, &fresh] {
            fs::write(path, "x").unwrap();
        }
        let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3_600);
        File::options().write(true).open(&stale).unwrap().set_modified(hour_ago).unwrap();
        write_private(&root.path().join("file"), b"x").unwrap();
        assert!(!stale.exists() && fresh.exists());
    }

    #[test]
    fn a_new_file_never_replaces_one() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        write_new_private(&path, b"first").unwrap();
        let error = write_new_private(&path, b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_private(&path).unwrap().unwrap(), b"first");
    }

    #[test]
    fn modes_that_let_others_in_are_narrowed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("dir");
        let path = dir.join("file");
        write_private(&path, b"x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        read_private(&path).unwrap();
        create_private_dir(&dir).unwrap();
        assert_eq!((mode(&path), mode(&dir)), (0o600, 0o700));
    }

    #[test]
    fn links_and_other_kinds_of_file_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        fs::write(&target, "theirs").unwrap();
        let link = root.path().join("link");
        symlink(&target, &link).unwrap();
        assert!(read_private(&link).unwrap_err().to_string().contains("symbolic link"));
        assert!(open_private(&link).is_err());
        assert!(write_private(&link, b"x").is_err());
        assert_eq!(fs::read(&target).unwrap(), b"theirs");

        let linked_dir = root.path().join("linked-dir");
        symlink(root.path(), &linked_dir).unwrap();
        assert!(create_private_dir(&linked_dir).is_err());
        assert!(write_private(&linked_dir.join("file"), b"x").is_err());

        let fifo = root.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(read_private(&fifo).is_err());
        assert!(write_private(&fifo, b"x").is_err());
        assert!(read_private(root.path()).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_directory_that_takes_no_files_keeps_its_mode() {
        use std::os::fd::AsRawFd;

        let root = tempfile::tempdir().unwrap();
        let removed = root.path().join("removed");
        fs::create_dir(&removed).unwrap();
        let handle = File::open(&removed).unwrap();
        handle.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_dir(&removed).unwrap();
        let place = Path::new("/proc/self/fd").join(handle.as_raw_fd().to_string());
        assert!(place.is_dir());
        assert_eq!(append_private(&place.join("log")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(handle.metadata().unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn a_file_beyond_the_limit_is_neither_written_nor_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        let (most, more) = (vec![b'x'; LIMIT_BYTES as usize], vec![b'x'; LIMIT_BYTES as usize + 1]);
        write_private(&path, &most).unwrap();
        assert_eq!(write_private(&path, &more).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_private(&path).unwrap().unwrap(), most, "what stood still stands");
        fs::write(&path, &more).unwrap();
        assert_eq!(read_private(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
