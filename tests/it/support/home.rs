//! A home of its own for the binary under test, and the environment that a host gives it.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::DEADLINE;
use super::process::{Captured, Process};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mcp-front");

/// The file store's key of every test: 32 raw bytes.
pub(crate) const ENCRYPTION_KEY: &str = "mcp-front-tests-encryption-key-1";

/// Some user that is not root, for root.
pub(crate) const SOMEBODY: u32 = 65_534;

/// A throw-away home directory with the variables of one user session.
pub(crate) struct Home {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// Fails the test, showing what was said, unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Home {
    /// A home whose credentials lie in the encrypted file store, with the tests' key in a file.
    pub(crate) fn with_file_store() -> Self {
        let home = Self::bare();
        let key = home.key_file();
        write_private(&key, ENCRYPTION_KEY);
        let place = home.path().to_str().expect("a plain path").to_owned();
        let home = home.with("MCP_FRONT_HOME", place);
        home.with("MCP_FRONT_STORE", "file")
            .with("MCP_FRONT_ENCRYPTION_KEY_FILE", key.to_str().expect("a plain path"))
    }

    /// A home with nothing but what every host gives: HOME, LOGNAME, PATH, SHELL, TERM, USER.
    pub(crate) fn bare() -> Self {
        let directory =
            tempfile::Builder::new().prefix("mcp-front-test-").tempdir().expect("a temporary directory");
        Self { directory, variables: Vec::new() }
    }

    /// Adds an environment variable for every command.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the tests' encryption key lies.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.path().join("encryption-key")
    }

    /// Gives all that is in it to a user.
    pub(crate) fn belong_to(&self, user: u32) {
        let mut places = vec![self.path().to_owned()];
        while let Some(place) = places.pop() {
            chown(&place, Some(user), None).expect("its owner is root or the user");
            places
                .extend(std::fs::read_dir(&place).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }

    /// The environment of every command in this home.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.path().to_string_lossy().into_owned();
        let user = || "tester".to_owned();
        [
            ("HOME", home),
            ("LOGNAME", user()),
            ("PATH", path),
            ("SHELL", "/bin/sh".into()),
            ("TERM", "xterm".into()),
            ("USER", user()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(self.variables.iter().cloned())
        .collect()
    }

    /// The binary with `arguments`, in this home's environment alone.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().envs(self.environment()).current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs the binary to its end without any input.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        finish(self.command(arguments), b"")
    }

    /// Runs the binary to its end with `input` on stdin.
    pub(crate) fn run_with_input<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Outcome {
        finish(self.command(arguments), input)
    }

    /// Runs a command line as a person pastes it into another terminal: in a shell, in another
    /// directory, with none of our variables but `MCP_FRONT_…` in `variables`, and `input` on stdin.
    pub(crate) fn in_another_terminal(
        &self,
        line: &str,
        variables: &[(&str, &str)],
        input: &[u8],
    ) -> Outcome {
        let mut command = Command::new("/bin/sh");
        let foreign = self.environment().into_iter().filter(|(name, _)| !name.starts_with("MCP_FRONT_"));
        command.args(["-c", line]).env_clear().envs(foreign).current_dir("/");
        command.envs(variables.iter().copied());
        finish(command, input)
    }

    /// Every file below the home with its content.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut directories = vec![self.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                    Ok(kind) if kind.is_file() => {
                        files.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
                    }
                    _ => {}
                }
            }
        }
        files
    }
}

/// Runs `command` to its end.
pub(crate) fn finish(command: Command, input: &[u8]) -> Outcome {
    finish_within(DEADLINE, command, input)
}

/// The same for what takes longer than a single process: its end comes within `limit`.
pub(crate) fn finish_within(limit: Duration, mut command: Command, input: &[u8]) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start(&mut command);
    let stdout = Captured::new(process.child.stdout.take().expect("stdout is piped"));
    // A command that does not read its input may have closed it already.
    let _ = process.child.stdin.take().expect("stdin is piped").write_all(input);
    let status = process.wait_within(limit);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome { status, stdout: text(stdout.to_end()), stderr: text(process.stderr.to_end()) }
}

/// Writes a file that nobody else may read.
pub(crate) fn write_private(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the home is writable");
}
