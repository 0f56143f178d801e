//! A login in a process of its own, so that it outlives the bridge that asked for it: both ends of
//! the pipe.
//!
//! The bridge sends one JSON line, which may hold a client secret, and reads one. A login that no
//! browser could be opened for ends at once: nobody would ever see its address.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::{Config, EVENTS, Event, Interaction, Move, Options, Outcome, Summary, login};
use crate::authorizer::Children;
use crate::authorizer::process::{ask, become_independent, read_request, write_answer};
use crate::http;
use crate::paths::Paths;
use crate::redact::with_causes;
use crate::server_uri::ServerUri;
use crate::store::index::Identity;
use crate::store::{KeySource, StoreConfig};

/// The command that no person calls.
pub const SUBCOMMAND: &str = "login-child";

/// Why a login in a process of its own did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The process did not start, ended without an answer, or got no request.
    #[error("the login's process failed")]
    Process(#[from] io::Error),
    /// The login itself failed.
    #[error("{reason}")]
    Login {
        /// Why, safe to print.
        reason: String,
    },
}

/// What the child is asked.
#[derive(Serialize, Deserialize)]
struct Request {
    identity: Identity,
    options: Options,
}

/// What the child answers: why it failed, where it did, and what a person should know.
#[derive(Default, Serialize, Deserialize)]
struct Reply {
    failure: Option<String>,
    generated_key: Option<PathBuf>,
}

/// What `mcp-front login-child` takes from its environment; the rest comes on its stdin.
#[derive(Debug, Clone)]
pub struct LoginChild {
    /// Where things live.
    pub paths: Paths,
    /// The encrypted files' key, where the user gave one.
    pub encryption_key: Option<KeySource>,
    /// Where and as whom requests go out.
    pub http: http::Config,
    /// How helper processes are started.
    pub children: Children,
}

/// Has a child log in, and waits for its end. One browser over all processes: a second login of
/// one service waits for the first.
///
/// # Errors
/// [`ChildError`].
///
/// # Cancel safety
/// Dropping the future leaves the login running to its own deadline.
pub async fn start_child(config: &Config) -> Result<(), ChildError> {
    let options = Options { give_way: true, ..config.options.clone() };
    let request = Request { identity: config.identity(), options };
    let command = Command::from(config.children.login_command(SUBCOMMAND));
    let reply: Reply = ask(command, &request).await?;
    if let Some(path) = &reply.generated_key {
        tracing::warn!(path = %path.display(), "generated an encryption key beside the files that it opens");
    }
    match reply.failure {
        None => Ok(()),
        Some(reason) => Err(ChildError::Login { reason }),
    }
}

/// Runs the hidden command `login-child`: one request on stdin, one answer on stdout. `child` may be why
/// there is nothing to work with, safe to print: that is the answer then.
///
/// # Errors
/// [`ChildError::Process`] where stdin holds no request, or signals cannot be taken over. A login
/// that fails is told on stdout.
///
/// # Cancel safety
/// None: it runs to its own deadline.
pub async fn run_login_child(child: Result<LoginChild, String>) -> Result<(), ChildError> {
    become_independent()?;
    let request: Request = read_request()?;
    let outcome = match child {
        Ok(child) => log_in(&child.config(request)?).await,
        Err(reason) => Err(reason),
    };
    let reply = match outcome {
        Ok(Outcome::LoggedIn(Summary { generated_key, .. })) => Reply { failure: None, generated_key },
        Ok(_) => Reply::default(),
        Err(reason) => Reply { failure: Some(reason), generated_key: None },
    };
    Ok(write_answer(&reply)?)
}

impl LoginChild {
    fn config(self, Request { identity, options }: Request) -> io::Result<Config> {
        // Plain http was allowed or refused by whoever asks.
        let server = ServerUri::parse(identity.url.as_str(), true).map_err(io::Error::other)?;
        Ok(Config {
            server,
            profile: identity.profile,
            name: identity.name,
            store: StoreConfig {
                kind: identity.store,
                paths: self.paths,
                encryption_key: self.encryption_key,
            },
            http: self.http,
            children: self.children,
            options,
        })
    }
}

/// Logs in, as long as the person can see it.
async fn log_in(config: &Config) -> Result<Outcome, String> {
    if !config.options.browser {
        return Err("a login by itself needs a browser".to_owned());
    }
    let (events, mut happening) = mpsc::channel(EVENTS);
    let (_paste, pasted) = mpsc::channel(1);
    let login = login(config, Interaction { events, pasted });
    tokio::pin!(login);
    loop {
        tokio::select! {
            outcome = &mut login => return outcome.map_err(|error| with_causes(&error)),
            Some(event) = happening.recv() => match event {
                Event::Discovered { moved: Some(Move { known, named }), .. } => tracing::warn!(
                    %known, %named,
                    "the authorization server changed; the login in the browser is one with the new one"
                ),
                Event::Authorize { browser: Some(Err(error)), .. } => return Err(error.to_string()),
                Event::Authorize { listening: false, .. } => {
                    return Err("the redirect URI leads to no place that this machine can hear".to_owned());
                }
                _ => {}
            },
        }
    }
}
