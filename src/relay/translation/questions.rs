//! What the host was asked in a server's name, and has not answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::jsonrpc::{Id, Message};

/// The open questions of a session.
pub(super) struct Questions {
    open: Arc<Mutex<HashMap<Id, oneshot::Sender<Message>>>>,
    withdrawn: mpsc::UnboundedSender<Id>,
}

/// One question that is open for as long as somebody holds this.
pub(super) struct Asked {
    id: Id,
    answer: oneshot::Receiver<Message>,
    open: Arc<Mutex<HashMap<Id, oneshot::Sender<Message>>>>,
    withdrawn: mpsc::UnboundedSender<Id>,
}

impl Questions {
    /// No question, and the queue of those that are withdrawn: each is to be called off with the
    /// host. It holds no more than were asked.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Id>) {
        let (withdrawn, queue) = mpsc::unbounded_channel();
        (Self { open: Arc::default(), withdrawn }, queue)
    }

    /// Notes the question `id`, which is about to be asked.
    pub(super) fn ask(&self, id: Id) -> Asked {
        let (sender, answer) = oneshot::channel();
        lock(&self.open).insert(id.clone(), sender);
        Asked { id, answer, open: Arc::clone(&self.open), withdrawn: self.withdrawn.clone() }
    }

    /// Hands the host's answer to whoever asked; false where nobody waits for it any more.
    pub(super) fn answered(&self, id: &Id, answer: Message) -> bool {
        lock(&self.open).remove(id).is_some_and(|asker| asker.send(answer).is_ok())
    }

    /// Closes a question that will have no answer.
    pub(super) fn close(&self, id: &Id) {
        lock(&self.open).remove(id);
    }
}

impl Asked {
    /// The host's answer; `None` where there will be none.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn answer(&mut self) -> Option<Message> {
        (&mut self.answer).await.ok()
    }
}

/// An unanswered question is withdrawn, however its asker ended.
impl Drop for Asked {
    fn drop(&mut self) {
        if lock(&self.open).remove(&self.id).is_some() {
            // Where nobody takes it any more, the session is over.
            let _over = self.withdrawn.send(self.id.clone());
        }
    }
}

fn lock(
    open: &Mutex<HashMap<Id, oneshot::Sender<Message>>>,
) -> MutexGuard<'_, HashMap<Id, oneshot::Sender<Message>>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(text.to_owned().into()).unwrap()
    }

    fn id(text: &str) -> Id {
        let request = message(&format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"m"}}"#));
        request.head().request_id().unwrap().clone()
    }

    #[tokio::test]
    async fn a_question_is_answered_once_or_withdrawn() {
        let answer = || message(r#"{"jsonrpc":"2.0","id":"q-1","result":{}}"#);
        let (questions, mut withdrawn) = Questions::new();
        let (mut one, two) = (questions.ask(id("\"q-1\"")), questions.ask(id("\"q-2\"")));
        assert!(questions.answered(&id("\"q-1\""), answer()));
        assert_eq!(one.answer().await.unwrap().text(), answer().text());
        assert!(!questions.answered(&id("\"q-1\""), answer()), "it has its answer");
        assert!(!questions.answered(&id("1"), answer()), "nobody asked");
        drop((one, two));
        assert_eq!(withdrawn.try_recv().unwrap(), id("\"q-2\""));
        assert!(withdrawn.try_recv().is_err());
        assert!(!questions.answered(&id("\"q-2\""), answer()), "it was withdrawn");
    }
}
