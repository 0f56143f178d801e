//! A login under way, whose answers are looked for: the same one for all inputs of a thread, so that
//! its random state is the only thing that differs from one run to the next.

use mcp_front::credential::{Client, ClientAuthentication, Registration};
use mcp_front::http::AddressPolicy;
use mcp_front::oauth::{Discovery, Pending, Source};
use mcp_front::redact::Secret;
use url::Url;

/// The issuer that is asked.
pub const ISSUER: &str = "https://as.example";
/// What the client may not show.
pub const CLIENT_SECRET: &str = "canary-client/secret+1=";

/// A login that waits at `redirect_uri`.
pub fn pending(redirect_uri: &Url, requires_issuer: bool) -> Pending {
    let endpoint = |path: &str| Url::parse(&format!("{ISSUER}{path}")).expect("a URL");
    let discovery = Discovery {
        source: Source::Metadata,
        issuer: Some(ISSUER.to_owned()),
        authorization_endpoint: endpoint("/authorize"),
        token_endpoint: endpoint("/token"),
        registration_endpoint: None,
        revocation_endpoint: None,
        resource: "https://mcp.example".to_owned(),
        scopes: Vec::new(),
        authentication_methods: None,
        requires_issuer,
        supports_metadata_document: false,
        policy: AddressPolicy::bound(),
    };
    Pending::new(discovery, client(redirect_uri), vec!["a".to_owned()]).expect("the redirect URI is one")
}

/// A confidential client.
pub fn client(redirect_uri: &Url) -> Client {
    Client {
        id: "id".to_owned(),
        secret: Some(Secret::from(CLIENT_SECRET)),
        authentication: ClientAuthentication::Basic,
        registration: Registration::PreRegistered,
        redirect_uri: redirect_uri.to_string(),
    }
}

/// The state that an answer must carry; an authorization endpoint's own query stands ahead of it.
pub fn state(pending: &Pending) -> String {
    let pairs = pending.authorization_url().query_pairs();
    let states = pairs.filter(|(name, _)| name == "state");
    states.last().map(|(_, state)| state.into_owned()).expect("a state")
}

/// What an answer with this query is to be taken for, by the plainest reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// Not this login's: it goes on waiting.
    PassedOver,
    Denied,
}

/// Judges a query for the login that waits for `state`.
pub fn verdict(query: &str, state: &str, requires_issuer: bool) -> Verdict {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all = |name: &str| -> Vec<&str> {
        pairs.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    };
    let repeats =
        ["code", "state", "iss", "error", "error_description"].iter().any(|name| all(name).len() > 1);
    let issuer = match all("iss")[..] {
        [] => !requires_issuer,
        [issuer] => issuer == ISSUER,
        _ => false,
    };
    if repeats || query.len() > 16 * 1024 || all("state") != [state] || !issuer {
        return Verdict::PassedOver;
    }
    match (&all("code")[..], &all("error")[..]) {
        ([code], []) if !code.is_empty() => Verdict::Accepted,
        ([], [_]) => Verdict::Denied,
        _ => Verdict::PassedOver,
    }
}
