//! The server's own requests, and the session in which each was asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Epoch;
use crate::jsonrpc::Id;

/// How many are remembered; the oldest is forgotten first.
const LIMIT: usize = 1024;

/// Remembers what the server asked, so that no answer reaches a session that did not ask.
#[derive(Default)]
pub(in crate::relay) struct Questions(Mutex<VecDeque<(Id, Epoch)>>);

impl Questions {
    /// Notes a question of the server's.
    pub(in crate::relay) fn asked(&self, id: Id, epoch: Epoch) {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.len() == LIMIT {
            questions.pop_front();
        }
        questions.push_back((id, epoch));
    }

    /// The session to which an answer to `id` belongs: the one that asked, and `current` where
    /// nobody remembers the question, which is the server's to judge.
    pub(in crate::relay) fn answered(&self, id: &Id, current: Epoch) -> Epoch {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = questions.iter().rposition(|(asked, _)| asked == id);
        place.and_then(|place| questions.remove(place)).map_or(current, |(_, epoch)| epoch)
    }
}
