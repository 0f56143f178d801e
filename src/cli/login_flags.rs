//! The flags that `login` and `bridge --login` share, and what they ask the authorizer for.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::oneshot;
use url::Url;
use zeroize::Zeroizing;

use super::Context;
use super::failure::Failure;
use crate::authorizer::Given;
use crate::authorizer::login::{Config, Options, Redirect, Scope};
use crate::config::ConfigError;
use crate::config::service::Service;
use crate::credential::ClientAuthentication;
use crate::oauth::{Pinned, PreRegistered};
use crate::redact::Secret;
use crate::store::StoreKind;

/// The longest secret that is taken, in bytes.
const SECRET_LIMIT: u64 = 4096;

/// How a login is made.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Login options")]
pub(super) struct LoginFlags {
    /// Keep the service under this name [default: from the URL's host]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Id of an OAuth client that was created at the provider
    #[arg(long, value_name = "ID")]
    pub(super) client_id: Option<String>,
    /// File that holds this client's secret
    #[arg(long, value_name = "PATH", requires = "client_id")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// https URL of a client ID metadata document, for servers that take one
    #[arg(long, value_name = "URL", value_parser = metadata_document)]
    pub(super) client_metadata_url: Option<Url>,
    /// Ask for this scope; repeat for more [default: what the server names]
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Vec<String>,
    /// Ask for no scope at all
    #[arg(long, conflicts_with = "scope")]
    pub(super) no_scope: bool,
    /// Redirect URI as it was registered at the provider
    #[arg(long, value_name = "URI", conflicts_with = "callback_port")]
    pub(super) redirect_uri: Option<Url>,
    /// Port of the callback on this machine [default: any free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) callback_port: Option<u16>,
    /// Print the authorization URL instead of opening a browser
    #[arg(long)]
    pub(super) no_browser: bool,
    /// Allow plain http beyond this machine: tokens travel unencrypted
    #[arg(long, help_heading = "Network options")]
    pub(super) allow_http: bool,
}

impl LoginFlags {
    /// A flag that was given and means something to a login alone.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.name.is_some(), "--name"),
            (self.client_id.is_some(), "--client-id"),
            (self.client_metadata_url.is_some(), "--client-metadata-url"),
            (!self.scope.is_empty(), "--scope"),
            (self.no_scope, "--no-scope"),
            (self.redirect_uri.is_some(), "--redirect-uri"),
            (self.callback_port.is_some(), "--callback-port"),
            (self.no_browser, "--no-browser"),
        ];
        flags.into_iter().find_map(|(given, flag)| given.then_some(flag))
    }

    /// These flags as a command in another terminal takes them, but for the name and the permission,
    /// which depend on what is stored. Paths become absolute.
    pub(super) fn words(&self) -> Given {
        let secret = self.client_secret_file.as_deref().map(|path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            path.to_string_lossy().into_owned()
        });
        let with_value = [
            ("--client-id", self.client_id.clone()),
            ("--client-secret-file", secret),
            ("--client-metadata-url", self.client_metadata_url.as_ref().map(Url::to_string)),
            ("--redirect-uri", self.redirect_uri.as_ref().map(Url::to_string)),
            ("--callback-port", self.callback_port.map(|port| port.to_string())),
        ];
        let with_value = with_value.into_iter().filter(|(_, value)| value.is_some());
        let flags = with_value.chain(self.no_browser.then_some(("--no-browser", None))).collect();
        let scope = match self.no_scope {
            true => vec![("--no-scope", None)],
            false => Given::scopes(&self.scope),
        };
        Given { flags, scope }
    }

    /// The client that was named, with the secret of its file.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no secret.
    pub(super) fn client(&self, service: &Service) -> Result<Option<PreRegistered>, Failure> {
        let Some(id) = &self.client_id else { return Ok(None) };
        let secret = self.client_secret_file.as_deref().map(secret_of_file).transpose()?;
        Ok(Some(client(id.clone(), secret, service)))
    }

    /// The login into `store` that these flags ask for.
    ///
    /// # Errors
    /// Where the flags make no sense for `service`.
    pub(super) fn config(
        &self,
        service: &Service,
        client: Option<PreRegistered>,
        store: StoreKind,
        context: &Context,
    ) -> Result<Config, Failure> {
        Ok(Config {
            server: service.server.clone(),
            profile: service.profile.clone(),
            name: service.name.clone(),
            store: context.settings.store_config(store, context.settings.paths()?),
            http: context.settings.network.http_config(&context.environment)?,
            children: super::children(context)?,
            options: Options {
                client,
                client_demanded: service.preset.is_some(),
                client_metadata_url: self.client_metadata_url.clone(),
                pinned: pinned(service)?,
                scope: self.scope(),
                redirect: self.redirect(service),
                browser: !self.no_browser,
                former: service.left_by(store),
                named: service.is_named,
                ..Options::default()
            },
        })
    }

    fn scope(&self) -> Scope {
        let scopes: Vec<String> =
            self.scope.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
        match scopes.is_empty() {
            _ if self.no_scope => Scope::None,
            true => Scope::Automatic,
            false => Scope::Exactly(scopes),
        }
    }

    fn redirect(&self, service: &Service) -> Redirect {
        match (&self.redirect_uri, self.callback_port) {
            (Some(uri), _) => Redirect::Uri(uri.clone()),
            (None, Some(port)) => Redirect::Port(port),
            (None, None) => Redirect::Automatic { port: service.preset.map(|preset| preset.callback_port) },
        }
    }
}

/// A client that was created at the provider, as the service's preset says that it authenticates.
pub(super) fn client(id: String, secret: Option<Secret>, service: &Service) -> PreRegistered {
    let authentication = service.preset.map(|_| ClientAuthentication::Basic);
    PreRegistered { id, secret, authentication }
}

pub(super) fn pinned(service: &Service) -> Result<Option<Pinned>, ConfigError> {
    let Some(preset) = service.preset else { return Ok(None) };
    let parse = |text: &str| {
        Url::parse(text)
            .map_err(|_| crate::server_uri::ServerUriError::Malformed(crate::server_uri::shown(text)))
    };
    Ok(Some(Pinned {
        authorization_endpoint: parse(preset.authorization_endpoint)?,
        token_endpoint: parse(preset.token_endpoint)?,
    }))
}

/// A client identifier that is a URL: https, with a path, without a fragment and without a user
/// (OAuth Client ID Metadata Document §3, as MCP's authorization section takes it over).
fn metadata_document(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    match () {
        () if url.scheme() != "https" => Err("it must be an https URL"),
        () if url.path() == "/" => Err("its URL must have a path"),
        () if url.fragment().is_some() => Err("its URL must have no fragment"),
        () if !url.username().is_empty() || url.password().is_some() => Err("its URL must name no user"),
        () => Ok(url),
    }
}

fn secret_of_file(path: &Path) -> Result<Secret, ConfigError> {
    let failed = |source| ConfigError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    read_secret(file, &path.display().to_string(), failed)
}

/// The secret on stdin, which is no terminal: what is typed there would be seen.
///
/// # Errors
/// As [`read_secret`], for `origin`.
///
/// # Cancel safety
/// Dropping the future leaves a thread that reads on; it holds nothing, and ends with the process.
pub(super) async fn secret_of_stdin(origin: &'static str) -> Result<Secret, ConfigError> {
    let failed = |source| ConfigError::File { path: "stdin".into(), source };
    let (answer, read) = oneshot::channel();
    // A pipe may stay silent for ever, and a signal is to be heard meanwhile.
    std::thread::spawn(move || {
        let _ = answer.send(read_secret(std::io::stdin(), origin, failed));
    });
    read.await.unwrap_or_else(|_| Err(failed(std::io::ErrorKind::UnexpectedEof.into())))
}

/// Reads a secret to the end of `input`, without the line break that an editor leaves there.
///
/// # Errors
/// `failed`, or [`ConfigError::Unusable`] for `origin`: empty, over [`SECRET_LIMIT`], control
/// characters, or no text.
fn read_secret(
    input: impl Read,
    origin: &str,
    failed: impl FnOnce(std::io::Error) -> ConfigError,
) -> Result<Secret, ConfigError> {
    // Room for all of it, for growing would leave copies behind, and for the probe at its end.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * SECRET_LIMIT as usize));
    // Two more bytes for the line break, one for what is too long.
    input.take(SECRET_LIMIT + 3).read_to_end(&mut bytes).map_err(failed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable(origin, "is not text"))?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    check_secret(text, origin)?;
    Ok(Secret::from(text.to_owned()))
}

/// Checks a secret that a person gave.
///
/// # Errors
/// [`ConfigError::Unusable`] for `origin`; it does not show the secret.
pub(super) fn check_secret(text: &str, origin: &str) -> Result<(), ConfigError> {
    match () {
        () if text.is_empty() => Err(unusable(origin, "is empty")),
        () if text.len() as u64 > SECRET_LIMIT => {
            Err(unusable(origin, &format!("is longer than {SECRET_LIMIT} bytes")))
        }
        () if text.chars().any(char::is_control) => Err(unusable(origin, "has control characters")),
        () => Ok(()),
    }
}

fn unusable(origin: &str, problem: &str) -> ConfigError {
    ConfigError::Unusable(format!("{origin} {problem}"))
}
