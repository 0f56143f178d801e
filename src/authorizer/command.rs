//! The commands that errors name: whole, with the binary's absolute path, ready to be pasted.

use std::path::Path;

use crate::redact::printable;
use crate::server_uri::DEFAULT_PROFILE;

/// Writes the command lines for one service.
#[derive(Debug, Clone)]
pub struct Commands {
    executable: String,
    /// The service's name, or its URL where it has none.
    target: String,
    /// The rest of every line.
    profile: String,
}

impl Commands {
    /// `target` is the service's name, or its URL where it has none.
    pub fn new(executable: &Path, target: &str, profile: &str) -> Self {
        let profile = match profile {
            DEFAULT_PROFILE => String::new(),
            named => format!(" --profile {}", quoted(named)),
        };
        Self { executable: quoted(&executable.to_string_lossy()), target: quoted(target), profile }
    }

    /// Logs in where the login is gone or ended.
    pub fn login(&self) -> String {
        format!("{} login {}{}", self.executable, self.target, self.profile)
    }

    /// Logs in anew, though the login may look good.
    pub(super) fn login_anew(&self) -> String {
        format!("{} login {} --force{}", self.executable, self.target, self.profile)
    }

    /// Logs in anew, with these scopes. The server chose them: one that begins with `-` is no flag.
    pub(super) fn login_with(&self, scopes: &[String]) -> String {
        let scopes: String = scopes.iter().map(|scope| format!(" --scope={}", quoted(scope))).collect();
        format!("{} login {} --force{scopes}{}", self.executable, self.target, self.profile)
    }

    /// Stores another static token.
    pub fn set_token(&self) -> String {
        format!("{} tokens set {}{}", self.executable, self.target, self.profile)
    }
}

/// Quotes a word for a POSIX shell where it needs to be. What a server chose (a scope) must not
/// become a second command when it is pasted, nor play with the terminal.
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    #[cfg(windows)]
    return format!("\"{}\"", printable(word).replace('"', ""));
    #[cfg(not(windows))]
    return format!("'{}'", printable(word).replace('\'', r"'\''"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(windows))]
    #[test]
    fn words_survive_a_shell() {
        for (word, shown) in [
            ("/usr/bin/mcp-front", "/usr/bin/mcp-front"),
            ("/Users/a b/mcp-front", "'/Users/a b/mcp-front'"),
            ("it's", r"'it'\''s'"),
            ("https://x/?a=$(b)&c", "'https://x/?a=$(b)&c'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    #[test]
    fn commands_can_be_pasted() {
        let commands = Commands::new(Path::new("/opt/bin/mcp-front"), "front", "default");
        assert_eq!(commands.login(), "/opt/bin/mcp-front login front");
        assert_eq!(commands.set_token(), "/opt/bin/mcp-front tokens set front");
        let commands = Commands::new(Path::new("/my apps/mcp-front"), "https://a.example/mcp?a=1&b", "seat");
        assert_eq!(
            commands.login_with(&["mail:read".to_owned(), "x'; rm -rf ~ #".to_owned(), "--yes".to_owned()]),
            r"'/my apps/mcp-front' login 'https://a.example/mcp?a=1&b' --force --scope=mail:read --scope='x'\''; rm -rf ~ #' --scope=--yes --profile seat"
        );
        assert!(commands.login_anew().ends_with("--force --profile seat"));
    }
}
