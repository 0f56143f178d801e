//! Which service a `NAME|URL` argument means.
//!
//! A name is looked up among the profile's stored services, then among the presets; what looks
//! like a URL is one. Nothing is guessed: an unknown name is an error with its nearest neighbours.

use super::naming::{address_of, name_of, nearest};
use super::preset::{self, Preset};
use super::{ConfigError, Settings, Source, check_name};
use crate::authorizer::{Commands, Given, Subject};
use crate::redact::printable;
use crate::server_uri::{ServerUri, ServiceKey, shown};
use crate::store::index::{Entry, EntryKind, Index, IndexError};
use crate::store::{StoreKind, lies_in_files};

/// One hosted MCP server under one profile.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name within the profile: the stored one, the preset's, or one made from the host.
    pub name: String,
    /// Its endpoint.
    pub server: ServerUri,
    /// The profile.
    pub profile: String,
    /// What names its login everywhere.
    pub key: ServiceKey,
    /// Whether the person gave it its name, with `--name`.
    pub is_named: bool,
    /// Whether the person called it by the name that it is stored under, or was: a host's entry may do so.
    pub is_called: bool,
    /// What the person said about how to log in to it.
    pub given: Given,
    /// What is stored about it, if anything is.
    pub entry: Option<Entry>,
    /// The store in which its record was found, where its entry is damaged and does not tell.
    pub found_in: Option<StoreKind>,
    /// What is built in about its endpoint.
    pub preset: Option<&'static Preset>,
}

impl Service {
    /// Resolves what was typed. `allow_http` permits plain http beyond loopback for a URL.
    ///
    /// # Errors
    /// [`ConfigError::UnknownService`], [`ConfigError::Url`], or [`ConfigError::Index`] where the
    /// index cannot be read.
    pub fn resolve(
        target: &str,
        allow_http: bool,
        settings: &Settings,
        index: &Index,
    ) -> Result<Self, ConfigError> {
        let is_kept = |entry: &Entry| !entry.deleted;
        if target.contains("://") {
            let server = ServerUri::parse(target, allow_http)?;
            return Self::at(server, settings, index, is_kept);
        }
        if let Some(entry) = index.find(&settings.profile, target)? {
            return match entry.deleted {
                false => Self::of(entry, settings),
                // What is left of it still tells which service the name means.
                true => Self::forgotten(&entry, settings),
            };
        }
        if let Some(preset) = preset::named(target) {
            return Self::at(ServerUri::parse(preset.endpoint, false)?, settings, index, is_kept);
        }
        Err(unknown(target, settings, index)?)
    }

    /// As [`resolve`](Self::resolve), for deleting: a half-deleted service counts too, and plain
    /// http harms nobody.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_any(target: &str, settings: &Settings, index: &Index) -> Result<Self, ConfigError> {
        if target.contains("://") {
            return Self::at(ServerUri::parse(target, true)?, settings, index, |_| true);
        }
        match index.find(&settings.profile, target)? {
            Some(entry) => Self::of(entry, settings),
            None => Self::resolve(target, true, settings, index),
        }
    }

    fn at(
        server: ServerUri,
        settings: &Settings,
        index: &Index,
        is_kept: impl Fn(&Entry) -> bool,
    ) -> Result<Self, ConfigError> {
        let key = ServiceKey::new(&settings.profile, &server);
        let mut service = match index.get(&key) {
            // The record wins: whoever saves or deletes it next mends the entry.
            Err(error @ IndexError::Corrupt { .. }) => {
                tracing::warn!(%error, "going on without the entry, which the next login or refresh repairs");
                let is_in_files = lies_in_files(&settings.paths()?, &key);
                let found_in = is_in_files.then_some(StoreKind::File);
                Self { found_in, ..Self::new(server, settings, None) }
            }
            read => Self::new(server, settings, read?.filter(is_kept)),
        };
        if service.preset.is_some() {
            // Somebody may have given its name to another.
            service.rename(None, index)?;
        }
        Ok(service)
    }

    fn of(entry: Entry, settings: &Settings) -> Result<Self, ConfigError> {
        // Plain http was allowed when this entry came to be.
        let server = ServerUri::parse(entry.identity.url.as_str(), true)?;
        Ok(Self { is_called: true, ..Self::new(server, settings, Some(entry)) })
    }

    fn forgotten(entry: &Entry, settings: &Settings) -> Result<Self, ConfigError> {
        let server = ServerUri::parse(entry.identity.url.as_str(), true)?;
        Ok(Self { name: entry.identity.name.clone(), is_called: true, ..Self::new(server, settings, None) })
    }

    fn new(server: ServerUri, settings: &Settings, entry: Option<Entry>) -> Self {
        let preset = preset::at(&server);
        let name = match (&entry, preset) {
            (Some(entry), _) => entry.identity.name.clone(),
            (None, Some(preset)) => preset.name.to_owned(),
            (None, None) => name_of(server.as_url()),
        };
        let key = ServiceKey::new(&settings.profile, &server);
        Self {
            name,
            server,
            profile: settings.profile.clone(),
            key,
            is_named: false,
            is_called: false,
            given: Given::default(),
            entry,
            found_in: None,
            preset,
        }
    }

    /// Renames the service, as `--name` asks. A new service without a name of its own gets one
    /// that is free in its profile.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where `name` is none, [`ConfigError::Unusable`] where another
    /// service has it, and [`ConfigError::Index`].
    pub fn rename(&mut self, name: Option<&str>, index: &Index) -> Result<(), ConfigError> {
        if let Some(name) = name {
            check_name(name, "--name")?;
            if let Some(other) = index.holder_of(&self.profile, name, &self.key)? {
                let url = other.identity.address();
                return Err(ConfigError::Unusable(format!("--name: `{name}` is the name of {url}")));
            }
            self.name = name.to_owned();
            self.is_named = true;
        } else if self.entry.is_none() {
            let stem = self.name.clone();
            let mut number = 1;
            while self.is_built_in_elsewhere()
                || index.holder_of(&self.profile, &self.name, &self.key)?.is_some()
            {
                number += 1;
                self.name = format!("{stem}-{number}");
            }
        }
        Ok(())
    }

    /// Whether its name is that of a known service at another address, for which its host took it by chance.
    fn is_built_in_elsewhere(&self) -> bool {
        self.preset.is_none() && preset::named(&self.name).is_some()
    }

    /// Refuses a store that would forget the login at the end of the command that makes it.
    ///
    /// # Errors
    /// [`ConfigError::Unusable`].
    pub fn refuse_forgetful(&self, kind: StoreKind) -> Result<(), ConfigError> {
        if kind != StoreKind::Memory {
            return Ok(());
        }
        let text = "the memory store forgets everything when this command ends: it is for `bridge --login`";
        Err(ConfigError::Unusable(text.to_owned()))
    }

    /// The store that keeps this service's login: the pinned one, else the settings'.
    ///
    /// # Errors
    /// [`ConfigError::StorePinned`] where flag or environment ask for another than the pinned.
    pub fn store(&self, settings: &Settings) -> Result<StoreKind, ConfigError> {
        let Some(pinned) = self.pinned() else { return Ok(settings.store) };
        if settings.store_source != Source::Default && settings.store != pinned {
            return Err(ConfigError::StorePinned {
                name: self.name.clone(),
                pinned,
                asked: settings.store,
                asked_by: settings.store_source,
                mover: self.commands(settings).move_to(settings.store),
            });
        }
        Ok(pinned)
    }

    /// As [`store`](Self::store), for a command that may move the login: what `--store` asks for,
    /// where `force` says so.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn store_or_move(&self, settings: &Settings, force: bool) -> Result<StoreKind, ConfigError> {
        match settings.store_source {
            Source::Flag(_) if force => Ok(settings.store),
            _ => self.store(settings),
        }
    }

    /// The store that a login in `kind` leaves, where it moves.
    pub fn left_by(&self, kind: StoreKind) -> Option<StoreKind> {
        self.pinned().filter(|pinned| *pinned != kind)
    }

    /// The store that the service's login is pinned to.
    fn pinned(&self) -> Option<StoreKind> {
        let store = self.entry.as_ref().map(|entry| entry.identity.store).or(self.found_in);
        // What another process kept in its memory is gone with it, and pins nothing.
        store.filter(|store| *store != StoreKind::Memory)
    }

    /// The commands about this service that errors and hints name.
    pub fn commands(&self, settings: &Settings) -> Commands {
        self.commands_for(self.entry.as_ref().map_or(EntryKind::Oauth, |entry| entry.kind), settings)
    }

    /// As [`commands`](Self::commands), for a command that stores a `kind`, whatever is stored so far.
    pub fn commands_for(&self, kind: EntryKind, settings: &Settings) -> Commands {
        let is_listed = self.entry.as_ref().is_some_and(|entry| entry.identity.name == self.name);
        let store = self.pinned().unwrap_or(settings.store);
        Commands::new(settings.program.clone(), Subject { kind, ..self.subject(is_listed, store) })
    }

    /// The name that it has for itself, given, called by or built in, before anything is stored.
    pub fn own_name(&self) -> Option<&str> {
        let is_own =
            self.is_named || self.is_called || self.preset.is_some_and(|preset| preset.name == self.name);
        is_own.then_some(self.name.as_str())
    }

    /// As [`commands`](Self::commands), for when nothing is stored for it, and would be in `store`.
    pub fn commands_unstored(&self, store: StoreKind, settings: &Settings) -> Commands {
        let subject = Subject { is_stored: false, ..self.subject(false, store) };
        Commands::new(settings.program.clone(), subject)
    }

    /// What commands are about; its name means it where it is stored, or built in.
    fn subject(&self, is_listed: bool, store: StoreKind) -> Subject {
        let is_built_in = self.preset.is_some_and(|preset| preset.name == self.name);
        let (target, name) = match is_listed || is_built_in {
            true => (self.name.clone(), None),
            false => {
                let name = (self.is_named || self.is_called).then(|| self.name.clone());
                (self.server.as_str().to_owned(), name)
            }
        };
        let (profile, given) = (self.profile.clone(), self.given.clone());
        let is_stored = self.pinned().is_some();
        Subject { target, name, profile, store, is_stored, kind: EntryKind::Oauth, given }
    }
}

fn unknown(target: &str, settings: &Settings, index: &Index) -> Result<ConfigError, ConfigError> {
    let (entries, unreadable) = index.survey()?;
    // The name may be in there.
    if let Some(error) = unreadable.into_iter().next() {
        return Err(error.into());
    }
    let entries = entries.into_iter().map(|entry| entry.identity);
    let stored =
        entries.filter(|identity| identity.profile == settings.profile).map(|identity| identity.name);
    let known = stored.chain(preset::names().map(str::to_owned)).collect();
    Ok(ConfigError::UnknownService {
        name: printable(&shown(target)),
        profile: settings.profile.clone(),
        near: nearest(target, known).into_iter().chain(address_of(target)).collect(),
        login: match check_name(target, "") {
            Ok(()) => settings.program.login_as(target, &settings.profile),
            Err(_) => settings.program.login_at_address(&settings.profile),
        },
        list: settings.program.list(),
    })
}
