//! `mcp-front tokens delete`: forgets what is stored for a service. Doing it again is no error.

use clap::Args;

use crate::authorizer::stored::{self, ChangeError, Deleted};
use crate::cli::failure::{Failure, listed};
use crate::cli::terminal::{Input, InputError, Question};
use crate::cli::{Context, keeping, logout, talk};
use crate::config::service::Service;
use crate::config::{ConfigError, Settings, Source};
use crate::store::index::{Entry, EntryKind, Index, IndexError};
use crate::store::{Patience, StoreKind};

const EXAMPLES: &str = "\
The login itself is not revoked at the provider: that is what `mcp-front logout` does. A running \
bridge notices at its next request.

Examples:
  mcp-front tokens delete front
  mcp-front tokens delete front --yes      without being asked";

const CONFIRMATION: Question = Question {
    prompt: "Delete what is stored for it?",
    what: "a confirmation",
    instead: "--yes deletes without being asked",
};

/// Delete what is stored for a service
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name or URL
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Forget it even where its store cannot be reached: what lies there stays
    #[arg(long)]
    force: bool,
}

/// Whoever goes on without the store, where `forced`, need not wait until it opens.
fn patience(forced: bool) -> Patience {
    if forced { Patience::Prompt } else { Patience::Person }
}

/// Deletes after asking.
///
/// # Errors
/// Where nothing may be asked and `--yes` is absent, or the store refuses.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let paths = settings.paths()?;
    let index = Index::open(paths);
    let service = match Service::resolve_any(&arguments.target, settings, &index) {
        Err(error @ ConfigError::UnknownService { .. }) => {
            talk::say(&format!("Nothing to delete: {}\n", no_such_service(&error)));
            return Ok(());
        }
        service => service?,
    };
    if !is_known(&service, arguments.force, context).await? {
        talk::say(&format!("Nothing is stored for {}.\n", service.name));
        return Ok(());
    }
    if !arguments.yes && !confirmed(&service, &index, context).await? {
        talk::say("Nothing was deleted.\n");
        return Ok(());
    }
    let deleted = erase(arguments, &service, context).await?;
    if !deleted.any {
        talk::say(&format!("Nothing was stored for {}.\n", service.name));
        return Ok(());
    }
    talk::say(&format!("Deleted what was stored for {}.\n", service.name));
    let is_forgotten = index.get(&service.key).is_ok_and(|entry| entry.is_none_or(|entry| entry.deleted));
    if login_of(&service).is_some() && is_forgotten {
        talk::say(&format!("Nothing was revoked; {}.\n", logout::elsewhere(&service)));
    }
    logout::say_left(deleted.left_behind, &service, settings);
    Ok(())
}

/// Whether there is anything to delete, or, where what cannot be asked is to be `forced`, to find out by
/// trying.
///
/// # Errors
/// [`Failure::Delete`] where the store cannot be asked.
pub(in crate::cli) async fn is_known(
    service: &Service,
    forced: bool,
    context: &Context,
) -> Result<bool, Failure> {
    if service.entry.is_some() {
        return Ok(true);
    }
    let settings = &context.settings;
    let paths = settings.paths()?;
    for kind in stores(service, settings, &Index::open(paths.clone()))? {
        match stored::is_known(settings.store_config(kind, paths.clone()), &service.key, patience(forced))
            .await
        {
            Ok(false) => {}
            Ok(true) => return Ok(true),
            Err(_) if forced => return Ok(true),
            Err(error) => {
                let commands = Box::new(service.commands(settings));
                return Err(Failure::Delete { error, commands });
            }
        }
    }
    Ok(false)
}

/// Erases what is stored.
async fn erase(arguments: &Arguments, service: &Service, context: &Context) -> Result<Deleted, Failure> {
    let settings = &context.settings;
    let paths = settings.paths()?;
    let failed = |error| Failure::Delete { error, commands: Box::new(service.commands(settings)) };
    let kinds = match stores(service, settings, &Index::open(paths.clone())) {
        // It moved from there, and that store was out of reach.
        Err(ConfigError::StorePinned { asked, asked_by: Source::Flag(_), .. }) => {
            let config = settings.store_config(asked, paths);
            let any = stored::erase_leftover(config, &service.key).await.map_err(failed)?;
            return Ok(Deleted { any, left_behind: None });
        }
        kinds => kinds?,
    };
    let mut all = Deleted { any: false, left_behind: None };
    for kind in kinds {
        let config = settings.store_config(kind, paths.clone());
        let waits = |limit| {
            talk::say(&keeping::waiting(limit));
        };
        let deleted =
            match stored::delete(config.clone(), &service.key, patience(arguments.force), waits).await {
                Err(ChangeError::Store(error)) if arguments.force => {
                    talk::say(&format!("What the store `{kind}` holds of it stays there: {error}.\n"));
                    stored::forget(&config, &service.key).await
                }
                outcome => outcome,
            };
        let Deleted { any, left_behind } = deleted.map_err(failed)?;
        all = Deleted { any: all.any || any, left_behind: all.left_behind.or(left_behind) };
    }
    Ok(all)
}

/// Where the service's login may lie: a damaged entry does not say, so that no store is left out. The
/// default comes last, for it is where a repeat looks.
///
/// # Errors
/// [`ConfigError::StorePinned`] where another store is asked for.
pub(in crate::cli) fn stores(
    service: &Service,
    settings: &Settings,
    index: &Index,
) -> Result<Vec<StoreKind>, ConfigError> {
    let is_damaged = matches!(index.get(&service.key), Err(IndexError::Corrupt { .. }));
    if is_damaged && settings.store_source == Source::Default {
        return Ok(vec![StoreKind::File, StoreKind::Keyring]);
    }
    service.store(settings).map(|kind| vec![kind])
}

/// What is known of the login that is kept, where it is no token of the person's own.
fn login_of(service: &Service) -> Option<&Entry> {
    service.entry.as_ref().filter(|entry| entry.kind == EntryKind::Oauth)
}

async fn confirmed(service: &Service, index: &Index, context: &Context) -> Result<bool, InputError> {
    let Service { name, server, profile, .. } = service;
    talk::say(&format!("{name} is {server}, profile {profile}.\n"));
    // Of what a login left in another store, nothing more ends.
    if let Some(login) = login_of(service).filter(|_| stores(service, &context.settings, index).is_ok()) {
        talk::say(&format!(
            "Its login is good at its provider until it ends; {}.\n",
            end_of(login, service, context)
        ));
    }
    Input::open().confirm(&context.terminal, CONFIRMATION).await
}

/// What ends a login for good, as a clause.
fn end_of(login: &Entry, service: &Service, context: &Context) -> String {
    let binding = login.binding.as_ref().filter(|_| login.identity.store != StoreKind::Memory);
    match binding.and_then(|binding| binding.revocation_endpoint.as_ref()) {
        Some(_) => format!("{} ends it there as well", service.commands(&context.settings).logout()),
        None => logout::elsewhere(service),
    }
}

/// That there is no such service, with those that may be meant.
pub(in crate::cli) fn no_such_service(error: &ConfigError) -> String {
    match error {
        ConfigError::UnknownService { near, .. } if !near.is_empty() => {
            format!("{error}. Did you mean {}?", listed(near))
        }
        _ => format!("{error}."),
    }
}
