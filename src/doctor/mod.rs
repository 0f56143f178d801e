//! Finds out what keeps a bridge from working: one check after the other, each bounded in time, each
//! failure with what to do about it.
//!
//! First what all services share (directory, locks, credential stores), then each service from the
//! network up to a real session. What depends on a check that failed is skipped and says so. Nothing
//! is changed but what a bridge would change as well: a token that is due is renewed. No finding
//! holds a secret: all of them may go into a bug report.

mod endpoint;
mod login;
mod machine;
mod session;

use std::process::Command;
use std::time::Duration;

use ::http::HeaderMap;
use serde::Serialize;

use crate::authorizer::{Authorizer, Commands};
use crate::http;
use crate::oauth::Pinned;
use crate::paths::Paths;
use crate::server_uri::ServerUri;
use crate::store::index::Entry;
use crate::store::{Store, StoreConfig};

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// What flags and environment decided.
    Settings,
    /// Where state lies.
    Directory,
    /// Locks between processes.
    Lock,
    /// A credential store, written, read and erased.
    Store,
    /// Name, connection, TLS and proxy of the endpoint.
    Network,
    /// This machine's clock against the endpoint's.
    Clock,
    /// Protected resource metadata and authorization server metadata.
    Discovery,
    /// How the client authenticates.
    Client,
    /// Where the browser comes back to.
    Redirect,
    /// The stored login, renewed where that is due.
    Token,
    /// The scopes granted.
    Scopes,
    /// `initialize` and `tools/list` through a bridge.
    Session,
}

impl Check {
    /// Its name, as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Directory => "directory",
            Self::Lock => "lock",
            Self::Store => "store",
            Self::Network => "network",
            Self::Clock => "clock",
            Self::Discovery => "discovery",
            Self::Client => "client",
            Self::Redirect => "redirect",
            Self::Token => "token",
            Self::Scopes => "scopes",
            Self::Session => "session",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// All is well.
    Good,
    /// It works, and somebody should look at it.
    Notice,
    /// It keeps a bridge from working.
    Bad,
    /// It was not tried.
    Skipped,
}

/// One check's outcome. Nothing in it is secret, and all of it is printable.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The service's name; `None` for what all of them share.
    pub service: Option<String>,
    /// What was checked.
    pub check: Check,
    /// What that came to.
    pub mark: Mark,
    /// What was found, without a full stop.
    pub text: String,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(check: Check, mark: Mark, text: impl Into<String>) -> Self {
        Self { service: None, check, mark, text: text.into(), remedy: None }
    }

    /// A check that passed.
    pub fn good(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Mark::Good, text)
    }

    fn notice(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Mark::Notice, text)
    }

    /// A check that failed.
    pub fn bad(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Mark::Bad, text)
    }

    fn skipped(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Mark::Skipped, text)
    }

    /// The same, with what to do about it.
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// What all services share.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where things live.
    pub paths: Paths,
    /// The stores that keep the services' logins, each once.
    pub stores: Vec<StoreConfig>,
}

/// One service to be looked at.
#[derive(Debug)]
pub struct Subject {
    /// Its name, or its URL where it has none.
    pub name: String,
    /// Its endpoint.
    pub server: ServerUri,
    /// What is stored about it.
    pub entry: Option<Entry>,
    /// The store that keeps its login.
    pub store: StoreConfig,
    /// Where and as whom requests go out.
    pub http: http::Config,
    /// Its authorization endpoints, where discovery finds none.
    pub pinned: Option<Pinned>,
    /// The callback's port, where one is fixed for it.
    pub callback_port: Option<u16>,
    /// What keeps its login; it never opens a browser.
    pub authorizer: Authorizer,
    /// The headers that the user adds to the requests to it.
    pub headers: HeaderMap,
    /// What can be run about it.
    pub commands: Commands,
    /// A bridge for it, not started yet.
    pub bridge: Command,
}

/// Checks what all services share, and tells each finding as it comes.
///
/// # Cancel safety
/// A store's trial record may be left behind; the next run erases it.
pub async fn examine_machine(machine: &Machine, tell: &mut impl FnMut(Finding)) {
    tell(machine::directory(&machine.paths));
    tell(machine::lock(&machine.paths));
    for store in &machine.stores {
        tell(machine::store(store.clone()).await);
    }
}

/// Checks one service, and tells each finding as it comes.
///
/// # Cancel safety
/// A refresh under way goes on to its end.
pub async fn examine_service(subject: Subject, tell: &mut impl FnMut(Finding)) {
    let name = subject.name.clone();
    let mut tell = |finding: Finding| tell(Finding { service: Some(name.clone()), ..finding });
    let http = http::Client::new(subject.http.clone(), &subject.server);

    let reached = endpoint::reach(&http, &subject).await;
    tell(reached.finding);
    tell(reached.clock);
    let discovery = match reached.stands {
        true => endpoint::discover(&http, &subject).await,
        false => endpoint::Discovered::skipped(),
    };
    tell(discovery.finding);
    let record = login::record(&Store::open(subject.store.clone()), subject.authorizer.key()).await;
    tell(login::client(record.as_ref(), discovery.found.as_ref(), &subject));
    tell(login::redirect(record.as_ref(), &subject).await);
    let token = login::token(&subject, discovery.demand).await;
    let usable = token.mark != Mark::Bad;
    tell(token);
    tell(login::scopes(&subject, discovery.found.as_ref()));
    tell(match (reached.stands, usable) {
        (false, _) => Finding::skipped(Check::Session, "not tried: the endpoint is not reached"),
        (_, false) => Finding::skipped(Check::Session, "not tried: there is no login to use"),
        _ => session::hold(subject).await,
    });
}

/// Gives a check so long and no longer.
async fn within(check: Check, limit: Duration, work: impl Future<Output = Finding>) -> Finding {
    let late = |_| {
        Finding::bad(check, format!("no outcome within {} s", limit.as_secs()))
            .with_remedy("run this again; a bridge with `--log-file FILE -vv` keeps what it asks, and when")
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}
