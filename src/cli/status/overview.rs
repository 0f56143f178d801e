//! `mcp-front` without a command: where each login stands, and what one would run next.

use std::fmt::Write as _;

use clap::builder::styling::Style;
use jiff::Timestamp;

use super::report::{Authority, Report};
use super::shown::mark;
use crate::authorizer::CommandLine;
use crate::cli::standing::Standing;
use crate::cli::tokens::front;
use crate::cli::{Context, moment, table, terminal};
use crate::store::index::EntryKind;

const HEADER: [&str; 6] = ["", "NAME", "STATE", "ACCESS EXPIRES", "LOGIN ENDS", "BRIDGES"];

/// What the command of a login that is over is for.
const NEEDED: &str = "a login is required";

/// What stands around a command and what it is for, in columns.
const MARKS: usize = 6;

/// How many logins that are over are named with their command.
const NAMED: usize = 3;

/// The short text; `elsewhere` is how many services other profiles have.
pub(super) fn text(reports: &[Report], elsewhere: usize, context: &Context, now: Timestamp) -> String {
    let mut text = match reports {
        [] => format!("No login is stored in profile {}.\n", context.settings.profile),
        reports => table::headed(HEADER, reports.iter().map(|report| row(report, now))),
    };
    if elsewhere > 0 {
        let _ = writeln!(text, "Other profiles have {elsewhere} more: {}", context.settings.program.list());
    }
    let _ = writeln!(text, "\n{}", context.terminal.paint_stdout(Style::new().bold(), "Next:"));
    let next = next(reports, context);
    // No table: a command that is broken in two cannot be pasted; what follows `#` may be, and does nothing.
    let indent = aligned(&next, terminal::columns().map_or(usize::MAX, usize::from));
    for (command, what) in next {
        let _ = match command.chars().count() <= indent {
            true => writeln!(text, "  {command:indent$}  # {what}"),
            false => writeln!(text, "  {command}\n      # {what}"),
        };
    }
    text
}

/// How wide the longest command is beside which all that stands behind commands is still on the screen; what
/// a longer one is for stands below it.
fn aligned(next: &[(String, String)], columns: usize) -> usize {
    let longest_what = next.iter().map(|(_, what)| what.chars().count()).max().unwrap_or_default();
    let room = columns.saturating_sub(longest_what + MARKS);
    let lengths = next.iter().map(|(command, _)| command.chars().count());
    lengths.filter(|length| *length <= room).max().unwrap_or_default()
}

fn row(report: &Report, now: Timestamp) -> [String; 6] {
    let brief = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| moment::brief(at, now));
    let ends = report.end.filter(|_| report.kind == Some(EntryKind::Oauth));
    let about = if ends.is_some_and(|end| end.by == Authority::Preset) { "about " } else { "" };
    [
        mark(report).0.to_owned(),
        report.name.clone(),
        report.standing.shown().to_owned(),
        brief(report.access_token_expires_at),
        format!("{about}{}", brief(ends.map(|end| end.at))),
        report.bridges.len().to_string(),
    ]
}

/// What one would run next, and what for.
fn next(reports: &[Report], context: &Context) -> Vec<(String, String)> {
    let settings = &context.settings;
    let shown = |command: CommandLine| command.as_str().to_owned();
    let over = reports.iter().filter(|report| matches!(report.standing, Standing::LoginRequired { .. }));
    let mut next: Vec<_> =
        over.take(NAMED).map(|report| (report.command.clone(), NEEDED.to_owned())).collect();
    match reports.first() {
        Some(first) => {
            next.push((shown(first.commands.status()), "all about it, and what would end it".to_owned()));
        }
        None => next.push((shown(front(settings)), "log in to Front".to_owned())),
    }
    let elsewhere = settings.program.login_at_address(&settings.profile);
    next.push((shown(elsewhere), "log in to another MCP server".to_owned()));
    if reports.is_empty() {
        next.push((shown(settings.program.demo()), "see all of it, without an account".to_owned()));
    }
    next.push((format!("{} --help", program(context)), "every command".to_owned()));
    next
}

/// The word that started this program.
fn program(context: &Context) -> String {
    context.environment.program().to_string_lossy().into_owned()
}
