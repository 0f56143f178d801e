//! A point at which a process of the product dies (`src/failpoint.rs`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::DEADLINE;
use super::home::Home;

/// The variable that names the file.
pub(crate) const VARIABLE: &str = "MCP_FRONT_FAILPOINT";

/// One death, of the first process that reaches the point.
pub(crate) struct Failpoint {
    file: PathBuf,
}

impl Failpoint {
    /// Sets it for the processes that get [`VARIABLE`] with [`value`](Self::value).
    pub(crate) fn set(home: &Home, point: &str) -> Self {
        let file = home.path().join("failpoint");
        std::fs::write(&file, point).expect("the home is writable");
        Self { file }
    }

    pub(crate) fn value(&self) -> &str {
        self.file.to_str().expect("a plain path")
    }

    /// The home of the processes that have it.
    pub(crate) fn home(&self) -> &Path {
        self.file.parent().expect("it lies there")
    }

    /// Whether a process has died there.
    pub(crate) fn is_reached(&self) -> bool {
        !self.file.exists()
    }

    /// Waits until a process has died there, or `otherwise` holds; says which.
    pub(crate) fn wait_or(&self, mut otherwise: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + DEADLINE;
        loop {
            if self.is_reached() {
                return true;
            }
            if otherwise() {
                return self.is_reached();
            }
            assert!(Instant::now() < end, "the point is not reached, and nothing else happens");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
