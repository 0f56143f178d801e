//! What a login is good for, in the words that every command uses.

use jiff::Timestamp;
use serde::Serialize;

use crate::clock;
use crate::redact::printable;
use crate::store::StoreKind;
use crate::store::index::{Entry, EntryKind, STORE_UNREADABLE, State};

/// What a login is good for, as far as the index tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Standing {
    /// It can be used, and renews by itself.
    Renews,
    /// It can be used until its access token expires: there is no refresh token, or that is over.
    Valid,
    /// It is a static token, which is good until somebody says otherwise.
    Static,
    /// Nothing is stored: the service may want no login.
    NotStored,
    /// A person has to act.
    LoginRequired {
        /// Why, safe to print.
        reason: String,
        /// Since when, where known.
        since: Option<Timestamp>,
    },
}

impl Standing {
    /// What `entry` stands at.
    pub(super) fn of(entry: &Entry, now: Timestamp) -> Self {
        let required = |reason: &str, since| Self::LoginRequired { reason: printable(reason), since };
        let ended = |expiry: Option<Timestamp>| expiry.is_some_and(|expiry| expiry <= now);
        if entry.deleted {
            return required("deleting it was interrupted: delete it again, or log in", None);
        }
        if entry.identity.store == StoreKind::Memory {
            return required("it was kept in the memory of one process", None);
        }
        if let State::LoginRequired { reason, since, .. } = &entry.state {
            return required(reason, Some(*since));
        }
        match entry.kind {
            EntryKind::Oauth if entry.renews && !ended(entry.refresh_expires_at) => Self::Renews,
            EntryKind::Oauth if entry.renews && ended(entry.access_expires_at) => {
                required("the refresh token has expired", entry.refresh_expires_at)
            }
            EntryKind::Oauth if !entry.renews && ended(entry.access_expires_at) => {
                let reason = "the access token has expired, and there is no refresh token";
                required(reason, entry.access_expires_at)
            }
            EntryKind::Oauth => Self::Valid,
            EntryKind::Token => Self::Static,
        }
    }

    /// When what stands so ends, by the server's own word: where the access token outlives the refresh token,
    /// with that one. What a clock gave that was wrong is no word of anybody's.
    pub(super) fn named_end(&self, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        if clock::was_ahead(obtained_at(entry), now) {
            return None;
        }
        let (refresh, access) = (entry.refresh_expires_at, entry.access_expires_at);
        match self {
            Self::Renews => refresh.map(|end| access.map_or(end, |access| end.max(access))),
            Self::Valid => access,
            Self::Static | Self::NotStored | Self::LoginRequired { .. } => refresh,
        }
    }

    /// Why a login is required, and since when; `None` where none is.
    pub(super) fn required(&self) -> Option<(&str, Option<Timestamp>)> {
        match self {
            Self::LoginRequired { reason, since } => Some((reason, *since)),
            Self::Renews | Self::Valid | Self::Static | Self::NotStored => None,
        }
    }

    /// The words for a person.
    pub(super) fn shown(&self) -> &'static str {
        match self {
            Self::Renews => "renews by itself",
            Self::Valid => "valid",
            Self::Static => "static token",
            Self::NotStored => "nothing stored",
            Self::LoginRequired { .. } => "login required",
        }
    }
}

/// Since when the login lasts. An entry of an earlier version does not tell: the login is no younger than
/// that.
pub(super) fn obtained_at(entry: &Entry) -> Timestamp {
    match entry.renews {
        true => entry.refresh_obtained_at.unwrap_or(entry.logged_in_at),
        false => entry.logged_in_at,
    }
}

/// What went wrong last with a login, safe to print.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) at: Timestamp,
    pub(super) code: String,
    pub(super) text: String,
}

impl Problem {
    /// What `entry` remembers.
    pub(super) fn last(entry: &Entry) -> Option<Self> {
        let error = entry.last_error.as_ref()?;
        Some(Self { at: error.at, code: printable(&error.code), text: printable(&error.text) })
    }

    /// Whether the store could not be read when somebody last tried.
    pub(super) fn is_of_store(&self) -> bool {
        self.code == STORE_UNREADABLE
    }

    /// What it was, with its code once.
    pub(super) fn told(&self) -> String {
        let Self { code, text, .. } = self;
        if text.contains(code) { text.clone() } else { format!("{text} ({code})") }
    }
}
