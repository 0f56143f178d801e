//! Connections that are dead at the other end, and do not know: no more of what is sent to them arrives.

use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;
use super::compiled::compile;
use super::home::Home;
use super::skip;

/// A network that can fall silent.
pub(crate) struct Silence {
    directory: TempDir,
}

impl Silence {
    /// One that has not fallen silent yet; without the means to come between, the test is left out.
    pub(crate) fn to_come() -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            skip("a C library that lets others come before it");
            return None;
        }
        let directory =
            tempfile::Builder::new().prefix("mcp-front-silence-").tempdir().expect("a temporary directory");
        compile(
            "silence.c",
            &directory.path().join("silence.so"),
            &["-shared", "-fPIC", "-pthread", "-ldl"],
        )?;
        Some(Self { directory })
    }

    /// A home whose commands are on this network; where the kernel waits before it asks and gives up, it
    /// waits a tenth of the time.
    pub(crate) fn around(&self, home: Home) -> Home {
        let place = self.directory.path();
        home.with("LD_PRELOAD", place.join("silence.so").to_string_lossy())
            .with("TEST_SILENCE", place.to_string_lossy())
    }

    /// From now on nothing reaches the connections that there are. Later ones are well. Where this user may
    /// not have that, the test is left out.
    pub(crate) fn fall(&self) -> Option<()> {
        fs::write(self.directory.path().join("silence"), "").expect("it is writable");
        let end = Instant::now() + DEADLINE;
        let is_there = |name: &str| self.directory.path().join(name).exists();
        while !is_there("silent") {
            if is_there("refused") {
                skip("a filter for connections");
                return None;
            }
            assert!(Instant::now() < end, "nobody listens to the silence");
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(())
    }
}
