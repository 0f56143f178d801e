//! No picture of this process's memory, in which tokens lie.
//!
//! A crash leaves no core file. On Linux no other process of the same user can look in either, neither
//! with a debugger nor through `/proc` (environment, memory, open files): only root can. What this
//! program starts for others, a browser above all, is started with the limit that was found here.
//!
//! Platform differences of the room live here. Elsewhere than on Unix nothing is done.

#[cfg(unix)]
use std::sync::OnceLock;

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit before this process lowered it.
#[cfg(unix)]
static FOUND: OnceLock<Rlimit> = OnceLock::new();

/// Forbids pictures of this process from now on. A system that does not let it is no reason not to
/// run.
pub fn forbid() {
    #[cfg(unix)]
    {
        let found = *FOUND.get_or_init(|| getrlimit(Resource::Core));
        // The hard limit stays, so that others can be given back what was found.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..found });
    }
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Starts another program with the limit that this process found. It must not start one for later: the
/// limit is down again when this returns.
pub fn lifted<T>(start: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    if let Some(found) = FOUND.get() {
        let _ = setrlimit(Resource::Core, *found);
        let started = start();
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..*found });
        return started;
    }
    start()
}
