//! The command line's grammar: the flags that every command takes, and the commands.
//!
//! Each command's own flags stand in that command's file. No flag takes a secret as its value.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};

use super::{bridge, demo, doctor, login, logout, refresh, status, tokens};
use crate::config::network::NetworkFlags;
use crate::config::{ColorChoice, Flags, LogFormat};
use crate::store::StoreKind;

const EXAMPLES: &str = "\
Examples:
  mcp-front login front                      log in to Front
  mcp-front login https://mcp.example.com/   log in to any MCP server
  mcp-front bridge front                     what an MCP host starts
  mcp-front                                  where logins stand, and what to run
  mcp-front status front                     how long it lasts, what may end it
  mcp-front logout front                     revoke the login and delete it
  mcp-front doctor                           what keeps a bridge from working
  mcp-front demo                             see all of it, without an account

Environment:
  MCP_FRONT_PROFILE, MCP_FRONT_STORE  as --profile and --store; the flag wins
  MCP_FRONT_TRANSPORT                 as --transport of bridge
  MCP_FRONT_HOME                      keep everything below this directory
  MCP_FRONT_ENCRYPTION_KEY_FILE       the encrypted files' key, in a file
  MCP_FRONT_ENCRYPTION_KEY            the key itself: 32 bytes, raw or base64
  MCP_FRONT_CA_FILE                   as --ca-file of login and bridge
  MCP_FRONT_CLIENT_CERT               as --client-cert
  MCP_FRONT_CLIENT_KEY                as --client-key
  MCP_FRONT_ALLOW_PRIVATE_NETWORK     set to 1, as --allow-private-network
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY  proxies, also in lower case
  NO_PROXY                            what needs none; loopback never does
  MCP_FRONT_LOG                       log filter, for instance mcp_front=debug
  MCP_FRONT_LOG_FILE                  as --log-file
  NO_COLOR, CLICOLOR_FORCE            as --color never and --color always";

/// Log in once to a hosted MCP server; every MCP host here then reaches it
#[derive(Debug, Parser)]
#[command(name = "mcp-front", bin_name = "mcp-front", version, after_help = EXAMPLES)]
#[command(max_term_width = 100)]
#[command(disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    /// Without one, the profile's logins are told in short.
    #[command(subcommand)]
    pub(super) command: Option<Called>,
}

impl Arguments {
    /// Calls a helper, which takes nothing from the command line.
    pub(super) fn of_helper(helper: Helper) -> Self {
        Self { global: Global::default(), command: Some(Called::Helper(helper)) }
    }

    /// The flags that decide about the whole run.
    pub(super) fn flags(&self) -> Flags {
        let flags = self.global.flags();
        match &self.command {
            Some(Called::Command(command)) => match command.as_ref() {
                Command::Login(login) => Flags { network: login.network.flags(), ..flags },
                Command::Logout(logout) => Flags { network: logout.network.flags(), ..flags },
                Command::Bridge(bridge) => {
                    Flags { network: bridge.network.flags(), transport: bridge.transport, ..flags }
                }
                Command::Doctor(doctor) => Flags { network: doctor.network.flags(), ..flags },
                Command::Refresh(refresh) => Flags { network: refresh.network.flags(), ..flags },
                Command::Status(_) | Command::Tokens(_) | Command::Demo(_) => flags,
            },
            Some(Called::Helper(_)) | None => flags,
        }
    }
}

/// The flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Keep and find logins under this profile [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// Where secrets are kept [default: keyring]
    #[arg(long, global = true, value_name = "keyring|file|memory", hide_possible_values = true)]
    #[arg(value_parser = store_kind())]
    store: Option<StoreKind>,
    /// Never ask anything; fail instead
    #[arg(long, global = true)]
    no_input: bool,
    /// Say more on stderr; repeat for more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// How logs are written on stderr [default: text]
    #[arg(long, global = true, value_name = "text|json", hide_possible_values = true)]
    #[arg(value_parser = log_format())]
    log_format: Option<LogFormat>,
    /// Log to this file as well, which is kept small and private
    #[arg(long, global = true, value_name = "PATH")]
    log_file: Option<PathBuf>,
    /// Colour on a terminal [default: auto]
    #[arg(long, global = true, value_name = "auto|always|never", hide_possible_values = true)]
    #[arg(value_parser = color())]
    color: Option<ColorChoice>,
}

/// What this process is called for.
#[derive(Debug, Subcommand)]
pub(super) enum Called {
    #[command(flatten)]
    Command(Box<Command>),
    // Outside the grammar, so that no typing error is ever told to mean one.
    #[command(skip)]
    Helper(Helper),
}

impl Called {
    /// Whether whoever reads its errors is at another terminal than the one that started it, if any.
    pub(super) fn is_started_by_a_host(&self) -> bool {
        matches!(self, Self::Command(command) if matches!(**command, Command::Bridge(_)))
    }
}

/// What a person calls.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Login(login::Arguments),
    Logout(logout::Arguments),
    Bridge(bridge::Arguments),
    Status(status::Arguments),
    Refresh(refresh::Arguments),
    Tokens(tokens::Arguments),
    Doctor(doctor::Arguments),
    Demo(demo::Arguments),
}

/// What this program calls itself for: by a word alone, with a request on stdin.
#[derive(Debug, Clone, Copy)]
pub(super) enum Helper {
    /// Logs in for a bridge; the outcome is on stdout.
    LoginChild,
    /// Opens the address on stdin in a browser.
    OpenBrowser,
    /// Refreshes for a bridge; the outcome is on stdout.
    RefreshChild,
}

impl Helper {
    const ALL: [Self; 3] = [Self::LoginChild, Self::OpenBrowser, Self::RefreshChild];

    /// The word that calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LoginChild => crate::authorizer::login::CHILD,
            Self::OpenBrowser => crate::browser::SUBCOMMAND,
            Self::RefreshChild => crate::authorizer::REFRESH_CHILD,
        }
    }

    /// The one that `words`, the program's name first, call.
    pub(super) fn called(words: &[OsString]) -> Option<Self> {
        let [_, word] = words else { return None };
        Self::ALL.into_iter().find(|helper| word == helper.name())
    }
}

impl Global {
    /// The same flags in the terms of [`crate::config`].
    fn flags(&self) -> Flags {
        Flags {
            profile: self.profile.clone(),
            store: self.store,
            verbosity: self.verbose,
            log_format: self.log_format,
            log_file: self.log_file.clone(),
            color: self.color,
            no_input: self.no_input,
            network: NetworkFlags::default(),
            transport: None,
        }
    }
}

fn store_kind() -> impl TypedValueParser<Value = StoreKind> {
    PossibleValuesParser::new(["keyring", "file", "memory"])
        .try_map(|text| text.parse::<StoreKind>().map_err(|error| error.to_string()))
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"]).map(|text| match text.as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    })
}

fn color() -> impl TypedValueParser<Value = ColorChoice> {
    PossibleValuesParser::new(["auto", "always", "never"]).map(|text| match text.as_str() {
        "always" => ColorChoice::Always,
        "never" => ColorChoice::Never,
        _ => ColorChoice::Auto,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Arguments::command().debug_assert();
    }

    /// What is written by hand below the options is not broken anew by the narrowest usual terminal.
    #[test]
    fn help_fits_eighty_columns() {
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            let mut command = command.term_width(80);
            let shown = command.render_long_help().to_string();
            let by_hand = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in by_hand.lines() {
                let is_prose = !line.starts_with(' ');
                assert!(is_prose || shown.lines().any(|whole| whole == line), "broken: {line}");
            }
            assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
            commands.extend(command.get_subcommands().cloned());
        }
    }

    /// `MCP_FRONT_WRITE_COMPLETIONS=1 cargo test completions` writes the files anew.
    #[test]
    fn completions_are_those_of_this_command_line() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        for (shell, name) in
            [(Shell::Bash, "mcp-front.bash"), (Shell::Zsh, "_mcp-front"), (Shell::Fish, "mcp-front.fish")]
        {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "mcp-front", &mut script);
            // Its two halves spell a hyphen in the program's name differently, and never meet.
            let script = String::from_utf8(script).unwrap().replace("mcp__subcmd__front", "mcp__front");
            let path = directory.join(name);
            if std::env::var_os("MCP_FRONT_WRITE_COMPLETIONS").is_some() {
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::write(&path, &script).unwrap();
            }
            let current = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(current == script, "{} is out of date", path.display());
        }
    }
}
