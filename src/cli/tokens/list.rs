//! `mcp-front tokens list`: the index, and nothing but the index, so that nothing is unlocked.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::authorizer::{CommandLine, Commands, Given, Program, Subject};
use crate::cli::failure::Failure;
use crate::cli::standing::{Problem, Standing};
use crate::cli::{Context, moment, table, talk};
use crate::clock;
use crate::config::{ConfigError, Settings, Source};
use crate::redact::printable;
use crate::store::Store;
use crate::store::index::{Entry, EntryKind, Index, IndexError};

const EXAMPLES: &str = "\
Nothing is unlocked for it. All profiles are listed, or the one that --profile names.

Examples:
  mcp-front tokens list
  mcp-front tokens list --json | jq -r '.[] | select(.reason).name'";

/// List what is stored and its state, never a value
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Print JSON, with times in RFC 3339 UTC
    #[arg(long)]
    json: bool,
}

/// Prints the list.
///
/// # Errors
/// Where the index cannot be read or stdout not be written.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let paths = settings.paths()?;
    let (mut entries, unreadable) = Index::open(paths.clone()).survey().map_err(ConfigError::from)?;
    for error in &unreadable {
        talk::say(&damage(error, settings));
    }
    if settings.profile_source != Source::Default {
        entries.retain(|entry| entry.identity.profile == settings.profile);
    }
    let now = clock::now();
    let rows: Vec<Row> = entries
        .iter()
        .map(|entry| {
            let place = Store::open(settings.store_config(entry.identity.store, paths.clone())).place();
            Row::new(entry, place, &settings.program, now)
        })
        .collect();
    if arguments.json {
        return crate::cli::print_json(&rows);
    }
    if !rows.is_empty() {
        return crate::cli::print(&table(&rows, now));
    }
    if unreadable.is_empty() {
        // An empty table on stdout would only be in a script's way.
        talk::say(&format!("Nothing is stored. {} logs in to Front.\n", front(settings)));
    }
    Ok(())
}

/// What is wrong with an entry, and what to do about it.
pub(in crate::cli) fn damage(error: &IndexError, settings: &Settings) -> String {
    let remedy = match error {
        IndexError::Corrupt { .. } => format!(
            "  What is stored for the service is not lost. {}, with its address in place of URL (and --name \
             NAME), writes the entry anew.\n",
            settings.program.login_at_address(&settings.profile)
        ),
        _ => String::new(),
    };
    format!("warning: {error}\n{remedy}")
}

/// Logs in to the service that needs no address.
pub(in crate::cli) fn front(settings: &Settings) -> CommandLine {
    let subject = Subject {
        target: "front".to_owned(),
        name: None,
        profile: settings.profile.clone(),
        store: settings.store,
        is_stored: false,
        kind: EntryKind::Oauth,
        given: Given::default(),
    };
    Commands::new(settings.program.clone(), subject).login()
}

/// One service as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    profile: String,
    url: String,
    kind: EntryKind,
    #[serde(flatten)]
    standing: Standing,
    renews: bool,
    access_token_expires_at: Option<Timestamp>,
    refresh_token_expires_at: Option<Timestamp>,
    store: String,
    place: String,
    scopes: Vec<String>,
    logged_in_at: Timestamp,
    last_refresh_at: Option<Timestamp>,
    last_error: Option<Problem>,
    #[serde(skip)]
    login_ends: Option<Timestamp>,
    /// What makes it good again.
    #[serde(skip)]
    renewal: CommandLine,
}

impl Row {
    fn new(entry: &Entry, place: String, program: &Program, now: Timestamp) -> Self {
        let standing = Standing::of(entry, now);
        Self {
            name: printable(&entry.identity.name),
            profile: printable(&entry.identity.profile),
            url: entry.identity.address(),
            kind: entry.kind,
            renews: entry.renews && standing.required().is_none(),
            login_ends: standing.named_end(entry, now),
            standing,
            access_token_expires_at: entry.access_expires_at,
            refresh_token_expires_at: entry.refresh_expires_at,
            store: entry.identity.store.to_string(),
            place,
            scopes: entry.scopes.iter().map(|scope| printable(scope)).collect(),
            logged_in_at: entry.logged_in_at,
            last_refresh_at: entry.last_refresh_at,
            last_error: Problem::last(entry),
            renewal: Commands::new(program.clone(), Subject::of(entry)).renew(),
        }
    }
}

const HEADER: [&str; 8] =
    ["NAME", "PROFILE", "KIND", "STATE", "ACCESS EXPIRES", "LOGIN ENDS", "STORE", "LAST REFRESH"];

fn table(rows: &[Row], now: Timestamp) -> String {
    let time = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| moment::brief(at, now));
    let cells = rows.iter().map(|row| {
        [
            row.name.clone(),
            row.profile.clone(),
            kind_shown(row.kind).to_owned(),
            row.standing.shown().to_owned(),
            time(row.access_token_expires_at),
            time(row.login_ends),
            row.store.clone(),
            time(row.last_refresh_at),
        ]
    });
    let notes = rows.iter().flat_map(|row| notes(row, now));
    table::headed(HEADER, cells) + &talk::shown(&notes.collect::<String>())
}

/// What does not fit in a column: why a login is required, and what went wrong last.
fn notes(row: &Row, now: Timestamp) -> impl Iterator<Item = String> {
    let name = &row.name;
    let reason = row.standing.required().map(|(reason, since)| {
        let since = since.map(|at| format!(", since {}", moment::relative(at, now))).unwrap_or_default();
        format!("{name}: {reason}{since}; run {}\n", row.renewal)
    });
    // What ended the login is said already.
    let is_said = |text: &str| row.standing.required().is_some_and(|(reason, _)| reason == text);
    let error =
        row.last_error.as_ref().filter(|error| !is_said(&error.text)).map(|error| {
            format!("{name}: last error {}: {}\n", moment::relative(error.at, now), error.told())
        });
    reason.into_iter().chain(error)
}

fn kind_shown(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Oauth => "login",
        EntryKind::Token => "token",
    }
}
