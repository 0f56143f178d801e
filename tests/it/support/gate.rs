//! Holding an answer back until the test lets it go, and knowing that somebody waits for it.

use std::sync::{Arc, Condvar, Mutex};

use super::DEADLINE;

/// A gate: closed when made.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// Stands at the gate until it is open; false where it stays closed until the deadline.
    pub(crate) fn pass(&self) -> bool {
        let (state, changed) = &*self.0;
        let mut held = state.lock().unwrap();
        held.arrived += 1;
        changed.notify_all();
        changed.wait_timeout_while(held, DEADLINE, |state| !state.open).unwrap().0.open
    }

    /// Opens the gate for good.
    pub(crate) fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().open = true;
        changed.notify_all();
    }

    /// Waits until `count` have come to the gate, in a test that runs on a runtime.
    pub(crate) async fn arrivals(&self, count: usize) {
        let gate = self.clone();
        tokio::task::spawn_blocking(move || gate.wait_for_arrivals(count)).await.unwrap();
    }

    /// Waits until `count` have come to the gate.
    pub(crate) fn wait_for_arrivals(&self, count: usize) {
        let (state, changed) = &*self.0;
        let (state, _) = changed
            .wait_timeout_while(state.lock().unwrap(), DEADLINE, |state| state.arrived < count)
            .unwrap();
        assert!(state.arrived >= count, "{} of {count} came", state.arrived);
    }
}
