//! Secrets that do not print, and foreign text made safe for a terminal.
//!
//! A secret leaves a [`Secret`] through `expose_secret` alone; whoever calls it is that secret's
//! one exit. Text that a server chose is shown only through [`printable`].

pub use secrecy::{ExposeSecret, SecretSlice, SecretString as Secret};

/// The most characters of foreign text that [`printable`] lets through.
const PRINTABLE_LIMIT: usize = 500;

/// Makes text that a server or a file chose safe to print: control characters, terminal escapes,
/// bidirectional overrides and other invisible characters become `\u{…}` escapes, and what is
/// longer than 500 characters ends in `…`.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(PRINTABLE_LIMIT));
    for (count, character) in text.chars().enumerate() {
        if count == PRINTABLE_LIMIT {
            shown.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Zero-width, bidirectional and other formatting characters that change how their neighbours
/// look (Unicode categories Cf, Zl and Zp, as far as terminals honour them).
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_overrides_are_escaped() {
        for (given, shown) in [
            ("plain text", "plain text"),
            ("naïve ✓", "naïve ✓"),
            ("\u{1b}]52;c;aGk=\u{7}", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("\u{202e}evil", "\\u{202e}evil"),
        ] {
            assert_eq!(printable(given), shown);
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable(&"x".repeat(501)).chars().count(), 501);
        assert!(printable(&"x".repeat(501)).ends_with('…'));
    }
}
