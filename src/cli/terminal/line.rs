//! A line that is typed or pasted without being shown.
//!
//! With echo off the terminal's own line editing is off too (it would cut a line at 4,096
//! characters, or 1,024 on some systems, and a redirect URL may be longer), so what remains of it
//! is done here: erase, kill, and the markers of a bracketed paste, within which a line break is
//! part of what a terminal wrapped and not its end.

use zeroize::Zeroizing;

use crate::redact::Secret;

/// The longest line that is taken, in bytes.
const LIMIT: usize = 64 * 1024;

/// What a byte led to.
#[derive(Debug)]
pub(super) enum Step {
    /// The line goes on.
    More,
    /// A line is whole.
    Line(Secret),
    /// A line ended that is no text, or is too long.
    Unusable(&'static str),
    /// The end of input was typed on an empty line.
    End,
}

/// Puts a line together, byte by byte.
pub(super) struct Line {
    bytes: Zeroizing<Vec<u8>>,
    escape: Escape,
    pasting: bool,
    overflown: bool,
}

/// How far into an escape sequence (ECMA-48 §5.4) the input is.
#[derive(Default)]
enum Escape {
    #[default]
    None,
    Begun,
    Control(Vec<u8>),
}

impl Default for Line {
    fn default() -> Self {
        // Growing would leave copies behind.
        let bytes = Zeroizing::new(Vec::with_capacity(LIMIT));
        Self { bytes, escape: Escape::None, pasting: false, overflown: false }
    }
}

impl Line {
    /// Takes the next byte.
    pub(super) fn push(&mut self, byte: u8) -> Step {
        match std::mem::take(&mut self.escape) {
            Escape::None => return self.plain(byte),
            Escape::Begun if byte == b'[' => self.escape = Escape::Control(Vec::new()),
            Escape::Begun => {}
            Escape::Control(parameters) if (0x40..=0x7e).contains(&byte) => match (&parameters[..], byte) {
                (b"200", b'~') => self.pasting = true,
                (b"201", b'~') => self.pasting = false,
                _ => {}
            },
            Escape::Control(mut parameters) => {
                if parameters.len() < 16 {
                    parameters.push(byte);
                }
                self.escape = Escape::Control(parameters);
            }
        }
        Step::More
    }

    /// What is left at the end of input, as a last line without its end.
    pub(super) fn end(&mut self) -> Step {
        if self.bytes.is_empty() { Step::End } else { self.finish() }
    }

    fn plain(&mut self, byte: u8) -> Step {
        match byte {
            b'\r' | b'\n' if self.pasting => {}
            b'\r' | b'\n' => return self.finish(),
            0x1b => self.escape = Escape::Begun,
            0x04 if self.bytes.is_empty() => return Step::End,
            0x08 | 0x7f => self.erase(),
            0x15 => self.bytes.clear(),
            0x00..=0x1f => {}
            _ if self.bytes.len() == LIMIT => self.overflown = true,
            _ => self.bytes.push(byte),
        }
        Step::More
    }

    /// Takes back one character, which may be several bytes of UTF-8.
    fn erase(&mut self) {
        while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }

    fn finish(&mut self) -> Step {
        let Self { bytes, overflown, .. } = std::mem::take(self);
        if overflown {
            return Step::Unusable("it is too long");
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Step::Line(Secret::from(text.to_owned())),
            Err(_) => Step::Unusable("it is not text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::ExposeSecret;

    fn lines(input: &[u8]) -> Vec<String> {
        let mut line = Line::default();
        let steps = input.iter().map(|byte| line.push(*byte));
        steps
            .filter_map(|step| match step {
                Step::More => None,
                Step::Line(text) => Some(text.expose_secret().to_owned()),
                Step::Unusable(why) => Some(format!("unusable: {why}")),
                Step::End => Some("end".to_owned()),
            })
            .collect()
    }

    #[test]
    fn lines_are_edited_and_pastes_unwrapped() {
        for (input, expected) in [
            (b"abc\r" as &[u8], &["abc"] as &[&str]),
            (b"abc\nd\n", &["abc", "d"]),
            (b"abx\x7fc\r", &["abc"]),
            (b"\x7f\x08a\r", &["a"]),
            ("né\u{7f}o\r".as_bytes(), &["no"]),
            (b"wrong\x15right\r", &["right"]),
            (b"\x1b[200~http://x/\r\n?code=1\x1b[201~\r", &["http://x/?code=1"]),
            (b"\x1b[Aa\x1b[3~b\x1bxc\r", &["abc"]),
            (b"a\x00\x01b\r", &["ab"]),
            (b"\x04", &["end"]),
            (b"a\x04b\r", &["ab"]),
            (b"\xff\r", &["unusable: it is not text"]),
            (b"\r", &[""]),
        ] {
            assert_eq!(lines(input), expected, "{input:?}");
        }
    }

    #[test]
    fn an_endless_line_is_refused_once_it_ends() {
        let mut input = vec![b'x'; LIMIT];
        input.push(b'\r');
        assert_eq!(lines(&input)[0].len(), LIMIT);
        input.insert(0, b'x');
        input.extend(b"next\r");
        assert_eq!(lines(&input), ["unusable: it is too long", "next"]);
    }
}
