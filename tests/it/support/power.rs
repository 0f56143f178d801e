//! A power cut: what a process had not synced is gone, whether it was a file's content or its name.
//!
//! A library that comes between the binary and its C library keeps what is synced. Helpers get no variable
//! that names it: a mount namespace names it to them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use tempfile::TempDir;

use super::compiled::compile;
use super::skip;

/// Has every program of a namespace started with a library before its own.
const NAMING: &str = r#"mount -t tmpfs naming /mnt && mkdir /mnt/upper /mnt/work &&
echo "$0" >/mnt/upper/ld.so.preload &&
mount -t overlay naming -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc && exec "$@""#;

/// What a disk keeps of a directory.
pub(crate) struct Power {
    directory: TempDir,
    root: PathBuf,
}

impl Power {
    /// All that is below `root` by now is on the disk. Without the means to come between, the test is
    /// left out.
    pub(crate) fn over(root: &Path) -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            skip("a C library that lets others come before it");
            return None;
        }
        let directory =
            tempfile::Builder::new().prefix("mcp-front-power-").tempdir().expect("a temporary directory");
        let place = format!("-DPLACE=\"{}\"", directory.path().display());
        compile("power.c", &directory.path().join("power.so"), &[&place, "-shared", "-fPIC", "-ldl"])?;
        let power = Self { directory, root: root.to_owned() };
        power.keep(root);
        Some(power)
    }

    /// The same command, on this disk; its helpers are not.
    pub(crate) fn around(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", self.library());
        command
    }

    /// The same command, on this disk with all that it starts; where this user may not, the test is left out.
    pub(crate) fn around_all(&self, command: &Command) -> Option<Command> {
        if !self.in_namespace(&Command::new("true")).status().is_ok_and(|status| status.success()) {
            skip("a mount namespace of its own");
            return None;
        }
        Some(self.in_namespace(command))
    }

    fn in_namespace(&self, command: &Command) -> Command {
        let as_root: &[_] = if geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let mut around = Command::new("unshare");
        around.args(as_root).args(["--mount", "--", "sh", "-c", NAMING]).arg(self.library());
        around.arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        around.env_clear().envs(variables).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(place) = command.get_current_dir() {
            around.current_dir(place);
        }
        around
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("power.so")
    }

    /// Lays down at `to`, where nothing is, what a power cut leaves now.
    pub(crate) fn cut(&self, to: &Path) {
        self.lay_down(fs::metadata(&self.root).expect("the root stays").ino(), to);
    }

    fn kept(&self, what: &str, inode: u64) -> PathBuf {
        self.directory.path().join(format!("{what}-{inode}"))
    }

    fn keep(&self, directory: &Path) {
        let mut entries = String::new();
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            let metadata = entry.metadata().expect("it is there");
            let kind = if metadata.is_dir() { 'd' } else { 'f' };
            entries += &format!("{} {kind} {}\n", metadata.ino(), entry.file_name().to_string_lossy());
            if metadata.is_dir() {
                self.keep(&entry.path());
            } else {
                fs::copy(entry.path(), self.kept("content", metadata.ino())).expect("a file");
            }
        }
        let inode = fs::metadata(directory).expect("it is there").ino();
        fs::write(self.kept("entries", inode), entries).expect("it is writable");
    }

    fn lay_down(&self, inode: u64, to: &Path) {
        fs::DirBuilder::new().mode(0o700).create(to).expect("a new directory");
        let entries = fs::read_to_string(self.kept("entries", inode)).unwrap_or_default();
        for entry in entries.lines() {
            let mut words = entry.splitn(3, ' ');
            let mut word = || words.next().expect("three words");
            let (inode, kind, name) = (word().parse().expect("a number"), word(), word());
            if kind == "d" {
                self.lay_down(inode, &to.join(name));
            } else {
                let content = fs::read(self.kept("content", inode)).unwrap_or_default();
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to.join(name));
                file.and_then(|mut file| file.write_all(&content)).expect("a new file");
            }
        }
    }
}
