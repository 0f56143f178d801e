//! Text that a server chose, in what people read: no character of it does anything to a terminal.

/// What a hostile server puts into every text: a clear screen, a title, a link, the clipboard, the same
/// with one character for the escape, and what turns text around or hides it.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]8;;http://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{9d}8;;x\u{9c}\r\n\u{8}\u{0}\u{202e}desrever\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}";

/// The same as far as a header field may hold it: no control characters of ASCII.
pub(crate) const HOSTILE_IN_HEADERS: &str = "\u{9b}31m\u{9d}8;;http://evil.example\u{9c}link\u{90}q\u{202e}desrever\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}";

/// Fails the test where `text` holds more than lines of visible characters.
#[track_caller]
pub(crate) fn assert_plain(what: &str, text: &str) {
    let is_odd = |character: char| match character {
        '\n' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    };
    if let Some(place) = text.find(is_odd) {
        let before = text[..place].chars().rev().take(160).collect::<Vec<_>>();
        let before: String = before.into_iter().rev().collect();
        let odd: String = text[place..].chars().take(40).collect();
        panic!("{what} holds {odd:?} after {before:?}");
    }
}
