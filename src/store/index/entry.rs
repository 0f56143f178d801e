//! What the index says of one service.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::credential::{Binding, Credential, Generation, Kind, OauthCredential};
use crate::redact::printable;
use crate::server_uri::{ServerUri, ServiceKey, shown};
use crate::store::{StoreError, StoreKind};

/// The newest schema that this version reads and writes.
pub const SCHEMA: u32 = 1;

/// The code of a [`LastError`] that lasts: a refreshed login is not in the store yet.
pub const UNSAVED_ROTATION: &str = "unsaved_rotation";

/// The code of a [`LastError`] that lasts until somebody reads the store: it could not be read.
pub const STORE_UNREADABLE: &str = "store_unreadable";

/// The code of a [`LastError`] that lasts until the service takes the token: it refused it.
pub const TOKEN_REJECTED: &str = "token_rejected";

/// Who a service is: what the user typed, and no more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name that commands take; unique within the profile.
    pub name: String,
    /// The profile.
    pub profile: String,
    /// The endpoint, canonical and whole; people are shown [`Identity::address`].
    pub url: Url,
    /// The store that was chosen at login.
    pub store: StoreKind,
}

impl Identity {
    /// The service at `server`, as it is kept in `store`.
    pub fn new(name: impl Into<String>, profile: &str, server: &ServerUri, store: StoreKind) -> Self {
        Self { name: name.into(), profile: profile.to_owned(), url: server.as_url().clone(), store }
    }

    /// The endpoint, as people see it.
    pub fn address(&self) -> String {
        printable(&shown(self.url.as_str()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, profile, url: _, store } = self;
        let mut shown = formatter.debug_struct("Identity");
        shown.field("name", name).field("profile", profile).field("url", &self.address());
        shown.field("store", store).finish()
    }
}

/// One service, as `tokens list` shows it. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA`] of the version that wrote it.
    pub schema: u32,
    /// The service's key, which also names the file.
    #[serde(with = "key_text")]
    pub key: ServiceKey,
    /// Who it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// What its record keeps.
    pub kind: EntryKind,
    /// The record's generation, or the stamp of the deletion.
    pub generation: Generation,
    /// A delete has begun; a repeated one finishes it.
    #[serde(default)]
    pub deleted: bool,
    /// Whether the login renews by itself: there is a refresh token.
    pub renews: bool,
    /// When the access token expires, where known.
    pub access_expires_at: Option<Timestamp>,
    /// When the refresh token ends, where the server said so.
    pub refresh_expires_at: Option<Timestamp>,
    /// When the refresh token in hand was first received; `None` where an earlier version wrote the entry.
    #[serde(default)]
    pub refresh_obtained_at: Option<Timestamp>,
    /// When the person logged in, or set the token.
    pub logged_in_at: Timestamp,
    /// When a refresh last succeeded.
    pub last_refresh_at: Option<Timestamp>,
    /// What went wrong last; where that ended the login, `state` says so too.
    pub last_error: Option<LastError>,
    /// Until when the token endpoint asks not to be asked; a new record knows nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Whether it can be used.
    pub state: State,
    /// What the login is bound to; `None` for a static token.
    pub binding: Option<Binding>,
    /// A login that is about to take its place, or has, and is not listed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coming: Option<Announcement>,
    /// Another store, which may hold something of it too: it moved, and what it left there could not be
    /// erased; or it is about to move there. Two kinds of store last, so that one other is all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_in: Option<StoreKind>,
    /// Scopes granted.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// What a service's record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An OAuth login.
    Oauth,
    /// A static API token.
    Token,
}

/// A login that is bound elsewhere than the listed one, and was about to be saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// What it is bound to.
    pub binding: Binding,
    /// The record that it succeeds, where there is one: listing another one ends the announcement.
    pub succeeds: Option<Generation>,
}

/// Whether a login can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can, as far as is known.
    Valid,
    /// The authorization server ended it, or the service refuses its token.
    LoginRequired {
        /// A sentence for people.
        reason: String,
        /// Since when.
        since: Timestamp,
        /// Whether it is the service that refuses the token, and the authorization server did not end the
        /// login.
        #[serde(default)]
        by_service: bool,
    },
}

/// The last thing that went wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// A short code, for instance `invalid_grant` or [`UNSAVED_ROTATION`].
    pub code: String,
    /// A sentence for people, without any secret.
    pub text: String,
}

impl Entry {
    /// The entry that `credential` calls for.
    pub(super) fn of(key: &ServiceKey, identity: Identity, credential: &Credential) -> Self {
        let mut entry = Self {
            schema: SCHEMA,
            key: key.clone(),
            identity,
            kind: EntryKind::Token,
            generation: credential.generation.clone(),
            deleted: false,
            renews: false,
            access_expires_at: None,
            refresh_expires_at: None,
            refresh_obtained_at: None,
            logged_in_at: Timestamp::UNIX_EPOCH,
            last_refresh_at: None,
            last_error: None,
            retry_at: None,
            state: State::Valid,
            binding: None,
            coming: None,
            also_in: None,
            scopes: Vec::new(),
        };
        match &credential.kind {
            Kind::Token(token) => entry.logged_in_at = token.set_at,
            Kind::Oauth(oauth) => entry.describe(oauth),
        }
        entry
    }

    /// Refuses a stored login that is bound elsewhere than the one that was made here: any program of
    /// this user can put an item into a keychain, and its endpoints with it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming both.
    pub fn admit(&self, kind: &Kind) -> Result<(), StoreError> {
        let Kind::Oauth(found) = kind else { return Ok(()) };
        let place = |binding: &Binding| (binding.issuer.clone(), binding.token_endpoint.clone());
        let known = self.binding.as_ref().filter(|_| !self.deleted).map(place);
        let coming = self.coming.as_ref().map(|coming| place(&coming.binding));
        let is_coming = coming.is_some_and(|coming| coming == place(&found.binding));
        let is_known = match (self.kind, &known) {
            _ if self.deleted || is_coming => true,
            (EntryKind::Token, _) => false,
            (EntryKind::Oauth, known) => known.as_ref().is_none_or(|known| *known == place(&found.binding)),
        };
        if is_known {
            return Ok(());
        }
        let made = known.map_or("is a static token".to_owned(), |(_, endpoint)| {
            format!("was made with {}", printable(endpoint.as_str()))
        });
        let found = printable(found.binding.token_endpoint.as_str());
        Err(StoreError::Corrupt {
            item: self.key.to_string(),
            reason: format!("its tokens belong to {found}, and what was stored here {made}"),
        })
    }

    /// Whether the authorization server ended the login, so that nothing renews it any more.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::LoginRequired { by_service: false, .. })
    }

    /// Whether the service refuses the token, which the authorization server may still renew.
    pub fn is_rejected(&self) -> bool {
        matches!(self.state, State::LoginRequired { by_service: true, .. })
    }

    /// Marks it as refused: by the authorization server, or `by_service`, of which the record does not
    /// know.
    pub(super) fn refuse(&mut self, refusal: LastError, by_service: bool) {
        self.state = State::LoginRequired { reason: refusal.text.clone(), since: refusal.at, by_service };
        self.last_error = Some(refusal);
    }

    /// Takes over what is known of other stores from `old`, whose place it takes.
    pub(super) fn follow(&mut self, old: &Self) {
        let store = self.identity.store;
        let left = Some(old.identity.store).filter(|left| *left != store && *left != StoreKind::Memory);
        self.also_in = left.or(old.also_in.filter(|other| *other != store));
    }

    fn describe(&mut self, oauth: &OauthCredential) {
        let access = &oauth.access_token;
        self.kind = EntryKind::Oauth;
        self.renews = oauth.refresh_token.is_some();
        self.access_expires_at = access.expires_at;
        self.refresh_expires_at = oauth.refresh_token_expires_at;
        self.refresh_obtained_at = oauth.refresh_token_obtained_at.filter(|_| self.renews);
        self.logged_in_at = oauth.logged_in_at;
        self.last_refresh_at = (access.obtained_at > oauth.logged_in_at).then_some(access.obtained_at);
        self.binding = Some(oauth.binding.clone());
        self.scopes.clone_from(&oauth.scopes);
        if let Some(ended) = &oauth.ended {
            let (at, code, text) = (ended.at, ended.error.clone(), ended.reason.clone());
            self.refuse(LastError { at, code, text }, false);
        }
    }
}

/// A service's key as text.
mod key_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::server_uri::ServiceKey;

    pub(super) fn serialize<S: Serializer>(key: &ServiceKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(key.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ServiceKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        ServiceKey::from_hex(&text).ok_or_else(|| D::Error::custom("no service key"))
    }
}
