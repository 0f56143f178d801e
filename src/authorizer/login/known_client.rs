//! The client that a login is made with, as far as it is known beforehand.
//!
//! A client created by hand, or a client ID metadata document, serves again where the stored login
//! used it with the same authorization server; with another one it never does (MCP authorization,
//! "Client Registration Approaches"). That holds for a client that the user names once more, too:
//! its secret would go wherever the service points today. A dynamic registration is always made
//! anew.

use url::Url;

use super::Options;
use crate::credential::{Credential, Kind, Registration};
use crate::oauth::{Discovery, Lacking, OauthError, PreRegistered};
use crate::redact::printable;

/// What is known of the client before anybody registers: what the user named, else the stored
/// login's, as long as the authorization server is the one that it belongs to.
pub(super) struct KnownClient {
    pub(super) pre_registered: Option<PreRegistered>,
    pub(super) metadata_document: Option<Url>,
    /// The redirect URI that the stored client is registered with.
    pub(super) redirect_uri: Option<Url>,
}

impl KnownClient {
    /// # Errors
    /// [`OauthError::ClientRequired`] where the named client has no secret, and would need one; and
    /// [`OauthError::ServerChanged`] where the named client belongs to the stored login's
    /// authorization server, and the service names another one by now; and for any named client
    /// where nobody asked for this very login.
    pub(super) fn find(
        options: &Options,
        stored: Option<&Credential>,
        discovery: &Discovery,
    ) -> Result<Self, OauthError> {
        let mut named = Self {
            pre_registered: options.client.clone(),
            metadata_document: options.client_metadata_url.clone(),
            redirect_uri: None,
        };
        let Some(Kind::Oauth(oauth)) = stored.map(|credential| &credential.kind) else {
            return named.with_secret(discovery);
        };
        let client = &oauth.client;
        let is_same_server = is_bound_to(stored, discovery);
        let named_client = named.pre_registered.as_ref();
        let is_its = |named: &PreRegistered| named.id == client.id || options.give_way;
        if let Some(Move { known, named }) = Move::between(stored, discovery)
            && named_client.is_some_and(is_its)
        {
            return Err(OauthError::ServerChanged { known, named });
        }
        if let Some(again) = named.pre_registered.as_mut().filter(|named| named.id == client.id)
            && again.secret.is_none()
            && is_same_server
        {
            again.secret.clone_from(&client.secret);
            again.authentication = again.authentication.or(Some(client.authentication));
        }
        if named.pre_registered.is_some() || !is_same_server {
            return named.with_secret(discovery);
        }
        Ok(match client.registration {
            Registration::PreRegistered => Self {
                pre_registered: Some(PreRegistered {
                    id: client.id.clone(),
                    secret: client.secret.clone(),
                    authentication: Some(client.authentication),
                }),
                redirect_uri: Url::parse(&client.redirect_uri).ok(),
                ..named
            },
            Registration::MetadataDocument => Self {
                metadata_document: named.metadata_document.or_else(|| Url::parse(&client.id).ok()),
                ..named
            },
            Registration::Dynamic => named,
        })
    }
}

/// Whether a stored login is that of the authorization server that was discovered.
pub(super) fn is_bound_to(stored: Option<&Credential>, discovery: &Discovery) -> bool {
    match stored.map(|credential| &credential.kind) {
        Some(Kind::Oauth(oauth)) => {
            let bound = &oauth.binding;
            bound.issuer == discovery.issuer && bound.token_endpoint == discovery.token_endpoint
        }
        Some(Kind::Token(_)) | None => false,
    }
}

impl KnownClient {
    fn with_secret(self, discovery: &Discovery) -> Result<Self, OauthError> {
        match &self.pre_registered {
            Some(client) if client.secret.is_none() && !discovery.takes_public_clients() => {
                Err(OauthError::ClientRequired(Lacking::Secret))
            }
            _ => Ok(self),
        }
    }
}

/// Another authorization server than the stored login's, or another token endpoint of it; for people.
#[derive(Debug)]
pub struct Move {
    /// The one that the stored login is bound to.
    pub known: String,
    /// The one that the service names by now.
    pub named: String,
}

impl Move {
    /// The move since the stored login was made, if there was one.
    pub(super) fn between(stored: Option<&Credential>, discovery: &Discovery) -> Option<Self> {
        let Some(Kind::Oauth(oauth)) = stored.map(|credential| &credential.kind) else { return None };
        if is_bound_to(stored, discovery) {
            return None;
        }
        let bound = &oauth.binding;
        let is_same_issuer = bound.issuer == discovery.issuer;
        let shown = |issuer: &Option<String>, token_endpoint: &Url| {
            let issuer = issuer.as_deref().filter(|_| !is_same_issuer);
            printable(issuer.unwrap_or(token_endpoint.as_str()))
        };
        Some(Self {
            known: shown(&bound.issuer, &bound.token_endpoint),
            named: shown(&discovery.issuer, &discovery.token_endpoint),
        })
    }
}
