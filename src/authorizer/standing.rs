//! What a credential stands at: the one excerpt that leaves the store's record for a request.
//!
//! Both ways to it give the same: reading the record here, and the answer of the process that
//! refreshed. Refresh tokens and client secrets are not in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authorization::TokenDigest;
use super::decision::{Renewal, Stagger, View};
use crate::credential::{Credential, Generation, Kind};
use crate::redact::Secret;

/// A credential's access token, and what decisions need to know of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Standing {
    #[serde(with = "crate::credential::secret")]
    pub(super) token: Secret,
    /// The record's; of an unsaved one, that of the record that it succeeds.
    pub(super) generation: Generation,
    obtained_at: Timestamp,
    expires_at: Option<Timestamp>,
    refresh_expires_at: Option<Timestamp>,
    /// Whether a login or a person brought it, and no refresh.
    is_first: bool,
    scopes: Vec<String>,
    renewal: Renewal,
    /// Whether the store keeps it; `false` while a save is still being tried.
    pub(super) saved: bool,
    /// What the renewal that led to it has to say, safe to print.
    pub(super) remark: Option<String>,
}

impl Standing {
    /// What a credential that the store keeps stands at.
    pub(super) fn of(credential: &Credential) -> Self {
        Self::new(&credential.kind, credential.generation.clone(), true)
    }

    /// What a credential stands at that could not be saved yet and succeeds the record of `base`.
    pub(super) fn unsaved(kind: &Kind, base: Generation) -> Self {
        Self::new(kind, base, false)
    }

    fn new(kind: &Kind, generation: Generation, saved: bool) -> Self {
        match kind {
            Kind::Oauth(oauth) => Self {
                token: oauth.access_token.value.clone(),
                generation,
                obtained_at: oauth.access_token.obtained_at,
                expires_at: oauth.access_token.expires_at,
                refresh_expires_at: oauth.refresh_token_expires_at,
                is_first: oauth.access_token.obtained_at <= oauth.logged_in_at,
                scopes: oauth.scopes.clone(),
                renewal: match (&oauth.ended, &oauth.refresh_token) {
                    (Some(ended), _) => Renewal::Ended(ended.reason.clone()),
                    (None, None) => Renewal::NoRefreshToken,
                    (None, Some(_)) => Renewal::Refresh,
                },
                saved,
                remark: None,
            },
            Kind::Token(token) => Self {
                token: token.value.clone(),
                generation,
                obtained_at: token.set_at,
                expires_at: None,
                refresh_expires_at: None,
                is_first: true,
                scopes: Vec::new(),
                renewal: Renewal::Static,
                saved,
                remark: None,
            },
        }
    }

    /// The same, with what the renewal has to say.
    pub(super) fn remarking(self, remark: Option<String>) -> Self {
        Self { remark, ..self }
    }

    /// Whether a login or a person brought the token, and no refresh.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }

    /// The scopes granted; empty where nobody named any.
    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// What decisions look at.
    pub(super) fn view(&self) -> View {
        View {
            digest: TokenDigest::of(&self.token),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            refresh_expires_at: self.refresh_expires_at,
            renewal: self.renewal.clone(),
            stagger: Stagger::default(),
        }
    }
}
