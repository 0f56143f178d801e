//! What must hold of each parser that reads foreign bytes, whatever the bytes.
//!
//! Each target is one function of bytes that panics where a property does not hold. Two run them: the
//! fuzzer (`tests/soak/fuzz`), which looks for bytes that nobody thought of, and the test
//! `tests/it/corpora.rs`, which replays those that were found worth keeping in `tests/fuzz/corpus/`.

pub mod callback;
pub mod challenge;
pub mod edit;
pub mod events;
pub mod framing;
mod json;
mod login;
pub mod message;
pub mod metadata;
pub mod paste;
pub mod settings;
pub mod stored;
pub mod token_response;

/// Checks one input.
pub type Check = fn(&[u8]);

/// Each target by its name, which its corpus has too.
pub const TARGETS: [(&str, Check); 11] = [
    ("callback", callback::check),
    ("challenge", challenge::check),
    ("edit", edit::check),
    ("events", events::check),
    ("framing", framing::check),
    ("message", message::check),
    ("metadata", metadata::check),
    ("paste", paste::check),
    ("settings", settings::check),
    ("stored", stored::check),
    ("token_response", token_response::check),
];

/// What stands between the parts of an input that has several.
const SEPARATOR: &str = "\n---\n";

/// The first parts of an input; the last takes what is left, and one that is missing is empty.
fn parts<const N: usize>(text: &str) -> [&str; N] {
    let mut parts = text.splitn(N, SEPARATOR);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Text that people read on a terminal: no control character, nothing invisible that reorders it.
fn assert_printable(shown: &str) {
    let is_bad = |character: char| {
        character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!shown.contains(is_bad), "not safe to print: {shown:?}");
}

/// An error with its causes, as commands show it.
fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    mcp_front::redact::with_causes(error)
}

/// Runs a future to its end, on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
