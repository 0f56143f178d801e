//! Where the parts of a JSON text stand, found in the plainest way: what the product's readers, which
//! go by another's parser, are compared with. The text is known to be valid.

use std::ops::Range;

use serde_json::value::RawValue;

/// A member of an object, or an element of an array.
#[derive(Debug, Clone)]
pub struct Part {
    /// From behind the bracket or comma before it, to the comma or bracket behind it.
    pub segment: Range<usize>,
    /// A member's name, with its quotes; empty for an element.
    pub name: Range<usize>,
    pub value: Range<usize>,
}

/// The text without the white space around it, where it is JSON.
pub fn valid(bytes: &[u8]) -> Option<&str> {
    serde_json::from_slice::<&RawValue>(bytes).ok().map(RawValue::get)
}

/// The parts of an object (`{`) or of an array (`[`); `None` where the text is none.
pub fn parts(text: &str, opening: u8) -> Option<Vec<Part>> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&opening) {
        return None;
    }
    let mut found = Vec::new();
    let mut at = 1;
    if matches!(bytes[behind_space(bytes, at)], b'}' | b']') {
        return Some(found);
    }
    loop {
        let start = at;
        at = behind_space(bytes, at);
        let mut name = at..at;
        if opening == b'{' {
            name = at..behind_value(bytes, at);
            at = behind_space(bytes, name.end);
            assert_eq!(bytes[at], b':');
            at = behind_space(bytes, at + 1);
        }
        let value = at..behind_value(bytes, at);
        at = behind_space(bytes, value.end);
        found.push(Part { segment: start..at, name, value });
        if bytes[at] != b',' {
            assert!(matches!(bytes[at], b'}' | b']') && at + 1 == bytes.len());
            return Some(found);
        }
        at += 1;
    }
}

fn behind_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes[at], b' ' | b'\t' | b'\r' | b'\n') {
        at += 1;
    }
    at
}

fn behind_value(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    loop {
        match bytes[at] {
            b'"' => {
                at += 1;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        let ends = |byte: &u8| b",:]} \t\r\n".contains(byte);
        let is_token = |byte: u8| !b"\"}]".contains(&byte);
        let is_over = !is_token(bytes[at - 1]) || bytes.get(at).is_none_or(ends);
        if depth == 0 && is_over {
            return at;
        }
    }
}

/// What a string's text stands for; `None` where no text can hold it (a lone surrogate).
pub fn decoded(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}
