//! What an endpoint demands, and where its logins are made: all that can be found out about it
//! without a person (MCP authorization, "Authorization Server Discovery").

use std::time::Duration;

use ::http::HeaderMap;

use super::probe::{self, Demand};
use crate::challenge::Challenge;
use crate::http::{AddressPolicy, Client};
use crate::oauth::{Discovery, OauthError, Pinned, Source, discover};
use crate::server_uri::ServerUri;

/// How long discovery may take, all its requests together.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(60);

/// What a search for an authorization server starts from.
#[derive(Debug, Clone, Copy)]
pub struct Survey<'a> {
    /// The client of the endpoint.
    pub http: &'a Client,
    /// The endpoint.
    pub server: &'a ServerUri,
    /// What the user adds to the requests to the endpoint.
    pub headers: &'a HeaderMap,
    /// Whether a public endpoint's metadata may name private addresses.
    pub private_network: bool,
    /// The challenge that a request got already, where one did.
    pub challenge: Option<&'a Challenge>,
    /// Endpoints for where discovery finds none.
    pub pinned: Option<&'a Pinned>,
}

impl Survey<'_> {
    /// Finds the authorization server; `None` where the service wants no login and offers none.
    ///
    /// # Errors
    /// [`OauthError`], all but the registration's variants.
    ///
    /// # Cancel safety
    /// It asks and stores nothing.
    pub async fn find_server(self) -> Result<Option<Discovery>, OauthError> {
        let Self { http, server, headers, private_network, challenge, pinned } = self;
        let (demand, peer) = match challenge {
            // Where the address says all about where the endpoint is, there is nothing left to ask.
            Some(challenge) if server.has_literal_address() => (Demand::Login(challenge.clone()), None),
            Some(challenge) => {
                let (_, peer) = probe::ask(http, server, headers).await?;
                (Demand::Login(challenge.clone()), peer)
            }
            None => probe::ask(http, server, headers).await?,
        };
        let challenge = match &demand {
            Demand::Login(challenge) | Demand::Unclear(challenge, _) => challenge.clone(),
            Demand::Nothing => Challenge::default(),
        };
        let policy = AddressPolicy::for_endpoint(server, peer).and_private(private_network);
        let search = discover(http, server, policy, &challenge, pinned);
        let found = tokio::time::timeout(DISCOVERY_LIMIT, search).await.unwrap_or_else(|_| {
            let source = "it took too long to say how to log in".into();
            Err(OauthError::Unreachable { what: server.authority().to_owned(), source })
        });
        match (found, demand) {
            (Ok(discovery), Demand::Login(_)) => Ok(Some(discovery)),
            (Ok(discovery), _) if discovery.source == Source::Metadata => Ok(Some(discovery)),
            // A service that answers without a login need not publish anything.
            (_, Demand::Nothing) => Ok(None),
            (Ok(_), Demand::Unclear(_, why)) => {
                Err(OauthError::Unreachable { what: server.authority().to_owned(), source: why.into() })
            }
            (Err(error), _) => Err(error),
        }
    }
}
