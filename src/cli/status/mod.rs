//! `mcp-front status`: how long each login lasts, what would end it, and what to do then; and what
//! `mcp-front` says without a command.
//!
//! The index tells, and what lies beside it. No keychain is asked and no secret is read, so that a
//! monitor can run it anywhere.

mod ending;
mod overview;
mod probe;
mod report;
mod shown;

use clap::Args;
use jiff::{Span, Timestamp};
use serde::Serialize;

use super::failure::Failure;
use super::standing::Standing;
use super::tokens::damage;
use super::{Context, talk};
use crate::clock;
use crate::config::service::Service;
use crate::config::{ConfigError, Decided, Source};
use crate::lock::running;
use crate::store::index::{Entry, Index, IndexError};
use probe::Verdict;
use report::{Report, Running, Surroundings};

/// The version of the JSON: members may be added to it, and none changes its meaning.
const SCHEMA: u32 = 1;

const EXAMPLES: &str = "\
Nothing is unlocked for it, and no server is asked. Without NAME, every service of the profile is told \
of. The end of a login is the authorization server's word; else what --refresh-lifetime says, counted \
from when the refresh token was received; else what is known of the service (Front: 6 months).

Exit codes:
  0  every login can be used; with --fail-within, for longer than that
  1  with --strict: nobody says when a login ends
  4  a login is required; with --fail-within, now or within that time
  5  what is known of a service cannot be read, or its login could not be when
     somebody last tried

Examples:
  mcp-front status
  mcp-front status front --json
  mcp-front status front --fail-within 14d     a monitor's probe
  mcp-front status example --fail-within 14d --refresh-lifetime 30d --strict";

/// Show how long each login lasts, what would end it, and what to do then
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name or URL [default: all of the profile]
    #[arg(value_name = "NAME|URL")]
    target: Option<String>,
    /// Print JSON, with times in RFC 3339 UTC
    #[arg(long)]
    json: bool,
    /// Fail where a login ends within this time, for instance 14d
    #[arg(long, value_name = "DURATION", value_parser = probe::duration)]
    fail_within: Option<Span>,
    /// How long a refresh token lasts, where the server does not say
    #[arg(long, value_name = "DURATION", value_parser = probe::duration)]
    refresh_lifetime: Option<Span>,
    /// Fail too where nobody says when a login ends
    #[arg(long, requires = "fail_within")]
    strict: bool,
}

/// What there is to tell.
#[derive(Default)]
struct Found {
    reports: Vec<Report>,
    other_bridges: Vec<Running>,
    unreadable: Vec<IndexError>,
}

impl Found {
    fn damaged(error: IndexError) -> Self {
        Self { unreadable: vec![error], ..Self::default() }
    }

    fn is_nothing(&self) -> bool {
        self.reports.is_empty() && self.other_bridges.is_empty() && self.unreadable.is_empty()
    }
}

/// The whole JSON.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    checked_at: Timestamp,
    profile: &'a str,
    /// As `--fail-within` was typed.
    fail_within: Option<String>,
    services: &'a [Report],
    settings: Vec<Setting>,
    /// Bridges on services of which nothing is stored; left out where one service was asked about.
    other_bridges: &'a [Running],
    /// What is wrong with entries that cannot be read.
    unreadable: Vec<String>,
}

/// A setting in the JSON.
#[derive(Serialize)]
struct Setting {
    setting: &'static str,
    value: String,
    source: &'static str,
    /// The flag or variable.
    by: Option<&'static str>,
}

/// Tells how logins stand.
///
/// # Errors
/// [`Failure::LoginNeeded`] where one is required, or will be within the time asked for;
/// [`Failure::EndUnknown`]; and where the index cannot be read or stdout not be written.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let surroundings = surroundings(context, arguments.refresh_lifetime)?;
    let index = Index::open(surroundings.paths.clone());
    let mut found = match &arguments.target {
        Some(target) => one(target, &surroundings, &index)?,
        None => {
            let (entries, unreadable) = index.survey().map_err(ConfigError::from)?;
            let other_bridges = surroundings.other_bridges(&entries);
            Found { reports: all(entries, &surroundings).0, other_bridges, unreadable }
        }
    };
    let now = surroundings.now;
    for report in &mut found.reports {
        let judged = |within| probe::judge(&report.standing, report.end, within, now);
        report.probe = arguments.fail_within.map(judged);
    }
    let decided = context.settings.decided(&context.environment, &surroundings.paths);
    let terminal = &context.terminal;
    if arguments.json {
        super::print_json(&document(arguments, &surroundings, &found, decided))?;
    } else if found.is_nothing() {
        let login = super::tokens::front(&context.settings);
        talk::say(&format!("Nothing is stored. {login} logs in to Front.\n"));
    } else {
        let blocks = found.reports.iter().map(|report| shown::block(report, terminal, now) + "\n");
        let others = shown::others(&found.other_bridges, terminal, now);
        super::print(&(blocks.collect::<String>() + &others + &shown::settings(&decided, terminal)))?;
    }
    verdict(arguments, &found.reports, found.unreadable, context)
}

/// Tells in short how the profile's logins stand, and what one would run next. Whatever it shows is no
/// failure.
///
/// # Errors
/// Where the index cannot be read or stdout not be written.
pub(super) fn overview(context: &Context) -> Result<(), Failure> {
    let surroundings = surroundings(context, None)?;
    let (entries, unreadable) =
        Index::open(surroundings.paths.clone()).survey().map_err(ConfigError::from)?;
    unreadable.iter().for_each(|error| warn(error, context));
    let (reports, elsewhere) = all(entries, &surroundings);
    super::print(&overview::text(&reports, elsewhere, context, surroundings.now))
}

fn surroundings(context: &Context, refresh_lifetime: Option<Span>) -> Result<Surroundings<'_>, Failure> {
    let paths = context.settings.paths()?;
    let bridges = running::bridges(&paths).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot tell which bridges are running");
        Vec::new()
    });
    Ok(Surroundings { context, paths, bridges, now: clock::now(), refresh_lifetime })
}

fn one(target: &str, surroundings: &Surroundings<'_>, index: &Index) -> Result<Found, ConfigError> {
    let service = match Service::resolve_any(target, &surroundings.context.settings, index) {
        Err(ConfigError::Index(error)) => return Ok(Found::damaged(error)),
        service => service?,
    };
    let report = match (&service.entry, index.get(&service.key)) {
        (Some(entry), _) => surroundings.report(entry),
        (None, Ok(_)) => surroundings.report_of_nothing(&service),
        // What cannot be read is not nothing.
        (None, Err(error)) => return Ok(Found::damaged(error)),
    };
    Ok(Found { reports: vec![report], ..Found::default() })
}

/// The reports of the profile, and how many services other profiles have.
fn all(entries: Vec<Entry>, surroundings: &Surroundings<'_>) -> (Vec<Report>, usize) {
    let profile = &surroundings.context.settings.profile;
    let (ours, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.identity.profile == *profile);
    (ours.iter().map(|entry| surroundings.report(entry)).collect(), others.len())
}

fn document<'a>(
    arguments: &Arguments,
    surroundings: &Surroundings<'a>,
    found: &'a Found,
    decided: Vec<Decided>,
) -> Document<'a> {
    let settings = decided.into_iter().map(|Decided { setting, value, source }| {
        let (source, by) = match source {
            Source::Flag(name) => ("flag", Some(name)),
            Source::Variable(name) => ("environment", Some(name)),
            Source::Default => ("default", None),
        };
        Setting { setting, value, source, by }
    });
    Document {
        version: SCHEMA,
        checked_at: surroundings.now,
        profile: &surroundings.context.settings.profile,
        fail_within: arguments.fail_within.map(|within| format!("{within:#}")),
        services: &found.reports,
        settings: settings.collect(),
        other_bridges: &found.other_bridges,
        unreadable: found
            .unreadable
            .iter()
            .map(|error| crate::redact::printable(&error.to_string()))
            .collect(),
    }
}

/// What the exit code is to say: what a person has to do comes first, then what cannot be read, then
/// what is not known.
fn verdict(
    arguments: &Arguments,
    reports: &[Report],
    unreadable: Vec<IndexError>,
    context: &Context,
) -> Result<(), Failure> {
    let required = |report: &Report| matches!(report.standing, Standing::LoginRequired { .. });
    let ending = |report: &Report| report.probe == Some(Verdict::Ends) && !required(report);
    let mut unreadable = unreadable.into_iter();
    let needed = needed(arguments, reports, required, ending);
    let failure = match (needed, unreadable.next()) {
        (Some(needed), first) => {
            first.iter().for_each(|error| warn(error, context));
            Some(needed)
        }
        (None, Some(first)) => Some(ConfigError::from(first).into()),
        (None, None) => store(reports).or_else(|| unknown(arguments, reports)),
    };
    unreadable.for_each(|error| warn(&error, context));
    failure.map_or(Ok(()), Err)
}

/// The failure where a login is required, or will be.
fn needed(
    arguments: &Arguments,
    reports: &[Report],
    required: impl Fn(&Report) -> bool,
    ending: impl Fn(&Report) -> bool,
) -> Option<Failure> {
    let (over, soon) = (names(reports, &required), names(reports, &ending));
    let hint = match (
        reports.iter().find(|report| required(report)),
        reports.iter().find(|report| ending(report)),
    ) {
        (Some(report), _) => format!("run {}", report.commands.renew()),
        (None, Some(report)) if report.standing != Standing::Renews => {
            format!("run {}", report.commands.replace())
        }
        (None, Some(report)) => format!(
            "run {}, which may bring the next refresh token, or {}",
            report.commands.refresh_anew(),
            report.commands.replace()
        ),
        (None, None) => return None,
    };
    let over = over.map(|names| format!("a login is required for {names}"));
    let soon = soon
        .zip(arguments.fail_within)
        .map(|(names, within)| format!("within {within:#}, a login will be required for {names}"));
    Some(Failure::LoginNeeded { what: over.into_iter().chain(soon).collect::<Vec<_>>().join("; "), hint })
}

/// The failure where a store could not be read.
fn store(reports: &[Report]) -> Option<Failure> {
    let whose = names(reports, Report::is_unreadable)?;
    let first = reports.iter().find(|report| report.is_unreadable())?;
    Some(Failure::Unreadable { whose, hint: format!("{} tries again", first.commands.refresh()) })
}

/// What nobody says, as a failure where that is to be one, else as a note.
fn unknown(arguments: &Arguments, reports: &[Report]) -> Option<Failure> {
    let what = match names(reports, |report| report.probe == Some(Verdict::Unknown)) {
        Some(names) => format!("nobody says when the login of {names} ends"),
        None if reports.is_empty() => "no login is stored, so nothing says when one ends".to_owned(),
        None => return None,
    };
    if arguments.fail_within.is_some() && !arguments.strict {
        talk::say(&format!("note: {what}\n"));
    }
    arguments.strict.then_some(Failure::EndUnknown { what })
}

/// The names of those that are wanted, in a sentence.
fn names(reports: &[Report], is_wanted: impl Fn(&Report) -> bool) -> Option<String> {
    let wanted = reports.iter().filter(|report| is_wanted(report));
    let names: Vec<_> = wanted.map(|report| format!("`{}`", report.name)).collect();
    let (last, others) = names.split_last()?;
    Some(if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) })
}

fn warn(error: &IndexError, context: &Context) {
    talk::say(&damage(error, &context.settings));
}
