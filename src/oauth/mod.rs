//! OAuth 2.1 as MCP profiles it: discovery, registration, authorization, grants and revocation.
//!
//! This room asks authorization servers and never stores anything. It refuses what cannot be
//! proven: metadata without PKCE S256 (OAuth 2.1 §7.5.2), an issuer other than the one that was
//! asked (RFC 8414 §3.3, RFC 9207), a resource that does not cover the endpoint (RFC 9728 §3.3), and
//! endpoints that are neither https nor on loopback. Discovery is rmcp's, through our own HTTP
//! client; every grant is made with the `oauth2` crate. The client registers itself here, since
//! rmcp's registration always asks for a public client and drops the method that the server chose.

mod authorization;
mod callback;
mod discovery;
mod disguise;
mod exchange;
pub mod grant;
mod issuer;
mod members;
mod registration;
pub mod revocation;
mod scopes;
mod token_response;
mod transport;

pub use authorization::{Code, Pending};
pub use callback::{CallbackError, CallbackParameters};
pub use discovery::{Discovery, Pinned, Source, discover, discover_by};
pub use exchange::{Answer, Exchange};
pub use grant::GrantError;
pub use issuer::{moved_token_endpoint, revocation_endpoint};
pub use registration::{Applicant, PreRegistered, obtain_client};
pub use scopes::{granted, widened};
pub use token_response::{TokenResponse, fits_header};

use crate::http::HttpError;
use crate::server_uri::ServerUri;

/// Why no login can be started with a service.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// A server did not answer, or answered with a failure of its own. Trying later may help.
    #[error("cannot reach {what}")]
    Unreachable {
        /// What was asked, for people.
        what: String,
        /// The first cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was discovered must not be used: somebody other than the service may be behind it.
    #[error("the service's metadata is refused: {reason}")]
    Refused {
        /// What is wrong, safe to print.
        reason: String,
    },
    /// What was discovered is another resource's of the same origin: the address may have a wrong path.
    #[error("the service's metadata describes {0}, not this address")]
    OtherResource(Box<ServerUri>),
    /// The metadata is there and cannot be used.
    #[error("the service's metadata cannot be used: {reason}")]
    Metadata {
        /// What is wrong, safe to print.
        reason: String,
    },
    /// The service names another authorization server than the one that the client belongs to.
    /// Nothing was sent there.
    #[error(
        "the authorization server changed: the stored login is {known}'s, and the service now names {named}"
    )]
    ServerChanged {
        /// The authorization server of the stored login, safe to print.
        known: String,
        /// The one that the service names now, safe to print.
        named: String,
    },
    /// The service publishes no OAuth metadata at all.
    #[error("the service publishes no OAuth metadata")]
    NoAuthorizationSupport,
    /// The authorization server wants of the client what the person alone can give.
    #[error(transparent)]
    ClientRequired(Lacking),
    /// The authorization server refused to register a client.
    #[error("the authorization server refused to register a client: {reason}")]
    RegistrationRefused {
        /// The server's reason, safe to print.
        reason: String,
    },
}

/// What a client lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lacking {
    /// An id: only registered clients are taken.
    #[error("the authorization server registers no clients by itself: a client id is needed")]
    Id,
    /// A secret, which the one that was named came without.
    #[error("the authorization server takes no client without a secret")]
    Secret,
}

impl OauthError {
    /// A server that does not say that it supports PKCE with S256.
    fn no_pkce() -> Self {
        let reason = "the authorization server does not support PKCE with S256, so codes could be stolen";
        Self::Metadata { reason: reason.to_owned() }
    }

    /// Wraps a failed exchange with `what`, a server's name for people.
    fn unreachable(what: impl Into<String>, source: HttpError) -> Self {
        match source {
            HttpError::Address { .. } => Self::Refused { reason: source.to_string() },
            other => Self::Unreachable { what: what.into(), source: other.into() },
        }
    }
}
