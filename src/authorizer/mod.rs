//! Keeps a service's login: hands out what a request must carry, and is the only one that
//! refreshes.
//!
//! # A token's journey
//!
//! In memory, fresh, and the index's generation unchanged: it is used, with no more than a `stat`.
//! Otherwise the store is read again, which is authoritative. What is fresh there and is not what
//! was refused is adopted. Else the token is refreshed in a short-lived process of our own binary,
//! which takes the service's lock, reads again, journals, asks, saves, reads back and answers. In
//! this process one such operation runs at a time, and those who wait share its outcome.
//!
//! A request that was refused with a 401 takes the same way, once. What the authorization server
//! ended stays stored, marked as ended, and costs no token request until somebody logs in again.
//! Nothing secret goes anywhere but to the token endpoint that the login bound, and no discovery
//! happens here (MCP authorization, "Token Handling"; RFC 6749 §6; RFC 6750 §3; RFC 9700 §4.14).

mod authorization;
mod children;
mod decision;
mod error;
pub mod login;

use std::sync::Arc;

use crate::challenge::Challenge;
use crate::http;
use crate::server_uri::ServerUri;
use crate::store::StoreConfig;

pub use authorization::Authorization;
pub use children::Children;
pub use error::AuthorizerError;

/// What an [`Authorizer`] works with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The endpoint whose login it keeps.
    pub server: ServerUri,
    /// The profile that the login belongs to.
    pub profile: String,
    /// The name that commands in messages use; the URL where there is none.
    pub name: Option<String>,
    /// The store; one that was pinned at login wins over its kind.
    pub store: StoreConfig,
    /// Whether a browser may be opened.
    pub login: LoginPolicy,
    /// How refreshes and logins are started.
    pub children: Children,
    /// The client for refreshes that run in this process (the memory store's).
    pub http: http::Client,
}

/// What happens where a login is required.
#[derive(Debug, Clone)]
pub enum LoginPolicy {
    /// The request gets an error that names the command.
    Never,
    /// A browser is opened for this login, one over all processes.
    Allowed(Box<login::Config>),
}

/// Keeps one service's login. Clones share it.
#[derive(Debug, Clone)]
pub struct Authorizer {
    _config: Arc<Config>,
}

#[allow(missing_docs, clippy::unused_async, clippy::todo)]
impl Authorizer {
    /// Touches neither store nor network.
    pub fn new(config: Config) -> Self {
        Self { _config: Arc::new(config) }
    }
    pub async fn authorize(&self) -> Result<Authorization, AuthorizerError> {
        todo!()
    }
    pub async fn refused(
        &self,
        _refused: &Authorization,
        _challenge: &Challenge,
    ) -> Result<Authorization, AuthorizerError> {
        todo!()
    }
    pub async fn step_up(
        &self,
        _refused: &Authorization,
        _challenge: &Challenge,
    ) -> Result<Authorization, AuthorizerError> {
        todo!()
    }
}

/// What `mcp-front refresh-child` takes from its environment; the rest comes on its stdin.
#[derive(Debug, Clone)]
pub struct RefreshChild {
    /// Where things live.
    pub paths: crate::paths::Paths,
    /// The encrypted files' key, where the user gave one.
    pub encryption_key: Option<crate::store::KeySource>,
    /// The client for the token endpoint.
    pub http: http::Client,
}

/// Runs the hidden command `refresh-child`.
///
/// # Errors
/// Where stdin holds no request.
#[allow(clippy::unused_async, clippy::todo)]
pub async fn run_refresh_child(_child: RefreshChild) -> std::io::Result<()> {
    todo!()
}
