//! What went wrong, told to a person and to a script.
//!
//! One match maps each kind of failure to its exit code and its hint: 0 ok, 1 failed, 2 usage,
//! 3 service unreachable or refused, 4 login required or denied, 5 credential store, 6 lock or
//! time limit, 130 interrupted. The text is `error: …`, then `caused by: …` for each cause, then
//! `hint: …`.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use super::terminal::InputError;
use crate::authorizer::login::LoginError;
use crate::authorizer::stored::ChangeError;
use crate::bridge::BridgeError;
use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::lock::LockError;
use crate::oauth::{GrantError, OauthError};
use crate::paths::PathsError;
use crate::redact::printable;
use crate::server_uri::ServerUriError;
use crate::store::index::IndexError;
use crate::store::{KeyError, StoreError};
use crate::web::WebError;

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
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Changing what is stored.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The bridge.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A helper process's task.
    #[error(transparent)]
    Helper(Box<dyn Error + Send + Sync>),
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
    /// stdout could not be written.
    pub(super) fn write(source: io::Error) -> Self {
        Self::Io { doing: "write to stdout", source }
    }

    /// The process's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.verdict().exit
    }

    /// What stderr says, line by line. Nothing for an interruption: the person knows.
    pub(super) fn text(&self) -> String {
        let Verdict { exit, hint } = self.verdict();
        let mut text = String::new();
        if exit == INTERRUPTED {
            return text;
        }
        let mut last = printable(&self.to_string());
        let _ = writeln!(text, "error: {last}");
        let mut cause = self.source();
        while let Some(error) = cause {
            // Some libraries repeat their cause in their own text.
            let line = printable(&error.to_string());
            if !last.ends_with(&line) {
                let _ = writeln!(text, "caused by: {line}");
            }
            last = line;
            cause = error.source();
        }
        if let Some(hint) = hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Config(error) => config(error),
            Self::Input(InputError::Interrupted) | Self::Demo(DemoError::Interrupted) => {
                Verdict::plain(INTERRUPTED)
            }
            Self::Input(InputError::NotAsked { instead, .. }) => Verdict::of(USAGE, *instead),
            Self::Login(error) => login(error),
            Self::Change(ChangeError::Store(StoreError::Absent { .. })) => Verdict::of(
                STORE,
                "start the keychain; or leave what it holds there and log in anew with --store file",
            ),
            Self::Change(ChangeError::Store(error)) => store(error),
            Self::Change(ChangeError::Index(error)) => index(error),
            Self::Change(ChangeError::Lock(error)) => lock(error),
            Self::Input(_) | Self::Bridge(_) | Self::Demo(_) | Self::Helper(_) | Self::Io { .. } => {
                Verdict::plain(FAILED)
            }
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
const PLACE: &str = "make its directory writable for you, on a local disk; MCP_FRONT_HOME moves it";

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
        ConfigError::UnknownService { near, .. } if !near.is_empty() => {
            Verdict::of(USAGE, format!("did you mean {}?", listed(near)))
        }
        ConfigError::UnknownService { .. } => {
            Verdict::of(USAGE, "`mcp-front tokens list` shows the names; a new service is named by its URL")
        }
        ConfigError::StorePinned { name, pinned, .. } => Verdict::of(
            USAGE,
            format!("use --store {pinned}; to move it, run `mcp-front tokens delete {name}` and log in anew"),
        ),
        ConfigError::Url(ServerUriError::PlainHttp(_)) => {
            Verdict::of(USAGE, "--allow-http permits it where the network is trusted")
        }
        ConfigError::Index(error) => index(error),
        ConfigError::Url(
            ServerUriError::Malformed(_) | ServerUriError::Scheme(_) | ServerUriError::UserInfo,
        )
        | ConfigError::Invalid { .. }
        | ConfigError::Unusable(_)
        | ConfigError::Header { .. }
        | ConfigError::File { .. }
        | ConfigError::Paths(PathsError::NoHome | PathsError::Relative(_)) => Verdict::plain(USAGE),
    }
}

fn login(error: &LoginError) -> Verdict {
    match error {
        LoginError::Oauth(error) => oauth(error),
        LoginError::Listener(WebError::PortTaken { .. }) => Verdict::of(
            FAILED,
            "end the program that uses the port, or register another and give --callback-port",
        ),
        LoginError::Listener(WebError::NotLoopback { .. }) => {
            Verdict::of(USAGE, "give an https URI, or http on 127.0.0.1")
        }
        LoginError::Listener(WebError::Io(_)) => Verdict::plain(FAILED),
        LoginError::Denied(_) => Verdict::plain(LOGIN),
        LoginError::Deadline { .. } => Verdict::of(TIME, "run the same command again"),
        LoginError::Grant(GrantError::ClientRefused { .. }) => {
            Verdict::of(LOGIN, "check the client id and secret at the provider")
        }
        LoginError::Grant(GrantError::Refused { .. }) => Verdict::of(LOGIN, "run the same command again"),
        LoginError::Grant(_) => Verdict::of(SERVICE, "run the same command again later"),
        LoginError::Store(error) => store(error),
        LoginError::Index(error) => index(error),
        LoginError::Lock(error) => lock(error),
    }
}

fn oauth(error: &OauthError) -> Verdict {
    match error {
        OauthError::ClientRequired => Verdict::of(
            USAGE,
            "create an OAuth client at the provider, and give --client-id and --client-secret-file",
        ),
        OauthError::Unreachable { .. } => Verdict::of(SERVICE, "check the address and the network"),
        OauthError::NoAuthorizationSupport => {
            Verdict::of(SERVICE, "for a service with API tokens, run `mcp-front tokens set URL`")
        }
        OauthError::ServerChanged { .. } => Verdict::of(
            SERVICE,
            "nothing was sent there; if the provider announced the change, run `mcp-front tokens delete NAME` \
             first, then log in",
        ),
        OauthError::RegistrationRefused { .. } => {
            Verdict::of(SERVICE, "a client created at the provider may do: --client-id, --client-secret-file")
        }
        OauthError::Refused { .. } | OauthError::Metadata { .. } | OauthError::PkceUnsupported => {
            Verdict::plain(SERVICE)
        }
    }
}

fn store(error: &StoreError) -> Verdict {
    match error {
        StoreError::Absent { .. } => {
            Verdict::of(STORE, "start a keychain, or choose --store file (encrypted files)")
        }
        StoreError::Locked => Verdict::of(STORE, "unlock the keychain and run the same command again"),
        StoreError::Unresponsive { .. } => Verdict::of(
            STORE,
            "look for an unlock prompt that waits for an answer, then run the same command again",
        ),
        StoreError::Untrusted { .. } => Verdict::of(STORE, "choose another store: --store file"),
        StoreError::Corrupt { .. } => {
            Verdict::of(STORE, "`mcp-front tokens delete NAME` forgets it; then log in again")
        }
        StoreError::Key(KeyError::Missing { .. } | KeyError::Other { .. }) => Verdict::of(
            STORE,
            "give that key in MCP_FRONT_ENCRYPTION_KEY_FILE; or delete what needs it (`mcp-front tokens list` \
             shows the names, `mcp-front tokens delete NAME` deletes) and log in again",
        ),
        StoreError::Key(KeyError::Malformed { .. }) => {
            Verdict::of(STORE, "`openssl rand -base64 32` makes a key")
        }
        StoreError::Key(KeyError::Unreadable { .. }) => {
            Verdict::of(STORE, "make it readable for you; MCP_FRONT_ENCRYPTION_KEY_FILE names another file")
        }
        StoreError::NewerSchema { .. } => Verdict::of(STORE, NEWER),
        StoreError::Platform { .. } => {
            Verdict::of(STORE, "mend what it names, then run the same command again")
        }
    }
}

fn index(error: &IndexError) -> Verdict {
    match error {
        IndexError::NameTaken { .. } => Verdict::of(USAGE, "choose another name with --name"),
        IndexError::Lock(error) => lock(error),
        IndexError::NewerSchema { .. } => Verdict::of(STORE, NEWER),
        IndexError::Corrupt { .. } => {
            Verdict::of(STORE, "name the service by its URL: what is stored for it is not lost")
        }
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
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::oauth::CallbackError;

    fn denied() -> LoginError {
        let description = Some("\u{1b}[2Jno".to_owned());
        LoginError::Denied(CallbackError::Denied { error: "access_denied".into(), description })
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        let busy = || LockError::Busy { what: "refresh", waited: Duration::from_secs(60) };
        let taken = IndexError::NameTaken { name: "a".into(), url: "https://a.test/".into() };
        let newer = IndexError::NewerSchema { path: "entry".into(), found: 9 };
        let elsewhere = WebError::NotLoopback { redirect_uri: "http://a.test/".parse().unwrap() };
        let unusable = ConfigError::Unusable("no".into());
        for (failure, exit) in [
            (Failure::from(unusable), 2),
            (Failure::from(ConfigError::from(PathsError::Relative("here".into()))), 2),
            (Failure::from(ConfigError::from(newer)), 5),
            (Failure::from(LoginError::Listener(elsewhere)), 2),
            (Failure::from(InputError::NotAsked { what: "a", instead: "b" }), 2),
            (Failure::from(InputError::Interrupted), 130),
            (Failure::from(DemoError::Interrupted), 130),
            (Failure::write(io::Error::other("full")), 1),
            (Failure::from(LoginError::Oauth(OauthError::PkceUnsupported)), 3),
            (Failure::from(LoginError::Oauth(OauthError::ClientRequired)), 2),
            (Failure::from(LoginError::Grant(GrantError::Transient { cause: "503".into() })), 3),
            (
                Failure::from(LoginError::Grant(GrantError::Refused {
                    error: "invalid_grant".into(),
                    description: None,
                })),
                4,
            ),
            (Failure::from(denied()), 4),
            (Failure::from(LoginError::Deadline { after: Duration::from_secs(300) }), 6),
            (Failure::from(LoginError::Store(StoreError::Locked)), 5),
            (Failure::from(LoginError::Lock(busy())), 6),
            (Failure::from(ChangeError::Index(taken)), 2),
            (Failure::from(ChangeError::Index(IndexError::Lock(Arc::new(busy())))), 6),
            (Failure::from(ChangeError::Store(StoreError::Locked)), 5),
        ] {
            assert_eq!(failure.exit_code(), exit, "{failure:?}");
        }
    }

    #[test]
    fn the_text_has_causes_and_a_hint_and_nothing_that_moves_a_cursor() {
        let source = io::Error::other("disk full");
        let failure = Failure::from(ConfigError::File { path: "secret".into(), source });
        assert_eq!(failure.text(), "error: cannot read secret\ncaused by: disk full\n");
        let text = Failure::from(LoginError::Store(StoreError::Locked)).text();
        assert!(text.starts_with("error: the keychain is locked\nhint: unlock"), "{text}");
        assert!(!Failure::from(denied()).text().contains('\u{1b}'));
        assert_eq!(Failure::from(InputError::Interrupted).text(), "");
    }
}
