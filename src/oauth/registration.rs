//! How a client comes by its id.

use url::Url;

use super::{Discovery, OauthError};
use crate::credential::{Client, ClientAuthentication};
use crate::http;
use crate::redact::Secret;

/// A client that was created by hand at the provider.
#[derive(Debug, Clone)]
pub struct PreRegistered {
    /// `client_id`.
    pub id: String,
    /// `client_secret` of a confidential client.
    pub secret: Option<Secret>,
    /// How it authenticates, where that is known beforehand.
    pub authentication: Option<ClientAuthentication>,
}

/// Who asks for a login, and with what in hand.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// A client created by hand; it goes before everything else.
    pub pre_registered: Option<PreRegistered>,
    /// A client ID metadata document, used where the authorization server takes one.
    pub metadata_document: Option<Url>,
    /// Where the browser comes back to.
    pub redirect_uri: Url,
}

/// Finds or registers the client for a login.
///
/// # Errors
/// [`OauthError::ClientRequired`], [`OauthError::RegistrationRefused`], [`OauthError::Unreachable`].
pub async fn obtain_client(
    _http: &http::Client,
    _discovery: &Discovery,
    _applicant: &Applicant,
    _scopes: &[String],
) -> Result<Client, OauthError> {
    todo!()
}
