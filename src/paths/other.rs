//! Where there are no Unix modes: the user's own directories carry the access rules.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

pub(super) fn dir_builder() -> DirBuilder {
    DirBuilder::new()
}

pub(super) fn open_options(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(super) fn check_dir(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() { Ok(()) } else { Err(refused()) }
}

pub(super) fn check_file(_: &Path, file: &File) -> io::Result<()> {
    check_replaceable(&file.metadata()?)
}

pub(super) fn check_replaceable(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(refused()) }
}

/// How many names a file has cannot be told here.
pub(super) fn check_single(_: &File) -> io::Result<()> {
    Ok(())
}

/// A directory cannot be synced here; the file system orders the rename itself.
pub(super) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn refused_link(error: io::Error) -> io::Error {
    error
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is a link, or not of the kind expected")
}
