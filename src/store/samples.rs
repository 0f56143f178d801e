//! Records for the tests of this room and of those above it.

use jiff::{Timestamp, ToSpan};

use crate::credential::{
    AccessToken, Binding, Client, ClientAuthentication, Credential, Ended, Generation, Kind, OauthCredential,
    Registration, SCHEMA, StaticToken,
};
use crate::redact::Secret;

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// An OAuth login with these two tokens, of a generation of its own.
pub(crate) fn oauth(access: &str, refresh: &str) -> Credential {
    let oauth = OauthCredential {
        binding: Binding {
            issuer: Some("https://as.example".to_owned()),
            token_endpoint: "https://as.example/token".parse().unwrap(),
            revocation_endpoint: None,
            resource: Some("https://mcp.example/".to_owned()),
        },
        client: Client {
            id: "client".to_owned(),
            secret: Some(Secret::from("secret-canary")),
            authentication: ClientAuthentication::Basic,
            registration: Registration::PreRegistered,
            redirect_uri: "http://127.0.0.1/callback".to_owned(),
        },
        scopes: vec!["feature:mcp".to_owned()],
        access_token: AccessToken {
            value: Secret::from(access),
            obtained_at: now(),
            expires_at: Some(now() + 1.hour()),
        },
        refresh_token: Some(Secret::from(refresh)),
        refresh_token_obtained_at: Some(now()),
        refresh_token_expires_at: None,
        logged_in_at: now(),
        ended: None,
    };
    Credential { schema: SCHEMA, generation: Generation::draw().unwrap(), kind: Kind::Oauth(Box::new(oauth)) }
}

/// `credential`, refused for good with `error`.
pub(crate) fn ended(mut credential: Credential, error: &str) -> Credential {
    if let Kind::Oauth(oauth) = &mut credential.kind {
        oauth.ended = Some(Ended { at: now(), error: error.to_owned(), reason: "revoked".to_owned() });
    }
    credential
}

/// A static token.
pub(crate) fn token(value: &str) -> Credential {
    let token = StaticToken { value: Secret::from(value), set_at: now() };
    Credential { schema: SCHEMA, generation: Generation::draw().unwrap(), kind: Kind::Token(token) }
}
