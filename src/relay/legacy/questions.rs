//! The server's own requests: the session in which each was asked, and on whose behalf.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Epoch;
use crate::jsonrpc::Id;

/// How many are remembered; the oldest is forgotten first.
const LIMIT: usize = 1024;

/// Remembers what the server asked, so that no answer reaches a session that did not ask.
#[derive(Default)]
pub(in crate::relay) struct Questions(Mutex<VecDeque<Question>>);

struct Question {
    id: Id,
    epoch: Epoch,
    /// The request of the host's in answer to which it came.
    on: Option<Id>,
}

impl Questions {
    fn asked_so_far(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question of the server's, and the request that it came in answer to, if any.
    pub(in crate::relay) fn asked(&self, id: Id, epoch: Epoch, on: Option<&Id>) {
        let mut questions = self.asked_so_far();
        if questions.len() == LIMIT {
            questions.pop_front();
        }
        questions.push_back(Question { id, epoch, on: on.cloned() });
    }

    /// The request of the host's in answer to which the question `id` came; `None` where it came by
    /// itself.
    pub(in crate::relay) fn asker(&self, id: &Id) -> Option<Id> {
        let questions = self.asked_so_far();
        questions.iter().rfind(|question| question.id == *id)?.on.clone()
    }

    /// The session to which an answer to `id` belongs: the one that asked, and `current` where
    /// nobody remembers the question, which is the server's to judge.
    pub(in crate::relay) fn answered(&self, id: &Id, current: Epoch) -> Epoch {
        let mut questions = self.asked_so_far();
        let place = questions.iter().rposition(|question| question.id == *id);
        place.and_then(|place| questions.remove(place)).map_or(current, |question| question.epoch)
    }
}
