//! What `status` tells a person: a block a service, then who decided which setting.

use clap::builder::styling::{AnsiColor, Style};
use jiff::Timestamp;

use super::report::{Authority, End, Report, Rotation, Running};
use crate::cli::standing::Standing;
use crate::cli::terminal::Terminal;
use crate::cli::{moment, table};
use crate::config::{Decided, Source};
use crate::store::index::EntryKind;

/// How far what belongs to a service stands in.
const INDENT: u16 = 2;

/// A service's block.
pub(super) fn block(report: &Report, terminal: &Terminal, now: Timestamp) -> String {
    let (mark, color) = mark(report);
    let name = terminal.paint_stdout(Style::new().bold(), &report.name);
    let mark = terminal.paint_stdout(color.on_default(), mark);
    format!("{mark} {name}  {}\n{}", report.url, table::labelled(rows(report, now), INDENT))
}

/// The settings' block.
pub(super) fn settings(decided: &[Decided], terminal: &Terminal) -> String {
    let rows = decided.iter().map(|Decided { setting, value, source }| {
        let by = match source {
            Source::Flag(name) => format!("from the flag {name}"),
            Source::Variable(name) => format!("from the environment, {name}"),
            Source::Default => "the default".to_owned(),
        };
        [(*setting).to_owned(), format!("{value} ({by})")]
    });
    let head = terminal.paint_stdout(Style::new().bold(), "Settings");
    format!("{head} of this terminal; a bridge has those of its host\n{}", table::labelled(rows, INDENT))
}

/// The sign of a report, and its colour.
pub(super) fn mark(report: &Report) -> (&'static str, AnsiColor) {
    use super::probe::Verdict;

    match (&report.standing, report.probe) {
        (Standing::LoginRequired { .. }, _) => ("✗", AnsiColor::Red),
        (_, Some(Verdict::Ends)) => ("!", AnsiColor::Yellow),
        _ if report.is_unreadable() || report.unsaved_rotation == Rotation::Unsaved => {
            ("!", AnsiColor::Yellow)
        }
        (Standing::NotStored, _) => ("?", AnsiColor::Yellow),
        _ => ("✓", AnsiColor::Green),
    }
}

fn rows(report: &Report, now: Timestamp) -> Vec<[String; 2]> {
    let is_login = report.kind == Some(EntryKind::Oauth);
    let mut rows = vec![("State", state(report, now))];
    if is_login {
        rows.push(("Access token", access_token(report, now)));
        rows.push(("Login ends", login_ends(report, now)));
    }
    if let Some(at) = report.logged_in_at {
        rows.push((if is_login { "Logged in" } else { "Stored" }, moment::shown(at, now)));
    }
    if is_login {
        let never = || "none since the login".to_owned();
        rows.push(("Last refresh", report.last_refresh_at.map_or_else(never, |at| moment::shown(at, now))));
    }
    if let Some(error) = &report.last_error {
        rows.push(("Last error", format!("{}: {}", moment::shown(error.at, now), error.told())));
    }
    rows.push(("Bridges", bridges(&report.bridges, now)));
    if report.kind.is_some() {
        rows.push(("Kept in", format!("{}; `{}`, as chosen at the login", report.place, report.store)));
    }
    if is_login {
        rows.push(("Unsaved rotation", rotation(report.unsaved_rotation).to_owned()));
        let none = || "none named".to_owned();
        let scopes = Some(report.scopes.join(" ")).filter(|scopes| !scopes.is_empty());
        rows.push(("Scopes", scopes.unwrap_or_else(none)));
        rows.extend(report.authorization_server.clone().map(|server| ("Login server", server)));
    }
    rows.extend(endings(report));
    rows.into_iter().map(|(label, value)| [label.to_owned(), value]).collect()
}

fn state(report: &Report, now: Timestamp) -> String {
    let shown = report.standing.shown();
    match &report.standing {
        Standing::Renews => match report.end {
            Some(end) if end.at > now => format!("{shown} until {}", moment::shown(end.at, now)),
            Some(_) => format!("{shown}, though it should have ended by now"),
            None => format!("{shown}, for as long as the server lets it"),
        },
        Standing::Valid => match report.end {
            Some(end) => format!("{shown} until {}; nothing renews it", moment::shown(end.at, now)),
            None => format!("{shown} until the service refuses it; nothing renews it"),
        },
        Standing::Static => format!("{shown}: it lasts until it is set anew, deleted, or refused"),
        Standing::NotStored => format!("{shown}: none is needed, or none was made"),
        Standing::LoginRequired { reason, since } => {
            let since = since.map(|at| format!(", since {}", moment::shown(at, now))).unwrap_or_default();
            format!("{shown}: {reason}{since}")
        }
    }
}

fn access_token(report: &Report, now: Timestamp) -> String {
    let renews = report.standing == Standing::Renews;
    match report.access_token_expires_at {
        Some(at) if at > now => format!("until {}", moment::shown(at, now)),
        Some(at) if renews => format!("over since {}; the next request renews it", moment::shown(at, now)),
        Some(at) => format!("over since {}", moment::shown(at, now)),
        None if renews => "the server does not say until when; a refused request renews it".to_owned(),
        None => "the server does not say until when".to_owned(),
    }
}

fn login_ends(report: &Report, now: Timestamp) -> String {
    let whose = |by| match by {
        Authority::Server => "as the server says",
        Authority::RefreshLifetime => "as --refresh-lifetime says",
        Authority::Preset => "as far as is known of this service",
    };
    match (report.end, &report.standing) {
        (Some(End { at, by }), _) => {
            let since = report.refresh_token_obtained_at.filter(|_| by != Authority::Server);
            let since =
                since.map(|at| format!("; counted from {}", moment::shown(at, now))).unwrap_or_default();
            format!("{}, {}{since}", moment::shown(at, now), whose(by))
        }
        (None, Standing::LoginRequired { .. }) => "it has ended".to_owned(),
        (None, _) if report.is_ahead => {
            "unknown: it was received while this machine's clock was ahead of now".to_owned()
        }
        (None, _) => "unknown: the server does not say; --refresh-lifetime tells it here".to_owned(),
    }
}

/// The block of bridges on services of which nothing is stored; none without any.
pub(super) fn others(bridges: &[Running], terminal: &Terminal, now: Timestamp) -> String {
    if bridges.is_empty() {
        return String::new();
    }
    let head = terminal.paint_stdout(Style::new().bold(), "Other bridges");
    let rows = [["Without a login".to_owned(), self::bridges(bridges, now)]];
    format!("{head} run on services of which nothing is stored\n{}\n", table::labelled(rows, INDENT))
}

fn bridges(bridges: &[Running], now: Timestamp) -> String {
    if bridges.is_empty() {
        return "none running".to_owned();
    }
    let lines = bridges.iter().map(|Running { pid, host, started_at, version }| {
        let host = host.as_ref().map(|host| format!(", started by {host}")).unwrap_or_default();
        let version = match version == env!("CARGO_PKG_VERSION") {
            true => String::new(),
            false => format!(", version {version}"),
        };
        format!("pid {pid}{host}, since {}{version}", moment::shown(*started_at, now))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn rotation(rotation: Rotation) -> &'static str {
    match rotation {
        Rotation::None => "none",
        Rotation::UnderWay => "a refresh is under way",
        Rotation::Interrupted => "a refresh was interrupted; the next one settles what it left",
        Rotation::Unsaved => {
            "yes: the store did not take the last refresh. Saving is tried again for ten minutes, and by \
             whoever refreshes next; if it is lost, a login is required"
        }
        Rotation::NotChecked => "not checked, for the keychain might ask for its password",
    }
}

/// What would end it, and what to do then.
fn endings(report: &Report) -> Vec<(&'static str, String)> {
    let command = format!("`{}`", report.command);
    let mut rows = Vec::new();
    match &report.standing {
        Standing::LoginRequired { .. } => {
            rows.push(("What to do", format!("run {command}; no host needs a restart")));
        }
        Standing::NotStored => {
            rows.push(("What to do", format!("run {command}, where the service wants a login")));
        }
        Standing::Renews | Standing::Valid | Standing::Static => {
            let endings: Vec<_> = report.ends_if.iter().map(|ending| format!("- {}", ending.text)).collect();
            rows.push(("Ends if", endings.join("\n")));
            let then = "each request is answered with what to run";
            rows.push(("Then", format!("{then}: {command}; no host needs a restart")));
        }
    }
    rows.extend(report.known_of_service.map(|known| ("Known of it", known.to_owned())));
    rows
}
