//! The stored record of one service: what a login leaves behind.
//!
//! One record a service holds everything that a refresh needs, and binds it: issuer, token
//! endpoint, resource and client are those of the login, and nothing secret ever goes elsewhere
//! (RFC 8414 §3.3, RFC 8707, RFC 9207). Times are absolute, by this machine's clock.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::redact::{ExposeSecret, Secret};

/// The newest schema that this version reads and writes; a newer record is refused, never
/// overwritten.
pub const SCHEMA: u32 = 1;

/// A random stamp drawn at each save. Equal stamps mean the same saved state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Generation(String);

impl Generation {
    /// Draws a new stamp from the operating system's generator.
    ///
    /// # Errors
    /// Where the system has no entropy to give.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(crate::hex::hex(&bytes)))
    }

    /// The stamp's text, 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Generation {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.len() == 32 && text.bytes().all(is_digit) {
            true => Ok(Self(text)),
            false => Err("a stamp has 32 hex digits"),
        }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The record in the credential store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credential {
    /// [`SCHEMA`] of the version that wrote it.
    pub schema: u32,
    /// Drawn anew at each save.
    pub generation: Generation,
    /// What is kept.
    pub kind: Kind,
}

/// What a service's record keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An OAuth login.
    Oauth(Box<OauthCredential>),
    /// A static API token, sent as `Authorization: Bearer`.
    Token(StaticToken),
}

/// A token that a person pasted with `tokens set`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StaticToken {
    /// The token's value.
    #[serde(with = "secret")]
    pub value: Secret,
    /// When it was stored.
    pub set_at: Timestamp,
}

/// An OAuth login: the grant, the client that holds it, and what both are bound to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OauthCredential {
    /// Where the grant came from and may be used.
    pub binding: Binding,
    /// The client that holds the grant.
    pub client: Client,
    /// Scopes granted; empty where neither request nor response named any.
    pub scopes: Vec<String>,
    /// The access token and its life.
    pub access_token: AccessToken,
    /// The refresh token, where the server issued one.
    #[serde(with = "optional_secret", default)]
    pub refresh_token: Option<Secret>,
    /// When the refresh token in hand was first received.
    pub refresh_token_obtained_at: Option<Timestamp>,
    /// When the refresh token ends, where the server said so (`refresh_token_expires_in`).
    pub refresh_token_expires_at: Option<Timestamp>,
    /// When the person logged in.
    pub logged_in_at: Timestamp,
    /// Set once the authorization server refused the grant for good. The dead credential is kept.
    pub ended: Option<Ended>,
}

/// An access token with its absolute life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessToken {
    /// The token's value.
    #[serde(with = "secret")]
    pub value: Secret,
    /// When it was received.
    pub obtained_at: Timestamp,
    /// When it expires; `None` where the server did not say (then only a 401 tells).
    pub expires_at: Option<Timestamp>,
}

/// What a login is bound to. A server that names anything else gets nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The authorization server's issuer identifier (RFC 8414), exactly as it was published;
    /// `None` for pinned endpoints and for 2025-03-26 servers without metadata.
    pub issuer: Option<String>,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// Where tokens are revoked (RFC 7009), where there is such a place.
    pub revocation_endpoint: Option<Url>,
    /// The resource indicator (RFC 8707), as sent in authorization and token requests.
    pub resource: Option<String>,
}

/// The OAuth client that holds a grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret` of a confidential client.
    #[serde(with = "optional_secret", default)]
    pub secret: Option<Secret>,
    /// How it authenticates at the token endpoint.
    pub authentication: ClientAuthentication,
    /// Where its id came from.
    pub registration: Registration,
    /// The redirect URI that it was registered or configured with.
    pub redirect_uri: String,
}

/// `token_endpoint_auth_method` (RFC 7591 §2), as far as MCP clients use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuthentication {
    /// A public client: `client_id` in the body.
    #[serde(rename = "none")]
    None,
    /// HTTP Basic.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// Id and secret in the body.
    #[serde(rename = "client_secret_post")]
    Post,
}

/// How a client came by its id (MCP authorization, "Client Registration Approaches").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Created by hand at the provider.
    PreRegistered,
    /// A client ID metadata document: the id is an https URL.
    MetadataDocument,
    /// Dynamic client registration (RFC 7591).
    Dynamic,
}

/// The end of a grant, as the authorization server told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When the refusal came.
    pub at: Timestamp,
    /// The error code of RFC 6749 §5.2, for instance `invalid_grant`.
    pub error: String,
    /// A sentence for people; it never holds a secret.
    pub reason: String,
}

/// (De)serialises a secret; its exits are the credential store's writer and the pipe between this
/// binary's own processes.
pub(crate) mod secret {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.expose_secret())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}

/// As [`secret`], for an optional one.
pub(crate) mod optional_secret {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(deserializer).map(|value| value.map(Secret::from))
    }
}
