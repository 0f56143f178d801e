//! Batches of the host's (MCP 2025-03-26 basic, "Batching"; JSON-RPC 2.0 §6).
//!
//! Each element goes to the server as a message of its own. The host gets one array with an answer
//! for each request, in the order of the requests, once the last of them is settled; notifications
//! and what the host has cancelled have no place in it, and where nothing has, there is no array.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};

use crate::jsonrpc::{ErrorResponse, Id, code};

/// How many bytes of answers one batch holds; what comes on top of them becomes an error.
const LIMIT: usize = 64 * 1024 * 1024;

/// Where the answer to a request goes.
#[derive(Debug, Default)]
pub(super) enum Destination {
    /// To the host, by itself.
    #[default]
    Host,
    /// Into the array that answers a batch.
    Batch(Place),
    /// To the bridge, whose request it is.
    Bridge(oneshot::Sender<Bytes>),
}

/// One answer's place in the array. Dropped without an answer, it is left out.
#[derive(Debug)]
pub(super) struct Place {
    answers: Arc<Mutex<Answers>>,
    index: usize,
    id: Id,
    _open: mpsc::Sender<Infallible>,
}

#[derive(Debug, Default)]
struct Answers {
    frames: Vec<Option<Bytes>>,
    held: usize,
}

/// The answers to one batch.
pub(super) struct Batch {
    answers: Arc<Mutex<Answers>>,
    open: mpsc::Sender<Infallible>,
    all_closed: mpsc::Receiver<Infallible>,
}

impl Batch {
    pub(super) fn new() -> Self {
        let (open, all_closed) = mpsc::channel(1);
        Self { answers: Arc::default(), open, all_closed }
    }

    /// Keeps the next place for the answer to the request `id`.
    pub(super) fn place(&self, id: Id) -> Place {
        let mut answers = lock(&self.answers);
        answers.frames.push(None);
        let index = answers.frames.len() - 1;
        Place { answers: Arc::clone(&self.answers), index, id, _open: self.open.clone() }
    }

    /// Waits until every place is filled or given up; `None` where none is filled.
    pub(super) async fn collected(self) -> Option<Bytes> {
        let Self { answers, open, mut all_closed } = self;
        drop(open);
        // Nothing can be received: the end says that the last place is closed.
        let _closed = all_closed.recv().await;
        let answers = std::mem::take(&mut *lock(&answers));
        array(answers.frames.into_iter().flatten())
    }
}

impl Place {
    /// Fills the place.
    pub(super) fn fill(self, frame: Bytes) {
        let mut answers = lock(&self.answers);
        let frame = match answers.held + frame.len() > LIMIT {
            true => {
                let reason = "the answers to this batch are too large: send the request by itself";
                ErrorResponse::new(self.id.clone(), code::INTERNAL_ERROR, reason).into_bytes()
            }
            false => frame,
        };
        answers.held += frame.len();
        if let Some(place) = answers.frames.get_mut(self.index) {
            *place = Some(frame);
        }
    }
}

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The frames in brackets, each as it is; `None` where there is none.
fn array(frames: impl Iterator<Item = Bytes>) -> Option<Bytes> {
    let mut array = BytesMut::new();
    for frame in frames {
        array.put_u8(if array.is_empty() { b'[' } else { b',' });
        array.extend_from_slice(&frame);
    }
    if array.is_empty() {
        return None;
    }
    array.put_u8(b']');
    Some(array.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Message;

    fn id(text: &str) -> Id {
        let frame = format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"m"}}"#);
        Message::parse(frame.into()).unwrap().head().request_id().unwrap().clone()
    }

    #[tokio::test]
    async fn answers_stand_in_the_order_of_their_requests_to_the_byte() {
        for (filled, expected) in [
            (vec![(1, "{\"b\": 1e400}"), (0, "{ \"a\":1}")], Some("[{ \"a\":1},{\"b\": 1e400}]")),
            (vec![(1, "{}")], Some("[{}]")),
            (vec![], None),
        ] {
            let batch = Batch::new();
            let mut places = [Some(batch.place(id("1"))), Some(batch.place(id("\"b\"")))];
            for (index, frame) in filled {
                places[index].take().unwrap().fill(Bytes::from_static(frame.as_bytes()));
            }
            drop(places);
            assert_eq!(batch.collected().await.as_deref(), expected.map(str::as_bytes));
        }
    }

    #[tokio::test]
    async fn the_array_waits_for_the_last_place() {
        let batch = Batch::new();
        let (first, last) = (batch.place(id("1")), batch.place(id("2")));
        first.fill(Bytes::from_static(b"{}"));
        let mut collected = Box::pin(batch.collected());
        assert!(futures_util::poll!(&mut collected).is_pending());
        drop(last);
        assert_eq!(collected.await.as_deref(), Some(&b"[{}]"[..]));
    }

    #[tokio::test]
    async fn what_is_too_large_becomes_an_error_under_its_own_id() {
        let batch = Batch::new();
        let (first, second) = (batch.place(id("1")), batch.place(id("2.0")));
        first.fill(Bytes::from_static(b"{}"));
        second.fill(vec![b' '; LIMIT].into());
        let array = batch.collected().await.unwrap();
        assert!(array.starts_with(b"[{},{\"jsonrpc\":\"2.0\",\"id\":2.0,\"error\":"), "{array:?}");
    }
}
