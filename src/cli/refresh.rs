//! `mcp-front refresh`: renews a login apart from any request, for a timer and for the curious.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::Failure;
use super::network_flags::NetworkFlags;
use super::{Context, moment};
use crate::authorizer::{Authorizer, AuthorizerError, Refreshed};
use crate::clock;
use crate::config::service::Service;
use crate::redact::{escaped, printable};
use crate::store::index::Index;

/// The version of the JSON: members may be added to it, and none changes its meaning.
const SCHEMA: u32 = 1;

const EXAMPLES: &str = "\
It takes the way that a bridge takes: in a process of its own and under the service's lock, so that it \
may run beside any number of bridges. Without --force nothing is asked while the access token is fresh.

Exit codes: 0 renewed, or nothing to renew; 3 the authorization server gave no verdict, and the login is \
kept: try again; 4 login required; 5 credential store; 6 another process holds the lock.

Examples:
  mcp-front refresh front
  mcp-front refresh front --force      once a day from a timer: keeps it alive";

/// Renew a login now, where that is due
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name or URL
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// Renew it though it is not due
    #[arg(long)]
    force: bool,
    /// Print JSON, with times in RFC 3339 UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) network: NetworkFlags,
}

/// Renews, and says what came of it in one line.
///
/// # Errors
/// [`Failure::Refresh`], and [`crate::config::ConfigError`] for what was typed.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let index = Index::open(settings.paths()?);
    let service = Service::resolve(&arguments.target, true, settings, &index)?;
    let store = service.store(settings)?;
    let authorizer = Authorizer::new(super::authorizer(&service, store, context)?);
    let outcome = authorizer.refresh(arguments.force).await;
    match (&outcome, arguments.json) {
        (outcome, true) => super::print_json(&document(outcome, &service))?,
        (Ok(refreshed), false) => {
            let shown = shown(*refreshed, clock::now());
            super::print(&format!("{}: {shown}\n", printable(&service.name)))?;
        }
        (Err(_), false) => {}
    }
    outcome.map(|_| ()).map_err(|error| Failure::Refresh(Box::new(error)))
}

fn shown(refreshed: Refreshed, now: Timestamp) -> String {
    let until = |expires_at: Option<Timestamp>| match expires_at {
        Some(at) => format!("until {}", moment::shown(at, now)),
        None => "until the service refuses it".to_owned(),
    };
    match refreshed {
        Refreshed::Fresh { expires_at } => {
            format!("not due, the access token is good {}; --force renews it all the same", until(expires_at))
        }
        Refreshed::Renewed { expires_at, saved: true } => format!("renewed {}", until(expires_at)),
        Refreshed::Renewed { expires_at, saved: false } => format!(
            "renewed {}, but the store did not take it yet: saving is tried again in the background",
            until(expires_at)
        ),
        Refreshed::NotRenewable { expires_at } => {
            format!("nothing to renew it with, the access token is good {}", until(expires_at))
        }
        Refreshed::Static => "nothing to renew, it is a static token".to_owned(),
    }
}

fn document(outcome: &Result<Refreshed, AuthorizerError>, service: &Service) -> Value {
    let mut members = match outcome {
        Ok(Refreshed::Fresh { expires_at }) => told("fresh", *expires_at),
        Ok(Refreshed::Renewed { expires_at, saved }) => {
            let mut members = told("renewed", *expires_at);
            members["saved"] = json!(saved);
            members
        }
        Ok(Refreshed::NotRenewable { expires_at }) => told("not_renewable", *expires_at),
        Ok(Refreshed::Static) => told("static", None),
        Err(error) => {
            let mut members = error.data();
            members["outcome"] = members["reason"].take();
            members["message"] = escaped(&error.to_string()).into();
            members
        }
    };
    if let Some(members) = members.as_object_mut() {
        members.remove("reason");
    }
    members["version"] = SCHEMA.into();
    members["name"] = printable(&service.name).into();
    members["profile"] = printable(&service.profile).into();
    members
}

fn told(outcome: &str, expires_at: Option<Timestamp>) -> Value {
    json!({"outcome": outcome, "access_token_expires_at": expires_at})
}
