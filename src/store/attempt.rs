//! One attempt at a store: a detached thread, a connection of its own, and a deadline.
//!
//! Never the runtime's blocking pool: dropping a runtime waits for that, so a keychain that asks a
//! person who is not there would keep the process from ending.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::lock::{Purpose, ServiceLock};
use crate::server_uri::ServiceKey;
use crate::store::items::Items;
use crate::store::record::Connect;
use crate::store::{Lent, Patience, StoreError, Written};

/// So many attempts may hang at a time; a further one is refused at once.
const HANGING_LIMIT: usize = 8;

type Connector = dyn Fn(Patience) -> Result<Box<dyn Items>, StoreError> + Send + Sync;

/// Makes the attempts of one store.
#[derive(Clone)]
pub(super) struct Attempts {
    connector: Arc<Connector>,
    running: Arc<AtomicUsize>,
}

/// A lock that a write takes along: however that ends, it goes back to who lent it.
struct Taken {
    lock: Option<ServiceLock>,
    back: Option<oneshot::Sender<ServiceLock>>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let (Some(lock), Some(back)) = (self.lock.take(), self.back.take()) {
            // It is freed here where nobody wants it back.
            drop(back.send(lock));
        }
    }
}

/// Counts an attempt for as long as its thread lives.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Attempts {
    /// `connector` opens the store; it may block.
    pub(super) fn new(
        connector: impl Fn(Patience) -> Result<Box<dyn Items>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { connector: Arc::new(connector), running: Arc::default() }
    }

    /// Runs `work` and waits for its outcome as long as `patience` allows.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        patience: Patience,
        work: impl FnOnce(Connect<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.start(self.reserve(patience)?, patience, work)?;
        wait(patience.limit(), answer).await?
    }

    /// As [`read`](Self::read), with the lock in the working thread's hands: where the wait ends
    /// first, the lock stays there until the work is done, so that no second write can start, and comes
    /// back then.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        lock: ServiceLock,
        patience: Patience,
        work: impl FnOnce(Connect<'_>, &ServiceKey) -> Result<T, StoreError> + Send + 'static,
    ) -> Written<T> {
        debug_assert_eq!(lock.purpose(), Purpose::Refresh, "records are written under the refresh lock");
        let running = match self.reserve(patience) {
            Ok(running) => running,
            Err(error) => return (Lent::Back(lock), Err(error)),
        };
        let key = lock.key().clone();
        let (back, mut lent) = oneshot::channel();
        let taken = Taken { lock: Some(lock), back: Some(back) };
        let locked = move |connect: Connect<'_>| {
            let outcome = work(connect, &key);
            drop(taken);
            outcome
        };
        let outcome = match self.start(running, patience, locked) {
            Ok(answer) => wait(patience.limit(), answer).await.flatten(),
            Err(error) => Err(error),
        };
        match lent.try_recv() {
            Ok(lock) => (Lent::Back(lock), outcome),
            Err(_) => (Lent::Away(lent), outcome),
        }
    }

    /// Refuses at once while so many attempts have hung for as long as a new one would be waited for.
    fn reserve(&self, patience: Patience) -> Result<Running, StoreError> {
        let running = Running(Arc::clone(&self.running));
        if self.running.fetch_add(1, Ordering::Relaxed) >= HANGING_LIMIT {
            return Err(StoreError::Unresponsive { after: patience.limit() });
        }
        Ok(running)
    }

    fn start<T: Send + 'static>(
        &self,
        running: Running,
        patience: Patience,
        work: impl FnOnce(Connect<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let connector = Arc::clone(&self.connector);
        let attempt = move || {
            let outcome = work(&|| connector(patience));
            drop(running);
            // Nobody waits any more where the deadline has passed.
            drop(sender.send(outcome));
        };
        thread::Builder::new()
            .name("credential-store".to_owned())
            .spawn(attempt)
            .map_err(|error| StoreError::platform("starting a thread", error))?;
        Ok(receiver)
    }
}

async fn wait<T>(limit: Duration, answer: oneshot::Receiver<T>) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(_)) => Err(StoreError::platform("asking the credential store", "its thread ended early")),
        Err(_) => Err(StoreError::Unresponsive { after: limit }),
    }
}
