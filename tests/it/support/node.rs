//! The Node parts that `tests/run` installs: real servers, a real authorization server, a host.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::process::{Captured, Process};
use super::skip;

/// Where Node and its packages lie.
pub(crate) struct Node {
    executable: PathBuf,
    modules: PathBuf,
}

impl Node {
    /// The installed parts; `None` where `tests/run` could not install them.
    pub(crate) fn installed() -> Option<Self> {
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.exists());
        let found = folder("MCP_FRONT_TEST_NODE").zip(folder("MCP_FRONT_TEST_NODE_MODULES"));
        if found.is_none() {
            skip("the Node parts (tests/run installs them)");
        }
        found.map(|(executable, modules)| Self { executable, modules })
    }

    /// Node with a file of one of the packages, as `package/path/file.js`.
    pub(crate) fn package(&self, file: &str) -> Command {
        self.run(self.modules.join(file))
    }

    /// Node with a fixture of `tests/node/`.
    pub(crate) fn fixture(&self, file: &str) -> Command {
        self.run(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(file))
    }

    fn run(&self, file: PathBuf) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(file).envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// What the fixtures need to know, and where Node keeps what it has compiled: packages of a
    /// megabyte start in half the time.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        let compiled = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("node-compile-cache");
        [("MCP_FRONT_TEST_NODE_MODULES", self.modules.clone()), ("NODE_COMPILE_CACHE", compiled)]
    }

    /// The folder of the node executable, for hosts that look for `node` in PATH.
    pub(crate) fn directory(&self) -> String {
        self.executable.parent().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// A Node server that prints where it listens.
pub(crate) struct NodeServer {
    _process: Process,
    /// Where it listens.
    pub(crate) url: String,
}

impl NodeServer {
    /// Starts `command` and waits for the line that says where it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let stdout = Captured::new(process.child.stdout.take().expect("stdout is piped"));
        let address = |text: &str| {
            let line =
                text.split_inclusive('\n').find(|line| line.starts_with("http://") && line.ends_with('\n'));
            line.map(|line| line.trim_end().to_owned())
        };
        let text = stdout.wait_for("the server's address", |text| address(text).is_some());
        let url = address(&text).unwrap_or_default();
        Self { _process: process, url }
    }
}
