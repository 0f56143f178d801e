//! The authorization request (OAuth 2.1 §4.1.1, RFC 7636, RFC 8707 §2.1), and the check of what
//! comes back: `state` first, then `iss` (RFC 9207 §2.4), and only then the response's verdict.

use std::fmt;

use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use url::Url;
use zeroize::Zeroizing;

use super::{CallbackError, CallbackParameters, Discovery, OauthError};
use crate::credential::{Binding, Client};
use crate::http::AddressPolicy;
use crate::redact::{ExposeSecret, Secret, printable};

/// The longest redirect URL that is read from a paste, in bytes.
const PASTE_LIMIT: usize = 20 * 1024;

/// An authorization code that was checked to belong to its login.
#[derive(Debug)]
pub struct Code(pub(super) Secret);

/// An authorization request whose response is waited for.
pub struct Pending {
    pub(super) binding: Binding,
    pub(super) client: Client,
    pub(super) verifier: Secret,
    pub(super) policy: AddressPolicy,
    authorization_url: Url,
    redirect_uri: Url,
    state: Secret,
    requires_issuer: bool,
    scopes: Vec<String>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pending")
            .field("binding", &self.binding)
            .field("client", &self.client)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl Pending {
    /// Composes an authorization request with a fresh state and a fresh PKCE verifier.
    ///
    /// # Errors
    /// [`OauthError::Metadata`] where the client's redirect URI is no URL.
    pub fn new(discovery: Discovery, client: Client, scopes: Vec<String>) -> Result<Self, OauthError> {
        let no_url = |_| OauthError::Metadata { reason: "the redirect URI is no URL".to_owned() };
        let redirect_uri = Url::parse(&client.redirect_uri).map_err(no_url)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let requester = oauth2::basic::BasicClient::new(ClientId::new(client.id.clone()))
            .set_auth_uri(AuthUrl::from_url(discovery.authorization_endpoint))
            .set_redirect_uri(RedirectUrl::new(client.redirect_uri.clone()).map_err(no_url)?);
        let mut request = requester
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .add_extra_param("resource", &discovery.resource);
        // OpenID Connect Core §11: offline access is granted only where the person is asked.
        if scopes.iter().any(|scope| scope == super::scopes::OFFLINE_ACCESS) {
            request = request.add_extra_param("prompt", "consent");
        }
        let (authorization_url, state) = request.url();
        Ok(Self {
            binding: Binding {
                issuer: discovery.issuer,
                token_endpoint: discovery.token_endpoint,
                revocation_endpoint: discovery.revocation_endpoint,
                resource: Some(discovery.resource),
            },
            client,
            verifier: Secret::from(verifier.into_secret()),
            policy: discovery.policy,
            authorization_url,
            redirect_uri,
            state: Secret::from(state.into_secret()),
            requires_issuer: discovery.requires_issuer,
            scopes,
        })
    }

    /// The address to open. It holds the state and the PKCE challenge, no secret.
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// Where the browser comes back to.
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// The client that asks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the login will be bound to.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The scopes asked for.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Checks an authorization response: state, then issuer, then its verdict.
    ///
    /// # Errors
    /// [`CallbackError`]; after `Foreign` and `Issuer` the right response may still come.
    pub fn check(&self, parameters: CallbackParameters) -> Result<Code, CallbackError> {
        let foreign = |reason: &str| CallbackError::Foreign { reason: reason.to_owned() };
        let Some(state) = parameters.state else {
            return Err(foreign("the answer carries no state"));
        };
        if !same(state.expose_secret(), self.state.expose_secret()) {
            return Err(foreign("the answer belongs to another login"));
        }
        self.check_issuer(parameters.issuer.as_deref())?;
        match (parameters.code, parameters.error) {
            (Some(code), None) if !code.expose_secret().is_empty() => Ok(Code(code)),
            (None, Some(error)) => Err(CallbackError::Denied {
                error: printable(&error),
                description: parameters.error_description.as_deref().map(printable),
            }),
            _ => Err(foreign("the answer holds neither a code nor an error")),
        }
    }

    /// RFC 9207 §2.4: equal as strings, without normalising; it may be missing only where the
    /// server does not promise it. Where no issuer is known, there is nothing to compare with.
    fn check_issuer(&self, received: Option<&str>) -> Result<(), CallbackError> {
        let Some(expected) = &self.binding.issuer else { return Ok(()) };
        match received {
            Some(received) if received == expected => Ok(()),
            None if !self.requires_issuer => Ok(()),
            _ => Err(CallbackError::Issuer { expected: printable(expected) }),
        }
    }

    /// Checks a redirect URL that a person pasted: it must be the redirect URI with a query, and
    /// then passes the same checks as a callback. A fragment is ignored, as a server would never
    /// see it.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_pasted(&self, pasted: &Secret) -> Result<Code, CallbackError> {
        let foreign = |reason: &str| CallbackError::Foreign { reason: reason.to_owned() };
        let text = pasted.expose_secret().trim();
        if text.len() > PASTE_LIMIT {
            return Err(foreign("what was pasted is too long"));
        }
        let Ok(url) = Url::parse(text) else {
            return Err(foreign("what was pasted is not a URL"));
        };
        let parts = |url: &Url| {
            (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
        };
        let is_redirect = parts(&url) == parts(&self.redirect_uri)
            && url.path() == self.redirect_uri.path()
            && url.username().is_empty()
            && url.password().is_none();
        if !is_redirect {
            let begin = printable(self.redirect_uri.as_str());
            return Err(foreign(&format!("what was pasted does not begin with {begin}")));
        }
        let found = url.query().map(CallbackParameters::from_query);
        drop(Zeroizing::new(String::from(url)));
        self.check(found.ok_or_else(|| foreign("what was pasted ends before the code"))??)
    }
}

/// Compares two texts without stopping at the first difference.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{ClientAuthentication, Registration};
    use crate::oauth::Source;
    use std::collections::HashMap;

    fn pending(requires_issuer: bool) -> Pending {
        let discovery = Discovery {
            source: Source::Metadata,
            issuer: Some("https://as.example".to_owned()),
            authorization_endpoint: Url::parse("https://as.example/authorize?tenant=a%20b").unwrap(),
            token_endpoint: Url::parse("https://as.example/token").unwrap(),
            registration_endpoint: None,
            revocation_endpoint: None,
            resource: "https://mcp.example".to_owned(),
            scopes: Vec::new(),
            authentication_methods: None,
            requires_issuer,
            supports_metadata_document: false,
            policy: AddressPolicy::bound(),
        };
        let client = Client {
            id: "id".to_owned(),
            secret: Some(Secret::from("canary-secret")),
            authentication: ClientAuthentication::Basic,
            registration: Registration::PreRegistered,
            redirect_uri: "http://127.0.0.1:7777/callback".to_owned(),
        };
        Pending::new(discovery, client, vec!["a".to_owned(), "offline_access".to_owned()]).unwrap()
    }

    fn queries(pending: &Pending) -> HashMap<String, String> {
        pending.authorization_url().query_pairs().into_owned().collect()
    }

    #[test]
    fn the_authorization_url_holds_what_it_must_and_no_secret() {
        let pending = pending(false);
        let query = queries(&pending);
        for (name, value) in [
            ("tenant", "a b"),
            ("response_type", "code"),
            ("client_id", "id"),
            ("redirect_uri", "http://127.0.0.1:7777/callback"),
            ("code_challenge_method", "S256"),
            ("scope", "a offline_access"),
            ("resource", "https://mcp.example"),
            ("prompt", "consent"),
        ] {
            assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
        }
        let url = pending.authorization_url().as_str();
        assert!(!url.contains(pending.verifier.expose_secret()) && !url.contains("canary"));
        let shown = format!("{pending:?}");
        assert!(!shown.contains(pending.state.expose_secret()) && !shown.contains("canary"));
    }

    #[test]
    fn responses_are_checked_state_first_then_issuer() {
        let issuer =
            |answer: &Result<Code, CallbackError>| matches!(answer, Err(CallbackError::Issuer { .. }));
        let foreign =
            |answer: &Result<Code, CallbackError>| matches!(answer, Err(CallbackError::Foreign { .. }));
        let accepted = |answer: &Result<Code, CallbackError>| answer.is_ok();
        type Verdict<'a> = &'a dyn Fn(&Result<Code, CallbackError>) -> bool;
        let table: &[(bool, &str, Verdict<'_>)] = &[
            (false, "code=c&state=STATE", &accepted),
            (false, "code=c&state=STATE&iss=https%3A%2F%2Fas.example", &accepted),
            (true, "code=c&state=STATE&iss=https%3A%2F%2Fas.example", &accepted),
            (true, "code=c&state=STATE", &issuer),
            (true, "error=access_denied&state=STATE", &issuer),
            (false, "code=c&state=STATE&iss=https%3A%2F%2Fas.example%2F", &issuer),
            (false, "code=c&state=STATE&iss=https%3A%2F%2Fevil.example", &issuer),
            (
                false,
                "error=x&error_description=trust%20me&state=STATE&iss=https%3A%2F%2Fevil.example",
                &issuer,
            ),
            (false, "code=c", &foreign),
            (false, "code=c&state=", &foreign),
            (false, "code=c&state=STATEx", &foreign),
            (false, "code=c&state=other&iss=https%3A%2F%2Fevil.example", &foreign),
            (false, "error=access_denied", &foreign),
            (false, "state=STATE", &foreign),
            (false, "code=&state=STATE", &foreign),
            (false, "code=c&error=x&state=STATE", &foreign),
            (false, "code=c&code=d&state=STATE", &foreign),
            (false, "code=c&state=STATE&state=other", &foreign),
        ];
        for (requires, query, verdict) in table {
            let pending = pending(*requires);
            let query = query.replace("STATE", pending.state.expose_secret());
            let answer = CallbackParameters::from_query(&query).and_then(|found| pending.check(found));
            assert!(verdict(&answer), "{requires} {query}: {answer:?}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_words_and_loses_its_escapes() {
        let pending = pending(false);
        let query = format!(
            "error=access_denied&error_description=%1b%5b31mno&state={}",
            pending.state.expose_secret()
        );
        let answer = pending.check(CallbackParameters::from_query(&query).unwrap());
        let Err(CallbackError::Denied { error, description }) = answer else { panic!("{answer:?}") };
        assert_eq!((error.as_str(), description.as_deref()), ("access_denied", Some("\\u{1b}[31mno")));
    }

    #[test]
    fn a_paste_passes_the_same_checks() {
        let pending = pending(false);
        for (pasted, accepted) in [
            (" http://127.0.0.1:7777/callback?code=c&state=STATE \r\n", true),
            ("HTTP://127.0.0.1:7777/callback?code=c&state=STATE#_=_", true),
            ("http://127.0.0.1:7777/callback?code=c&state=other", false),
            ("http://127.0.0.1:7777/callback#code=c&state=STATE", false),
            ("http://127.0.0.1:7777/callback", false),
            ("http://127.0.0.1:7778/callback?code=c&state=STATE", false),
            ("http://localhost:7777/callback?code=c&state=STATE", false),
            ("https://127.0.0.1:7777/callback?code=c&state=STATE", false),
            ("http://user@127.0.0.1:7777/callback?code=c&state=STATE", false),
            ("http://127.0.0.1:7777/other?code=c&state=STATE", false),
            ("http://127.0.0.1:7777@evil.example/callback?code=c&state=STATE", false),
            ("code=c&state=STATE", false),
            ("", false),
        ] {
            let pasted = pasted.replace("STATE", pending.state.expose_secret());
            let answer = pending.check_pasted(&Secret::from(pasted.as_str()));
            assert_eq!(answer.is_ok(), accepted, "{pasted}: {answer:?}");
        }
        let long = format!("http://127.0.0.1:7777/callback?code={}", "x".repeat(1024 * 1024));
        assert!(pending.check_pasted(&Secret::from(long)).is_err());
    }
}
