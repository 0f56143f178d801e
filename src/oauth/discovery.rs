//! From an endpoint to its authorization server (RFC 9728, RFC 8414, OpenID Connect Discovery; MCP
//! authorization, "Authorization Server Discovery").
//!
//! rmcp walks the documents; what it found is then judged here. PKCE S256 must be published (only
//! pinned endpoints and a 2025-03-26 server without any metadata have nothing to publish it in),
//! every endpoint must be https or on loopback, and protected resource metadata that describes
//! another resource ends the discovery even where rmcp would look elsewhere.

use std::sync::Arc;

use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataSource, OAuthClientConfig,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::disguise::reveal;
use super::scopes;
use super::transport::{self, Transport};
use super::{Exchange, OauthError};
use crate::challenge::Challenge;
use crate::http::{AddressPolicy, Client, HttpError, secrets_sent};
use crate::redact::printable;
use crate::server_uri::{ServerUri, authority, is_loopback, shown};

/// Authorization endpoints that are known beforehand, used only where discovery finds none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The authorization endpoint.
    pub authorization_endpoint: Url,
    /// The token endpoint.
    pub token_endpoint: Url,
}

/// How the endpoints were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Published authorization server metadata.
    Metadata,
    /// [`Pinned`] endpoints.
    Pinned,
    /// The default endpoints of a 2025-03-26 server that publishes nothing.
    Defaults,
}

/// What a login needs to know about a service.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// How the endpoints were found.
    pub source: Source,
    /// The issuer, exactly as published; `None` where nothing is published.
    pub issuer: Option<String>,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// Where clients register themselves.
    pub registration_endpoint: Option<Url>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// The resource indicator to send.
    pub resource: String,
    /// The scopes to ask for: the challenge's, else the protected resource's, else none; with
    /// `offline_access` only where the authorization server lists it.
    pub scopes: Vec<String>,
    /// `token_endpoint_auth_methods_supported`, where published.
    pub authentication_methods: Option<Vec<String>>,
    /// Whether every authorization response names its issuer (RFC 9207 §3).
    pub requires_issuer: bool,
    /// Whether a client ID metadata document is accepted as client id.
    pub supports_metadata_document: bool,
    /// Which addresses the metadata may have named.
    pub policy: AddressPolicy,
}

impl Discovery {
    /// Whether a client without a secret may do, as far as metadata tells. Servers that do not list
    /// their methods take such clients more often than RFC 8414 §2 lets one think.
    pub fn takes_public_clients(&self) -> bool {
        let methods = self.authentication_methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "none"))
    }
}

/// Discovers a service's authorization server. `policy` is the one for what the endpoint's metadata
/// names.
///
/// # Errors
/// [`OauthError`], all but the registration's variants.
pub async fn discover(
    http: &Client,
    server: &ServerUri,
    policy: AddressPolicy,
    challenge: &Challenge,
    pinned: Option<&Pinned>,
) -> Result<Discovery, OauthError> {
    let network = transport::network(http, server, &policy);
    discover_by(network, server, policy, challenge, pinned).await
}

/// The same, with each document fetched by `exchange`; a request to the endpoint itself is a probe, and
/// the body of its answer is not read.
///
/// # Errors
/// As [`discover`].
pub async fn discover_by(
    exchange: Exchange,
    server: &ServerUri,
    policy: AddressPolicy,
    challenge: &Challenge,
    pinned: Option<&Pinned>,
) -> Result<Discovery, OauthError> {
    let named = challenge.resource_metadata.as_deref();
    let transport = Arc::new(Transport::new(exchange, policy, server, named));
    let hidden = |text: &str| transport.disguise.hide(text);
    let mut manager =
        AuthorizationManager::new_with_oauth_http_client(hidden(server.as_str()), transport.clone())
            .await
            .map_err(|error| judge(server, error))?;
    let resource_metadata = named.map(hidden);
    let challenge = header(&Challenge { resource_metadata, ..challenge.clone() });
    let resolution = manager.resolve_metadata_from_challenge(challenge.as_deref()).await;
    if named.is_some() && !transport.is_told_place_asked() {
        tracing::warn!("the service's challenge names its metadata at an address that is not asked");
    }
    if let Some(resource) = transport.described().filter(|resource| !covers(resource, server)) {
        return Err(describes_another(&resource, server));
    }
    let (metadata, source) = match (resolution, pinned) {
        (Ok(found), _) if found.source.is_discovered() => (found.metadata, Source::Metadata),
        (Ok(_), Some(pinned)) => (pinned.as_metadata(), Source::Pinned),
        (Ok(found), None) => {
            debug_assert_eq!(found.source, AuthorizationMetadataSource::LegacyEndpointFallback);
            (found.metadata, Source::Defaults)
        }
        (Err(AuthError::AuthorizationServersUnavailable { authorization_servers, .. }), Some(pinned))
            if authorization_servers.iter().all(|named| pinned.is_at(&reveal(named))) =>
        {
            (pinned.as_metadata(), Source::Pinned)
        }
        (Err(error), _) => return Err(judge(server, error)),
    };
    if source == Source::Metadata && !supports_pkce(&metadata) {
        return Err(OauthError::no_pkce());
    }
    manager.set_metadata(metadata.clone());
    let resource = resource_indicator(&mut manager).await.map_err(|error| judge(server, error))?;
    let resource = reveal(&resource).into_owned();
    // An address may be spelled in ways that are one to rmcp, and not to the authorization server.
    if !covers(&resource, server) {
        return Err(describes_another(&resource, server));
    }
    let scopes = manager.select_initial_scopes(&[]).await;
    let scopes = scopes::bounded(scopes.iter().map(|scope| reveal(scope).into_owned()));
    let known = secrets_sent(&[], server);
    let told = |text: &str| printable(&known.hide(text));
    let (issuer, asked) = (metadata.issuer.as_deref().map(told), told(&scopes.join(" ")));
    let described = told(&shown(&resource));
    tracing::debug!(?source, issuer, resource = described, scopes = asked, "found the authorization server");
    assemble(source, &metadata, resource, scopes, transport.policy.clone())
}

impl Pinned {
    fn as_metadata(&self) -> AuthorizationMetadata {
        let mut metadata = AuthorizationMetadata::default();
        metadata.authorization_endpoint = self.authorization_endpoint.to_string();
        metadata.token_endpoint = self.token_endpoint.to_string();
        metadata
    }

    /// Whether an authorization server that metadata names is the one that is pinned.
    fn is_at(&self, issuer: &str) -> bool {
        Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == self.authorization_endpoint.origin())
    }
}

/// The challenge in canonical form, so that rmcp's reader and ours cannot differ about it. That one looks
/// for `scope=` in all of the text, the values included, which a quoted pair keeps it from finding there.
fn header(challenge: &Challenge) -> Option<String> {
    let quoted = |name: &str, value: &Option<String>| {
        let value = value.as_ref()?;
        let mut quoted = String::new();
        for character in value.chars() {
            if matches!(character, '\\' | '"' | '=') {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        Some(format!("{name}=\"{quoted}\""))
    };
    let parameters: Vec<String> =
        [quoted("resource_metadata", &challenge.resource_metadata), quoted("scope", &challenge.scope)]
            .into_iter()
            .flatten()
            .collect();
    challenge.raw.as_ref().map(|_| format!("Bearer {}", parameters.join(", ")))
}

/// Whether protected resource metadata for `resource` speaks for the endpoint: the same origin, a path
/// that is the endpoint's or a parent of it (RFC 9728 §3.3), and no user information.
fn covers(resource: &str, server: &ServerUri) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let parent = resource.path().trim_end_matches('/');
    let below = server.as_url().path().strip_prefix(parent);
    let is_bare = resource.username().is_empty() && resource.password().is_none();
    is_bare
        && resource.origin() == server.as_url().origin()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Metadata for `resource` at the endpoint's places: a sibling of the endpoint, or none of its kin.
fn describes_another(resource: &str, server: &ServerUri) -> OauthError {
    let is_sibling = |described: &ServerUri| described.as_url().origin() == server.as_url().origin();
    // What is cut to be shown is no address any more. The person chose the scheme.
    match ServerUri::parse(resource, true) {
        Ok(described) if is_sibling(&described) && printable(described.as_str()) == described.as_str() => {
            OauthError::OtherResource(Box::new(described))
        }
        _ => OauthError::Refused {
            reason: format!("it describes `{}`, not {server}", printable(&shown(resource))),
        },
    }
}

fn supports_pkce(metadata: &AuthorizationMetadata) -> bool {
    let methods = metadata.code_challenge_methods_supported.as_deref().unwrap_or_default();
    methods.iter().any(|method| method == "S256")
}

/// The resource indicator that rmcp would send; it shows in the authorization URL alone.
async fn resource_indicator(manager: &mut AuthorizationManager) -> Result<String, AuthError> {
    manager.configure_client(OAuthClientConfig::new("probe", "http://127.0.0.1/"))?;
    let url = Url::parse(&manager.get_authorization_url(&[]).await?)?;
    let resource = url.query_pairs().filter(|(name, _)| name == "resource").last();
    resource
        .map(|(_, value)| value.into_owned())
        .ok_or_else(|| AuthError::MetadataError("no resource indicator".to_owned()))
}

fn assemble(
    source: Source,
    metadata: &AuthorizationMetadata,
    resource: String,
    scopes: Vec<String>,
    policy: AddressPolicy,
) -> Result<Discovery, OauthError> {
    let more = |name: &str| metadata.additional_fields.get(name);
    let flag = |name| more(name).and_then(Value::as_bool).unwrap_or(false);
    let endpoint = |name, text: &str| endpoint(name, text, &policy);
    let token_endpoint = endpoint("token endpoint", &metadata.token_endpoint)?;
    if token_endpoint.scheme() != "https" && !is_loopback(&token_endpoint) {
        return Err(OauthError::Refused { reason: "the token endpoint is not https".to_owned() });
    }
    let registration = metadata.registration_endpoint.as_deref();
    let revocation = more("revocation_endpoint").and_then(Value::as_str);
    Ok(Discovery {
        source,
        issuer: metadata.issuer.as_deref().map(|issuer| reveal(issuer).into_owned()),
        authorization_endpoint: endpoint("authorization endpoint", &metadata.authorization_endpoint)?,
        token_endpoint,
        registration_endpoint: registration
            .map(|text| endpoint("registration endpoint", text))
            .transpose()?,
        // A login works without it, so a bad one is as good as none.
        revocation_endpoint: revocation.and_then(|text| endpoint("revocation endpoint", text).ok()),
        resource,
        scopes,
        authentication_methods: more("token_endpoint_auth_methods_supported").and_then(|methods| {
            Some(methods.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }),
        requires_issuer: flag("authorization_response_iss_parameter_supported"),
        supports_metadata_document: flag("client_id_metadata_document_supported"),
        policy,
    })
}

pub(super) fn endpoint(name: &str, text: &str, policy: &AddressPolicy) -> Result<Url, OauthError> {
    let text = &*reveal(text);
    let refuse = |reason: &dyn std::fmt::Display| OauthError::Refused {
        reason: format!(
            "the {name} `{}`: {reason}",
            printable(text.split(['?', '#']).next().unwrap_or_default())
        ),
    };
    let url = Url::parse(text).map_err(|error| refuse(&error))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(refuse(&format!("its scheme is `{}`, not https", url.scheme())));
    }
    let uri = url.as_str().parse().map_err(|error: http::uri::InvalidUri| refuse(&error))?;
    match policy.check(&uri) {
        Ok(()) => Ok(url),
        Err(HttpError::Address { reason, .. }) => Err(refuse(&reason)),
        Err(error) => Err(refuse(&error)),
    }
}

/// What a failed discovery means for the login.
fn judge(server: &ServerUri, error: AuthError) -> OauthError {
    match error {
        AuthError::DiscoveryRequestFailed { url, source } => {
            let host = reveal(authority(&url)).into_owned();
            match source.downcast::<HttpError>() {
                Ok(error) => OauthError::unreachable(host, *error),
                Err(source) => {
                    OauthError::Unreachable { what: host, source: reveal(&source.to_string()).into() }
                }
            }
        }
        AuthError::ProtectedResourceMetadataInvalid { reason, .. } => {
            OauthError::Refused { reason: printable(&reveal(&reason.to_string())) }
        }
        AuthError::AuthorizationServerMismatch { .. }
        | AuthError::AuthorizationServerMissingIssuer { .. } => {
            OauthError::Refused { reason: printable(&reveal(&error.to_string())) }
        }
        AuthError::PkceUnsupported => OauthError::no_pkce(),
        AuthError::NoAuthorizationSupport => OauthError::NoAuthorizationSupport,
        other => OauthError::Metadata { reason: printable(&reveal(&format!("{server}: {other}"))) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_covers_its_own_paths_only() {
        let server = ServerUri::parse("https://mcp.example.com/team/mcp", false).unwrap();
        for (resource, covered) in [
            ("https://mcp.example.com", true),
            ("https://mcp.example.com/", true),
            ("https://mcp.example.com:443/team", true),
            ("https://mcp.example.com/team/", true),
            ("https://mcp.example.com/team/mcp", true),
            ("https://mcp.example.com/te", false),
            ("https://mcp.example.com/team/mcp/more", false),
            ("https://mcp.example.com.evil/team/mcp", false),
            ("https://mcp.example.com./team/mcp", false),
            ("https://mcp.example.com@evil/team/mcp", false),
            ("https://evil@mcp.example.com/team/mcp", false),
            ("http://mcp.example.com/team/mcp", false),
            ("mcp.example.com", false),
        ] {
            assert_eq!(covers(resource, &server), covered, "{resource}");
        }
    }

    #[test]
    fn endpoints_are_https_or_loopback() {
        let policy = AddressPolicy::bound();
        for (text, accepted) in [
            ("https://as.example/authorize?x=$(touch%20pwn)", true),
            ("http://127.0.0.1:9/authorize", true),
            ("http://as.example/authorize", false),
            ("javascript:alert(1)", false),
            ("file:///etc/passwd", false),
            ("ms-msdt:/id", false),
            ("data:text/html,x", false),
            ("/authorize", false),
            ("https://user:pass@as.example/", false),
        ] {
            assert_eq!(endpoint("endpoint", text, &policy).is_ok(), accepted, "{text}");
        }
    }

    #[test]
    fn a_challenge_is_handed_on_in_one_reading() {
        let challenge = Challenge {
            raw: Some("Bearer …".to_owned()),
            scope: Some("a \"b".to_owned()),
            resource_metadata: Some("https://a.example/x?scope=y".to_owned()),
            error: None,
        };
        assert_eq!(
            header(&challenge).as_deref(),
            Some(r#"Bearer resource_metadata="https://a.example/x?scope\=y", scope="a \"b""#)
        );
        assert_eq!(header(&Challenge::default()), None);
    }
}
