//! `mcp-front tokens set`: a static API token, from stdin or a hidden prompt, never from argv.

use std::io::{self, Write};

use clap::Args;

use crate::authorizer::stored::{self, ChangeError, NewToken};
use crate::cli::failure::Failure;
use crate::cli::login_flags::{check_secret, secret_of_stdin};
use crate::cli::terminal::{Input, Question};
use crate::cli::{Context, keeping, logout, talk};
use crate::config::ConfigError;
use crate::config::service::Service;
use crate::oauth::fits_header;
use crate::redact::{ExposeSecret, Secret};
use crate::store::Store;
use crate::store::index::{EntryKind, Identity, Index};

const EXAMPLES: &str = "\
The token is read from stdin, or asked for without being shown. The bridge sends it as \
`Authorization: Bearer`, until it is set anew or deleted. Where a login is stored, `mcp-front logout` \
ends that first.

Examples:
  mcp-front tokens set https://mcp.example.com/mcp
  pass show example | mcp-front tokens set example";

const TOKEN: Question =
    Question { prompt: "Token (not shown)", what: "the token", instead: "give the token on stdin" };

/// Store a static API token
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name, or the URL of an MCP endpoint
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// Keep the service under this name [default: from the URL's host]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Allow plain http beyond this machine: the token travels unencrypted
    #[arg(long)]
    allow_http: bool,
    /// Replace a login, which is not revoked; with --store, move what is stored there
    #[arg(long)]
    force: bool,
}

/// Stores the token, and says whether it replaced something.
///
/// # Errors
/// Where there is no usable token, or it cannot be stored.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let paths = settings.paths()?;
    let index = Index::open(paths.clone());
    let mut service = Service::resolve(&arguments.target, arguments.allow_http, settings, &index)?;
    service.rename(arguments.name.as_deref(), &index)?;
    let kind = service.store_or_move(settings, arguments.force)?;
    service.refuse_forgetful(kind)?;
    let commands = service.commands_for(EntryKind::Token, settings);
    let failed = |error| Failure::Set { error, commands: Box::new(commands.clone()) };
    let has_login = service.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::Oauth);
    if has_login && !arguments.force {
        return Err(failed(ChangeError::LoginKept));
    }
    let config = settings.store_config(kind, paths);
    let place = Store::open(config.clone()).place();
    stored::check_storable(config.clone(), &service.key).await.map_err(failed)?;
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{}", keeping::key_in_address(&service.server));
    if let Some(preset) = service.preset {
        let _ = writeln!(stderr, "note: {}", preset.token_note);
    }
    let token = NewToken {
        value: token(context).await?,
        identity: Identity::new(&service.name, &service.profile, &service.server, kind),
        is_named: service.is_named,
        former: service.left_by(kind),
        replaces_login: arguments.force,
    };
    let waits = |limit| talk::say(&keeping::waiting(limit));
    let set = stored::set_token(config, &service.key, token, waits).await.map_err(failed)?;
    let name = &service.name;
    let _ = match set.replaced {
        None => writeln!(stderr, "Added the token of {name}, kept in {place}."),
        Some(EntryKind::Token) => writeln!(stderr, "Updated the token of {name}, kept in {place}."),
        Some(EntryKind::Oauth) => writeln!(
            stderr,
            "Added the token of {name}, kept in {place}, in place of its login.\nNothing was revoked; {}.",
            logout::elsewhere(&service)
        ),
    };
    if let Some(path) = &set.generated_key {
        let _ = write!(stderr, "{}", keeping::generated_key(path));
    }
    if let Some(left) = set.left_behind {
        let _ = write!(stderr, "{}", keeping::left_behind(left, &commands));
    }
    Ok(())
}

async fn token(context: &Context) -> Result<Secret, Failure> {
    let (given, origin) = if context.terminal.stdin {
        (Input::open().ask_hidden(&context.terminal, TOKEN).await?, "the token")
    } else {
        let origin = "the token on stdin";
        (secret_of_stdin(origin).await?, origin)
    };
    let token = given.expose_secret();
    // What an editor or a clipboard leaves around it.
    let token = token.strip_prefix('\u{feff}').unwrap_or(token).trim();
    check_secret(token, origin)?;
    let scheme = token.split_once(' ').map(|(scheme, _)| scheme);
    let problem = match () {
        () if !fits_header(token) => "has characters that no header can carry: copy it anew",
        () if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer")) => {
            "starts with `Bearer`, which the bridge sends by itself: give the token alone"
        }
        () => return Ok(Secret::from(token)),
    };
    Err(ConfigError::Unusable(format!("{origin} {problem}")).into())
}
