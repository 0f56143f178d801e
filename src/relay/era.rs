//! Which eras the server speaks: the one of 2026-07-28, whose requests say for themselves what they
//! need to be understood, and the one before it, which begins with `initialize` (2026-07-28,
//! versioning).
//!
//! The server's answers to what hosts send anyway tell; nothing is asked for its own sake. What they
//! told is kept for a day in `<state>/eras/<key>.json`, for the next host on the same endpoint. The
//! file holds no secret, and its loss costs no more than finding out again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::paths::{self, Paths};
use crate::server_uri::ServiceKey;
use crate::upstream::streamable_http::Rejection;

/// How long an answer counts: servers are upgraded, and a bridge that does not notice keeps a host
/// from what is new.
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// How old a fact may be that is not written again.
const YOUNG: Duration = Duration::from_secs(60 * 60);

/// What is known of one server's eras, in this process and from earlier ones.
#[derive(Debug)]
pub struct Eras {
    file: PathBuf,
    state: Arc<Mutex<State>>,
    /// Held by the one that writes.
    writing: Arc<Mutex<()>>,
    writes: TaskTracker,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until the file has been looked at.
    facts: Option<Facts>,
    /// Whether the server has proved in this process that it speaks 2026-07-28.
    is_modern: bool,
}

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    /// Whether it understands requests of 2026-07-28 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modern: Option<Fact>,
    /// Whether it understands `initialize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legacy: Option<Fact>,
    /// Whether it speaks the transport of 2024-11-05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sse: Option<Fact>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Fact {
    is: bool,
    seen: Timestamp,
}

impl Fact {
    fn age(&self, now: Timestamp) -> Option<Duration> {
        // What was seen in the future was seen by another clock.
        Duration::try_from(now.duration_since(self.seen)).ok()
    }

    fn holds(&self, now: Timestamp) -> Option<bool> {
        self.age(now).is_some_and(|age| age < EXPIRY).then_some(self.is)
    }
}

impl Eras {
    /// What is known of the service with this key. Touches no file.
    pub fn new(paths: &Paths, key: &ServiceKey) -> Self {
        let file = paths.eras().join(format!("{key}.json"));
        Self { file, state: Arc::default(), writing: Arc::default(), writes: TaskTracker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether the server understands requests of 2026-07-28; `None` where nobody knows.
    pub(super) fn modern(&self) -> Option<bool> {
        let mut state = self.state();
        state.facts.get_or_insert_with(|| self.read()).modern?.holds(clock::now())
    }

    /// Whether the server has proved in this process that it speaks 2026-07-28.
    pub(super) fn is_modern(&self) -> bool {
        self.state().is_modern
    }

    /// The server answered as one that does, or does not, understand requests of 2026-07-28.
    pub(super) fn learn_modern(&self, is: bool) {
        let mut state = self.state();
        state.is_modern = is;
        self.learn(&mut state, |facts| &mut facts.modern, is);
    }

    /// Whether the server is known to understand requests of 2026-07-28 and no `initialize`.
    pub(super) fn is_only_modern(&self) -> bool {
        let (mut state, now) = (self.state(), clock::now());
        let facts = state.facts.get_or_insert_with(|| self.read());
        let holds = |fact: Option<Fact>| fact.and_then(|fact| fact.holds(now));
        holds(facts.modern) == Some(true) && holds(facts.legacy) == Some(false)
    }

    /// The server answered as one that does, or does not, understand `initialize`.
    pub(super) fn learn_legacy(&self, is: bool) {
        self.learn(&mut self.state(), |facts| &mut facts.legacy, is);
    }

    /// Whether the server speaks HTTP+SSE; `None` where nobody knows.
    pub(super) fn sse(&self) -> Option<bool> {
        let mut state = self.state();
        state.facts.get_or_insert_with(|| self.read()).sse?.holds(clock::now())
    }

    /// The server turned out to speak HTTP+SSE, or not to speak it any more.
    pub(super) fn learn_sse(&self, is: bool) {
        self.learn(&mut self.state(), |facts| &mut facts.sse, is);
    }

    fn learn(&self, state: &mut State, place: fn(&mut Facts) -> &mut Option<Fact>, is: bool) {
        let now = clock::now();
        let facts = state.facts.get_or_insert_with(|| self.read());
        let is_young = |fact: &Fact| fact.is == is && fact.age(now).is_some_and(|age| age < YOUNG);
        if !place(facts).as_ref().is_some_and(is_young) {
            *place(facts) = Some(Fact { is, seen: now });
            self.write();
        }
    }

    /// Waits for what is still being written.
    pub(super) async fn written(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    fn read(&self) -> Facts {
        let read = paths::read_private(&self.file).ok().flatten();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Writes behind everybody's back: nobody waits for a disk because of a memory. Whoever writes
    /// last writes what is known by then.
    fn write(&self) {
        let (file, state, writing) = (self.file.clone(), Arc::clone(&self.state), Arc::clone(&self.writing));
        let write = move || {
            let _one_at_a_time = lock(&writing);
            let facts = lock(&state).facts.clone();
            let text = serde_json::to_vec(&facts).unwrap_or_default();
            if let Err(error) = paths::write_private(&file, &text) {
                tracing::debug!(%error, "what is known of the server's eras was not kept");
            }
        };
        self.writes.spawn_blocking(write);
    }
}

/// Whether a refusal with this status says something of the server, and not of a moment, of who asks, or
/// of somebody on the way who answers in the server's place.
pub(super) fn tells_of_server(status: StatusCode) -> bool {
    status.is_client_error() && !Rejection::passes(status) && !matches!(status.as_u16(), 401 | 403 | 407)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eras(root: &std::path::Path) -> Eras {
        let paths = Paths::resolve(Some(root)).unwrap();
        let server = crate::server_uri::ServerUri::parse("https://a.example/mcp", false).unwrap();
        Eras::new(&paths, &ServiceKey::new("default", &server))
    }

    async fn written(eras: &Eras) -> String {
        for _ in 0..1000 {
            if let Ok(text) = std::fs::read_to_string(&eras.file) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing was written");
    }

    #[tokio::test]
    async fn what_was_learned_is_known_to_the_next_process() {
        let root = tempfile::tempdir().unwrap();
        let first = eras(root.path());
        assert_eq!((first.modern(), first.is_modern()), (None, false));
        first.learn_modern(true);
        assert_eq!((first.modern(), first.is_modern()), (Some(true), true));
        written(&first).await;
        let next = eras(root.path());
        assert_eq!((next.modern(), next.is_modern(), next.sse()), (Some(true), false, None));
    }

    #[tokio::test]
    async fn a_server_without_initialize_is_known_as_such_to_the_next_process() {
        let root = tempfile::tempdir().unwrap();
        let first = eras(root.path());
        first.learn_modern(true);
        assert!(!first.is_only_modern());
        first.learn_legacy(false);
        assert!(first.is_only_modern());
        while !eras(root.path()).is_only_modern() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.learn_legacy(true);
        assert!(!first.is_only_modern());
    }

    #[tokio::test]
    async fn an_old_or_damaged_memory_counts_for_nothing() {
        let root = tempfile::tempdir().unwrap();
        let hours_ago = |hours: i64| Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        for (content, known) in [
            (format!(r#"{{"modern":{{"is":false,"seen":"{}"}}}}"#, hours_ago(23)), Some(false)),
            (format!(r#"{{"modern":{{"is":true,"seen":"{}"}},"later":1}}"#, hours_ago(1)), Some(true)),
            (format!(r#"{{"modern":{{"is":false,"seen":"{}"}}}}"#, hours_ago(25)), None),
            (format!(r#"{{"modern":{{"is":false,"seen":"{}"}}}}"#, hours_ago(-2)), None),
            (r#"{"modern":{"is":"#.to_owned(), None),
            (String::new(), None),
        ] {
            let eras = eras(root.path());
            paths::write_private(&eras.file, content.as_bytes()).unwrap();
            assert_eq!(eras.modern(), known, "{content}");
        }
    }

    #[tokio::test]
    async fn what_is_known_and_young_is_not_written_again() {
        let root = tempfile::tempdir().unwrap();
        let first = eras(root.path());
        first.learn_modern(true);
        written(&first).await;
        std::fs::remove_file(&first.file).unwrap();
        first.learn_modern(true);
        first.learn_modern(false);
        assert!(written(&first).await.contains("false"));
    }
}
