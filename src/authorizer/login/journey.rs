//! The steps of a login, in order.

use std::path::Path;
use std::time::Duration;

use ::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use url::Url;

use super::answer::{self, Answered, sentence};
use super::keep::Home;
use super::known_client::{KnownClient, Move, is_bound_to};
use super::survey::Survey;
use super::{Config, Event, Interaction, LoginError, Options, Outcome, Redirect, Scope, Summary};
use crate::browser;
use crate::clock;
use crate::credential::{AccessToken, Credential, Generation, Kind, OauthCredential};
use crate::http;
use crate::lock::{LockError, Purpose, ServiceLock};
use crate::oauth::{
    Applicant, Discovery, Lacking, OauthError, Pending, TokenResponse, grant, granted, obtain_client,
};
use crate::redact::printable;
use crate::store::index::{Identity, IndexError};
use crate::web::{CallbackListener, Page, WebError};

/// The path of the callback, where the user names none.
const CALLBACK_PATH: &str = "/callback";

/// Logs in to a service, or finds that it need not.
///
/// # Errors
/// [`LoginError`], which says what becomes of what was stored before.
///
/// # Cancel safety
/// Dropping the future closes the listener at once and stores nothing, save where the credential
/// is being written: that write is finished by its own thread.
pub async fn login(config: &Config, interaction: Interaction) -> Result<Outcome, LoginError> {
    let deadline = Instant::now() + config.options.patience;
    let journey = Journey::new(config, interaction);
    journey.check_name()?;
    let stored = journey.home.load(config.options.force).await?;
    if !config.options.force
        && let Some(outcome) = journey.without_login(stored.as_ref()).await?
    {
        return Ok(outcome);
    }
    let Admission { _lock, waited } = journey.take_turn(deadline).await?;
    let stored = match waited {
        None => stored,
        Some(waited) => {
            let newer = journey.home.load(config.options.force).await?;
            let is_new = generation(newer.as_ref()) != generation(stored.as_ref());
            if is_new
                && newer.as_ref().is_some_and(|newer| journey.suits(newer))
                && !journey.home.is_deleted()?
            {
                return journey.take_over(false).await.map(Outcome::Adopted);
            }
            if config.options.give_way {
                return Err(LockError::Busy { what: "login", waited }.into());
            }
            newer
        }
    };
    let stored = match stored {
        None if !config.options.force => {
            let recovered = journey.home.recover().await?;
            if let Some(outcome) = journey.without_login(recovered.as_ref()).await? {
                return Ok(outcome);
            }
            recovered
        }
        None => journey.home.load_former().await,
        stored => stored,
    };
    journey.home.check_storable().await?;
    let survey = Survey {
        http: &journey.http,
        server: &config.server,
        headers: &HeaderMap::new(),
        private_network: config.http.private_network,
        challenge: config.options.challenge.as_ref(),
        pinned: config.options.pinned.as_ref(),
    };
    match survey.find_server().await? {
        Some(discovery) if config.options.only_if_moved && is_bound_to(stored.as_ref(), &discovery) => {
            journey.take_over(false).await.map(Outcome::StillGood)
        }
        Some(discovery) => journey.log_in(discovery, stored.as_ref(), deadline).await,
        None => Ok(Outcome::NotNeeded),
    }
}

/// Finds out whether the login that `config` describes could be stored, so that no person is asked for
/// anything in vain.
///
/// # Errors
/// [`LoginError::Store`] and [`LoginError::Index`].
///
/// # Cancel safety
/// It leaves nothing behind.
pub async fn check_storable(config: &Config) -> Result<(), LoginError> {
    let home = Home::of(config);
    home.load(config.options.force).await?;
    home.check_storable().await
}

/// One login under way.
pub(super) struct Journey<'a> {
    pub(super) config: &'a Config,
    pub(super) home: Home,
    pub(super) http: http::Client,
    interaction: Interaction,
}

/// The login lock, and how long another login kept it, if one did.
struct Admission {
    _lock: ServiceLock,
    waited: Option<Duration>,
}

impl<'a> Journey<'a> {
    fn new(config: &'a Config, interaction: Interaction) -> Self {
        let http = http::Client::new(config.http.clone(), &config.server);
        Self { config, home: Home::of(config), http, interaction }
    }

    pub(super) fn options(&self) -> &'a Options {
        &self.config.options
    }

    /// Nobody may be watching.
    async fn tell(&self, event: Event) {
        let _ = self.interaction.events.send(event).await;
    }

    /// Finds out before the browser opens that the name belongs to another service.
    fn check_name(&self) -> Result<(), IndexError> {
        let Identity { name, profile, .. } = self.home.identity();
        match self.home.index.holder_of(&profile, &name, &self.home.key)? {
            Some(other) => Err(IndexError::NameTaken { name, url: other.identity.address() }),
            None => Ok(()),
        }
    }

    /// Takes the stored login as it is, under the name that was asked for; `proven` where the
    /// service has just taken it. Proving it may have refreshed it.
    pub(super) async fn take_over(&self, proven: bool) -> Result<Summary, LoginError> {
        let stored = self.home.load(false).await?;
        let summary = self.summary(stored.as_ref());
        if let Some(stored) = &stored {
            self.home.align(stored, proven).await?;
        }
        Ok(summary)
    }

    /// Waits until no other process logs in to the service.
    async fn take_turn(&self, deadline: Instant) -> Result<Admission, LockError> {
        let (paths, key) = (&self.home.paths, &self.home.key);
        if let Some(lock) = ServiceLock::try_acquire(paths, key, Purpose::Login)? {
            return Ok(Admission { _lock: lock, waited: None });
        }
        self.tell(Event::WaitingForOtherLogin).await;
        let begun = Instant::now();
        let lock = ServiceLock::acquire(paths, key, Purpose::Login, deadline).await?;
        Ok(Admission { _lock: lock, waited: Some(begun.elapsed()) })
    }

    /// Sends the person to the authorization server and keeps what comes of it.
    async fn log_in(
        mut self,
        discovery: Discovery,
        stored: Option<&Credential>,
        deadline: Instant,
    ) -> Result<Outcome, LoginError> {
        let scopes = match &self.options().scope {
            Scope::Automatic => discovery.scopes.clone(),
            Scope::None => Vec::new(),
            Scope::Exactly(scopes) => scopes.clone(),
        };
        self.tell(Event::Discovered {
            authorization_host: discovery.authorization_endpoint.host_str().unwrap_or_default().to_owned(),
            scopes: scopes.iter().map(|scope| printable(scope)).collect(),
            moved: Move::between(stored, &discovery),
        })
        .await;
        let known = KnownClient::find(self.options(), stored, &discovery)?;
        if self.options().client_demanded && known.pre_registered.is_none() {
            return Err(OauthError::ClientRequired(Lacking::Id).into());
        }
        let (mut listener, redirect_uri) = self.listen(known.redirect_uri.as_ref())?;
        if listener.is_none() && self.interaction.pasted.is_closed() {
            return Err(answer::unanswerable(&redirect_uri));
        }
        let applicant = Applicant {
            pre_registered: known.pre_registered,
            metadata_document: known.metadata_document,
            redirect_uri,
        };
        let client = obtain_client(&self.http, &discovery, &applicant, &scopes).await?;
        let pending = Pending::new(discovery, client, scopes)?;
        self.send_away(&pending, listener.is_some(), deadline).await;
        let name = self.home.identity().name;
        let answered = answer::wait(&pending, &mut listener, &mut self.interaction, &name, deadline).await;
        let outcome = match answered {
            Ok(Answered { code, visit }) => {
                let outcome = self.finish(pending, code).await;
                if let Some(visit) = visit {
                    visit.answer(self.page(&outcome));
                }
                outcome
            }
            Err(error) => Err(error),
        };
        if let Some(listener) = listener {
            listener.close().await;
        }
        outcome.map(Outcome::LoggedIn)
    }

    /// Listens for the callback, where one can come, and settles the redirect URI.
    fn listen(&self, known: Option<&Url>) -> Result<(Option<CallbackListener>, Url), WebError> {
        let local = |port| {
            let text = format!("http://127.0.0.1:{port}{CALLBACK_PATH}");
            Url::parse(&text).map_err(|error| WebError::Io(std::io::Error::other(error)))
        };
        let wanted = match (&self.options().redirect, known) {
            (Redirect::Uri(uri), _) => uri.clone(),
            (Redirect::Port(port), _) => local(*port)?,
            (Redirect::Automatic { .. }, Some(known)) => known.clone(),
            (Redirect::Automatic { port }, None) => local(port.unwrap_or(0))?,
        };
        if CallbackListener::serves(&wanted) {
            let listener = CallbackListener::bind(&wanted)?;
            let redirect_uri = listener.redirect_uri().clone();
            return Ok((Some(listener), redirect_uri));
        }
        match wanted.scheme() {
            "https" => Ok((None, wanted)),
            _ => Err(WebError::NotLoopback { redirect_uri: wanted }),
        }
    }

    /// Opens the browser, where one is asked for, and tells where to go.
    async fn send_away(&self, pending: &Pending, listening: bool, deadline: Instant) {
        let url = pending.authorization_url().clone();
        let browser = match self.options().browser {
            true => {
                let helper = self.config.children.browser_command(browser::SUBCOMMAND);
                Some(browser::open(helper, &url).await)
            }
            false => None,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::MAX);
        let until = clock::now().checked_add(left).unwrap_or(Timestamp::MAX);
        let redirect_uri = pending.redirect_uri().clone();
        self.tell(Event::Authorize { url, browser, redirect_uri, listening, until }).await;
    }

    /// Exchanges the code and stores what it brings.
    async fn finish(&self, pending: Pending, code: crate::oauth::Code) -> Result<Summary, LoginError> {
        self.tell(Event::Exchanging).await;
        let (binding, client) = (pending.binding().clone(), pending.client().clone());
        let requested = pending.scopes().to_vec();
        let response = grant::exchange(&self.http, pending, code).await?;
        let now = clock::now();
        let TokenResponse { access_token, refresh_token, expires_at, refresh_token_expires_at, scopes } =
            response;
        let oauth = OauthCredential {
            binding,
            client,
            scopes: granted(scopes, &requested, refresh_token.is_some()),
            access_token: AccessToken { value: access_token, obtained_at: now, expires_at },
            refresh_token_obtained_at: refresh_token.is_some().then_some(now),
            refresh_token,
            refresh_token_expires_at,
            logged_in_at: now,
            ended: None,
        };
        self.tell(Event::Saving { place: self.home.store.place() }).await;
        let summary = self.oauth_summary(&oauth);
        let left_behind = self.home.keep(oauth).await?;
        let generated_key = self.home.store.generated_key().map(Path::to_owned);
        Ok(Summary { name: self.home.identity().name, left_behind, generated_key, ..summary })
    }

    fn page(&self, outcome: &Result<Summary, LoginError>) -> Page {
        let service = self.home.identity().name;
        match outcome {
            Ok(_) => Page::Success { service },
            Err(error) => Page::Failure { service, reason: sentence(error) },
        }
    }

    fn oauth_summary(&self, oauth: &OauthCredential) -> Summary {
        Summary {
            name: self.home.identity().name,
            renamed_from: self.home.former_name(),
            scopes: oauth.scopes.iter().map(|scope| printable(scope)).collect(),
            access_expires_at: oauth.access_token.expires_at,
            renews: oauth.refresh_token.is_some(),
            refresh_expires_at: oauth.refresh_token_expires_at,
            place: self.home.store.place(),
            left_behind: None,
            generated_key: None,
        }
    }

    /// The summary of a stored login; an empty one where somebody erased it a moment ago.
    fn summary(&self, stored: Option<&Credential>) -> Summary {
        match stored.map(|credential| &credential.kind) {
            Some(Kind::Oauth(oauth)) => self.oauth_summary(oauth),
            Some(Kind::Token(_)) | None => Summary {
                name: self.home.identity().name,
                renamed_from: self.home.former_name(),
                scopes: Vec::new(),
                access_expires_at: None,
                renews: false,
                refresh_expires_at: None,
                place: self.home.store.place(),
                left_behind: None,
                generated_key: None,
            },
        }
    }
}

fn generation(credential: Option<&Credential>) -> Option<&Generation> {
    credential.map(|credential| &credential.generation)
}
