//! What a command prints, held to a file in `tests/it/snapshots/`: with what differs from run to run
//! masked. `MCP_FRONT_WRITE_SNAPSHOTS=1` writes the files anew.

use std::path::Path;

use super::home::{BINARY, Home};

const VERSION: &str = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");

/// Compares `text` with the snapshot `name`. In it, `home`, the binary's path and version, each of `replaced`,
/// times, durations and loopback ports are masked, and runs of spaces count as two.
#[track_caller]
pub(crate) fn assert_snapshot(name: &str, text: &str, home: &Home, replaced: &[(&str, &str)]) {
    let mut masked = text.to_owned();
    let own = [
        (VERSION, "\"<version>\""),
        (BINARY, "mcp-front"),
        (home.path().to_str().expect("a plain path"), "<home>"),
    ];
    for (found, mask) in replaced.iter().copied().chain(own) {
        masked = masked.replace(found, mask);
    }
    let masked = masked.lines().map(|line| single_spaced(&without_times(line)) + "\n").collect::<String>();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots").join(name);
    if std::env::var_os("MCP_FRONT_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &masked).expect("the tree is writable");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(masked, kept, "{} is another; MCP_FRONT_WRITE_SNAPSHOTS=1 writes it anew", path.display());
}

/// The line with each time as `<time>`: `2026-11-21 22:40 CET (in 53 min)`, `22:40 (in 53 min)`,
/// `2026-11-21 (in 3 days)`, and what JSON has; each duration as `<duration>`: `59m 58s`, `23 ms`; and
/// each port of a loopback address as `<port>`.
fn without_times(line: &str) -> String {
    let mut masked = String::new();
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let found = match masked.ends_with(char::is_alphanumeric) {
            true => None,
            false if masked.ends_with("127.0.0.1:") => Some(("<port>", digits(rest))),
            false => time(rest).map(|length| ("<time>", length)).or_else(|| {
                let length = duration(rest);
                (length > 0).then_some(("<duration>", length))
            }),
        };
        match found {
            Some((mask, length)) => {
                masked += mask;
                rest = &rest[length..];
            }
            None => {
                masked.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    masked
}

/// How long the time is that `text` begins with.
fn time(text: &str) -> Option<usize> {
    let is_like = |pattern: &str| {
        let mut characters = text.chars();
        pattern.chars().all(|wanted| match (wanted, characters.next()) {
            ('0', Some(found)) => found.is_ascii_digit(),
            (wanted, found) => found == Some(wanted),
        })
    };
    match () {
        () if is_like("0000-00-00T") => text.find('"'),
        () if is_like("0000-00-00 ") || is_like("00:00 (") => text.find(')').map(|end| end + 1),
        () => None,
    }
}

fn digits(text: &str) -> usize {
    text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len()
}

/// How long the duration is that `text` begins with; 0 where it begins with none.
fn duration(text: &str) -> usize {
    let number = digits(text);
    let unit = text[number..].trim_start();
    let Some(unit) = ["ms", "h", "m", "s"].into_iter().find_map(|name| unit.strip_prefix(name)) else {
        return 0;
    };
    if number == 0 || unit.starts_with(char::is_alphanumeric) {
        return 0;
    }
    let length = text.len() - unit.len();
    match unit.strip_prefix(' ').map(duration) {
        Some(more) if more > 0 => length + 1 + more,
        _ => length,
    }
}

fn single_spaced(line: &str) -> String {
    let margin = line.len() - line.trim_start().len();
    let words: Vec<_> = line.trim().split("  ").map(str::trim).filter(|part| !part.is_empty()).collect();
    format!("{}{}", " ".repeat(margin), words.join("  "))
}
