//! Secrets that do not print, and foreign text made safe for a terminal.
//!
//! A secret leaves a [`Secret`] through `expose_secret` alone; whoever calls it is that secret's
//! one exit. Text that a server chose is shown only through [`printable`], and text of a server
//! that was sent secrets through [`Known`] before: some repeat in an error what they were sent.

use std::cmp::Reverse;
use std::error::Error;
use std::ops::Deref;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
pub use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString as Secret};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// The most characters of foreign text that [`printable`] lets through.
const PRINTABLE_LIMIT: usize = 500;

/// What is shorter is found everywhere, in bytes.
const SHORTEST: usize = 6;
/// What is shorter may be a word of something else, in bytes.
pub const WORD: usize = 16;

/// Secrets that a server knows, and may repeat in what it says.
#[derive(Default)]
pub struct Known(Vec<Zeroizing<String>>);

impl Known {
    /// Secrets of at least 6 bytes.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<_> =
            secrets.into_iter().flat_map(|secret| forms(secret.expose_secret())).collect();
        // A longer one may hold a shorter one, whose replacement would leave its rest behind.
        forms.sort_by_key(|form| Reverse(form.len()));
        Self(forms)
    }

    /// Whether `text` is one of them, or holds one that is too long to be a word.
    pub fn is_repeated_by(&self, text: &str) -> bool {
        self.0
            .iter()
            .any(|form| text == form.as_str() || (form.len() >= WORD && text.contains(form.as_str())))
    }

    /// Whether `text` is one of them, as it is or encoded, and too long to be a word of something else.
    pub fn holds(&self, text: &str) -> bool {
        text.len() >= WORD && self.0.iter().any(|form| form.as_str() == text)
    }

    /// `text` with `[secret]` in place of each of them: as it is, percent-encoded, or either in base64
    /// wherever it begins there, as in HTTP Basic; or in small letters, as in a host's name.
    pub fn hide(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for form in self.0.iter().filter(|form| form.len() >= SHORTEST) {
            if shown.contains(form.as_str()) {
                shown = shown.replace(form.as_str(), "[secret]");
            }
        }
        shown
    }
}

/// The forms in which a secret is looked for.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let percent = |plain: &[u8], space: Option<char>, upper: bool| {
        let mut text = Zeroizing::new(String::with_capacity(3 * secret.len()));
        for byte in secret.bytes() {
            match (byte, space) {
                (b' ', Some(space)) => text.push(space),
                _ if byte.is_ascii_alphanumeric() || plain.contains(&byte) => text.push(char::from(byte)),
                _ if upper => text.push_str(&format!("%{byte:02X}")),
                _ => text.push_str(&format!("%{byte:02x}")),
            }
        }
        text
    };
    let mut forms = vec![Zeroizing::new(secret.to_owned())];
    // As a URL writes it (RFC 3986 §2.3), and as a form does.
    for (plain, space) in [(b"-._~", None), (b"-._*", Some('+'))] {
        forms.extend([percent(plain, space, true), percent(plain, space, false)]);
    }
    // HTTP Basic holds a client's secret as a form spells it (RFC 6749 §2.3.1).
    let encoded: Vec<_> = forms.iter().flat_map(|form| in_base64(form.as_bytes())).collect();
    forms.extend(encoded);
    // The host of a URL shows its letters in small ones (RFC 3986 §3.2.2).
    if secret.bytes().any(|byte| byte.is_ascii_uppercase()) {
        forms.push(Zeroizing::new(secret.to_ascii_lowercase()));
    }
    forms
}

/// What base64 makes of bytes, whatever stands before and behind them: that shifts it by none, one or two
/// bytes, and has a part in the characters at either end, which are left out.
fn in_base64(bytes: &[u8]) -> Vec<Zeroizing<String>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let shifted = Zeroizing::new([&b"\0\0"[..before], bytes].concat());
        let own = (before * 8).div_ceil(6)..shifted.len() * 8 / 6;
        for alphabet in [BASE64_STANDARD, BASE64_URL_SAFE] {
            let text = Zeroizing::new(alphabet.encode(&*shifted));
            forms.extend(text.get(own.clone()).map(|own| Zeroizing::new(own.to_owned())));
        }
    }
    forms
}

/// A JSON object whose texts are overwritten when it is dropped.
pub struct Wiped(Map<String, Value>);

impl Wiped {
    /// Takes the object over.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl Deref for Wiped {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Overwrites every text in `value`, which then means nothing.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Makes text that a server or a file chose safe to print: control characters, terminal escapes,
/// bidirectional overrides and other invisible characters become `\u{…}` escapes, and what is
/// longer than 500 characters ends in `…`.
pub fn printable(text: &str) -> String {
    match text.char_indices().nth(PRINTABLE_LIMIT) {
        Some((end, _)) => escaped(&text[..end]) + "…",
        None => escaped(text),
    }
}

/// As [`printable`], for a text of our own in which foreign ones are cut already: none of it is left out.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_treacherous(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether text shows as what it is: [`printable`] has nothing to escape in it.
pub fn is_printable(text: &str) -> bool {
    !text.contains(is_treacherous)
}

fn is_treacherous(character: char) -> bool {
    character.is_control() || is_invisible(character)
}

/// What caused an error, the nearest first.
pub fn causes<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// An error with what caused it, on one line through [`printable`]. A cause that its effect's text
/// already names is not repeated.
pub fn with_causes(error: &dyn Error) -> String {
    printable(&in_full(error))
}

/// The same as it is: unsafe to print.
pub fn in_full(error: &dyn Error) -> String {
    joined(error.to_string(), causes(error).map(ToString::to_string))
}

/// A text with those of its causes behind it; one that stands there already is not repeated.
pub fn joined(mut text: String, causes: impl IntoIterator<Item = String>) -> String {
    for cause in causes {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
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
    fn causes_are_named_once_and_safe_to_print() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Chain(&'static str, #[source] Option<Box<Chain>>);
        let error =
            Chain("no answer", Some(Box::new(Chain("reset", Some(Box::new(Chain("a\u{1b}[2J", None)))))));
        assert_eq!(with_causes(&error), "no answer: reset: a\\u{1b}[2J");
        let error = Chain("no answer: reset", Some(Box::new(Chain("reset", None))));
        assert_eq!(with_causes(&error), "no answer: reset");
    }

    #[test]
    fn secrets_are_hidden_in_every_form() {
        let known = Known::new([&Secret::from("s3cret+with/parts="), &Secret::from("tiny")]);
        let basic = BASE64_STANDARD.encode("client:s3cret+with/parts=");
        for (text, shown) in [
            ("the token s3cret+with/parts= is unknown", "the token [secret] is unknown"),
            ("?a=s3cret%2Bwith%2Fparts%3D&b", "?a=[secret]&b"),
            ("?a=s3cret%2bwith%2fparts%3d&b", "?a=[secret]&b"),
            ("tiny secrets are everywhere", "tiny secrets are everywhere"),
        ] {
            assert_eq!(known.hide(text), shown);
        }
        let spaced = Known::new([&Secret::from("a long s3cret")]);
        for text in ["a+long+s3cret", "a%20long%20s3cret"] {
            assert_eq!(spaced.hide(text), "[secret]");
        }
        let known_host = Known::new([&Secret::from("S3cret-Token")]);
        assert_eq!(known_host.hide("https://s3cret-token.test/"), "https://[secret].test/");
        for before in ["", "a", "ab", "abc"] {
            let encoded = BASE64_STANDARD.encode(format!("{before}:s3cret+with/parts=\n"));
            let hidden = known.hide(&encoded);
            assert!(hidden.contains("[secret]") && hidden.len() < encoded.len(), "{hidden}");
        }
        assert!(!known.hide(&format!("Basic {basic}")).contains(&basic[12..]));
        for spelt in ["s3cret%2Bwith%2Fparts%3D", "s3cret%2bwith%2fparts%3d"] {
            let basic = BASE64_STANDARD.encode(format!("client:{spelt}"));
            assert!(!known.hide(&format!("Basic {basic}")).contains(&basic[12..]), "{spelt}");
        }
    }

    #[test]
    fn a_word_is_no_secret_said_again() {
        let known = Known::new([&Secret::from("search"), &Secret::from("a-secret/of-some-length")]);
        for (text, held) in [
            ("a-secret/of-some-length", true),
            ("a-secret%2Fof-some-length", true),
            ("tenant:a-secret/of-some-length", false),
            ("search", false),
            ("", false),
        ] {
            assert_eq!(known.holds(text), held, "{text}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable(&"x".repeat(501)).chars().count(), 501);
        assert!(printable(&"x".repeat(501)).ends_with('…'));
    }
}
