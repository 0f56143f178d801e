//! Flags, environment and defaults, resolved once into what the rooms take.
//!
//! Precedence is flag, then environment, then default, decided by one pure function
//! ([`Settings::resolve`]). The process's environment is read in [`environment`] and nowhere else.
//! A secret never comes from argv: it is read from a file, from stdin or from a prompt.

pub mod environment;
pub mod headers;
mod naming;
pub mod network;
pub mod preset;
pub mod service;
mod sources;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::authorizer::{CommandLine, Program};
use crate::paths::{Paths, PathsError};
use crate::redact::{SecretSlice, printable};
use crate::server_uri::{DEFAULT_PROFILE, ServerUriError};
use crate::store::index::IndexError;
use crate::store::{KeySource, StoreConfig, StoreKind};
use crate::upstream::Transport;

pub use environment::Environment;
pub use network::Network;
pub use sources::Decided;

const KEY_FILE: &str = "MCP_FRONT_ENCRYPTION_KEY_FILE";
const KEY: &str = "MCP_FRONT_ENCRYPTION_KEY";
/// Names the log file, to this process and to its helpers.
pub const LOG_FILE: &str = "MCP_FRONT_LOG_FILE";

/// The flags that settings follow from, as they were typed.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--store`.
    pub store: Option<StoreKind>,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// `--log-file`.
    pub log_file: Option<PathBuf>,
    /// `--color`.
    pub color: Option<ColorChoice>,
    /// `--no-input`.
    pub no_input: bool,
    /// Of the commands that reach the network.
    pub network: network::NetworkFlags,
    /// `bridge --transport`.
    pub transport: Option<Transport>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal that can.
    #[default]
    Auto,
    /// Wherever it goes.
    Always,
    /// Nowhere.
    Never,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFilter {
    /// So many times `-v`.
    Verbosity(u8),
    /// The directive of `MCP_FRONT_LOG`.
    Directive(String),
}

/// Where a setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A flag of this name.
    Flag(&'static str),
    /// An environment variable of this name.
    Variable(&'static str),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Source::Flag(name) | Source::Variable(name) => name,
            Source::Default => "the default",
        })
    }
}

/// What holds for every command of this run.
pub struct Settings {
    /// The profile under which logins are kept and found.
    pub profile: String,
    /// Who chose it.
    pub profile_source: Source,
    /// The credential store for services that have none pinned.
    pub store: StoreKind,
    /// Who chose it.
    pub store_source: Source,
    /// What is logged.
    pub log_filter: LogFilter,
    /// How.
    pub log_format: LogFormat,
    /// The file that is logged to as well, by its absolute path.
    pub log_file: Option<PathBuf>,
    /// When output is coloured.
    pub color: ColorChoice,
    /// Whether the terminal knows escape sequences (`TERM` is neither missing nor `dumb`).
    pub capable_terminal: bool,
    /// Whether hyperlinks are written (OSC 8).
    pub hyperlinks: bool,
    /// Whether questions may be asked.
    pub input: bool,
    /// How requests leave this machine.
    pub network: Network,
    /// How commands name this program: by the word that started it, which holds in that terminal.
    pub program: Program,
    /// The transport that a bridge speaks.
    pub transport: Transport,
    transport_source: Source,
    home: Option<PathBuf>,
    encryption_key: Option<KeySource>,
}

/// Why flags, environment and arguments make no sense together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that its setting does not take.
    #[error("{origin}: `{value}` is not {expected}")]
    Invalid {
        /// The flag or variable.
        origin: String,
        /// The value, made printable; empty where it may be secret.
        value: String,
        /// What it should have been.
        expected: String,
    },
    /// What was given does not fit together, or holds nothing usable; a whole sentence.
    #[error("{0}")]
    Unusable(String),
    /// A header that cannot be sent, or a line that is none.
    #[error("{header}: {problem}")]
    Header {
        /// Its name, or where it stands.
        header: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Neither a stored service, nor a preset, nor a URL.
    #[error("no service is named `{name}` in profile `{profile}`")]
    UnknownService {
        /// What was typed, made printable.
        name: String,
        /// The profile that was searched.
        profile: String,
        /// Known names that look like it, and the address that it is but for its scheme.
        near: Vec<String>,
        /// What logs in to a service that shall have the name, where it can be one.
        login: CommandLine,
        /// What lists the names.
        list: CommandLine,
    },
    /// A URL that is no MCP endpoint.
    #[error(transparent)]
    Url(#[from] ServerUriError),
    /// The service's login lies in another store than the one asked for.
    #[error("`{name}` keeps its login in the store `{pinned}`, but {asked_by} says `{asked}`")]
    StorePinned {
        /// The service.
        name: String,
        /// Where its login lies.
        pinned: StoreKind,
        /// What was asked for.
        asked: StoreKind,
        /// By whom.
        asked_by: Source,
        /// What moves it there; `None` where it would be forgotten.
        mover: Option<CommandLine>,
    },
    /// A file that was named could not be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing says where things live.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// What is known of the services could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Settings {
    /// Decides each setting: flag, then environment, then default. Touches nothing.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] and [`ConfigError::Unusable`], naming the flag or variable.
    pub fn resolve(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let (store, store_source) = store(flags, environment)?;
        let (profile, profile_source) = profile(flags, environment)?;
        let directive = text(environment, "MCP_FRONT_LOG")?.filter(|_| flags.verbosity == 0);
        let home = environment.get("MCP_FRONT_HOME").map(PathBuf::from);
        let encryption_key = encryption_key(environment);
        let network = Network::resolve(&flags.network, environment)?;
        let (transport, transport_source) = transport(flags, environment)?;
        Ok(Self {
            program: program(environment, home.as_deref(), encryption_key.as_ref(), &network),
            profile,
            profile_source,
            store,
            store_source,
            log_filter: match directive {
                Some(directive) => LogFilter::Directive(directive.to_owned()),
                None => LogFilter::Verbosity(flags.verbosity),
            },
            log_format: flags.log_format.unwrap_or_default(),
            log_file: log_file(flags, environment),
            color: color(flags.color, environment),
            capable_terminal: environment.get("TERM").is_some_and(|term| term != "dumb"),
            hyperlinks: hyperlinks(environment),
            input: !flags.no_input,
            network,
            transport,
            transport_source,
            home,
            encryption_key,
        })
    }

    /// Where things live for this run.
    ///
    /// # Errors
    /// [`ConfigError::Paths`] where no absolute home is known.
    pub fn paths(&self) -> Result<Paths, ConfigError> {
        Ok(Paths::resolve(self.home.as_deref())?)
    }

    /// The credential store of `kind` for this run.
    pub fn store_config(&self, kind: StoreKind, paths: Paths) -> StoreConfig {
        StoreConfig { kind, paths, encryption_key: self.encryption_key() }
    }

    /// The encrypted file store's key, where the user gave one.
    pub fn encryption_key(&self) -> Option<KeySource> {
        self.encryption_key.clone()
    }
}

/// Decides about colour: the flag, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the terminal.
pub fn color(flag: Option<ColorChoice>, environment: &Environment) -> ColorChoice {
    match flag {
        Some(choice) => choice,
        None if environment.get("NO_COLOR").is_some() => ColorChoice::Never,
        None if environment.get("CLICOLOR_FORCE").is_some_and(|value| value != "0") => ColorChoice::Always,
        None if environment.get("TERM").is_some_and(|term| term == "dumb") => ColorChoice::Never,
        None => ColorChoice::Auto,
    }
}

/// Whether hyperlinks are written (OSC 8). Terminals that do not know them pass over them, but for
/// the plainest; which terminal is at the far end of an ssh connection, no variable tells.
fn hyperlinks(environment: &Environment) -> bool {
    environment.get("TERM").is_some_and(|term| term != "dumb" && term != "linux")
}

/// Checks a profile's or a service's name: letters, digits, `.`, `_` and `-`, at most 64, the
/// first a letter or digit. So a name is never a flag, a path or a URL.
///
/// # Errors
/// [`ConfigError::Invalid`] for `origin`.
pub fn check_name(name: &str, origin: &str) -> Result<(), ConfigError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= 64 && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(ConfigError::Invalid {
        origin: origin.to_owned(),
        value: printable(name),
        expected: "a name: at most 64 ASCII letters, digits, `.`, `_` and `-`, a letter or digit first"
            .to_owned(),
    })
}

fn profile(flags: &Flags, environment: &Environment) -> Result<(String, Source), ConfigError> {
    const VARIABLE: &str = "MCP_FRONT_PROFILE";
    let (name, source) = match &flags.profile {
        Some(name) => (name.as_str(), Source::Flag("--profile")),
        None => match text(environment, VARIABLE)? {
            Some(name) => (name, Source::Variable(VARIABLE)),
            None => (DEFAULT_PROFILE, Source::Default),
        },
    };
    check_name(name, &source.to_string())?;
    Ok((name.to_owned(), source))
}

fn store(flags: &Flags, environment: &Environment) -> Result<(StoreKind, Source), ConfigError> {
    const VARIABLE: &str = "MCP_FRONT_STORE";
    if let Some(kind) = flags.store {
        return Ok((kind, Source::Flag("--store")));
    }
    let Some(name) = text(environment, VARIABLE)? else {
        return Ok((StoreKind::Keyring, Source::Default));
    };
    let kind = name.parse().map_err(|_| ConfigError::Invalid {
        origin: VARIABLE.to_owned(),
        value: printable(name),
        expected: "one of keyring, file, memory".to_owned(),
    })?;
    Ok((kind, Source::Variable(VARIABLE)))
}

/// How commands name this program, with what flags or the environment said and another process needs
/// too. Paths become absolute, for another terminal stands in another directory.
fn program(
    environment: &Environment,
    home: Option<&Path>,
    key: Option<&KeySource>,
    network: &Network,
) -> Program {
    let absolute = |(name, path): (&'static str, &Path)| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        (name, path.to_string_lossy().into_owned())
    };
    let home = home.map(|path| ("MCP_FRONT_HOME", path));
    let (key_file, is_inline) = match key {
        Some(KeySource::File(path)) => (Some((KEY_FILE, path.as_path())), false),
        Some(KeySource::Inline(_)) => (None, true),
        Some(KeySource::Empty { .. }) | None => (None, false),
    };
    let places = home.into_iter().chain(key_file).chain(network.places()).map(absolute);
    Program::new(environment.program(), places.chain(network.permission()), is_inline)
}

fn log_file(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let named = flags.log_file.clone().or_else(|| environment.get(LOG_FILE).map(PathBuf::from))?;
    Some(std::path::absolute(&named).unwrap_or(named))
}

fn transport(flags: &Flags, environment: &Environment) -> Result<(Transport, Source), ConfigError> {
    const VARIABLE: &str = "MCP_FRONT_TRANSPORT";
    if let Some(transport) = flags.transport {
        return Ok((transport, Source::Flag("--transport")));
    }
    let Some(name) = text(environment, VARIABLE)? else { return Ok((Transport::default(), Source::Default)) };
    let transport = name.parse().map_err(|_| ConfigError::Invalid {
        origin: VARIABLE.to_owned(),
        value: printable(name),
        expected: "one of auto, http, sse".to_owned(),
    })?;
    Ok((transport, Source::Variable(VARIABLE)))
}

fn encryption_key(environment: &Environment) -> Option<KeySource> {
    if let Some(variable) = [KEY_FILE, KEY].into_iter().find(|name| environment.is_empty(name)) {
        return Some(KeySource::Empty { variable });
    }
    if let Some(path) = environment.get(KEY_FILE) {
        return Some(KeySource::File(PathBuf::from(path)));
    }
    let key = environment.get(KEY);
    key.map(|key| KeySource::Inline(SecretSlice::from(key.as_encoded_bytes().to_vec())))
}

/// A variable as text; one that is not Unicode is told by its name alone, for it may be secret.
fn text<'a>(environment: &'a Environment, name: &str) -> Result<Option<&'a str>, ConfigError> {
    environment.text(name).transpose().map_err(|_| ConfigError::Invalid {
        origin: name.to_owned(),
        value: "…".to_owned(),
        expected: "Unicode text".to_owned(),
    })
}

#[cfg(test)]
mod tests;
