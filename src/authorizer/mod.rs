//! Keeps a service's login: hands out what a request must carry, and is the only one that
//! refreshes.
//!
//! # A token's journey
//!
//! In memory, fresh, and the index's generation unchanged: it is used, with no more than a `stat`.
//! Otherwise the store is read again, which is authoritative. What is fresh there and is not what
//! was refused is adopted. Else the token is refreshed in a short-lived process of our own binary,
//! which takes the service's lock, reads again, journals, asks, saves, reads back and answers. In
//! this process one such operation runs at a time, and those who wait share its outcome. Who holds
//! a token that is still good does not wait: it is renewed behind the request, or before one comes
//! ([`Authorizer::tend`]).
//!
//! A request that was refused with a 401 takes the same way, once, and once more behind a login that was
//! made for it. What the authorization server ended stays stored, marked as ended, and costs no token
//! request until somebody logs in again; that the service refuses a good token is noted in the index, and
//! so is a store that could not be read.
//! Nothing secret goes anywhere but to the token endpoint that the login bound, and no discovery
//! happens here (MCP authorization, "Token Handling"; RFC 6749 §6; RFC 6750 §3; RFC 9700 §4.14).

mod ahead;
mod authorization;
mod automatic_login;
mod children;
mod command;
mod decision;
mod demand;
mod error;
mod failure;
mod flight;
mod held;
mod keeper;
pub mod login;
pub mod logout;
mod memory;
mod merge;
mod on_demand;
mod process;
mod refresh_child;
mod refusal;
mod rejection;
mod relocation;
mod renewal;
mod standing;
pub mod stored;
mod trouble;
mod turn;
mod unreadable;

use std::sync::Arc;

use tokio::time::Instant;

use crate::challenge::Challenge;
use crate::http;
use crate::oauth::widened;
use crate::server_uri::{ServerUri, ServiceKey};
use crate::store::StoreConfig;

use automatic_login::{AutomaticLogin, Cause};
use decision::Refused;
use flight::resolve;
use keeper::Keeper;
use memory::{Now, Outcome, Person, Problem};

pub use authorization::Authorization;
pub use children::Children;
pub use command::{CommandLine, Commands, Given, Program, Subject, quoted};
pub use error::AuthorizerError;
pub use on_demand::Refreshed;
pub use refresh_child::{RefreshChild, SUBCOMMAND as REFRESH_CHILD, run_refresh_child};

/// What an [`Authorizer`] works with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The endpoint whose login it keeps.
    pub server: ServerUri,
    /// The profile that the login belongs to.
    pub profile: String,
    /// The name that the service gets where none is stored: one that was given, or a preset's.
    pub name: Option<String>,
    /// The commands that errors name where nothing is stored.
    pub commands: Commands,
    /// The store; one that was pinned when the login was stored wins over its kind.
    pub store: StoreConfig,
    /// What happens where a login is required.
    pub login: LoginPolicy,
    /// Whether a login that nobody uses is renewed now and then.
    pub keep_alive: bool,
    /// How refreshes and logins are started.
    pub children: Children,
    /// The client for refreshes that run in this process (the memory store's).
    pub http: http::Client,
}

/// What happens where a login is required.
#[derive(Debug, Clone)]
pub enum LoginPolicy {
    /// The request gets an error that names the command.
    Never,
    /// A browser is opened for this login, one over all processes.
    Allowed(Box<login::Config>),
}

/// Keeps one service's login. Clones share it.
#[derive(Debug, Clone)]
pub struct Authorizer {
    keeper: Arc<Keeper>,
    automatic: Arc<AutomaticLogin>,
    /// Whether somebody waits for what it is asked for.
    attended: bool,
}

impl Authorizer {
    /// Touches neither store nor network.
    pub fn new(config: Config) -> Self {
        Self { keeper: Arc::new(Keeper::new(config)), automatic: Arc::default(), attended: true }
    }

    /// The service whose login it keeps.
    pub fn key(&self) -> &ServiceKey {
        &self.keeper.key
    }

    /// The same keeper for traffic that nobody waits for: it never opens a browser.
    pub fn unattended(&self) -> Self {
        Self { attended: false, ..self.clone() }
    }

    /// Whether what it is asked for may open a browser, and take as long as a login does.
    pub fn may_open_browser(&self) -> bool {
        self.login_allowed().is_some()
    }

    fn login_allowed(&self) -> Option<&login::Config> {
        match &self.keeper.config.login {
            LoginPolicy::Allowed(config) if self.attended => Some(config),
            LoginPolicy::Allowed(_) | LoginPolicy::Never => None,
        }
    }

    /// Keeps ahead of expiries: renews the token in use before it ends, and a login that nobody uses
    /// where that is configured. Runs until it is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a renewal under way to its end.
    pub async fn tend(self) {
        let keeper = &self.keeper;
        let idle = async {
            if keeper.config.keep_alive {
                ahead::keep_alive(keeper).await;
            }
        };
        tokio::join!(ahead::stay_ahead(keeper), idle);
    }

    /// What the next request must carry. A good token in memory costs a `stat`.
    ///
    /// # Errors
    /// [`AuthorizerError`], within 5 s where the store or a missing login is the cause, and within
    /// 25 s where an authorization server does not answer or a browser was opened.
    ///
    /// # Cancel safety
    /// Dropping the future cuts off neither a refresh nor a login.
    pub async fn authorize(&self) -> Result<Authorization, AuthorizerError> {
        let asked = Instant::now();
        let outcome = match resolve(&self.keeper, Refused::No).await {
            // One refusal is no word on every other request: the service judges each that somebody waits for.
            Err(Problem::Person(Person::LogInFirst)) if self.attended => Ok(Authorization::bare()),
            outcome => outcome,
        };
        let authorization = self.finish(outcome, Refused::No, None, asked).await?;
        Ok(self.used(authorization))
    }

    /// The same, noted as used. What nobody waits for makes no token worth renewing ahead of time.
    fn used(&self, authorization: Authorization) -> Authorization {
        if self.attended {
            self.keeper.note_use(&authorization);
        }
        authorization
    }

    /// What a request must carry that was refused with a 401 while it carried `refused`: a newer
    /// token that is stored already, else a refreshed one. It takes the same lock as expiry does.
    ///
    /// # Errors
    /// [`AuthorizerError::Rejected`] where `refused` itself was the answer to a refusal; else as
    /// [`authorize`](Self::authorize).
    ///
    /// # Cancel safety
    /// As [`authorize`](Self::authorize).
    pub async fn refused(
        &self,
        refused: &Authorization,
        challenge: &Challenge,
    ) -> Result<Authorization, AuthorizerError> {
        let asked = Instant::now();
        let challenge = &refused.hide_in(challenge);
        tracing::debug!(error = ?challenge.error, "the service refused the request's authorization");
        let question = refused.digest().map_or(Refused::Bare, Refused::Token);
        let rejected = refused.answers_refusal()
            && refused.digest().is_some_and(|token| {
                let (mut memory, now) = (self.keeper.memory(), Now::read());
                let is_new = memory.has_just_got(token, now);
                if is_new {
                    memory.note_rejection(token, now);
                }
                is_new
            });
        let outcome = if rejected { Err(Problem::Rejected) } else { resolve(&self.keeper, question).await };
        if let Err(Problem::Person(Person::LogInFirst)) = &outcome {
            self.keeper.memory().demand(Now::read());
        }
        let renewed = self.finish(outcome, question, Some(challenge), asked).await?;
        Ok(self.used(renewed).answering_refusal())
    }

    /// The service took a request that carried `authorization`: what was noted against its token holds no
    /// more. Touches nothing where nothing was noted.
    pub fn accepted(&self, authorization: &Authorization) {
        match authorization.digest() {
            Some(token) => {
                self.keeper.memory().end_rejection(token);
                refusal::take_back(&self.keeper, token);
            }
            None => self.keeper.memory().forget_demand(),
        }
    }

    /// What a request must carry that was refused with a 403 `insufficient_scope` while it carried
    /// `refused`: the token of a login that somebody made meanwhile, else of a login with the
    /// union of scopes where a browser is allowed.
    ///
    /// # Errors
    /// [`AuthorizerError::InsufficientScope`] with the command to run; else as
    /// [`authorize`](Self::authorize).
    ///
    /// # Cancel safety
    /// As [`authorize`](Self::authorize).
    pub async fn step_up(
        &self,
        refused: &Authorization,
        challenge: &Challenge,
    ) -> Result<Authorization, AuthorizerError> {
        let asked = Instant::now();
        let challenge = &refused.hide_in(challenge);
        let known = resolve(&self.keeper, Refused::No).await;
        if let Ok(authorization) = &known
            && authorization.digest() != refused.digest()
        {
            return Ok(self.used(authorization.clone()).answering_refusal());
        }
        let cause = Cause::StepUp(self.scopes_with(challenge));
        if let Some(config) = self.login_allowed()
            && self.automatic.log_in(config, cause, Some(challenge), asked).await.is_ok()
        {
            let outcome = resolve(&self.keeper, Refused::No).await;
            return outcome.map(Authorization::answering_refusal).map_err(|problem| self.error(problem));
        }
        Err(self.lack_of_scope(refused, challenge))
    }

    /// The scopes at hand and those that `challenge` names.
    fn scopes_with(&self, challenge: &Challenge) -> Vec<String> {
        widened(self.keeper.memory().scopes(), challenge.scope.as_deref().unwrap_or_default())
    }

    /// What a request is told whose 403 to `refused` stands: [`AuthorizerError::InsufficientScope`].
    pub fn lack_of_scope(&self, refused: &Authorization, challenge: &Challenge) -> AuthorizerError {
        let scopes = self.scopes_with(&refused.hide_in(challenge));
        let command = self.keeper.commands().login_with(&scopes);
        AuthorizerError::InsufficientScope { scopes, command }
    }

    /// What a request is told that was refused with every token there is: [`AuthorizerError::Rejected`].
    pub fn rejection(&self) -> AuthorizerError {
        self.error(Problem::Rejected)
    }

    /// Turns an outcome into the caller's; opens a browser first, where that helps and is allowed.
    async fn finish(
        &self,
        outcome: Outcome,
        refused: Refused,
        challenge: Option<&Challenge>,
        asked: Instant,
    ) -> Result<Authorization, AuthorizerError> {
        let problem = match outcome {
            Ok(authorization) => return Ok(authorization),
            Err(problem) => problem,
        };
        if let (Refused::Token(token), Some(text)) = (refused, problem.refusal()) {
            refusal::note(&self.keeper, token, text).await;
        }
        let Some(config) = self.login_allowed() else {
            self.automatic.remember(challenge);
            return Err(self.error(problem));
        };
        let cause = match &problem {
            Problem::Person(Person::LogInFirst) => Cause::Required { anew: false },
            Problem::Person(Person::LogInAgain { anew, .. }) => Cause::Required { anew: *anew },
            Problem::Rejected => Cause::Rejected,
            // It was a refusal that led here, so the service is there to be asked.
            Problem::Other(AuthorizerError::Unavailable { .. }) if challenge.is_some() => Cause::Moved,
            Problem::Other(AuthorizerError::LoginRequired { .. }) => Cause::Moved,
            Problem::Person(Person::SetToken) | Problem::Other(_) => return Err(self.error(problem)),
        };
        match self.automatic.log_in(config, cause, challenge, asked).await {
            Ok(()) => resolve(&self.keeper, refused).await.map_err(|problem| self.error(problem)),
            Err(note) => Err(self.noted(problem, &note)),
        }
    }

    fn error(&self, problem: Problem) -> AuthorizerError {
        self.noted(problem, "")
    }

    /// The error for a problem; `note` tells what became of the login in the browser.
    fn noted(&self, problem: Problem, note: &str) -> AuthorizerError {
        let commands = self.keeper.commands();
        match problem {
            Problem::Person(Person::LogInFirst) => AuthorizerError::LoginRequired {
                reason: format!("the service wants a login, and none is stored{note}"),
                command: commands.login(),
            },
            Problem::Person(Person::LogInAgain { reason, anew }) => AuthorizerError::LoginRequired {
                reason: format!("the stored login no longer works: {reason}{note}"),
                command: if anew { commands.login_anew() } else { commands.login() },
            },
            Problem::Person(Person::SetToken) => AuthorizerError::LoginRequired {
                reason: format!(
                    "the service refuses the stored token (if it takes OAuth logins only: {})",
                    commands.login()
                ),
                command: commands.set_token(),
            },
            Problem::Rejected => AuthorizerError::Rejected {
                reason: format!(
                    "the authorization server issued a fresh access token, and the service refused that one \
                     too: it may be meant for another audience or resource, or the account may lack \
                     rights{note}"
                ),
                command: commands.login_anew(),
            },
            Problem::Other(AuthorizerError::LoginRequired { reason, command }) => {
                AuthorizerError::LoginRequired { reason: format!("{reason}{note}"), command }
            }
            Problem::Other(error) => error,
        }
    }
}
