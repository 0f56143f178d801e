//! The processes that the demo starts: its own binary, with a home of its own.
//!
//! All are kept here, so that none outlives the demo however it ends. Their environment is the
//! demo's without the user's settings for `mcp-front`, so that no real store is ever touched.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::redact::printable;

/// Settings of the user's that do not apply to the demo.
const UNSET: [&str; 3] = ["MCP_FRONT_ENCRYPTION_KEY", "MCP_FRONT_ENCRYPTION_KEY_FILE", "MCP_FRONT_PROFILE"];

/// How long a process whose input was closed has to end by itself.
const GRACE: Duration = Duration::from_millis(500);

/// How many of a process's last lines on standard error are kept.
const TALK: usize = 12;

/// The demo's processes.
pub(super) struct Children {
    executable: PathBuf,
    home: PathBuf,
    running: Vec<Child>,
}

/// Names one of the [`Children`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(usize);

/// A process whose streams are pipes.
pub(super) struct Piped {
    pub(super) process: Process,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// The last lines that a process wrote on standard error.
#[derive(Clone, Default)]
pub(super) struct Talk(Arc<Mutex<VecDeque<String>>>);

impl Children {
    /// Nothing runs yet; what is started is `executable`, and keeps its state under `home`.
    pub(super) fn new(executable: PathBuf, home: PathBuf) -> Self {
        Self { executable, home, running: Vec::new() }
    }

    /// Starts the binary with pipes.
    ///
    /// # Errors
    /// Where the system does not start it.
    pub(super) fn start(&mut self, arguments: &[&str]) -> io::Result<Piped> {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = self.keep(child);
        match pipes {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Piped { process, stdin, stdout, stderr }),
            _ => Err(io::Error::other("the process has no pipes")),
        }
    }

    /// Starts the binary on the demo's own terminal.
    ///
    /// # Errors
    /// Where the system does not start it.
    pub(super) fn start_attached(&mut self, arguments: &[&str]) -> io::Result<Process> {
        let child = self.command(arguments).spawn()?;
        Ok(self.keep(child))
    }

    /// Waits for a process to end. Cancel-safe.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub(super) async fn outcome(&mut self, process: Process) -> io::Result<ExitStatus> {
        self.running[process.0].wait().await
    }

    /// Ends every process that still runs, and waits for it to be gone.
    pub(super) async fn end(&mut self) {
        for child in &mut self.running {
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                // It fails only where the process has just ended.
                let _ = child.kill().await;
            }
        }
    }

    fn keep(&mut self, child: Child) -> Process {
        self.running.push(child);
        Process(self.running.len() - 1)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(arguments).kill_on_drop(true);
        for name in UNSET {
            command.env_remove(name);
        }
        command.env("MCP_FRONT_HOME", &self.home).env("MCP_FRONT_STORE", "file");
        // The warning about a key that lies beside what it encrypts: here both are thrown away.
        command.env("MCP_FRONT_LOG", "error");
        // A proxy of the user's cannot reach this machine's loopback.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command
    }
}

impl Talk {
    /// Reads `stream` in the background to its end, so that its writer never waits.
    pub(super) fn gather(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let talk = Self::default();
        let kept = talk.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == TALK {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        talk
    }

    /// A sentence about the process, followed by its last words.
    pub(super) fn follows(&self, sentence: &str) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
        if lines.is_empty() {
            sentence.to_owned()
        } else {
            format!("{sentence}; it said: {}", lines.join(" / "))
        }
    }
}
