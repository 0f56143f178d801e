//! The commands that errors and hints name: whole, ready to be pasted into another terminal.
//!
//! What this run was started with goes along where the command would mean something else without
//! it: variables before it; store, profile, and what a login is made with, behind it. The encryption key
//! itself never stands there; where a command needs it, its words say so.

mod shell;

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use self::shell::assignment;
use crate::server_uri::{DEFAULT_PROFILE, ServerUri, ServerUriError, shown};
use crate::store::StoreKind;
use crate::store::index::{Entry, EntryKind};

pub use self::shell::quoted;

/// The command that logs in.
const LOGIN: &str = "login";
/// The command that forgets a login.
const DELETE: &str = "tokens delete";
/// The command that revokes a login and forgets it.
const LOGOUT: &str = "logout";

/// How this program is called elsewhere, so that it finds the same logins.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    variables: Vec<(&'static str, String)>,
    has_inline_key: bool,
}

impl Program {
    /// `name` is the word or path that starts it. `variables` are what it needs, and no secret is
    /// among them; `has_inline_key` tells that the environment holds the encryption key itself.
    pub fn new(
        name: &OsStr,
        variables: impl IntoIterator<Item = (&'static str, String)>,
        has_inline_key: bool,
    ) -> Self {
        let variables = variables.into_iter().collect();
        Self { name: name.to_string_lossy().into_owned(), variables, has_inline_key }
    }

    /// The same, started by its path.
    pub fn at(self, executable: &Path) -> Self {
        Self { name: executable.to_string_lossy().into_owned(), ..self }
    }

    /// The variables that it needs, apart from the encryption key itself.
    pub fn variables(&self) -> &[(&'static str, String)] {
        &self.variables
    }

    /// Whether it needs `MCP_FRONT_ENCRYPTION_KEY` for what lies in encrypted files.
    pub fn has_inline_key(&self) -> bool {
        self.has_inline_key
    }

    /// Lists what is stored.
    pub fn list(&self) -> CommandLine {
        self.line("tokens list", false)
    }

    /// Shows all of it without an account.
    pub fn demo(&self) -> CommandLine {
        self.line("demo", false)
    }

    /// Logs in to a service by its address alone; `URL` stands for it.
    pub fn login_at_address(&self, profile: &str) -> CommandLine {
        self.line(&format!("login URL{}", profile_flag(profile)), false)
    }

    /// Logs in to a service that has no name yet; `URL` stands for its address.
    pub fn login_as(&self, name: &str, profile: &str) -> CommandLine {
        self.line(&format!("login URL --name {}{}", quoted(name), profile_flag(profile)), false)
    }

    fn line(&self, words: &str, needs_key: bool) -> CommandLine {
        let assignments: String =
            self.variables.iter().map(|(name, value)| assignment(name, value)).collect();
        let text = format!("{assignments}{} {words}", quoted(&self.name)).into();
        CommandLine { text, needs_key: needs_key && self.has_inline_key }
    }
}

/// A command that a person can paste. It shows itself with what it needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    text: Box<str>,
    needs_key: bool,
}

impl CommandLine {
    /// What is to be pasted.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.text)?;
        if self.needs_key {
            formatter.write_str(" (with the same MCP_FRONT_ENCRYPTION_KEY=… in its environment)")?;
        }
        Ok(())
    }
}

/// Which service commands are about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name, or its URL where it has none.
    pub target: String,
    /// The name that it is to get, where `target` is not yet that.
    pub name: Option<String>,
    /// Its profile.
    pub profile: String,
    /// The store that keeps its login, or would.
    pub store: StoreKind,
    /// Whether anything is kept there.
    pub is_stored: bool,
    /// What is kept there.
    pub kind: EntryKind,
    /// What its login is made with.
    pub given: Given,
}

/// What a person said about how a service is logged in to: without it, another client would ask, or for
/// other scopes.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The flags of `login`, but for those that choose scopes.
    pub flags: Vec<Flag>,
    /// The flags that choose scopes.
    pub scope: Vec<Flag>,
}

/// A flag, and the value of one that takes one.
type Flag = (&'static str, Option<String>);

impl Given {
    /// These scopes.
    pub fn scopes(scopes: &[String]) -> Vec<Flag> {
        scopes.iter().map(|scope| ("--scope", Some(scope.clone()))).collect()
    }

    /// The flags as they are typed. A server may have chosen a value: one that begins with `-` is no flag.
    fn words(&self) -> String {
        let word = |(flag, value): &Flag| match value {
            Some(value) => format!(" {flag}={}", quoted(value)),
            None => format!(" {flag}"),
        };
        self.flags.iter().chain(&self.scope).map(word).collect()
    }
}

impl Subject {
    /// The service of `entry`.
    pub fn of(entry: &Entry) -> Self {
        let Entry { identity, kind, .. } = entry;
        Self {
            target: identity.name.clone(),
            name: None,
            profile: identity.profile.clone(),
            store: identity.store,
            // Another process's memory keeps nothing that could be replaced elsewhere.
            is_stored: identity.store != StoreKind::Memory,
            kind: *kind,
            given: Given::default(),
        }
    }
}

/// Writes the command lines for one service.
#[derive(Debug, Clone)]
pub struct Commands {
    program: Program,
    subject: Subject,
}

impl Commands {
    /// The commands that start `program` about `subject`.
    pub fn new(program: Program, subject: Subject) -> Self {
        Self { program, subject }
    }

    /// The commands about the same service once it is stored as `entry` says.
    pub(super) fn about(&self, entry: &Entry) -> Self {
        let given = self.subject.given.clone();
        Self::new(self.program.clone(), Subject { given, ..Subject::of(entry) })
    }

    /// What their program is.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Stores anew what is stored, where it is gone or ended.
    pub fn renew(&self) -> CommandLine {
        match self.subject.kind {
            EntryKind::Oauth => self.login(),
            EntryKind::Token => self.set_token(),
        }
    }

    /// Stores anew what is stored, though it may look good.
    pub fn replace(&self) -> CommandLine {
        match self.subject.kind {
            EntryKind::Oauth => self.login_anew(),
            EntryKind::Token => self.set_token(),
        }
    }

    /// Logs in where the login is gone or ended.
    pub fn login(&self) -> CommandLine {
        self.line(LOGIN, "")
    }

    /// Logs in to the service at another address.
    pub fn login_at(&self, server: &ServerUri) -> CommandLine {
        let mut commands = self.clone();
        commands.subject.target = server.as_str().to_owned();
        commands.login()
    }

    /// Logs in anew, though the login may look good.
    pub(super) fn login_anew(&self) -> CommandLine {
        self.line(LOGIN, " --force")
    }

    /// Logs in anew, with these scopes.
    pub(super) fn login_with(&self, scopes: &[String]) -> CommandLine {
        let mut commands = self.clone();
        commands.subject.given.scope = Given::scopes(scopes);
        commands.login_anew()
    }

    /// Tells all about what is stored; no store is asked for it.
    pub fn status(&self) -> CommandLine {
        self.words("status", "", StoreKind::Keyring)
    }

    /// Refreshes the login where that is due, and reads what is stored in any case.
    pub fn refresh(&self) -> CommandLine {
        self.words("refresh", "", self.subject.store)
    }

    /// Refreshes the login, though none is due.
    pub fn refresh_anew(&self) -> CommandLine {
        self.words("refresh", " --force", self.subject.store)
    }

    /// Stores another static token.
    pub fn set_token(&self) -> CommandLine {
        self.line("tokens set", "")
    }

    /// Forgets what is stored; it asks first.
    pub fn delete(&self) -> CommandLine {
        self.line(DELETE, "")
    }

    /// Revokes what is stored, and forgets it.
    pub fn logout(&self) -> CommandLine {
        self.line(LOGOUT, "")
    }

    /// Stores anew what is stored, in encrypted files from then on.
    pub fn move_to_files(&self) -> CommandLine {
        self.moved(StoreKind::File)
    }

    /// Stores anew what is stored, in `store` from then on; `None` where that would forget it.
    pub fn move_to(&self, store: StoreKind) -> Option<CommandLine> {
        (store != StoreKind::Memory).then(|| self.moved(store))
    }

    /// Waits for a person to unlock the keychain, and changes nothing where the login is good.
    pub(super) fn unlock(&self) -> Option<CommandLine> {
        (self.subject.kind == EntryKind::Oauth).then(|| self.login())
    }

    /// Whether what is stored lies in the keychain.
    pub(super) fn is_in_keychain(&self) -> bool {
        self.subject.store == StoreKind::Keyring
    }

    /// Forgets what is stored, and leaves it where it cannot be reached; it asks first.
    pub fn forget(&self) -> CommandLine {
        self.line(DELETE, " --force")
    }

    /// Removes what `store` holds of a login that is kept elsewhere by now, or nowhere; it asks first.
    pub fn delete_from(&self, store: StoreKind) -> CommandLine {
        self.words(DELETE, &format!(" --store {store}"), store)
    }

    /// Starts the bridge: the words that follow the program's name. The store that was pinned is
    /// found by itself.
    pub fn bridge(&self) -> Vec<String> {
        self.bridge_on(self.subject.target.clone())
    }

    /// The same as people see it.
    pub fn bridge_shown(&self) -> Vec<String> {
        self.bridge_on(shown_target(&self.subject.target))
    }

    fn bridge_on(&self, shown: String) -> Vec<String> {
        let Subject { target, profile, .. } = &self.subject;
        let mut words = vec!["bridge".to_owned(), shown];
        if needs_permission(target) {
            words.push("--allow-http".to_owned());
        }
        if profile != DEFAULT_PROFILE {
            words.extend(["--profile".to_owned(), profile.clone()]);
        }
        words
    }

    fn moved(&self, store: StoreKind) -> CommandLine {
        let command = match self.subject.kind {
            EntryKind::Oauth => LOGIN,
            EntryKind::Token => "tokens set",
        };
        // What lies there already, and is good, need not be made anew.
        let leaves = self.subject.is_stored && self.subject.store != store;
        let force = if leaves { " --force" } else { "" };
        self.words(command, &format!(" --store {store}{force}"), store)
    }

    /// A command about the store that keeps the login.
    fn line(&self, command: &str, flags: &str) -> CommandLine {
        let place = match self.subject.store {
            // No other process reaches the memory of this one: elsewhere the default is meant.
            StoreKind::Keyring | StoreKind::Memory => "",
            StoreKind::File => " --store file",
        };
        self.words(command, &format!("{flags}{place}"), self.subject.store)
    }

    fn words(&self, command: &str, flags: &str, store: StoreKind) -> CommandLine {
        let Subject { target, name, profile, given, .. } = &self.subject;
        let permission = if needs_permission(target) { " --allow-http" } else { "" };
        let (target, profile) = (quoted(&shown_target(target)), profile_flag(profile));
        // What deletes knows no names to come.
        let name = name.as_ref().filter(|_| command != DELETE && command != LOGOUT);
        let name = name.map(|name| format!(" --name {}", quoted(name))).unwrap_or_default();
        let given = if command == LOGIN { given.words() } else { String::new() };
        let words = format!("{command} {target}{name}{flags}{given}{permission}{profile}");
        self.program.line(&words, store == StoreKind::File)
    }
}

/// A name or an address as a word: the values in an address's query are for whoever runs the command to
/// fill in.
fn shown_target(target: &str) -> String {
    if target.contains("://") { shown(target) } else { target.to_owned() }
}

/// Whether a command takes `target`, where it is a URL, only with `--allow-http`.
fn needs_permission(target: &str) -> bool {
    matches!(ServerUri::parse(target, false), Err(ServerUriError::PlainHttp(_)))
}

fn profile_flag(profile: &str) -> String {
    match profile {
        DEFAULT_PROFILE => String::new(),
        named => format!(" --profile {}", quoted(named)),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
