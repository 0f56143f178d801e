//! Ownership, modes and links on Unix.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

pub(super) fn dir_builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Private where it creates, deaf to links, and never waiting for a FIFO's other end.
pub(super) fn open_options(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

pub(super) fn check_dir(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(refused("it is a symbolic link, or no directory"));
    }
    check_owner(&metadata)?;
    if let Some(parent) = path.parent() {
        // Whoever owns the parent can exchange the directory; following links is fine up there.
        let owner = fs::metadata(parent)?.uid();
        if owner != geteuid().as_raw() && owner != 0 {
            return Err(refused("its parent directory belongs to another user"));
        }
    }
    if metadata.mode() & OTHERS != 0 {
        tracing::warn!(path = %path.display(), "the directory was open to other users; its mode is now 0700");
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

pub(super) fn check_file(path: &Path, file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    check_replaceable(&metadata)?;
    if metadata.mode() & OTHERS != 0 {
        tracing::warn!(path = %path.display(), "the file was open to other users; its mode is now 0600");
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

pub(super) fn check_replaceable(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(refused("it is a symbolic link, or no regular file"));
    }
    check_owner(metadata)
}

pub(super) fn check_single(file: &File) -> io::Result<()> {
    if file.metadata()?.nlink() > 1 {
        return Err(refused("it has another name (a hard link)"));
    }
    Ok(())
}

fn check_owner(metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != geteuid().as_raw() {
        return Err(refused("it belongs to another user"));
    }
    Ok(())
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// `O_NOFOLLOW` reports a link as "too many levels of symbolic links", which says little.
pub(super) fn refused_link(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return refused("it is a symbolic link, which is not followed");
    }
    error
}

fn refused(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}
