//! A keychain that misbehaves (freedesktop.org Secret Service API, draft 0.2): it lies about saves,
//! or asks a person who may never come.
//!
//! It never reads a secret: its Diffie-Hellman key is 1, so that every session has the same key, and
//! what one session wrote is handed to another as it came.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zbus::blocking::Connection;
use zbus::object_server::{ObjectServer, SignalEmitter};
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Type, Value};

use super::gate::Gate;
use super::keychain::{SECRETS, Session};

const SERVICE: &str = "/org/freedesktop/secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";
const VOLATILE: &str = "/org/freedesktop/secrets/collection/session";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/1";
const NO_PATH: &str = "/";

/// What it does.
#[derive(Clone)]
pub(crate) enum Conduct {
    /// All that is asked of it.
    Honest,
    /// It says that a save went well, and keeps what it had.
    Lying,
    /// It refuses to save.
    Refusing,
    /// It refuses to delete.
    Keeping,
    /// It refuses to save anything but the journal.
    Journalling,
    /// It saves, and fails where the record that it was given is read next.
    Fading,
    /// What it has become after that save.
    Faded,
    /// Its default collection is the one that is erased when the session ends.
    Volatile,
    /// It is locked, and its prompt ends when the gate opens.
    Prompting(Gate),
    /// It is locked, and the person who is asked declines after so long a look.
    Declining(Duration),
}

/// The keychain on a session's bus; it leaves the bus when it is dropped.
pub(crate) struct FakeKeychain {
    state: Arc<Mutex<State>>,
    _connection: Connection,
}

struct State {
    conduct: Conduct,
    locked: bool,
    items: BTreeMap<usize, StoredItem>,
    prompts: usize,
}

#[derive(Clone)]
struct StoredItem {
    attributes: HashMap<String, String>,
    secret: Secret,
}

impl State {
    fn fade(&mut self, attributes: &HashMap<String, String>) {
        if matches!(self.conduct, Conduct::Fading) && !is_journal(attributes) {
            self.conduct = Conduct::Faded;
        }
    }
}

/// Session, parameters, value and content type.
#[derive(Clone, Serialize, Deserialize, Type)]
struct Secret(OwnedObjectPath, Vec<u8>, Vec<u8>, String);

type Shared = Arc<Mutex<State>>;

impl FakeKeychain {
    /// Takes the keychain's name on `session`'s bus.
    pub(crate) fn start(session: &Session, conduct: Conduct) -> Self {
        let locked = matches!(conduct, Conduct::Prompting(_) | Conduct::Declining(_));
        let state = Arc::new(Mutex::new(State { conduct, locked, items: BTreeMap::new(), prompts: 0 }));
        let connection = session.connect();
        {
            let objects = connection.object_server();
            objects.at(SERVICE, Service(Arc::clone(&state))).expect("the service's path is free");
            objects.at(COLLECTION, Collection(Arc::clone(&state))).expect("the collection's path is free");
            objects.at(VOLATILE, Collection(Arc::clone(&state))).expect("the collection's path is free");
            objects.at(PROMPT, Prompt(Arc::clone(&state))).expect("the prompt's path is free");
        }
        connection.request_name(SECRETS).expect("nobody else keeps secrets on this bus");
        Self { state, _connection: connection }
    }

    /// Changes its ways.
    pub(crate) fn set_conduct(&self, conduct: Conduct) {
        lock(&self.state).conduct = conduct;
    }

    /// Locks it; from now on it asks as `conduct` says.
    pub(crate) fn lock(&self, conduct: Conduct) {
        let mut state = lock(&self.state);
        (state.locked, state.conduct) = (true, conduct);
    }

    /// How many items it keeps.
    pub(crate) fn items(&self) -> usize {
        lock(&self.state).items.len()
    }

    /// How often a person was asked.
    pub(crate) fn prompts(&self) -> usize {
        lock(&self.state).prompts
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

fn path(text: &str) -> OwnedObjectPath {
    ObjectPath::try_from(text.to_owned()).expect("a path").into()
}

fn item_path(number: usize) -> OwnedObjectPath {
    path(&format!("{COLLECTION}/{number}"))
}

struct Service(Shared);

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    fn open_session(&self, algorithm: String, _input: Value<'_>) -> (OwnedValue, OwnedObjectPath) {
        let output = if algorithm == "plain" { Value::from("") } else { Value::from(vec![1_u8]) };
        (output.try_to_owned().expect("no file descriptor in it"), path("/org/freedesktop/secrets/session/1"))
    }

    fn search_items(&self, wanted: HashMap<String, String>) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        let found = search(&self.0, &wanted);
        if lock(&self.0).locked { (Vec::new(), found) } else { (found, Vec::new()) }
    }

    fn unlock(&self, objects: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        if lock(&self.0).locked { (Vec::new(), path(PROMPT)) } else { (objects, path(NO_PATH)) }
    }

    fn read_alias(&self, _name: String) -> OwnedObjectPath {
        let is_volatile = matches!(lock(&self.0).conduct, Conduct::Volatile);
        path(if is_volatile { VOLATILE } else { COLLECTION })
    }

    fn get_secrets(
        &self,
        items: Vec<OwnedObjectPath>,
        _session: OwnedObjectPath,
    ) -> HashMap<OwnedObjectPath, Secret> {
        let state = lock(&self.0);
        let kept = state.items.iter().map(|(number, item)| (item_path(*number), item.secret.clone()));
        kept.filter(|(path, _)| items.contains(path)).collect()
    }

    #[zbus(property)]
    fn collections(&self) -> Vec<OwnedObjectPath> {
        vec![path(COLLECTION)]
    }
}

fn search(state: &Shared, wanted: &HashMap<String, String>) -> Vec<OwnedObjectPath> {
    let fits =
        |item: &StoredItem| wanted.iter().all(|(name, value)| item.attributes.get(name) == Some(value));
    lock(state).items.iter().filter(|(_, item)| fits(item)).map(|(number, _)| item_path(*number)).collect()
}

fn is_journal(attributes: &HashMap<String, String>) -> bool {
    attributes.values().any(|value| value.contains(".journal"))
}

fn refuse(state: &Shared, attributes: &HashMap<String, String>) -> zbus::fdo::Result<()> {
    let refuses = match lock(state).conduct {
        Conduct::Refusing => true,
        Conduct::Journalling => !is_journal(attributes),
        _ => false,
    };
    match refuses {
        true => Err(zbus::fdo::Error::Failed("the disk is full".to_owned())),
        false => Ok(()),
    }
}

struct Collection(Shared);

#[zbus::interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    async fn create_item(
        &self,
        properties: HashMap<String, OwnedValue>,
        secret: Secret,
        _replace: bool,
        #[zbus(object_server)] objects: &ObjectServer,
    ) -> zbus::fdo::Result<(OwnedObjectPath, OwnedObjectPath)> {
        let attributes = properties.get("org.freedesktop.Secret.Item.Attributes").cloned();
        let attributes = attributes.and_then(|value| value.try_into().ok()).unwrap_or_default();
        refuse(&self.0, &attributes)?;
        let existing = search(&self.0, &attributes).pop();
        let number = {
            let mut state = lock(&self.0);
            let known = state.items.keys().copied().find(|number| Some(item_path(*number)) == existing);
            let number = known.or_else(|| state.items.keys().next_back().map(|last| last + 1)).unwrap_or(1);
            if !matches!(state.conduct, Conduct::Lying) {
                state.fade(&attributes);
                state.items.insert(number, StoredItem { attributes, secret });
            }
            if known.is_some() || matches!(state.conduct, Conduct::Lying) {
                return Ok((item_path(number), path(NO_PATH)));
            }
            number
        };
        let item = Item { number, state: Arc::clone(&self.0) };
        objects.at(item_path(number), item).await.expect("the item's path is free");
        Ok((item_path(number), path(NO_PATH)))
    }

    fn search_items(&self, wanted: HashMap<String, String>) -> Vec<OwnedObjectPath> {
        search(&self.0, &wanted)
    }

    #[zbus(property)]
    fn locked(&self) -> bool {
        lock(&self.0).locked
    }

    #[zbus(property)]
    fn label(&self) -> String {
        "Login".to_owned()
    }

    #[zbus(property)]
    fn items(&self) -> Vec<OwnedObjectPath> {
        lock(&self.0).items.keys().map(|number| item_path(*number)).collect()
    }
}

struct Item {
    number: usize,
    state: Shared,
}

#[zbus::interface(name = "org.freedesktop.Secret.Item")]
impl Item {
    fn get_secret(&self, session: OwnedObjectPath) -> zbus::fdo::Result<Secret> {
        let mut state = lock(&self.state);
        if matches!(state.conduct, Conduct::Faded) {
            state.conduct = Conduct::Honest;
            return Err(zbus::fdo::Error::Failed("the disk is gone for a moment".to_owned()));
        }
        let item = state.items.get(&self.number).cloned();
        let item = item.ok_or_else(|| zbus::fdo::Error::UnknownObject("no such item".to_owned()))?;
        Ok(Secret(session, item.secret.1, item.secret.2, item.secret.3))
    }

    fn set_secret(&self, secret: Secret) -> zbus::fdo::Result<()> {
        let attributes = self.attributes();
        refuse(&self.state, &attributes)?;
        let mut state = lock(&self.state);
        state.fade(&attributes);
        if !matches!(state.conduct, Conduct::Lying)
            && let Some(item) = state.items.get_mut(&self.number)
        {
            item.secret = secret;
        }
        Ok(())
    }

    async fn delete(
        &self,
        #[zbus(object_server)] objects: &ObjectServer,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        if matches!(lock(&self.state).conduct, Conduct::Keeping) {
            return Err(zbus::fdo::Error::Failed("it cannot be deleted".to_owned()));
        }
        lock(&self.state).items.remove(&self.number);
        let _ = objects.remove::<Self, _>(item_path(self.number)).await;
        Ok(path(NO_PATH))
    }

    #[zbus(property)]
    fn locked(&self) -> bool {
        lock(&self.state).locked
    }

    #[zbus(property)]
    fn label(&self) -> String {
        "an item".to_owned()
    }

    #[zbus(property)]
    fn attributes(&self) -> HashMap<String, String> {
        lock(&self.state).items.get(&self.number).map(|item| item.attributes.clone()).unwrap_or_default()
    }
}

struct Prompt(Shared);

#[zbus::interface(name = "org.freedesktop.Secret.Prompt")]
impl Prompt {
    /// Answers at once, as the API wants it; the person's word comes later, as a signal.
    async fn prompt(&self, _window: String, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        let conduct = {
            let mut state = lock(&self.0);
            state.prompts += 1;
            state.conduct.clone()
        };
        let (state, emitter) = (Arc::clone(&self.0), emitter.to_owned());
        std::thread::spawn(move || {
            let unlocked = match conduct {
                Conduct::Prompting(gate) if gate.pass() => true,
                // Nobody unparks it: the person takes all of that time.
                Conduct::Declining(look) => {
                    std::thread::park_timeout(look);
                    false
                }
                Conduct::Prompting(_)
                | Conduct::Honest
                | Conduct::Lying
                | Conduct::Refusing
                | Conduct::Journalling
                | Conduct::Keeping
                | Conduct::Fading
                | Conduct::Faded
                | Conduct::Volatile => return,
            };
            lock(&state).locked = !unlocked;
            let paths: Vec<_> = unlocked.then(|| ObjectPath::from(path(COLLECTION))).into_iter().collect();
            zbus::block_on(Self::completed(&emitter, !unlocked, Value::from(paths)))
                .expect("the bus lives on");
        });
    }

    fn dismiss(&self) {}

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, dismissed: bool, result: Value<'_>) -> zbus::Result<()>;
}
