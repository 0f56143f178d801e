//! What the user typed and sees: one file a command, and how each outcome is told.
//!
//! stdout carries what a command is asked for and nothing else; talk, questions and logs go to
//! stderr. No command here decides anything about OAuth, stores or the wire.

mod arguments;
mod bridge;
mod demo;
mod doctor;
mod failure;
mod header_flags;
mod keeping;
mod log_file;
mod logging;
mod login;
mod login_child;
mod login_flags;
mod logout;
mod moment;
mod network_flags;
mod open_browser;
mod refresh;
mod refresh_child;
mod standing;
mod status;
mod table;
mod talk;
mod terminal;
mod tokens;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ColorChoice as ClapColor, CommandFactory, FromArgMatches};
use serde::Serialize;

use crate::authorizer::{self, Children, LoginPolicy};
use crate::config::service::Service;
use crate::config::{self, ColorChoice, Environment, Settings};
use crate::signals::Signals;
use crate::store::StoreKind;
use crate::{dumps, http};
use arguments::{Arguments, Called, Command, Helper};
use failure::Failure;
use terminal::{InputError, Terminal};

/// What every command is given.
struct Context {
    settings: Settings,
    environment: Environment,
    terminal: Terminal,
}

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    // Before anything secret is read, in helpers too.
    dumps::forbid();
    // Without a provider of its own choice the HTTP client would panic at first use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let environment = Environment::of_process();
    let arguments = match parse(&environment) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors, nor is a reader that left early.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            talk::say(&failure.text());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn parse(environment: &Environment) -> Result<Arguments, clap::Error> {
    let words: Vec<OsString> = config::environment::arguments();
    if let Some(helper) = Helper::called(&words) {
        return Ok(Arguments::of_helper(helper));
    }
    let color = match config::color(color_flag(&words), environment) {
        ColorChoice::Auto => ClapColor::Auto,
        ColorChoice::Always => ClapColor::Always,
        ColorChoice::Never => ClapColor::Never,
    };
    Arguments::from_arg_matches(&Arguments::command().color(color).try_get_matches_from(words)?)
}

/// `--color`, looked for before anything is parsed, for help and usage errors are coloured too.
fn color_flag(words: &[OsString]) -> Option<ColorChoice> {
    let mut words = words.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let value = words.find_map(|word| word.strip_prefix("--color"))?;
    match value.strip_prefix('=').or_else(|| words.next())? {
        "always" => Some(ColorChoice::Always),
        "never" => Some(ColorChoice::Never),
        _ => None,
    }
}

fn run(arguments: Arguments, environment: Environment) -> Result<(), Failure> {
    let (settings, terminal) = match prepare(&arguments, &environment) {
        Ok(prepared) => prepared,
        Err(failure) => return Err(unprepared(&arguments, &environment, failure)),
    };
    let context = Context { settings, environment, terminal };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Io { doing: "start the runtime", source })?;
    let outcome = runtime.block_on(dispatch(arguments.command, context));
    // A keychain that prompts for ever has a thread of its own, which must not hold the exit.
    runtime.shutdown_background();
    outcome
}

/// What comes before any command.
fn prepare(arguments: &Arguments, environment: &Environment) -> Result<(Settings, Terminal), Failure> {
    let mut settings = Settings::resolve(&arguments.flags(), environment)?;
    if arguments.command.as_ref().is_some_and(Called::is_started_by_a_host) {
        settings.program = settings.program.at(&executable()?);
    }
    let terminal = Terminal::new(&settings);
    logging::start(&settings, terminal.colored_stderr)?;
    Ok((settings, terminal))
}

/// What no command gets past, which is what whoever asks for a diagnosis wants to be told.
fn unprepared(arguments: &Arguments, environment: &Environment, failure: Failure) -> Failure {
    let flags = config::Flags { color: arguments.flags().color, ..config::Flags::default() };
    match (&arguments.command, Settings::resolve(&flags, &environment.of_terminal())) {
        (Some(Called::Command(command)), Ok(plain)) => match &**command {
            Command::Doctor(arguments) => doctor::unresolved(arguments, failure, &Terminal::new(&plain)),
            _ => failure,
        },
        _ => failure,
    }
}

/// The absolute path of this program.
fn executable() -> Result<PathBuf, Failure> {
    config::environment::executable()
        .map_err(|source| Failure::Io { doing: "find this program's own path", source })
}

/// How helper processes are started: with what they need of this process's environment, and what
/// flags decided about the network.
fn children(context: &Context) -> Result<Children, Failure> {
    let log = context.settings.log_file.iter().map(|path| (config::LOG_FILE.into(), path.into()));
    let decided = context.settings.network.variables().chain(log);
    Ok(Children::new(executable()?, context.environment.iter().chain(decided)))
}

/// What keeps `service` in `store` logged in, without ever opening a browser.
fn authorizer(service: &Service, store: StoreKind, context: &Context) -> Result<authorizer::Config, Failure> {
    let settings = &context.settings;
    Ok(authorizer::Config {
        server: service.server.clone(),
        profile: service.profile.clone(),
        name: service.own_name().map(str::to_owned),
        commands: service.commands_unstored(store, settings),
        store: settings.store_config(store, settings.paths()?),
        login: LoginPolicy::Never,
        keep_alive: false,
        children: children(context)?,
        http: http::Client::new(settings.network.http_config(&context.environment)?, &service.server),
    })
}

/// Writes a JSON document to stdout.
fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::write(error.into()))?;
    print(&(text + "\n"))
}

/// Writes data to stdout. A reader that left early is no error.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::write(error)),
        _ => Ok(()),
    }
}

async fn dispatch(called: Option<Called>, context: Context) -> Result<(), Failure> {
    let command = match called {
        Some(Called::Command(command)) => *command,
        Some(Called::Helper(helper)) => return help(helper, &context).await,
        None => return status::overview(&context),
    };
    match command {
        // These mind their signals themselves: they have something to finish first.
        Command::Bridge(arguments) => bridge::run(arguments, context).await,
        Command::Demo(arguments) => demo::run(arguments, &context).await,
        Command::Login(arguments) => until_interrupted(login::run(arguments, &context)).await,
        Command::Logout(arguments) => until_interrupted(Box::pin(logout::run(&arguments, &context))).await,
        Command::Doctor(arguments) => until_interrupted(Box::pin(doctor::run(arguments, context))).await,
        Command::Status(arguments) => status::run(&arguments, &context),
        Command::Refresh(arguments) => until_interrupted(refresh::run(&arguments, &context)).await,
        Command::Tokens(arguments) => until_interrupted(tokens::run(arguments, &context)).await,
    }
}

/// Does what another process of this program asks for on stdin.
async fn help(helper: Helper, context: &Context) -> Result<(), Failure> {
    let outcome = match helper {
        // Whoever types its name has no request for it, and would wait for ever.
        _ if context.terminal.stdin => Err(None),
        Helper::RefreshChild => refresh_child::run(context).await.map_err(Some),
        Helper::LoginChild => login_child::run(context).await.map_err(Some),
        Helper::OpenBrowser => open_browser::run().map_err(Some),
    };
    outcome.map_err(|source| Failure::Helper { name: helper.name(), source })
}

/// Runs a command until it ends or a signal does; dropping it gives the terminal back as it was.
async fn until_interrupted<F: Future<Output = Result<(), Failure>>>(command: F) -> Result<(), Failure> {
    // Watched before the command says its first word, for a person may be quick.
    let mut signals = Signals::new().map_err(|source| Failure::Io { doing: "watch for signals", source })?;
    tokio::select! {
        outcome = command => outcome,
        _ = signals.next() => Err(InputError::Interrupted.into()),
    }
}
