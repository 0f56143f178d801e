//! A refresh in a process of its own: both ends of the pipe.
//!
//! The bridge sends one JSON line and reads one. The child answers as soon as a request may use
//! the new token, and lives on until everything is saved, whatever becomes of its parent.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::oneshot;

use super::children::Children;
use super::decision::Refused;
use super::failure::Failure;
use super::process::{ask, become_independent, read_request, write_answer};
use super::renewal::{Answer, Place, renew};
use crate::http;
use crate::paths::Paths;
use crate::server_uri::{ServerUri, ServiceKey};
use crate::store::index::Identity;
use crate::store::{KeySource, Store, StoreConfig};

/// The command that no person calls.
pub const SUBCOMMAND: &str = "refresh-child";
/// How long the child's answer is waited for: its own limits, and some.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long the child lives at most.
const LIFE_LIMIT: Duration = Duration::from_secs(900);

/// What the child is asked. No secret is in it.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    identity: Identity,
    refused: Refused,
}

/// What `mcp-front refresh-child` takes from its environment; the rest comes on its stdin.
#[derive(Debug, Clone)]
pub struct RefreshChild {
    /// Where things live.
    pub paths: Paths,
    /// The encrypted files' key, where the user gave one.
    pub encryption_key: Option<KeySource>,
    /// Where and as whom requests go out.
    pub http: http::Config,
}

/// Runs the hidden command `refresh-child`: one request on stdin, one answer on stdout. Returns
/// when everything is saved, or after a quarter of an hour. `child` may be why there is nothing to work
/// with, safe to print and without a full stop: that is the answer then.
///
/// # Errors
/// Where stdin holds no request, or signals cannot be taken over.
///
/// # Cancel safety
/// None: it must run to its end.
pub async fn run_refresh_child(child: Result<RefreshChild, String>) -> io::Result<()> {
    become_independent()?;
    let request: Request = read_request()?;
    let (place, refused) = match child {
        Ok(child) => child.place(request)?,
        Err(cause) => return write_answer(&Answer::Err(Failure::not_renewed(&cause, None))),
    };
    let (deliver, delivered) = oneshot::channel();
    let renewal = tokio::spawn(renew(place, refused, deliver));
    let whole = async {
        if let Ok(answer) = delivered.await {
            // The parent may be gone: the renewal goes on all the same.
            if let Err(error) = write_answer(&answer) {
                tracing::warn!(%error, "cannot tell the answer");
            }
        }
        renewal.await.map_err(io::Error::other)
    };
    tokio::time::timeout(LIFE_LIMIT, whole).await.map_err(io::Error::other)?
}

impl RefreshChild {
    fn place(self, request: Request) -> io::Result<(Place, Refused)> {
        let Request { identity, refused } = request;
        // Plain http was allowed or refused by whoever asks.
        let server = ServerUri::parse(identity.url.as_str(), true).map_err(io::Error::other)?;
        let store = Store::open(StoreConfig {
            kind: identity.store,
            paths: self.paths.clone(),
            encryption_key: self.encryption_key,
        });
        let key = ServiceKey::new(&identity.profile, &server);
        let http = http::Client::new(self.http, &server);
        Ok((Place { paths: self.paths, store, key, identity, http }, refused))
    }
}

/// Has a child renew the login.
///
/// # Cancel safety
/// Dropping the future leaves the child running to its own end.
pub(super) async fn renew_in_child(children: &Children, identity: Identity, refused: Refused) -> Answer {
    let request = Request { identity, refused };
    let command = Command::from(children.command(SUBCOMMAND));
    let reason = match tokio::time::timeout(ANSWER_LIMIT, ask(command, &request)).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it did not answer in time".to_owned(),
    };
    Err(Failure::Unavailable {
        cause: format!(
            "the refreshing process `{} {SUBCOMMAND}` failed: {reason}",
            children.executable().display()
        ),
        retry_after: None,
    })
}
