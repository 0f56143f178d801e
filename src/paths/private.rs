//! Private files and directories.
use std::fs::File;
use std::io;
use std::path::Path;

/// Creates `path`, mode 0700.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let _ = path;
    todo!()
}
/// Replaces `path` atomically.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = (path, bytes);
    todo!()
}
/// Creates `path` whole, or fails where it exists.
pub fn write_new_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = (path, bytes);
    todo!()
}
/// Reads `path`; `None` where there is none.
pub fn read_private(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let _ = path;
    todo!()
}
/// Removes `path`; whether there was one.
pub fn remove_private(path: &Path) -> io::Result<bool> {
    let _ = path;
    todo!()
}
/// Opens an empty file, creating it.
pub fn open_private(path: &Path) -> io::Result<File> {
    let _ = path;
    todo!()
}
