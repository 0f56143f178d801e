//! Small programs and libraries in C, for what no safe code and no tool can do to a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::skip;

/// Builds `source`, a file beside this one, to `target`; without a compiler the test is left out.
pub(crate) fn compile(source: &str, target: &Path, flags: &[&str]) -> Option<()> {
    let source: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/it/support", source].iter().collect();
    let mut compiler = Command::new("cc");
    compiler.arg(source).args(flags).arg("-o").arg(target);
    let Ok(outcome) = compiler.output() else {
        skip("a C compiler");
        return None;
    };
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    Some(())
}
