//! What a login ends with: what was granted, where it lies, and how a host uses it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use clap::builder::styling::{AnsiColor, Style};
use jiff::Timestamp;
use serde_json::json;

use crate::authorizer::login::{Outcome, Summary};
use crate::authorizer::{Commands, Given, Subject, quoted};
use crate::cli::failure::Failure;
use crate::cli::keeping;
use crate::cli::{Context, executable, moment, talk};
use crate::clock;
use crate::config::service::Service;
use crate::redact::printable;
use crate::store::index::EntryKind;
use crate::upstream::Transport;

/// Tells how a login ended well.
///
/// # Errors
/// Where this program's own path is unknown.
pub(super) fn say(outcome: &Outcome, service: &Service, context: &Context) -> Result<(), Failure> {
    let (headline, summary) = match outcome {
        Outcome::LoggedIn(summary) => ("Logged in to", Some(summary)),
        Outcome::StillGood(summary) => ("Already logged in to", Some(summary)),
        Outcome::Unchecked { summary, .. } => ("As far as is known, logged in to", Some(summary)),
        Outcome::Adopted(summary) => ("Another mcp-front has just logged in to", Some(summary)),
        Outcome::NotNeeded => ("No login is needed for", None),
    };
    let name = summary.map_or(&service.name, |summary| &summary.name);
    let (mark, color) = match outcome {
        Outcome::Unchecked { .. } => ("?", AnsiColor::Yellow),
        _ => ("✓", AnsiColor::Green),
    };
    let mut text = format!(
        "{} {headline} {name} ({})\n",
        context.terminal.paint(color.on_default(), mark),
        printable(&service.server.to_string())
    );
    if let Some(summary) = summary {
        text += &facts(summary, clock::now());
    }
    if let Outcome::Unchecked { why, .. } = outcome {
        let _ = writeln!(text, "Whether the service still takes the login could not be checked: {why}.");
    }
    if matches!(outcome, Outcome::StillGood(_) | Outcome::Unchecked { .. }) {
        let is_renamed = summary.is_some_and(|summary| summary.renamed_from.is_some());
        let changed = if is_renamed { "Nothing but the name" } else { "Nothing" };
        let _ = writeln!(text, "{changed} was changed; --force logs in anew.");
    }
    // What needs no login is not stored, so no name leads to it.
    let target = if summary.is_some() { name.as_str() } else { service.server.as_str() };
    let subject = Subject {
        target: target.to_owned(),
        name: None,
        profile: service.profile.clone(),
        store: context.settings.store,
        is_stored: summary.is_some(),
        kind: EntryKind::Oauth,
        given: Given::default(),
    };
    let commands = Commands::new(context.settings.program.clone(), subject);
    if let Some(path) = summary.and_then(|summary| summary.generated_key.as_deref()) {
        text += &keeping::generated_key(path);
    }
    if let Some(left) = summary.and_then(|summary| summary.left_behind) {
        text += &keeping::left_behind(left, &commands);
    }
    let entry = HostEntry { name, executable: &executable()?, commands: &commands, context }.text();
    talk::say(&text);
    // It is copied: no line of it is broken. Talk all the same: a closed stderr changes nothing.
    let _ = write!(io::stderr(), "{entry}");
    Ok(())
}

fn facts(summary: &Summary, now: Timestamp) -> String {
    let scopes = match summary.scopes.is_empty() {
        true => "none named".to_owned(),
        false => summary.scopes.join(" "),
    };
    let expiry = match summary.access_expires_at {
        Some(at) if at <= now => format!("expired {}", moment::shown(at, now)),
        Some(at) => format!("expires {}", moment::shown(at, now)),
        None => "the server names no expiry".to_owned(),
    };
    let renewal = if summary.renews { "renews by itself" } else { "does not renew by itself" };
    let former = summary.renamed_from.as_ref();
    let former = former.map(|name| format!("  renamed from  {}\n", printable(name))).unwrap_or_default();
    let mut text = format!("{former}  scopes        {scopes}\n  access token  {expiry}; {renewal}\n");
    if summary.renews {
        // An access token may outlive its refresh token, and the login with it.
        let end = summary.refresh_expires_at.map(|end| end.max(summary.access_expires_at.unwrap_or(end)));
        let end = match end {
            Some(at) => format!("ends {}", moment::shown(at, now)),
            None => "lasts until the server ends it".to_owned(),
        };
        let _ = writeln!(text, "  login         {end}");
    }
    let _ = writeln!(text, "  kept in       {}", summary.place);
    text
}

/// How a host is told to start the bridge.
struct HostEntry<'a> {
    name: &'a str,
    executable: &'a Path,
    commands: &'a Commands,
    context: &'a Context,
}

impl HostEntry<'_> {
    fn text(&self) -> String {
        let (mut arguments, program) = (self.commands.bridge_shown(), self.commands.program());
        if self.context.settings.transport != Transport::Auto {
            arguments.extend(["--transport".to_owned(), self.context.settings.transport.to_string()]);
        }
        let executable = self.executable.display().to_string();
        // Hosts take letters, digits, `-` and `_` in the names of their entries.
        let entry_name = self.name.replace(|character: char| !is_entry_name(character), "-");
        let mut command = format!("claude mcp add {entry_name}");
        // Hosts pass hardly any variables on.
        for (name, value) in program.variables() {
            let _ = write!(command, " -e {name}={}", quoted(value));
        }
        let _ = write!(command, " -- {}", quoted(&executable));
        for argument in &arguments {
            let _ = write!(command, " {}", quoted(argument));
        }
        let mut entry = json!({ "command": executable, "args": arguments });
        if !program.variables().is_empty() {
            let variables = program.variables().iter();
            entry["env"] = variables.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        }
        let entry = json!({ "mcpServers": { entry_name: entry } });
        let bold = Style::new().bold();
        let head = |text| self.context.terminal.paint(bold, text);
        let mut text = format!(
            "\n{}\n  {command}\n{}\n  {entry}\n",
            head("Add it to Claude Code:"),
            head("Or to another host:")
        );
        if program.has_inline_key() {
            text += "The host must pass MCP_FRONT_ENCRYPTION_KEY on; a file named by\n\
                     MCP_FRONT_ENCRYPTION_KEY_FILE is easier to keep.\n";
        }
        text
    }
}

fn is_entry_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}
