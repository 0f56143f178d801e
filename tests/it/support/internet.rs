//! A network of the test's own for the binary under test: names stand for what the test says, answer
//! by answer, public addresses are on this machine, and every address that is dialled is taken down.
//!
//! It comes between the binary and the C library, so the binary's own resolving and connecting is what
//! is watched. A name that the test does not know has no address, and nothing leaves the machine.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::compiled::compile;
use super::home::Home;
use super::skip;

/// Public addresses, each of which is loopback at the same port.
pub(crate) const PUBLIC: [&str; 2] = ["192.88.98.1", "192.88.98.2"];

/// The network; what is taken down ends with it.
pub(crate) struct Internet {
    directory: TempDir,
}

impl Internet {
    /// Knows `names`, each with its answers, of which the last one is repeated; an answer is addresses
    /// with commas between them. Without the means to come between, the test is left out.
    pub(crate) fn start(names: &[(&str, &[&str])]) -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            skip("a C library that lets others come before it");
            return None;
        }
        let directory =
            tempfile::Builder::new().prefix("mcp-front-internet-").tempdir().expect("a temporary directory");
        let lines = names.iter().map(|(name, answers)| format!("{name} {}\n", answers.join(" ")));
        std::fs::write(directory.path().join("names"), lines.collect::<String>()).expect("it is writable");
        let library = directory.path().join("internet.so");
        compile("internet.c", &library, &["-shared", "-fPIC", "-pthread", "-ldl"])?;
        Some(Self { directory })
    }

    /// A home whose commands are on this network.
    pub(crate) fn around(&self, home: Home) -> Home {
        let place = self.directory.path();
        home.with("LD_PRELOAD", place.join("internet.so").to_string_lossy())
            .with("TEST_INTERNET", place.to_string_lossy())
    }

    /// Every address that a connection was tried to, since this was asked last.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        let path = self.directory.path().join("dialled");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        text.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("no address: {line}"))).collect()
    }
}
