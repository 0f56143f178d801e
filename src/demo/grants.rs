//! What the demo's authorization server remembers: clients, consents, codes and grants.
//!
//! Sans-I/O: time is handed in. The rules are those of OAuth 2.1 for public clients: PKCE S256
//! (RFC 7636), the resource indicator in every token request (RFC 8707), `iss` in every redirect
//! (RFC 9207), codes that are good once, refresh tokens that rotate, and reuse of a spent code or
//! refresh token revokes the whole grant (RFC 9700 §4.14.2). It has no client secrets and refuses
//! redirect URIs beyond loopback.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use super::protocol::{
    AuthorizationError, AuthorizationParameters, Issued, Question, Registration, RegistrationError,
    TokenError, TokenForm,
};
use crate::server_uri::is_loopback;

/// The one scope that there is.
pub(super) const SCOPE: &str = "mcp:tools";

/// How long a code and an unanswered consent page are good.
const CODE_LIFE: Duration = Duration::from_secs(60);
const CONSENT_LIFE: Duration = Duration::from_secs(600);

/// The authorization server's memory.
pub(super) struct Grants {
    issuer: String,
    resource: String,
    access_life: Duration,
    clients: HashMap<String, Client>,
    consents: HashMap<String, Consent>,
    codes: HashMap<String, Code>,
    grants: Vec<Grant>,
    tally: Tally,
}

/// What the server has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Clients registered.
    pub(super) registrations: u32,
    /// Codes exchanged for tokens.
    pub(super) logins: u32,
    /// Refresh tokens exchanged for new tokens.
    pub(super) refreshes: u32,
    /// Spent codes and refresh tokens that came again; each revoked its grant.
    pub(super) reuses: u32,
    /// Requests to the MCP endpoint without a good access token.
    pub(super) refused: u32,
}

/// What an accepted access token says about its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bearer {
    /// The access token's number, counted from 1 over all grants.
    pub(super) token: u32,
    /// How often the grant was refreshed when the token was issued.
    pub(super) refreshes: u32,
    /// How long the token has been in use.
    pub(super) age: Duration,
}

impl fmt::Display for Bearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, refreshes, age } = self;
        let age = age.as_secs_f64();
        write!(formatter, "access token {token}, {age:.1} s old; ")?;
        match refreshes {
            0 => write!(formatter, "the login was not renewed yet"),
            1 => write!(formatter, "the login was renewed once"),
            more => write!(formatter, "the login was renewed {more} times"),
        }
    }
}

struct Client {
    name: String,
    redirect_uris: Vec<Url>,
}

struct Consent {
    client_id: String,
    redirect_uri: Url,
    challenge: String,
    state: Option<String>,
    asked: Instant,
}

struct Code {
    consent: Consent,
    issued: Instant,
    /// The grant that the code was exchanged for, once it was.
    grant: Option<usize>,
}

struct Grant {
    client_id: String,
    refresh_token: String,
    spent: HashSet<String>,
    access: Vec<Access>,
    refreshes: u32,
    revoked: bool,
}

struct Access {
    value: String,
    number: u32,
    refreshes: u32,
    issued: Instant,
}

impl Grants {
    /// A server that names itself `issuer` and issues tokens for `resource` alone, good for
    /// `access_life`.
    pub(super) fn new(issuer: String, resource: String, access_life: Duration) -> Self {
        Self {
            issuer,
            resource,
            access_life,
            clients: HashMap::new(),
            consents: HashMap::new(),
            codes: HashMap::new(),
            grants: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// The counts so far.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// When the newest access token expires; `None` before the first.
    pub(super) fn newest_expiry(&self) -> Option<Instant> {
        let issued = self.grants.iter().flat_map(|grant| &grant.access).map(|access| access.issued).max();
        issued.map(|issued| issued + self.access_life)
    }

    /// Registers a public client and returns its id.
    pub(super) fn register(&mut self, registration: Registration) -> Result<String, RegistrationError> {
        let redirect_uris: Option<Vec<Url>> = registration
            .redirect_uris
            .iter()
            .map(|text| {
                Url::parse(text)
                    .ok()
                    .filter(|url| url.scheme() == "http" && is_loopback(url) && url.fragment().is_none())
            })
            .collect();
        let redirect_uris =
            redirect_uris.filter(|uris| !uris.is_empty()).ok_or(RegistrationError::RedirectUri)?;
        if registration.token_endpoint_auth_method.is_some_and(|method| method != "none") {
            return Err(RegistrationError::AuthenticationMethod);
        }
        let id = draw("client").map_err(|_| RegistrationError::Entropy)?;
        let name = registration.client_name.unwrap_or_else(|| "An application".to_owned());
        self.clients.insert(id.clone(), Client { name, redirect_uris });
        self.tally.registrations += 1;
        Ok(id)
    }

    /// Takes an authorization request and returns what to ask the person.
    pub(super) fn begin(
        &mut self,
        parameters: AuthorizationParameters,
        now: Instant,
    ) -> Result<Question, AuthorizationError> {
        let untrusted = AuthorizationError::Untrusted;
        let client_id = parameters.client_id.ok_or(untrusted("client_id is missing"))?;
        let client = self.clients.get(&client_id).ok_or(untrusted("the client is not registered"))?;
        let redirect_uri = parameters
            .redirect_uri
            .and_then(|text| Url::parse(&text).ok())
            .filter(|url| client.redirect_uris.iter().any(|known| same_but_port(known, url)))
            .ok_or(untrusted("redirect_uri is not one that the client registered"))?;
        let refuse = |error, description| {
            let members = [("error", error), ("error_description", description)];
            AuthorizationError::Redirect(self.answer(&redirect_uri, &members, parameters.state.as_deref()))
        };
        if parameters.response_type.as_deref() != Some("code") {
            return Err(refuse("unsupported_response_type", "response_type is not code"));
        }
        if parameters.code_challenge_method.as_deref() != Some("S256") {
            return Err(refuse("invalid_request", "code_challenge_method is not S256"));
        }
        let Some(challenge) = parameters.code_challenge.as_ref().filter(|text| text.len() == 43) else {
            return Err(refuse("invalid_request", "code_challenge is not a SHA-256 in base64url"));
        };
        if parameters.resource.as_ref() != Some(&self.resource) {
            return Err(refuse("invalid_target", "resource is not this MCP endpoint"));
        }
        if parameters
            .scope
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .any(|scope| !matches!(scope, "" | SCOPE))
        {
            return Err(refuse("invalid_scope", "the only scope is mcp:tools"));
        }
        let ticket = draw("ticket").map_err(|_| refuse("server_error", "no entropy"))?;
        let question = Question {
            ticket: ticket.clone(),
            client_name: client.name.clone(),
            redirect_uri: redirect_uri.clone(),
        };
        let challenge = challenge.clone();
        let consent = Consent { client_id, redirect_uri, challenge, state: parameters.state, asked: now };
        self.consents.insert(ticket, consent);
        Ok(question)
    }

    /// Takes the person's answer and returns where the browser goes; `None` where no such question
    /// is open.
    pub(super) fn decide(&mut self, ticket: &str, allowed: bool, now: Instant) -> Option<Url> {
        let consent = self.consents.remove(ticket).filter(|consent| now < consent.asked + CONSENT_LIFE)?;
        let state = consent.state.as_deref();
        let Some(code) = draw("code").ok().filter(|_| allowed) else {
            return Some(self.answer(&consent.redirect_uri, &[("error", "access_denied")], state));
        };
        let target = self.answer(&consent.redirect_uri, &[("code", &code)], state);
        self.codes.insert(code, Code { consent, issued: now, grant: None });
        Some(target)
    }

    /// Answers a token request.
    pub(super) fn token(&mut self, form: &TokenForm, now: Instant) -> Result<Issued, TokenError> {
        let grant_type =
            form.grant_type.as_deref().ok_or(TokenError::InvalidRequest("grant_type is missing"))?;
        let client_id = form.client_id.as_deref().ok_or(TokenError::InvalidClient)?;
        if !self.clients.contains_key(client_id) {
            return Err(TokenError::InvalidClient);
        }
        if !matches!(grant_type, "authorization_code" | "refresh_token") {
            return Err(TokenError::UnsupportedGrantType);
        }
        if form.resource.as_ref() != Some(&self.resource) {
            return Err(TokenError::InvalidTarget);
        }
        if grant_type == "refresh_token" {
            self.refresh(form, client_id, now)
        } else {
            self.exchange(form, client_id, now)
        }
    }

    /// Looks a request's access token up; `None` where it is missing, unknown, expired or revoked.
    pub(super) fn admit(&mut self, token: Option<&str>, now: Instant) -> Option<Bearer> {
        let live = self.grants.iter().filter(|grant| !grant.revoked).flat_map(|grant| &grant.access);
        let known = token.and_then(|token| live.into_iter().find(|access| access.value == token));
        let bearer = known.map(|access| Bearer {
            token: access.number,
            refreshes: access.refreshes,
            age: now.saturating_duration_since(access.issued),
        });
        let admitted = bearer.filter(|bearer| bearer.age < self.access_life);
        self.tally.refused += u32::from(admitted.is_none());
        admitted
    }

    fn exchange(&mut self, form: &TokenForm, client_id: &str, now: Instant) -> Result<Issued, TokenError> {
        let value = form.code.as_deref().ok_or(TokenError::InvalidRequest("code is missing"))?;
        let verifier =
            form.code_verifier.as_deref().ok_or(TokenError::InvalidRequest("code_verifier is missing"))?;
        let code = self.codes.get(value).ok_or(TokenError::InvalidGrant("the code is not known"))?;
        if let Some(grant) = code.grant {
            self.revoke(grant);
            return Err(TokenError::InvalidGrant("the code was used before: the grant is revoked"));
        }
        let consent = &code.consent;
        let problem = if consent.client_id != client_id {
            Some("the code was issued to another client")
        } else if form.redirect_uri.as_deref().and_then(|text| Url::parse(text).ok()).as_ref()
            != Some(&consent.redirect_uri)
        {
            Some("redirect_uri differs from the authorization request's")
        } else if !verifies(verifier, &consent.challenge) {
            Some("code_verifier does not fit code_challenge")
        } else if now >= code.issued + CODE_LIFE {
            Some("the code has expired")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(TokenError::InvalidGrant(problem));
        }
        let grant = self.grants.len();
        self.grants.push(Grant {
            client_id: client_id.to_owned(),
            refresh_token: String::new(),
            spent: HashSet::new(),
            access: Vec::new(),
            refreshes: 0,
            revoked: false,
        });
        let issued = self.issue(grant, now)?;
        if let Some(code) = self.codes.get_mut(value) {
            code.grant = Some(grant);
        }
        self.tally.logins += 1;
        Ok(issued)
    }

    fn refresh(&mut self, form: &TokenForm, client_id: &str, now: Instant) -> Result<Issued, TokenError> {
        let value =
            form.refresh_token.as_ref().ok_or(TokenError::InvalidRequest("refresh_token is missing"))?;
        let mut grants = self.grants.iter();
        let position = grants.position(|grant| grant.refresh_token == *value || grant.spent.contains(value));
        let index = position.ok_or(TokenError::InvalidGrant("the refresh token is not known"))?;
        let grant = &mut self.grants[index];
        if grant.client_id != client_id {
            return Err(TokenError::InvalidGrant("the refresh token was issued to another client"));
        }
        if grant.revoked {
            return Err(TokenError::InvalidGrant("the grant is revoked"));
        }
        if grant.refresh_token != *value {
            self.revoke(index);
            return Err(TokenError::InvalidGrant("the refresh token was used before: the grant is revoked"));
        }
        grant.spent.insert(value.clone());
        grant.refreshes += 1;
        let issued = self.issue(index, now)?;
        self.tally.refreshes += 1;
        Ok(issued)
    }

    fn issue(&mut self, grant: usize, now: Instant) -> Result<Issued, TokenError> {
        let access_token = draw("access").map_err(|_| TokenError::Entropy)?;
        let refresh_token = draw("refresh").map_err(|_| TokenError::Entropy)?;
        let number = 1 + self.grants.iter().map(|grant| grant.access.len() as u32).sum::<u32>();
        let grant = &mut self.grants[grant];
        grant.refresh_token.clone_from(&refresh_token);
        let refreshes = grant.refreshes;
        grant.access.push(Access { value: access_token.clone(), number, refreshes, issued: now });
        Ok(Issued { access_token, refresh_token, expires_in: self.access_life })
    }

    fn revoke(&mut self, grant: usize) {
        self.grants[grant].revoked = true;
        self.tally.reuses += 1;
    }

    /// The redirect to a client, with `state` and `iss` beside `members`.
    fn answer(&self, redirect_uri: &Url, members: &[(&str, &str)], state: Option<&str>) -> Url {
        let mut target = redirect_uri.clone();
        target
            .query_pairs_mut()
            .extend_pairs(members)
            .extend_pairs(state.map(|state| ("state", state)))
            .append_pair("iss", &self.issuer);
        target
    }
}

/// A fresh value that nobody can guess, with a prefix that tells what it is.
fn draw(kind: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("demo-{kind}-{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether `code_verifier` belongs to an S256 `code_challenge` (RFC 7636 §4.6).
fn verifies(verifier: &str, challenge: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == challenge
}

/// Whether two loopback redirect URIs are the same; a native client may choose its port when it
/// asks (RFC 8252 §7.3).
fn same_but_port(registered: &Url, asked: &Url) -> bool {
    let without_port = |url: &Url| {
        let mut url = url.clone();
        url.set_port(None).is_ok().then_some(url)
    };
    without_port(registered).is_some_and(|registered| Some(registered) == without_port(asked))
}

#[cfg(test)]
mod tests;
