//! A keychain that answers on the session bus, and must not be trusted.
//!
//! It takes part in the Diffie-Hellman exchange with a public key that is any number, since it
//! never has to read a secret.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zbus::blocking::Connection;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

use super::keychain::{SECRETS, Session};

const SERVICE: &str = "/org/freedesktop/secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/fake";
const ITEM: &str = "/org/freedesktop/secrets/collection/fake/1";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/1";

/// What the keychain does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It accepts every item, and holds none.
    ForgetsWrites,
    /// It is locked, and its prompt is never completed.
    PromptsForEver,
    /// It is locked until the person whom it prompts gives the password.
    OpensWhenAsked,
}

/// A fake keychain; dropping it takes it off the bus.
pub(crate) struct FakeKeychain {
    _connection: Connection,
}

impl FakeKeychain {
    pub(crate) fn start(session: &Session, manner: Manner) -> Self {
        let connection = session.connect();
        let locked = Arc::new(AtomicBool::new(manner != Manner::ForgetsWrites));
        let server = connection.object_server();
        server.at(SERVICE, Service(Arc::clone(&locked))).expect("a free path");
        server.at(COLLECTION, Collection(Arc::clone(&locked))).expect("a free path");
        server.at(PROMPT, Prompt { manner, locked: Arc::clone(&locked) }).expect("a free path");
        drop(server);
        connection.request_name(SECRETS).expect("a free name");
        Self { _connection: connection }
    }
}

fn path(text: &'static str) -> OwnedObjectPath {
    ObjectPath::from_static_str_unchecked(text).into()
}

struct Service(Arc<AtomicBool>);

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    fn open_session(&self, _algorithm: &str, _input: Value<'_>) -> (OwnedValue, OwnedObjectPath) {
        let public_key = Value::from(vec![2_u8]).try_to_owned().expect("no file descriptors");
        (public_key, path("/org/freedesktop/secrets/session/1"))
    }

    fn search_items(
        &self,
        _attributes: HashMap<String, String>,
    ) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        (Vec::new(), Vec::new())
    }

    fn read_alias(&self, _name: &str) -> OwnedObjectPath {
        path(COLLECTION)
    }

    fn unlock(&self, objects: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        if self.0.load(Ordering::SeqCst) { (Vec::new(), path(PROMPT)) } else { (objects, path("/")) }
    }
}

struct Collection(Arc<AtomicBool>);

#[zbus::interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    fn create_item(
        &self,
        _properties: HashMap<String, OwnedValue>,
        _secret: (OwnedObjectPath, Vec<u8>, Vec<u8>, String),
        _replace: bool,
    ) -> (OwnedObjectPath, OwnedObjectPath) {
        (path(ITEM), path("/"))
    }

    #[zbus(property)]
    fn locked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

struct Prompt {
    manner: Manner,
    locked: Arc<AtomicBool>,
}

#[zbus::interface(name = "org.freedesktop.Secret.Prompt")]
impl Prompt {
    async fn prompt(&self, _window: &str, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        if self.manner == Manner::OpensWhenAsked {
            self.locked.store(false, Ordering::SeqCst);
            Self::completed(&emitter, false, Value::from("")).await.expect("the bus lives on");
        }
    }

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, dismissed: bool, result: Value<'_>) -> zbus::Result<()>;
}
