//! The processes of a home, as far as the system lets a test see them.

use std::collections::HashMap;
use std::path::Path;

use super::home::BINARY;

/// A process that runs now.
pub(crate) struct Seen {
    pub(crate) id: i32,
    /// Its arguments, each ended by a zero byte.
    pub(crate) arguments: Vec<u8>,
    /// Its environment likewise; `None` where only root may look at it.
    pub(crate) environment: Option<Vec<u8>>,
}

/// The processes whose environment holds `variable`; none where there is no /proc. Ours let nobody but
/// root look: to another user, those that this test started count, and what they started.
pub(crate) fn with_variable(variable: &str) -> Vec<Seen> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let parents: HashMap<i32, i32> = ids.iter().filter_map(|id| Some((*id, parent(*id)?))).collect();
    ids.into_iter().filter_map(|id| seen(id, variable, &parents)).collect()
}

fn seen(id: i32, variable: &str, parents: &HashMap<i32, i32>) -> Option<Seen> {
    let directory = Path::new("/proc").join(id.to_string());
    let arguments = std::fs::read(directory.join("cmdline")).ok().filter(|line| !line.is_empty())?;
    match std::fs::read(directory.join("environ")) {
        Ok(environment) => {
            let has = environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes());
            has.then_some(Seen { id, arguments, environment: Some(environment) })
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let own = i32::try_from(std::process::id()).ok()?;
            let is_own = std::iter::successors(Some(id), |id| parents.get(id).copied()).any(|id| id == own);
            let is_ours = is_own && arguments.starts_with(BINARY.as_bytes());
            is_ours.then_some(Seen { id, arguments, environment: None })
        }
        Err(_) => None,
    }
}

/// The parent: the second field behind the name.
fn parent(id: i32) -> Option<i32> {
    stat(id)?.get(1)?.parse().ok()
}

/// How long a process has been at work so far, in ticks of the system's clock.
pub(crate) fn processor_time(id: u32) -> u64 {
    let fields = stat(id).unwrap_or_default();
    fields.iter().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// What the system says of a process behind its name, which may hold anything.
fn stat(id: impl std::fmt::Display) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
