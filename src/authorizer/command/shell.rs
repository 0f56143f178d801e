//! Words as the shell reads them that a command is pasted into.

use crate::redact::{is_printable, printable};

/// Quotes a word for a POSIX shell where it needs to be. What a server chose (a scope) must not
/// become a second command when it is pasted, nor play with the terminal: no shell quotes control and
/// invisible characters, so these are escaped, and a word that has any is not meant to be pasted.
#[cfg(unix)]
pub fn quoted(word: &str) -> String {
    let word = if is_printable(word) { word.to_owned() } else { printable(word) };
    // It refuses NUL alone, which is a control character.
    shlex::try_quote(&word).map_or_else(|_| String::new(), |quoted| quoted.into_owned())
}

/// Quotes a word for the command prompt where it needs to be.
#[cfg(not(unix))]
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:\\=,@+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let word = if is_printable(word) { word.to_owned() } else { printable(word) };
    format!("\"{}\"", word.replace('"', ""))
}

/// Sets a variable for the command that follows.
#[cfg(unix)]
pub(super) fn assignment(name: &str, value: &str) -> String {
    format!("{name}={} ", quoted(value))
}

/// Sets a variable before the command that follows.
#[cfg(not(unix))]
pub(super) fn assignment(name: &str, value: &str) -> String {
    format!("set \"{name}={}\" && ", value.replace('"', ""))
}
