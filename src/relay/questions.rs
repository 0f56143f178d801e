//! The server's own requests, and the session in which each was asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::handshake::Epoch;
use crate::jsonrpc::Id;

/// How many are remembered; the oldest is forgotten first.
const LIMIT: usize = 1024;

/// Remembers what the server asked, so that no answer reaches a session that did not ask.
#[derive(Default)]
pub(super) struct Questions(Mutex<VecDeque<(Id, Epoch)>>);

impl Questions {
    /// Notes a question of the server's.
    pub(super) fn asked(&self, id: Id, epoch: Epoch) {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.len() == LIMIT {
            questions.pop_front();
        }
        questions.push_back((id, epoch));
    }

    /// Whether an answer to `id` belongs to the session `current`. An id that nobody remembers is
    /// the server's to judge.
    pub(super) fn answered(&self, id: &Id, current: Epoch) -> bool {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match questions.iter().rposition(|(asked, _)| asked == id) {
            Some(place) => questions.remove(place).is_none_or(|(_, epoch)| epoch == current),
            None => true,
        }
    }
}
