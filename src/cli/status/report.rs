//! What is known of one service, from the index and what lies beside it. No keychain is asked, and
//! nothing secret is read.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;

use super::ending::{self, Ending};
use crate::authorizer::Commands;
use crate::cli::Context;
use crate::cli::standing::{Problem, Standing, obtained_at};
use crate::clock;
use crate::config::preset::{self, Preset};
use crate::config::service::Service;
use crate::lock::running::Bridge;
use crate::lock::{Purpose, ServiceLock};
use crate::paths::Paths;
use crate::redact::printable;
use crate::server_uri::{ServerUri, ServiceKey};
use crate::store::index::{Entry, EntryKind, Identity, UNSAVED_ROTATION};
use crate::store::{Store, StoreKind, is_gone_from_files, journal_lies_in_files};

/// What reports are made from.
pub(super) struct Surroundings<'a> {
    pub(super) context: &'a Context,
    pub(super) paths: Paths,
    /// Every bridge on this machine.
    pub(super) bridges: Vec<Bridge>,
    pub(super) now: Timestamp,
    /// How long a refresh token lives, as the caller says.
    pub(super) refresh_lifetime: Option<Span>,
}

/// One service as `status` tells it; the members of its JSON.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) name: String,
    pub(super) profile: String,
    pub(super) url: String,
    /// `null` where nothing is stored.
    pub(super) kind: Option<EntryKind>,
    #[serde(flatten)]
    pub(super) standing: Standing,
    pub(super) access_token_expires_at: Option<Timestamp>,
    /// When the login ends unless something renews it further, where that is known.
    #[serde(rename = "login_ends")]
    pub(super) end: Option<End>,
    /// Whether the end is unknown because the clock was wrong when the login was received.
    #[serde(skip)]
    pub(super) is_ahead: bool,
    pub(super) logged_in_at: Option<Timestamp>,
    /// When the refresh token in hand was first received.
    pub(super) refresh_token_obtained_at: Option<Timestamp>,
    pub(super) last_refresh_at: Option<Timestamp>,
    pub(super) last_error: Option<Problem>,
    pub(super) unsaved_rotation: Rotation,
    pub(super) bridges: Vec<Running>,
    pub(super) store: String,
    pub(super) place: String,
    pub(super) scopes: Vec<String>,
    /// The issuer, or the token endpoint where there is none.
    pub(super) authorization_server: Option<String>,
    /// What would end the login.
    pub(super) ends_if: Vec<Ending>,
    /// What is known of how logins of this service end, and what is not.
    pub(super) known_of_service: Option<&'static str>,
    /// The command that makes it good again.
    pub(super) command: String,
    /// The same, as `--fail-within` judges it.
    pub(super) probe: Option<super::probe::Verdict>,
    #[serde(skip)]
    pub(super) commands: Commands,
}

impl Report {
    /// Whether what is stored could not be read when somebody last tried: nothing works until it can be.
    pub(super) fn is_unreadable(&self) -> bool {
        self.last_error.as_ref().is_some_and(Problem::is_of_store) && self.standing.required().is_none()
    }
}

/// The end of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) by: Authority,
}

/// Whose word an [`End`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Authority {
    /// The authorization server's.
    Server,
    /// The caller's: `--refresh-lifetime`.
    RefreshLifetime,
    /// What is built in about the service.
    Preset,
}

/// Whether a refreshed login waits to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rotation {
    /// Nothing waits.
    None,
    /// A refresh is under way.
    UnderWay,
    /// A refresh was cut off; whoever renews next settles what it left.
    Interrupted,
    /// A refresh succeeded, and the store did not take its answer.
    Unsaved,
    /// The store would have to be asked.
    NotChecked,
}

/// A bridge that is running on the service.
#[derive(Debug, Serialize)]
pub(super) struct Running {
    pub(super) pid: u32,
    /// The name of the program that started it, where known.
    pub(super) host: Option<String>,
    pub(super) started_at: Timestamp,
    pub(super) version: String,
}

impl Surroundings<'_> {
    /// What is known of a stored service.
    pub(super) fn report(&self, entry: &Entry) -> Report {
        let preset = preset_of(entry);
        let standing = self.standing(entry);
        let end = self.end(entry, &standing, preset).filter(|_| standing.required().is_none());
        let program = self.context.settings.program.clone();
        let commands = Commands::new(program, crate::authorizer::Subject::of(entry));
        let server = entry.binding.as_ref().map(|binding| match &binding.issuer {
            Some(issuer) => printable(issuer),
            None => printable(binding.token_endpoint.as_str()),
        });
        Report {
            kind: Some(entry.kind),
            access_token_expires_at: entry.access_expires_at,
            end,
            is_ahead: self.is_ahead(entry),
            logged_in_at: Some(entry.logged_in_at),
            refresh_token_obtained_at: entry.refresh_obtained_at,
            last_refresh_at: entry.last_refresh_at,
            last_error: Problem::last(entry),
            unsaved_rotation: self.rotation(entry),
            scopes: entry.scopes.iter().map(|scope| printable(scope)).collect(),
            authorization_server: server,
            known_of_service: preset
                .filter(|_| entry.kind == EntryKind::Oauth)
                .map(|preset| preset.login_ends),
            ..self.bare(&entry.identity, &entry.key, standing, commands)
        }
    }

    /// What is known of a service of which nothing is stored.
    pub(super) fn report_of_nothing(&self, service: &Service) -> Report {
        let settings = &self.context.settings;
        let standing = match service.preset {
            // It is known to want one.
            Some(_) => Standing::LoginRequired { reason: "no login is stored".to_owned(), since: None },
            None => Standing::NotStored,
        };
        let store = service.found_in.unwrap_or(settings.store);
        let identity = Identity::new(&service.name, &service.profile, &service.server, store);
        Report {
            known_of_service: service.preset.map(|preset| preset.login_ends),
            ..self.bare(&identity, &service.key, standing, service.commands(settings))
        }
    }

    /// What can be told of any service, stored or not.
    fn bare(&self, identity: &Identity, key: &ServiceKey, standing: Standing, commands: Commands) -> Report {
        let store = self.context.settings.store_config(identity.store, self.paths.clone());
        Report {
            name: printable(&identity.name),
            profile: printable(&identity.profile),
            url: identity.address(),
            kind: None,
            access_token_expires_at: None,
            end: None,
            is_ahead: false,
            logged_in_at: None,
            refresh_token_obtained_at: None,
            last_refresh_at: None,
            last_error: None,
            unsaved_rotation: Rotation::NotChecked,
            bridges: self.bridges_of(key),
            store: identity.store.to_string(),
            place: Store::open(store).place(),
            scopes: Vec::new(),
            authorization_server: None,
            ends_if: ending::of(&standing),
            known_of_service: None,
            command: commands.renew().as_str().to_owned(),
            probe: None,
            standing,
            commands,
        }
    }

    /// As the index says, and whether the record is there where that can be told without a key.
    fn standing(&self, entry: &Entry) -> Standing {
        let standing = Standing::of(entry, self.now);
        let is_lost = entry.identity.store == StoreKind::File && is_gone_from_files(&self.paths, &entry.key);
        match standing.required() {
            None if is_lost => {
                Standing::LoginRequired { reason: "its encrypted file is gone".to_owned(), since: None }
            }
            _ => standing,
        }
    }

    /// When the login ends: the server's word, else the caller's, else what is built in.
    fn end(&self, entry: &Entry, standing: &Standing, preset: Option<&Preset>) -> Option<End> {
        if entry.kind == EntryKind::Token || self.is_ahead(entry) {
            return None;
        }
        if let Some(at) = standing.named_end(entry, self.now) {
            return Some(End { at, by: Authority::Server });
        }
        if *standing != Standing::Renews {
            return None;
        }
        let start = obtained_at(entry);
        let preset =
            || preset.map(|preset| (Span::new().months(preset.refresh_token_months), Authority::Preset));
        let (life, by) =
            self.refresh_lifetime.map(|life| (life, Authority::RefreshLifetime)).or_else(preset)?;
        Some(End { at: after(start, life), by })
    }

    /// Whether the login was received by a clock that was far ahead of this one: its times say nothing.
    fn is_ahead(&self, entry: &Entry) -> bool {
        clock::was_ahead(obtained_at(entry), self.now)
    }

    fn rotation(&self, entry: &Entry) -> Rotation {
        if entry.last_error.as_ref().is_some_and(|error| error.code == UNSAVED_ROTATION) {
            return Rotation::Unsaved;
        }
        match entry.identity.store {
            _ if entry.kind == EntryKind::Token => Rotation::None,
            StoreKind::File if journal_lies_in_files(&self.paths, &entry.key) => {
                match ServiceLock::is_held(&self.paths, &entry.key, Purpose::Refresh) {
                    Ok(true) => Rotation::UnderWay,
                    Ok(false) | Err(_) => Rotation::Interrupted,
                }
            }
            StoreKind::File => Rotation::None,
            StoreKind::Keyring | StoreKind::Memory => Rotation::NotChecked,
        }
    }

    fn bridges_of(&self, key: &ServiceKey) -> Vec<Running> {
        self.bridges.iter().filter(|bridge| bridge.key == *key).map(Running::of).collect()
    }

    /// The bridges on services that none of `entries` is about.
    pub(super) fn other_bridges(&self, entries: &[Entry]) -> Vec<Running> {
        let is_known = |bridge: &Bridge| entries.iter().any(|entry| entry.key == bridge.key);
        self.bridges.iter().filter(|bridge| !is_known(bridge)).map(Running::of).collect()
    }
}

impl Running {
    fn of(bridge: &Bridge) -> Self {
        Self {
            pid: bridge.pid,
            host: bridge.host.as_deref().map(printable),
            started_at: bridge.started_at,
            version: printable(&bridge.version),
        }
    }
}

/// `life` after `start`, or the end of time.
pub(super) fn after(start: Timestamp, life: Span) -> Timestamp {
    let end = start.to_zoned(TimeZone::UTC).checked_add(life);
    end.map_or(Timestamp::MAX, |end| end.timestamp())
}

fn preset_of(entry: &Entry) -> Option<&'static Preset> {
    preset::at(&ServerUri::parse(entry.identity.url.as_str(), true).ok()?)
}
