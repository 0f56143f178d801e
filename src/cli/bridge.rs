//! `mcp-front bridge`: the stdio MCP server that a host starts.
//!
//! Nothing is asked here, and stdout is the protocol's alone.

use std::cell::OnceCell;

use ::http::HeaderMap;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::failure::Failure;
use super::header_flags::HeaderFlags;
use super::login_flags::LoginFlags;
use super::network_flags::NetworkFlags;
use super::{Context, talk};
use crate::authorizer::{self, Authorizer, LoginPolicy};
use crate::bridge::{self, Unknown};
use crate::config::ConfigError;
use crate::config::service::Service;
use crate::lock::running::Running;
use crate::redact::with_causes;
use crate::relay::{self, Eras, HostEra};
use crate::server_uri::ServiceKey;
use crate::store::index::Index;
use crate::upstream::Transport;
use crate::upstream::streamable_http::StreamableHttp;

const EXAMPLES: &str = "\
While a login is required, the host finds one tool, which says what to run; --strict refuses the host \
instead. No browser is ever opened without --login, which the login options need.

Examples:
  mcp-front bridge front
  mcp-front bridge https://mcp.example.com/mcp
  mcp-front bridge https://mcp.example.com/mcp --login
  mcp-front bridge internal --header 'X-Team: ${TEAM}'

In Claude Code:
  claude mcp add front -- /absolute/path/mcp-front bridge front";

/// Serve a hosted MCP server on stdin and stdout; an MCP host starts this
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_arg("no_browser", |flag| flag.hide(true)))]
pub(super) struct Arguments {
    /// A stored service's name, `front`, or the URL of an MCP endpoint
    #[arg(value_name = "NAME|URL")]
    pub(super) target: String,
    /// Open the browser where a login is required
    #[arg(long)]
    pub(super) login: bool,
    #[command(flatten)]
    headers: HeaderFlags,
    /// Refuse a host while a login is required, instead of letting it connect and saying what to run
    #[arg(long)]
    pub(super) strict: bool,
    /// Renew the login now and then while nobody uses it, so that it does not end of idleness
    #[arg(long)]
    pub(super) keep_alive: bool,
    /// Transport to speak; sse is the old HTTP+SSE of 2024-11-05 [default: auto]
    #[arg(long, value_name = "auto|http|sse", hide_possible_values = true, value_parser = transport())]
    pub(super) transport: Option<Transport>,
    /// Era to serve the host in; modern serves 2026-07-28 whatever the server speaks [default: auto]
    #[arg(long, value_name = "auto|modern", hide_possible_values = true, value_parser = era())]
    pub(super) era: Option<HostEra>,
    #[command(flatten)]
    pub(super) flags: LoginFlags,
    #[command(flatten)]
    pub(super) network: NetworkFlags,
}

/// Bridges until the host leaves.
///
/// # Errors
/// A [`Failure`] before the first message where the arguments make no sense or stdin or signals
/// are broken. What goes wrong later is told to the host, and so is a name that means nothing: what
/// is stored may change at any time, and hosts show nothing of a server that ends at its start.
pub(super) async fn run(arguments: Arguments, mut context: Context) -> Result<(), Failure> {
    let flags = &arguments.flags;
    if let Some(flag) = flags.given().filter(|_| !arguments.login) {
        return Err(ConfigError::Unusable(format!("{flag} is of no use without --login")).into());
    }
    if flags.no_browser {
        let problem =
            "a bridge's login needs a browser: run `mcp-front login --no-browser` in a terminal instead";
        return Err(ConfigError::Unusable(problem.to_owned()).into());
    }
    let headers = arguments.headers.read(&mut context.environment)?;
    // Shown to `status` once it is known which service is meant, and for as long as this runs.
    let running = OnceCell::new();
    let find = || {
        let config = find(&arguments, &headers, &context)?;
        running.get_or_init(|| show(&config, &context));
        Ok(config)
    };
    let found = match find() {
        Ok(config) => Ok(config),
        Err(failure) => Err(unknown(&failure).ok_or(failure)?),
    };
    let again = || find().map_err(|failure| unknown(&failure).unwrap_or_else(|| unusable(&failure)));
    let greet = || {
        if context.terminal.stdin {
            talk::say("note: an MCP host starts this, and speaks MCP to it; Ctrl-C ends it\n");
        }
    };
    Ok(bridge::run(found, again, greet).await?)
}

/// Shows this bridge to `status`. Where that cannot be, it runs unseen.
fn show(config: &relay::Config, context: &Context) -> Option<Running> {
    let paths = context.settings.paths().ok()?;
    let shown = Running::start(&paths, config.authorizer.key());
    shown.inspect_err(|error| tracing::debug!(%error, "`status` will not show this bridge")).ok()
}

/// Finds the service that is meant, and all that its session needs.
fn find(arguments: &Arguments, headers: &HeaderMap, context: &Context) -> Result<relay::Config, Failure> {
    let (settings, flags) = (&context.settings, &arguments.flags);
    let paths = settings.paths()?;
    let index = Index::open(paths.clone());
    let mut service = Service::resolve(&arguments.target, flags.allow_http, settings, &index)?;
    service.given = flags.words();
    let store = service.store(settings)?;
    let login = if arguments.login {
        service.rename(flags.name.as_deref(), &index)?;
        LoginPolicy::Allowed(Box::new(flags.config(&service, flags.client(&service)?, store, context)?))
    } else {
        LoginPolicy::Never
    };
    let authorizer = authorizer::Config {
        login,
        keep_alive: arguments.keep_alive,
        ..super::authorizer(&service, store, context)?
    };
    Ok(relay::Config {
        service: service.server.to_string(),
        eras: Eras::new(&paths, &ServiceKey::new(&service.profile, &service.server)),
        upstream: StreamableHttp::new(authorizer.http.clone(), service.server, headers.clone()),
        authorizer: Authorizer::new(authorizer),
        strict: arguments.strict,
        transport: context.settings.transport,
        era: arguments.era.unwrap_or_default(),
    })
}

/// What the host is told of a failure that passes when what is stored changes; `None` for any
/// other.
fn unknown(failure: &Failure) -> Option<Unknown> {
    let Failure::Config(error) = failure else { return None };
    let (reason, command) = match error {
        ConfigError::UnknownService { list, .. } => ("unknown_service", Some(list.clone())),
        ConfigError::StorePinned { mover, .. } => ("store_pinned", mover.clone()),
        ConfigError::Index(_) => ("index", None),
        _ => return None,
    };
    Some(Unknown { reason, message: told(failure), command })
}

/// What the host is told of a failure that came between two requests.
fn unusable(failure: &Failure) -> Unknown {
    Unknown { reason: "configuration", message: told(failure), command: None }
}

fn told(failure: &Failure) -> String {
    let hint = failure.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
    format!("mcp-front: {}{hint}", with_causes(failure))
}

fn transport() -> impl TypedValueParser<Value = Transport> {
    PossibleValuesParser::new(["auto", "http", "sse"])
        .try_map(|text| text.parse::<Transport>().map_err(|error| error.to_string()))
}

fn era() -> impl TypedValueParser<Value = HostEra> {
    PossibleValuesParser::new(["auto", "modern"]).map(|text| match text.as_str() {
        "modern" => HostEra::Modern,
        _ => HostEra::Auto,
    })
}
