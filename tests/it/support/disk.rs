//! A disk of the test's own, as small as it wants it, full or closed to writing at its word: a file
//! system in memory, in a mount namespace that a shell keeps.
//!
//! The shell's entry in /proc leads into it, for the test and for the binary under test alike.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;

use rustix::process::geteuid;
use tempfile::TempDir;

use super::process::{Captured, Process};
use super::skip;

/// What the file system hands out at once, in bytes.
const PAGE: u64 = 4096;

/// Mounts, and mounts anew with each line of options that it reads; says so each time.
const KEEPER: &str = r#"mount -t tmpfs -o "$1" disk "$0" && echo done || exit
while read -r options; do mount -o "remount,bind,$options" "$0" && echo done; done"#;

/// The disk; it goes with what is on it.
pub(crate) struct Disk {
    place: PathBuf,
    words: ChildStdin,
    answers: Arc<Captured>,
    orders: Cell<usize>,
    _keeper: Process,
    _directory: TempDir,
}

impl Disk {
    /// Mounts one with these options of tmpfs; where this user may not, the test is left out.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let directory =
            tempfile::Builder::new().prefix("mcp-front-disk-").tempdir().expect("a temporary directory");
        let as_root: &[_] = if geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let mut command = Command::new("unshare");
        command.args(as_root).args(["--mount", "--", "sh", "-c", KEEPER]).arg(directory.path());
        command.arg(format!("mode=700,{options}")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = Process::start(&mut command);
        let words = keeper.child.stdin.take().expect("stdin is piped");
        let answers = Captured::new(keeper.child.stdout.take().expect("stdout is piped"));
        if answers.lines(1) == 0 {
            skip("a mount namespace of its own");
            return None;
        }
        let place = format!("/proc/{}/root{}", keeper.id(), directory.path().display()).into();
        Some(Self { place, words, answers, orders: Cell::new(1), _keeper: keeper, _directory: directory })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Closes it to writing, or opens it again.
    pub(crate) fn allow_writing(&self, allowed: bool) {
        let options: &[u8] = if allowed { b"rw\n" } else { b"ro\n" };
        (&self.words).write_all(options).expect("the shell reads");
        self.orders.set(self.orders.get() + 1);
        assert_eq!(self.answers.lines(self.orders.get()), self.orders.get(), "somebody writes to the disk");
    }

    /// Fills it, but for so many pages.
    pub(crate) fn fill_but(&self, pages: u64) {
        let mut filler = File::create(self.filler()).expect("a new file");
        while filler.write_all(&[b'x'; PAGE as usize]).is_ok() {}
        let length = filler.metadata().expect("it is there").len() / PAGE * PAGE;
        filler.set_len(length - pages * PAGE).expect("a shorter file");
    }

    /// Takes back what filled it.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    /// Has it take no further file, though there is room in those that are there.
    pub(crate) fn take_no_more_files(&self) {
        fs::create_dir(self.fillers()).expect("a new directory");
        let mut names = 0..;
        let mut more = || File::create(self.fillers().join(names.next().unwrap_or(0).to_string())).is_ok();
        while more() {}
    }

    /// Takes back what [`take_no_more_files`](Self::take_no_more_files) left.
    pub(crate) fn take_more_files(&self) {
        fs::remove_dir_all(self.fillers()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }

    fn fillers(&self) -> PathBuf {
        self.place.join("fillers")
    }
}
