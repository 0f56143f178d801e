//! The authorization request, and the response that is waited for.

use url::Url;

use super::{CallbackError, CallbackParameters, Discovery, OauthError};
use crate::credential::{Binding, Client};
use crate::redact::Secret;

/// An authorization code that was checked to belong to its login.
#[derive(Debug)]
pub struct Code(pub(super) Secret);

/// An authorization request whose response is waited for.
#[derive(Debug)]
pub struct Pending {
    pub(super) binding: Binding,
    pub(super) client: Client,
}

impl Pending {
    /// Composes an authorization request with a fresh state and a fresh PKCE verifier.
    ///
    /// # Errors
    /// [`OauthError::Metadata`] where the endpoint cannot carry a query.
    pub fn new(_discovery: Discovery, _client: Client, _scopes: Vec<String>) -> Result<Self, OauthError> {
        todo!()
    }

    /// The address to open. It holds the state and the PKCE challenge, no secret.
    pub fn authorization_url(&self) -> &Url {
        todo!()
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
        todo!()
    }

    /// Checks an authorization response: state, then issuer, then its verdict.
    ///
    /// # Errors
    /// [`CallbackError`]; after `Foreign` and `Issuer` the right response may still come.
    pub fn check(&self, _parameters: CallbackParameters) -> Result<Code, CallbackError> {
        todo!()
    }

    /// Checks a redirect URL that a person pasted: it must be the redirect URI with a query, and
    /// then passes the same checks as a callback.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_pasted(&self, _pasted: &Secret) -> Result<Code, CallbackError> {
        todo!()
    }
}
