//! Text for people at a terminal: where it is wider than the screen, it is broken between words.
//!
//! Elsewhere lines stay whole, for whoever searches them. A command in backticks is not broken where a line
//! holds it, for half of one cannot be pasted; neither is a word, so that an address stays what it is.

use std::io::{self, Write};
use std::iter;

use unicode_width::UnicodeWidthStr;

use super::terminal;

/// How far a label may reach for what follows it to be aligned.
const LABEL: usize = 24;

/// Says something on stderr. One that is closed stops nothing.
pub(super) fn say(text: &str) {
    let _ = write!(io::stderr(), "{}", fitted(text, terminal::stderr_columns()));
}

/// `text` as stdout shows it.
pub(super) fn shown(text: &str) -> String {
    fitted(text, terminal::columns())
}

/// One line of stdout, whose text stands behind `label` to its end.
pub(super) fn behind(label: &str, text: &str) -> String {
    match terminal::columns() {
        Some(columns) => broken(label, width(label), text, columns.into()),
        None => format!("{label}{text}"),
    }
}

fn fitted(text: &str, columns: Option<u16>) -> String {
    let Some(columns) = columns.map(usize::from) else { return text.to_owned() };
    let lines = text.split('\n').map(|line| {
        if width(line) <= columns {
            return line.to_owned();
        }
        let (label, text, hang) = parts(line);
        broken(label, hang.min(columns / 2), text, columns)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a line begins with, its text, and how far in the text goes on: below where it began behind a gap or
/// the number of a list, a little in behind a label with a colon, else as far in as the line.
fn parts(line: &str) -> (&str, &str, usize) {
    let lead = line.len() - line.trim_start_matches(' ').len();
    let (margin, text) = line.split_at(lead);
    if let Some(gap) = text.find("  ").filter(|gap| lead + gap <= LABEL) {
        let begin = line.len() - text[gap..].trim_start_matches(' ').len();
        return (&line[..begin], &line[begin..], width(&line[..begin]));
    }
    let first = text.split(' ').next().unwrap_or_default();
    let hang = match () {
        () if first.strip_suffix('.').is_some_and(|number| number.parse::<u8>().is_ok()) => first.len() + 1,
        () if first.ends_with(':') || text.starts_with("caused by: ") => 2,
        () => 0,
    };
    (margin, text, lead + hang)
}

/// `text` behind `label`, in lines of at most `columns` as far as its words allow, the later ones `hang` in.
fn broken(label: &str, hang: usize, text: &str, columns: usize) -> String {
    let mut shown = label.to_owned();
    let mut column = width(label);
    let mut begins = true;
    for piece in pieces(text, columns.saturating_sub(hang)) {
        let length = width(&piece);
        if !begins && column + 1 + length > columns {
            shown.push('\n');
            shown.extend(iter::repeat_n(' ', hang));
            column = hang;
        } else if !begins {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(&piece);
        column += length;
        begins = false;
    }
    shown
}

/// Words, and commands in backticks that are no wider than `room`.
fn pieces(text: &str, room: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut command: Option<Vec<&str>> = None;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let turns = word.matches('`').count() % 2 == 1;
        match (&mut command, turns) {
            (None, false) => pieces.push(word.to_owned()),
            (None, true) => command = Some(vec![word]),
            (Some(words), _) => words.push(word),
        }
        if turns && let Some(words) = command.take_if(|words| words.len() > 1) {
            let whole = words.join(" ");
            match width(&whole) <= room {
                true => pieces.push(whole),
                false => pieces.extend(words.into_iter().map(str::to_owned)),
            }
        }
    }
    pieces.extend(command.into_iter().flatten().map(str::to_owned));
    pieces
}

/// How many columns `text` takes, without what only colours it or makes it a link (ECMA-48 §5.4, OSC 8).
pub(super) fn width(text: &str) -> usize {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\x1b' {
            plain.push(character);
        } else if characters.next() == Some(']') {
            let _ = characters.by_ref().find(|end| *end == '\\');
        } else {
            let _ = characters.by_ref().find(char::is_ascii_alphabetic);
        }
    }
    plain.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_commands_stay_whole() {
        for (text, shown) in [
            ("short\n", "short\n"),
            ("error: one two three four five six\n", "error: one two three\n  four five six\n"),
            ("caused by: one two three four\nhint: on\n", "caused by: one two\n  three four\nhint: on\n"),
            ("  scopes  one two three four", "  scopes  one two\n          three four"),
            ("  2. one two three four five", "  2. one two three\n     four five"),
            ("hint: run `a b c d e f`; or not", "hint: run\n  `a b c d e f`; or\n  not"),
            ("run `one two three four five six`", "run `one two three\nfour five six`"),
            ("a `lone tick that is never closed", "a `lone tick that is\nnever closed"),
            ("open https://example.com/a/long/way here", "open\nhttps://example.com/a/long/way\nhere"),
            ("\x1b[32m✓\x1b[0m a mark takes one c", "\x1b[32m✓\x1b[0m a mark takes one c"),
            ("世界世界世界 世界世界世界", "世界世界世界\n世界世界世界"),
        ] {
            assert_eq!(fitted(text, Some(20)), shown);
            assert_eq!(fitted(text, None), text);
        }
    }
}
