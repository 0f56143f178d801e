//! `mcp-front login`: the one command that opens a browser.

mod journey;
mod progress;
mod summary;

use clap::Args;

use super::failure::Failure;
use super::login_flags::{self, LoginFlags};
use super::network_flags::NetworkFlags;
use super::standing::Standing;
use super::terminal::{Input, Question};
use super::{Context, keeping, talk};
use crate::authorizer::login::{
    CLIENT_BY_FLAGS, Config, LoginError, Redirect, SECRET_BY_FLAGS, check_storable,
};
use crate::clock;
use crate::config::ConfigError;
use crate::config::service::Service;
use crate::oauth::{Lacking, OauthError, PreRegistered};
use crate::redact::Secret;
use crate::store::index::{Entry, EntryKind, Index};

const EXAMPLES: &str = "\
A login that is still good is left as it is. An old login is replaced only after the new one is \
stored.

Examples:
  mcp-front login front                          asks for client id and secret
  mcp-front login https://mcp.example.com/mcp    registers by itself
  mcp-front login https://mcp.example.com/mcp --name example
  mcp-front login front --client-id ID --client-secret-file PATH
  mcp-front login front --no-browser             on a machine without one
  mcp-front login                                choose among what needs one";

const TARGET: Question = Question {
    prompt: "Service (`front`, or a URL)",
    what: "the service's name or URL",
    instead: "name it: `mcp-front login front`",
};
const CHOICE: Question = Question { prompt: "Number (or another service, or a URL)", ..TARGET };
const CLIENT_ID: Question = Question { prompt: "Client id", what: "a client id", instead: CLIENT_BY_FLAGS };
/// A confidential client's secret.
pub(super) const CLIENT_SECRET: Question =
    Question { prompt: "Client secret (not shown)", what: "the client's secret", instead: SECRET_BY_FLAGS };
const PERHAPS_SECRET: Question =
    Question { prompt: "Client secret (not shown; Enter if it has none)", ..CLIENT_SECRET };

/// Log in to a hosted MCP server in the browser, and store the login
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A stored service's name, `front`, or the URL of an MCP endpoint
    #[arg(value_name = "NAME|URL")]
    target: Option<String>,
    /// Log in anew, even where the login is still good; with --store, move it there
    #[arg(long)]
    force: bool,
    /// Read the client secret from stdin
    #[arg(long, requires = "client_id", conflicts_with = "client_secret_file")]
    #[arg(help_heading = "Login options")]
    client_secret_stdin: bool,
    #[command(flatten)]
    flags: LoginFlags,
    #[command(flatten)]
    pub(super) network: NetworkFlags,
}

/// Logs in, and says what came of it.
///
/// # Errors
/// The login's own, [`ConfigError`] for what was typed, [`super::terminal::InputError`] for what was not.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let settings = &context.settings;
    let index = Index::open(settings.paths()?);
    let mut input = Keyboard::default();
    let target = match &arguments.target {
        Some(target) => target.clone(),
        None => choose(&index, context, &mut input).await?,
    };
    let mut service = Service::resolve(&target, arguments.flags.allow_http, settings, &index)?;
    service.rename(arguments.flags.name.as_deref(), &index)?;
    service.given = arguments.flags.words();
    if arguments.client_secret_stdin {
        service.given.flags.push(("--client-secret-stdin", None));
    }
    let store = service.store_or_move(settings, arguments.force)?;
    service.refuse_forgetful(store)?;
    talk::say(&keeping::key_in_address(&service.server));

    let commands = service.commands(settings);
    let failed = Failure::login(&commands);
    let mut config = arguments.flags.config(&service, None, store, context)?;
    config.options.force = arguments.force;
    // Where the provider is known to want a client made by hand, it is asked for before the network.
    let stored = service.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::Oauth);
    let is_asked_for = config.options.client_demanded && !stored && arguments.flags.client_id.is_none();
    if context.terminal.may_ask && (is_asked_for || arguments.flags.client_id.is_some()) {
        check_storable(&config).await.map_err(&failed)?;
    }
    config.options.client = client(&arguments, &service, context, &mut input).await?;
    if is_asked_for {
        config.options.client = Some(ask_client(&service, &config, context, &mut input).await?);
    }
    let outcome = loop {
        match journey::travel(&config, context, &mut input).await {
            Err(LoginError::Oauth(OauthError::ClientRequired(Lacking::Id)))
                if config.options.client.is_none() =>
            {
                config.options.client = Some(ask_client(&service, &config, context, &mut input).await?);
            }
            Err(LoginError::Oauth(OauthError::ClientRequired(Lacking::Secret)))
                if context.terminal.may_ask =>
            {
                talk::say("This authorization server takes no client without a secret.\n");
                let secret = input.open().ask_hidden(&context.terminal, CLIENT_SECRET).await?;
                config.options.client.iter_mut().for_each(|client| client.secret = Some(secret.clone()));
            }
            outcome => break outcome,
        }
    };
    let outcome = outcome.map_err(failed)?;
    summary::say(&outcome, &service, context)
}

/// Stdin, read from the moment somebody needs it.
#[derive(Default)]
struct Keyboard(Option<Input>);

impl Keyboard {
    /// The next line, as [`Input::next`].
    async fn next(&mut self) -> Option<Result<Secret, &'static str>> {
        self.open().next().await
    }

    fn open(&mut self) -> &mut Input {
        self.0.get_or_insert_with(Input::open)
    }
}

/// Asks for a service, after listing those of the profile that need a login.
async fn choose(index: &Index, context: &Context, keyboard: &mut Keyboard) -> Result<String, Failure> {
    if !context.terminal.may_ask {
        return Err(TARGET.unasked().into());
    }
    let (profile, now) = (&context.settings.profile, clock::now());
    let mut waiting: Vec<(String, String)> = Vec::new();
    for entry in index.list().map_err(ConfigError::from)? {
        let Entry { identity, kind, deleted, .. } = &entry;
        if let Some((reason, _)) = Standing::of(&entry, now).required()
            && !deleted
            && *kind == EntryKind::Oauth
            && identity.profile == *profile
        {
            waiting.push((identity.name.clone(), reason.to_owned()));
        }
    }
    if waiting.is_empty() {
        return Ok(keyboard.open().ask(&context.terminal, TARGET).await?);
    }
    let mut text = "These need a login:\n".to_owned();
    for (number, (name, reason)) in (1..).zip(&waiting) {
        text += &format!("  {number}  {name}: {reason}\n");
    }
    talk::say(&text);
    let answer = keyboard.open().ask(&context.terminal, CHOICE).await?;
    let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let chosen = number.and_then(|number| waiting.into_iter().nth(number));
    Ok(chosen.map_or(answer, |(name, _)| name))
}

/// The client that the flags name; its secret may come from stdin or a hidden prompt.
async fn client(
    arguments: &Arguments,
    service: &Service,
    context: &Context,
    keyboard: &mut Keyboard,
) -> Result<Option<PreRegistered>, Failure> {
    let Some(mut client) = arguments.flags.client(service)? else { return Ok(None) };
    if arguments.client_secret_stdin && !context.terminal.stdin {
        client.secret = Some(login_flags::secret_of_stdin("the client secret on stdin").await?);
    } else if arguments.client_secret_stdin || client.secret.is_none() && service.preset.is_some() {
        client.secret = Some(keyboard.open().ask_hidden(&context.terminal, CLIENT_SECRET).await?);
    } else if client.secret.is_none() && context.terminal.may_ask {
        // A public client has none, and without a person the flags are the whole truth.
        client.secret = keyboard.open().ask_hidden_or_none(&context.terminal, PERHAPS_SECRET).await?;
    }
    Ok(Some(client))
}

/// Asks for the client that the provider wants created by hand.
async fn ask_client(
    service: &Service,
    config: &Config,
    context: &Context,
    keyboard: &mut Keyboard,
) -> Result<PreRegistered, Failure> {
    let terminal = &context.terminal;
    if !terminal.may_ask {
        return Err(CLIENT_ID.unasked().into());
    }
    let instructions = service.preset.map_or(UNKNOWN_PROVIDER, |preset| preset.client_instructions);
    talk::say(&format!("{instructions}\n       {}\n\n", redirect_shown(&config.options.redirect)));
    let id = keyboard.open().ask(terminal, CLIENT_ID).await?;
    let secret = match service.preset {
        Some(_) => Some(keyboard.open().ask_hidden(terminal, CLIENT_SECRET).await?),
        // A public client has none.
        None => keyboard.open().ask_hidden_or_none(terminal, PERHAPS_SECRET).await?,
    };
    Ok(login_flags::client(id, secret, service))
}

const UNKNOWN_PROVIDER: &str = "\
This service registers no clients by itself. Create an OAuth client at its provider, with this redirect URI:";

fn redirect_shown(redirect: &Redirect) -> String {
    match redirect {
        Redirect::Uri(uri) => uri.to_string(),
        Redirect::Port(port) | Redirect::Automatic { port: Some(port) } => {
            format!("http://127.0.0.1:{port}/callback")
        }
        Redirect::Automatic { port: None } => {
            "http://127.0.0.1/callback (any port; --callback-port fixes one)".to_owned()
        }
    }
}
