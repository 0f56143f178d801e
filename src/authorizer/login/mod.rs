//! The login journey, from the first request to the stored credential.
//!
//! Is the stored login still good, and does the service take it? Take the service's login lock, so
//! that one browser is open for it over all processes. Ask the endpoint what it demands, discover,
//! listen, register, and only then send the person to the authorization server. What comes back is
//! checked, exchanged and saved under the refresh lock; until the new credential is stored and read
//! back, the old one stands. Every step but the first and the last can be dropped without a trace.

mod advice;
mod answer;
mod child;
mod journey;
mod keep;
mod known_client;
mod probe;
mod proof;
mod survey;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use url::Url;

use super::Children;
use crate::browser::BrowserError;
use crate::challenge::Challenge;
use crate::http;
use crate::lock::LockError;
use crate::oauth::{CallbackError, GrantError, OauthError, Pinned, PreRegistered};
use crate::redact::Secret;
use crate::server_uri::ServerUri;
use crate::store::index::{Identity, IndexError};
use crate::store::{StoreConfig, StoreError, StoreKind};
use crate::web::WebError;

pub use advice::{CLIENT_BY_FLAGS, SECRET_BY_FLAGS, next_step};
pub use child::{ChildError, LoginChild, SUBCOMMAND as CHILD, run_login_child, start_child};
pub use journey::{check_storable, login};
pub use known_client::Move;
pub use survey::Survey;

/// How long a person may take in the browser, where nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many events may wait until they are looked at. One that is full drops [`Event::Refused`]
/// alone: strangers can cause as many of these as they like.
pub const EVENTS: usize = 16;

/// What one login is for and how it is made.
#[derive(Debug, Clone)]
pub struct Config {
    /// The MCP endpoint.
    pub server: ServerUri,
    /// The profile that it is kept under.
    pub profile: String,
    /// The name that it is kept under, unless it has another one by then that nobody asked to change
    /// ([`Options::named`]).
    pub name: String,
    /// Where the credential goes. Its paths are the locks' and the index's as well.
    pub store: StoreConfig,
    /// Where and as whom requests go out.
    pub http: http::Config,
    /// How helper processes are started: for the browser, and for a refresh that proves a stored
    /// login.
    pub children: Children,
    /// What the user chose.
    pub options: Options,
}

impl Config {
    /// Who the service is.
    pub fn identity(&self) -> Identity {
        Identity::new(&self.name, &self.profile, &self.server, self.store.kind)
    }
}

/// What the user chose about a login.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// A client created by hand at the provider.
    pub client: Option<PreRegistered>,
    /// The service takes no client but one created by hand, with a secret: without one, and
    /// without a stored one, the login ends in [`OauthError::ClientRequired`] before anything
    /// opens.
    pub client_demanded: bool,
    /// A client ID metadata document.
    pub client_metadata_url: Option<Url>,
    /// Endpoints to fall back on.
    pub pinned: Option<Pinned>,
    /// Which scopes to ask for.
    pub scope: Scope,
    /// Where the browser comes back to.
    pub redirect: Redirect,
    /// Whether to open a browser; otherwise the address is only told.
    pub browser: bool,
    /// How long the whole login may take, the person in the browser included.
    pub patience: Duration,
    /// Log in even where the login is still good.
    pub force: bool,
    /// The person chose the name: the service is renamed to it, where it has another one.
    pub named: bool,
    /// The store that keeps the login until now, where the new one goes elsewhere.
    pub former: Option<StoreKind>,
    /// Nobody asked for this very login: where another process's ends without a result, end too
    /// rather than open a second browser; and where the authorization server changed, end before
    /// one.
    pub give_way: bool,
    /// Log in only where the service names another authorization server than the stored login's.
    pub only_if_moved: bool,
    /// What the service said when it refused a request of the host's; without it, the service is
    /// asked first.
    pub challenge: Option<Challenge>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client: None,
            client_demanded: false,
            client_metadata_url: None,
            pinned: None,
            scope: Scope::Automatic,
            redirect: Redirect::Automatic { port: None },
            browser: true,
            patience: PATIENCE,
            force: false,
            named: false,
            former: None,
            give_way: false,
            only_if_moved: false,
            challenge: None,
        }
    }
}

/// Which scopes a login asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The challenge's, else the protected resource's, else none.
    Automatic,
    /// No `scope` parameter at all.
    None,
    /// Exactly these.
    Exactly(Vec<String>),
}

/// Where the browser comes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// The redirect URI of the stored client, where that was created by hand and is used again;
    /// else `http://127.0.0.1:PORT/callback` on this port, or on a free one.
    Automatic {
        /// The port, where the provider wants a fixed one.
        port: Option<u16>,
    },
    /// `http://127.0.0.1:PORT/callback` on this port.
    Port(u16),
    /// This URI. Where it is not plain http on loopback, only a paste can bring the answer.
    Uri(Url),
}

/// The other end of a login: who watches, and who pastes.
#[derive(Debug)]
pub struct Interaction {
    /// Where events go, of room for [`EVENTS`]; a closed receiver does not disturb the login, and
    /// one that is not read holds it up.
    pub events: mpsc::Sender<Event>,
    /// Redirect URLs that the person pasted; closed where none can come.
    pub pasted: mpsc::Receiver<Secret>,
}

/// What happens during a login, in order.
#[derive(Debug)]
pub enum Event {
    /// Another process logs in to the same service; this one waits for its result.
    WaitingForOtherLogin,
    /// The service was asked and its authorization server found.
    Discovered {
        /// The host whose page the person will see.
        authorization_host: String,
        /// The scopes that will be asked for; safe to print.
        scopes: Vec<String>,
        /// How it differs from the stored login's authorization server, where it does: whoever
        /// controls the service may lead the person to a server of their own.
        moved: Option<Move>,
    },
    /// The person has to act.
    Authorize {
        /// The address to open; it holds no secret.
        url: Url,
        /// Whether a browser was opened; `None` where none was asked for.
        browser: Option<Result<(), BrowserError>>,
        /// Where the browser comes back to.
        redirect_uri: Url,
        /// Whether a callback can arrive; otherwise only a paste brings the answer.
        listening: bool,
        /// When the login gives up.
        until: Timestamp,
    },
    /// A callback or a paste did not belong to this login; it goes on waiting.
    Refused(CallbackError),
    /// The right answer came; its code is exchanged.
    Exchanging,
    /// The credential is being stored; a keychain may ask the person to unlock it.
    Saving {
        /// The store, for people.
        place: String,
    },
}

/// How a login ended well.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The person logged in, and the login is stored.
    LoggedIn(Summary),
    /// The stored login is still good, or at least the right authorization server's where nothing
    /// else was asked.
    StillGood(Summary),
    /// Nothing speaks against the stored login; the service could not be asked, or the token not
    /// be renewed for now.
    Unchecked {
        /// The stored login.
        summary: Summary,
        /// Why not, safe to print, without a full stop.
        why: String,
    },
    /// Another process logged in meanwhile; its login is taken over.
    Adopted(Summary),
    /// The service answers without any login.
    NotNeeded,
}

/// What a login brought, for people.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The name that the service is kept under.
    pub name: String,
    /// The name that it was kept under until now, where that is another one.
    pub renamed_from: Option<String>,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// When the access token expires, where known.
    pub access_expires_at: Option<Timestamp>,
    /// Whether it renews by itself.
    pub renews: bool,
    /// When the refresh token ends, where the server said so.
    pub refresh_expires_at: Option<Timestamp>,
    /// Where the credential lies.
    pub place: String,
    /// The store that still holds the login of before, where it moved and that store could not be
    /// cleared.
    pub left_behind: Option<StoreKind>,
    /// The key file that was generated for it, where one was.
    pub generated_key: Option<PathBuf>,
}

/// Why a login did not come about. What was stored before is as it was, unless reading the new login back
/// or listing it failed: then that one is stored.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The service could not be reached, or discovery or registration failed.
    #[error(transparent)]
    Oauth(#[from] OauthError),
    /// No callback can be listened for.
    #[error(transparent)]
    Listener(#[from] WebError),
    /// The authorization server, or the person, declined.
    #[error(transparent)]
    Denied(CallbackError),
    /// The answer can neither be heard nor pasted.
    #[error(
        "the redirect URI {redirect_uri} leads to no place that can be heard here, and nothing can be pasted"
    )]
    Unanswerable {
        /// Where the browser would come back to.
        redirect_uri: Url,
    },
    /// Nobody finished the login in the browser in time.
    #[error("nobody finished the login within {} s", after.as_secs())]
    Deadline {
        /// How long it waited.
        after: Duration,
    },
    /// The code was not exchanged for tokens.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The credential could not be read or stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index could not be read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Another process held the service's lock.
    #[error(transparent)]
    Lock(#[from] LockError),
}
