//! What went wrong, told to a person and to a script.
//!
//! One match maps each kind of failure to its exit code and its hint: 0 ok, 1 failed, 2 usage,
//! 3 service unreachable or refused, 4 login required or denied, 5 credential store, 6 lock or
//! time limit, 130 interrupted. The text is `error: …`, then `caused by: …` for each cause, then
//! `hint: …`.

mod store;

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::terminal::InputError;
use crate::authorizer::login::{LoginError, next_step};
use crate::authorizer::stored::ChangeError;
use crate::authorizer::{AuthorizerError, Commands};
use crate::bridge::BridgeError;
use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::lock::LockError;
use crate::oauth::{GrantError, OauthError};
use crate::paths::PathsError;
use crate::redact::{causes, escaped, printable};
use crate::server_uri::ServerUriError;
use crate::store::StoreError;
use crate::store::index::IndexError;
use crate::web::WebError;
use store::{out_of_reach, store};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Flags, environment or arguments.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A question without an answer.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The login.
    #[error("{error}")]
    Login {
        /// What went wrong.
        #[source]
        error: LoginError,
        /// What can be run about the service.
        commands: Box<Commands>,
    },
    /// Setting a token.
    #[error("{error}")]
    Set {
        /// What went wrong.
        #[source]
        error: ChangeError,
        /// What can be run about the service.
        commands: Box<Commands>,
    },
    /// Deleting what is stored.
    #[error("{error}")]
    Delete {
        /// What went wrong.
        #[source]
        error: ChangeError,
        /// What can be run about the service.
        commands: Box<Commands>,
    },
    /// A login is deleted here, and was not revoked.
    #[error("{name} is deleted here, and not revoked: {why}")]
    NotRevoked {
        /// The service.
        name: String,
        /// Why, safe to print.
        why: String,
        /// What ends the login itself, as a clause.
        elsewhere: String,
    },
    /// A refresh that somebody asked for.
    #[error(transparent)]
    Refresh(Box<AuthorizerError>),
    /// `status` found a login that has ended, or will within the time asked for.
    #[error("{what}")]
    LoginNeeded {
        /// Whose, and when.
        what: String,
        /// What to run.
        hint: String,
    },
    /// `status` found a login that could not be read when somebody last tried.
    #[error("the login of {whose} could not be read when that was last tried")]
    Unreadable {
        /// Whose.
        whose: String,
        /// What to run.
        hint: String,
    },
    /// Nobody says when a login ends, and not to know was called a failure.
    #[error("{what}")]
    EndUnknown {
        /// Whose.
        what: String,
    },
    /// The bridge.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// Checks found something broken.
    #[error("{count} {} failed", if *count == 1 { "check" } else { "checks" })]
    Unwell {
        /// How many.
        count: usize,
    },
    /// A helper process's task, or a person in its place.
    #[error("`{name}` is no command for people: this program calls itself by it, with a request on stdin")]
    Helper {
        /// The word that called it.
        name: &'static str,
        /// Why the request came to nothing; `None` where none can come.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The system refused something small.
    #[error("cannot {doing}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What a failure means outside.
struct Verdict {
    exit: u8,
    hint: Option<String>,
}

impl Failure {
    /// A login failed for the service that `commands` are about.
    pub(super) fn login(commands: &Commands) -> impl Fn(LoginError) -> Self {
        move |error| Self::Login { error, commands: Box::new(commands.clone()) }
    }

    /// stdout could not be written.
    pub(super) fn write(source: io::Error) -> Self {
        Self::Io { doing: "write to stdout", source }
    }

    /// The process's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.verdict().exit
    }

    /// What stderr says, line by line. Nothing where the person knows: of an interruption, and of what a
    /// process told before.
    pub(super) fn text(&self) -> String {
        let Verdict { exit, hint } = self.verdict();
        let mut text = String::new();
        if exit == INTERRUPTED || matches!(self, Self::Demo(DemoError::Told { .. })) {
            return text;
        }
        // Our own sentence, whose end is the next step; what others chose in it is cut already.
        let mut last = escaped(&self.to_string());
        let _ = writeln!(text, "error: {last}");
        for cause in causes(self) {
            // Some libraries repeat their cause in their own text.
            let line = cause.to_string();
            if !last.ends_with(&escaped(&line)) {
                let _ = writeln!(text, "caused by: {}", printable(&line));
            }
            last = escaped(&line);
        }
        if let Some(hint) = hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }

    /// What a person can do about it, as a clause.
    pub(super) fn hint(&self) -> Option<String> {
        self.verdict().hint
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Config(error) => config(error),
            Self::Input(InputError::Interrupted) | Self::Demo(DemoError::Interrupted) => {
                Verdict::plain(INTERRUPTED)
            }
            Self::Demo(DemoError::Told { exit }) => Verdict::plain(*exit),
            Self::Demo(DemoError::Setup { .. }) => {
                Verdict::of(FAILED, "TMPDIR names a folder that can be written to, where that is what fails")
            }
            Self::Input(InputError::NotAsked { instead, .. }) => Verdict::of(USAGE, *instead),
            Self::Login { error, commands } => login(error, commands),
            Self::Delete { error: ChangeError::Store(StoreError::Absent { .. }), commands } => {
                out_of_reach("start the keychain", commands)
            }
            Self::Delete { error: ChangeError::Store(StoreError::Locked), commands } => {
                out_of_reach("unlock the keychain", commands)
            }
            Self::Set { error, commands } | Self::Delete { error, commands } => change(error, commands),
            Self::NotRevoked { elsewhere, .. } => Verdict::of(SERVICE, elsewhere.as_str()),
            Self::Input(_) | Self::Bridge(_) | Self::Demo(_) | Self::Io { .. } | Self::Unwell { .. } => {
                Verdict::plain(FAILED)
            }
            Self::Helper { .. } => Verdict::of(FAILED, "`mcp-front --help` names the commands"),
            Self::Refresh(error) => Verdict::plain(refresh(error)),
            Self::LoginNeeded { hint, .. } => Verdict::of(LOGIN, hint.as_str()),
            Self::Unreadable { hint, .. } => Verdict::of(STORE, hint.as_str()),
            Self::EndUnknown { .. } => Verdict::of(
                FAILED,
                "name what has an end; --refresh-lifetime tells how long a refresh token lasts",
            ),
        }
    }
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const SERVICE: u8 = 3;
const LOGIN: u8 = 4;
const STORE: u8 = 5;
const TIME: u8 = 6;
const INTERRUPTED: u8 = 130;

const NEWER: &str = "it is left as it is; another --profile logs in beside it";
const PLACE: &str =
    "make its directory writable for you, with room, on a local disk; MCP_FRONT_HOME moves it";

impl Verdict {
    fn plain(exit: u8) -> Self {
        Self { exit, hint: None }
    }

    fn of(exit: u8, hint: impl Into<String>) -> Self {
        Self { exit, hint: Some(hint.into()) }
    }
}

fn config(error: &ConfigError) -> Verdict {
    match error {
        ConfigError::UnknownService { near, list, .. } if !near.is_empty() => {
            Verdict::of(USAGE, format!("did you mean {}? {list} shows the names", listed(near)))
        }
        ConfigError::UnknownService { login, list, .. } => Verdict::of(
            USAGE,
            format!("{login} logs in to a new one, its address in place of URL; {list} shows the names"),
        ),
        ConfigError::StorePinned { pinned, mover, .. } => {
            let mover = mover.as_ref().map(|command| format!("; {command} moves it")).unwrap_or_default();
            Verdict::of(USAGE, format!("use --store {pinned}{mover}"))
        }
        ConfigError::Url(ServerUriError::PlainHttp(_)) => {
            Verdict::of(USAGE, "--allow-http permits it where the network is trusted")
        }
        ConfigError::Index(error) => index(error),
        ConfigError::Url(
            ServerUriError::Malformed(_)
            | ServerUriError::Scheme(_)
            | ServerUriError::UserInfo
            | ServerUriError::Elided,
        )
        | ConfigError::Invalid { .. }
        | ConfigError::Unusable(_)
        | ConfigError::Header { .. }
        | ConfigError::File { .. }
        | ConfigError::Paths(PathsError::NoHome | PathsError::Relative(_)) => Verdict::plain(USAGE),
    }
}

fn login(error: &LoginError, commands: &Commands) -> Verdict {
    match error {
        LoginError::Oauth(error) => oauth(error, commands),
        LoginError::Listener(WebError::PortTaken { .. }) => Verdict::of(
            FAILED,
            "end the program that uses the port, or register another and give --callback-port",
        ),
        LoginError::Listener(WebError::NotLoopback { .. }) => {
            Verdict::of(USAGE, "give an https URI, or http on 127.0.0.1")
        }
        LoginError::Listener(WebError::Io(_)) => Verdict::plain(FAILED),
        LoginError::Denied(_) => Verdict::plain(LOGIN),
        LoginError::Unanswerable { .. } => Verdict::of(
            USAGE,
            "run it in a terminal without --no-input, to paste the answer there; or register a redirect URI \
             with http on 127.0.0.1",
        ),
        LoginError::Deadline { .. } => Verdict::of(TIME, "run the same command again"),
        LoginError::Grant(GrantError::ClientRefused { .. }) => {
            Verdict::of(LOGIN, "check the client id and secret at the provider")
        }
        LoginError::Grant(GrantError::Refused { .. }) => Verdict::of(LOGIN, "run the same command again"),
        LoginError::Grant(GrantError::Unusable { .. } | GrantError::Malformed { .. }) => {
            Verdict::of(SERVICE, "ask whoever runs the service: the same command would bring the same answer")
        }
        LoginError::Grant(_) => Verdict::of(SERVICE, "run the same command again later"),
        LoginError::Store(error) => store(error, commands),
        LoginError::Index(error) => index(error),
        LoginError::Lock(error) => lock(error),
    }
}

fn oauth(error: &OauthError, commands: &Commands) -> Verdict {
    let exit = match error {
        OauthError::ClientRequired(_) => USAGE,
        _ => SERVICE,
    };
    Verdict::of(exit, next_step(error, commands))
}

/// Its text says what to run.
fn refresh(error: &AuthorizerError) -> u8 {
    match error {
        AuthorizerError::LoginRequired { .. } | AuthorizerError::InsufficientScope { .. } => LOGIN,
        AuthorizerError::Unavailable { .. } | AuthorizerError::Rejected { .. } => SERVICE,
        AuthorizerError::Store { .. } => STORE,
        AuthorizerError::Busy { .. } => TIME,
    }
}

fn change(error: &ChangeError, commands: &Commands) -> Verdict {
    match error {
        ChangeError::RevokedOnly { source, .. } => change(source, commands),
        ChangeError::Store(error) => store(error, commands),
        ChangeError::Index(error) => index(error),
        ChangeError::Lock(error) => lock(error),
        ChangeError::LoginKept => {
            Verdict::of(USAGE, format!("run {} first; or give --force", commands.logout()))
        }
    }
}

fn index(error: &IndexError) -> Verdict {
    match error {
        IndexError::NameTaken { .. } => Verdict::of(USAGE, "choose another name with --name"),
        IndexError::Lock(error) => lock(error),
        IndexError::NewerSchema { .. } => Verdict::of(STORE, NEWER),
        IndexError::Corrupt { .. } => Verdict::of(
            STORE,
            "what is stored for the service is not lost: it is found by its URL, and `login URL` writes the entry anew",
        ),
        IndexError::Io { .. } => Verdict::of(STORE, PLACE),
    }
}

fn lock(error: &LockError) -> Verdict {
    match error {
        LockError::Busy { .. } => Verdict::of(TIME, "run the same command again"),
        LockError::Io { .. } => Verdict::of(STORE, PLACE),
    }
}

/// Names in a sentence: `a`, `b` or `c`.
pub(super) fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests;
