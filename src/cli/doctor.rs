//! `mcp-front doctor`: what keeps a bridge from working, check by check.

use std::process::Command;

use ::http::HeaderMap;
use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;

use super::failure::Failure;
use super::header_flags::HeaderFlags;
use super::network_flags::NetworkFlags;
use super::terminal::Terminal;
use super::{Context, executable, login_flags, talk};
use crate::authorizer::Authorizer;
use crate::config::service::Service;
use crate::config::{ConfigError, Source};
use crate::doctor::{Check, Finding, Machine, Mark, Subject, examine_machine, examine_service};
use crate::paths::Paths;
use crate::redact::{printable, with_causes};
use crate::store::StoreKind;
use crate::store::index::Index;

/// The version of the JSON: members may be added to it, and none changes its meaning.
const SCHEMA: u32 = 1;

const EXAMPLES: &str = "\
Without a name, all services of the profile are checked. No secret is printed: the output may go \
into a bug report. A token that is due is renewed, as a bridge would; nothing else is changed.

Exit codes: 0 where nothing is broken, 1 where something is.

Examples:
  mcp-front doctor
  mcp-front doctor front
  mcp-front doctor https://mcp.example.com/mcp      before the first login
  mcp-front doctor --json | jq -r '.findings[] | select(.mark == \"bad\").text'";

const OWN_HEADER: &str = "Add a header to the requests to the endpoint, as a bridge would; `${NAME}` in the \
     value is read from the environment";

/// Find out what keeps a bridge from working
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
// A header is for one service, and no other's business.
#[command(mut_arg("header", |flag| flag.requires("target").help(OWN_HEADER)))]
#[command(mut_arg("header_file", |flag| flag.requires("target")))]
pub(super) struct Arguments {
    /// A stored service's name, `front`, or the URL of an MCP endpoint
    #[arg(value_name = "NAME|URL")]
    target: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Take a plain http address beyond this machine
    #[arg(long)]
    allow_http: bool,
    #[command(flatten)]
    headers: HeaderFlags,
    #[command(flatten)]
    pub(super) network: NetworkFlags,
}

/// Checks, and prints what came of it.
///
/// # Errors
/// [`Failure::Unwell`] where a check failed; [`ConfigError`] where the name means nothing.
pub(super) fn run(arguments: Arguments, mut context: Context) -> impl Future<Output = Result<(), Failure>> {
    // Ahead of all that minds its interruption itself: a file may be a pipe that nobody writes to.
    let headers = arguments.headers.read(&mut context.environment);
    examine(arguments, headers, context)
}

async fn examine(
    arguments: Arguments,
    headers: Result<HeaderMap, ConfigError>,
    context: Context,
) -> Result<(), Failure> {
    let context = &context;
    let mut report = Report::new(arguments.json, &context.terminal);
    report.take(settings(context));
    let paths = match context.settings.paths() {
        Ok(paths) => paths,
        Err(error) => return report.end_with(&error.into()),
    };
    let headers = match headers {
        Ok(headers) => headers,
        Err(error) => return report.end_with(&error.into()),
    };
    let (services, unreadable) = services(&arguments, context, &paths)?;
    let network = context.settings.network.http_config(&context.environment).map(|_| ());
    if let Err(error) = network {
        return report.end_with(&error.into());
    }
    examine_machine(&machine(&services, context, paths), &mut |finding| report.take(finding)).await;
    for failure in &unreadable {
        report.take(broken(Check::Directory, failure));
    }
    for service in services {
        report.turn_to(&service.name, &service.server.to_string());
        let name = service.name.clone();
        match subject(service, &headers, context) {
            Ok(subject) => examine_service(subject, &mut |finding| report.take(finding)).await,
            Err(failure) => {
                report.take(Finding { service: Some(name), ..broken(Check::Settings, &failure) });
            }
        }
    }
    report.end()
}

/// What is wrong with flags or environment before anything can be checked, as the one finding that there is.
pub(super) fn unresolved(arguments: &Arguments, failure: Failure, terminal: &Terminal) -> Failure {
    let report = Report::new(arguments.json, terminal);
    report.end_with(&failure).err().unwrap_or(failure)
}

/// What a command would have ended with.
fn broken(check: Check, failure: &Failure) -> Finding {
    let remedy = failure.hint().unwrap_or_else(|| "correct it where it is set, or do not set it".to_owned());
    Finding::bad(check, printable(&with_causes(failure))).with_remedy(remedy)
}

/// The service that was named, else all that are stored in the profile; and what is wrong with entries that
/// cannot be read.
fn services(
    arguments: &Arguments,
    context: &Context,
    paths: &Paths,
) -> Result<(Vec<Service>, Vec<Failure>), Failure> {
    let settings = &context.settings;
    let index = Index::open(paths.clone());
    if let Some(target) = &arguments.target {
        return match Service::resolve(target, arguments.allow_http, settings, &index) {
            Ok(service) => {
                let damage = service.entry.is_none().then(|| index.get(&service.key).err()).flatten();
                Ok((vec![service], damage.map(|error| ConfigError::from(error).into()).into_iter().collect()))
            }
            Err(error @ ConfigError::Index(_)) => Ok((Vec::new(), vec![error.into()])),
            Err(error) => Err(error.into()),
        };
    }
    let (entries, unreadable) = index.survey().unwrap_or_else(|error| (Vec::new(), vec![error]));
    let kept = entries.iter().filter(|entry| !entry.deleted && entry.identity.profile == settings.profile);
    let found = kept.map(|entry| Service::resolve(&entry.identity.name, true, settings, &index));
    let failures = unreadable.into_iter().map(|error| ConfigError::from(error).into());
    Ok((found.collect::<Result<_, _>>()?, failures.collect()))
}

/// A service whose store is in question says so itself.
fn machine(services: &[Service], context: &Context, paths: Paths) -> Machine {
    let settings = &context.settings;
    let mut kinds: Vec<StoreKind> =
        services.iter().filter_map(|service| service.store(settings).ok()).collect();
    if kinds.is_empty() {
        kinds.push(settings.store);
    }
    let mut stores: Vec<_> = Vec::new();
    for kind in [StoreKind::Keyring, StoreKind::File] {
        if kinds.contains(&kind) {
            stores.push(settings.store_config(kind, paths.clone()));
        }
    }
    Machine { paths, stores }
}

fn subject(service: Service, headers: &HeaderMap, context: &Context) -> Result<Subject, Failure> {
    let settings = &context.settings;
    let kind = service.store(settings)?;
    let commands = service.commands(settings);
    let mut bridge = Command::new(executable()?);
    // The words that follow the program's name, and what flags decided about the network.
    bridge.args(commands.bridge()).arg("--strict").envs(settings.network.variables());
    carry(headers, &mut bridge);
    let authorizer = super::authorizer(&service, kind, context)?;
    Ok(Subject {
        pinned: login_flags::pinned(&service)?,
        callback_port: service.preset.map(|preset| preset.callback_port),
        name: service.name,
        server: service.server,
        entry: service.entry,
        store: authorizer.store.clone(),
        http: settings.network.http_config(&context.environment)?,
        authorizer: Authorizer::new(authorizer),
        headers: headers.clone(),
        commands,
        bridge,
    })
}

/// Has a bridge add `headers`, whose values it finds where nobody else looks.
fn carry(headers: &HeaderMap, bridge: &mut Command) {
    for (number, (name, value)) in headers.iter().enumerate() {
        // No variable can be told from a missing one that stands for an empty value.
        if value.is_empty() {
            bridge.arg(format!("--header={name}:"));
            continue;
        }
        let variable = format!("MCP_FRONT_DOCTOR_HEADER_{number}");
        bridge.arg(format!("--header={name}: ${{{variable}}}"));
        bridge.env(variable, String::from_utf8_lossy(value.as_bytes()).as_ref());
    }
}

/// What this run is, for whoever reads a report of it.
fn settings(context: &Context) -> Finding {
    let settings = &context.settings;
    let by = |source: Source| match source {
        Source::Default => String::new(),
        source => format!(" (by {source})"),
    };
    let text = format!(
        "version {} on {} {}, profile {}{}, store {}{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        settings.profile,
        by(settings.profile_source),
        settings.store,
        by(settings.store_source),
    );
    Finding::good(Check::Settings, text)
}

/// What is printed: line by line for people, whole at the end for programs.
struct Report<'a> {
    json: bool,
    terminal: &'a Terminal,
    findings: Vec<Finding>,
    /// Why stdout takes no more.
    failure: Option<Failure>,
}

impl<'a> Report<'a> {
    fn new(json: bool, terminal: &'a Terminal) -> Self {
        Self { json, terminal, findings: Vec::new(), failure: None }
    }

    fn turn_to(&mut self, name: &str, url: &str) {
        let bold = self.terminal.paint_stdout(Style::new().bold(), name);
        self.write(&format!("\n{bold}  {}\n", printable(url)));
    }

    fn take(&mut self, finding: Finding) {
        let (sign, color) = match finding.mark {
            Mark::Good => ("✓", AnsiColor::Green),
            Mark::Notice => ("!", AnsiColor::Yellow),
            Mark::Bad => ("✗", AnsiColor::Red),
            Mark::Skipped => ("-", AnsiColor::BrightBlack),
        };
        let sign = self.terminal.paint_stdout(color.on_default(), sign);
        let mut text = talk::behind(&format!("{sign} {:<10} ", finding.check.name()), &finding.text) + "\n";
        if let Some(remedy) = &finding.remedy {
            text += &(talk::behind(&format!("  {:<10} → ", ""), remedy) + "\n");
        }
        self.write(&text);
        self.findings.push(finding);
    }

    /// Ends with what keeps all else from being checked.
    fn end_with(mut self, failure: &Failure) -> Result<(), Failure> {
        self.take(broken(Check::Settings, failure));
        self.end()
    }

    fn end(mut self) -> Result<(), Failure> {
        let count = |mark| self.findings.iter().filter(|finding| finding.mark == mark).count();
        let (bad, noticed) = (count(Mark::Bad), count(Mark::Notice));
        if self.json {
            super::print_json(&json!({ "version": SCHEMA, "findings": self.findings }))?;
        } else if bad == 0 {
            let notice = if noticed == 0 {
                "Nothing is broken."
            } else {
                "Nothing is broken; see what is marked with `!`."
            };
            self.write(&format!("\n{notice}\n"));
        }
        match (self.failure, bad) {
            (Some(failure), _) => Err(failure),
            (None, 0) => Ok(()),
            (None, count) => Err(Failure::Unwell { count }),
        }
    }

    /// Writes for people; a failure is kept for the end.
    fn write(&mut self, text: &str) {
        if !self.json
            && self.failure.is_none()
            && let Err(failure) = super::print(text)
        {
            self.failure = Some(failure);
        }
    }
}
