//! The client that a login is made with, as far as it is known beforehand.
//!
//! A client created by hand, or a client ID metadata document, serves again where the stored login
//! used it with the same authorization server; with another one it never does (MCP authorization,
//! "Client Registration Approaches"). A dynamic registration is always made anew.

use url::Url;

use super::Options;
use crate::credential::{Credential, Kind, Registration};
use crate::oauth::{Discovery, PreRegistered};

/// What is known of the client before anybody registers: what the user named, else the stored
/// login's, as long as the authorization server is the one that it belongs to.
pub(super) struct KnownClient {
    pub(super) pre_registered: Option<PreRegistered>,
    pub(super) metadata_document: Option<Url>,
    /// The redirect URI that the stored client is registered with.
    pub(super) redirect_uri: Option<Url>,
}

impl KnownClient {
    pub(super) fn find(options: &Options, stored: Option<&Credential>, discovery: &Discovery) -> Self {
        let named = Self {
            pre_registered: options.client.clone(),
            metadata_document: options.client_metadata_url.clone(),
            redirect_uri: None,
        };
        let Some(Kind::Oauth(oauth)) = stored.map(|credential| &credential.kind) else { return named };
        let bound = &oauth.binding;
        let is_same_server =
            bound.issuer == discovery.issuer && bound.token_endpoint == discovery.token_endpoint;
        if named.pre_registered.is_some() || !is_same_server {
            return named;
        }
        let client = &oauth.client;
        match client.registration {
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
        }
    }
}
