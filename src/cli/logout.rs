//! `mcp-front logout`: revokes a login where its server lets one, and deletes it here in any case.
//!
//! Nothing is asked: a login can be made again. Doing it again is no error.

use clap::Args;

use super::failure::Failure;
use super::network_flags::NetworkFlags;
use super::tokens::{is_known, no_such_service, stores};
use super::{Context, keeping, moment, talk};
use crate::authorizer::logout::{LoggedOut, Logout, Remains, Remote, Revocation, log_out};
use crate::authorizer::stored;
use crate::clock;
use crate::config::service::Service;
use crate::config::{ConfigError, Settings};
use crate::store::StoreKind;
use crate::store::index::Index;

const EXAMPLES: &str = "\
The refresh token and the access token are revoked where the authorization server takes that. What is \
stored here is deleted in any case, save in a store that it moved from and that is out of reach: that one \
is named. The exit code is 3 where the server was asked and did not revoke. \
A running bridge notices at its next request.

Examples:
  mcp-front logout front
  mcp-front logout example --local-only    for a login that is used elsewhere";

/// Where a login ends that was not revoked, as far as is known in general.
const ELSEWHERE: &str = "to end the login itself, remove mcp-front's access at the provider";

/// Revoke a login and delete it here
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name or URL
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// Delete it here and revoke nothing
    #[arg(long)]
    local_only: bool,
    #[command(flatten)]
    pub(super) network: NetworkFlags,
}

/// Logs out.
///
/// # Errors
/// Where what is stored cannot be deleted, and [`Failure::NotRevoked`] where it is and the server
/// was to revoke it, and did not.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let paths = settings.paths()?;
    let index = Index::open(paths.clone());
    let service = match Service::resolve_any(&arguments.target, settings, &index) {
        Err(error @ ConfigError::UnknownService { .. }) => {
            say(&format!("Nothing is stored: {}\n", no_such_service(&error)));
            return Ok(());
        }
        service => service?,
    };
    let failed = |error| Failure::Delete { error, commands: Box::new(service.commands(settings)) };
    if service.entry.as_ref().is_some_and(|entry| entry.identity.store == StoreKind::Memory) {
        let config = settings.store_config(StoreKind::Memory, paths);
        let deleted = stored::forget(&config, &service.key).await.map_err(failed)?;
        say(&format!(
            "Logged out of {}: the bridge that has the login in its memory forgets it at its next \
             request.\nIt was not revoked; {}.\n",
            service.name,
            elsewhere(&service)
        ));
        say_left(deleted.left_behind, &service, settings);
        return Ok(());
    }
    let mut was_there = false;
    let mut left_behind = None;
    let mut outcome = Revocation::NotAsked;
    if is_known(&service, false, context).await? {
        // Whoever deletes here alone need not have a working network.
        let remote = match arguments.local_only {
            true => None,
            false => Some(Remote {
                server: service.server.clone(),
                http: settings.network.http_config(&context.environment)?,
            }),
        };
        for kind in stores(&service, settings, &index)? {
            let store = settings.store_config(kind, paths.clone());
            let logout = Logout { store, key: service.key.clone(), remote: remote.clone() };
            let LoggedOut { deleted, revocation } =
                log_out(logout, |limit| say(&keeping::waiting(limit))).await.map_err(failed)?;
            was_there |= deleted.any;
            left_behind = left_behind.or(deleted.left_behind);
            match revocation {
                Revocation::NotAsked => {}
                // What came of another store says more.
                Revocation::NothingKept if outcome != Revocation::NotAsked => {}
                revocation => outcome = revocation,
            }
        }
    }
    if !was_there {
        say(&format!("Nothing is stored for {}.\n", service.name));
        return Ok(());
    }
    let told = tell(outcome, &service);
    say_left(left_behind, &service, settings);
    told
}

/// Names the store that may still hold something of what was deleted.
pub(super) fn say_left(left_behind: Option<StoreKind>, service: &Service, settings: &Settings) {
    if let Some(store) = left_behind {
        say(&keeping::left_behind(store, &service.commands_unstored(store, settings)));
    }
}

/// Says which of the two happened.
fn tell(outcome: Revocation, service: &Service) -> Result<(), Failure> {
    let name = &service.name;
    let elsewhere = elsewhere(service);
    say(&match outcome {
        Revocation::Revoked { by, remains } => {
            let rest = remains.map(|remains| remaining(&remains)).unwrap_or_default();
            format!("Logged out of {name}: revoked by {by}, and deleted here.\n{rest}")
        }
        Revocation::NoEndpoint { by } => format!(
            "Logged out of {name}: deleted here only, for {by} names no place to revoke a login at.\n\
             It is good there until it ends; {elsewhere}.\n"
        ),
        Revocation::StaticToken => format!(
            "Deleted the token of {name} here. It is good until it is revoked at the provider, where it \
             was made.\n"
        ),
        Revocation::NotAsked => {
            format!("Logged out of {name}: deleted here only, as asked.\nNothing was revoked; {elsewhere}.\n")
        }
        Revocation::NothingKept => {
            let why = "nothing was left of it here to revoke it with".to_owned();
            return Err(Failure::NotRevoked { name: name.clone(), why, elsewhere });
        }
        Revocation::Unreadable { why } => {
            return Err(Failure::NotRevoked { name: name.clone(), why, elsewhere });
        }
        Revocation::Failed { by, why } => {
            let why = format!("{by}: {why}");
            return Err(Failure::NotRevoked { name: name.clone(), why, elsewhere });
        }
    });
    Ok(())
}

fn remaining(remains: &Remains) -> String {
    let end = match remains.until {
        Some(at) => format!("expires {}", moment::shown(at, clock::now())),
        None => "ends by itself".to_owned(),
    };
    format!("Its last access token could not be revoked as well; it {end}.\n")
}

/// What ends a login that was not revoked, as a clause.
pub(super) fn elsewhere(service: &Service) -> String {
    service.preset.map_or(ELSEWHERE, |preset| preset.revocation_note).to_owned()
}

/// Talk: a closed stderr changes nothing about the logout.
fn say(text: &str) {
    talk::say(text);
}
