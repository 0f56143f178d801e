//! A child process that ends with the test that started it, by its id, and what it said.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::DEADLINE;

/// A running child. Its stderr is always captured.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) stderr: Arc<Captured>,
    exited: mpsc::Receiver<()>,
}

impl Process {
    /// Starts `command`; stdin and stdout are as the caller set them.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stderr = Captured::new(child.stderr.take().expect("stderr is piped"));
        let (sender, exited) = mpsc::channel();
        let id = pid(&child);
        std::thread::spawn(move || {
            // NOWAIT leaves the process to be reaped by its owner, so that its id stays its own.
            let wait =
                || rustix::process::waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            while matches!(wait(), Err(rustix::io::Errno::INTR)) {}
            let _ = sender.send(());
        });
        Self { child, stderr, exited }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(pid(&self.child), signal);
    }

    /// Waits for the end; a process that is still there at the deadline fails the test.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.wait_within(DEADLINE)
    }

    /// The same with another deadline.
    pub(crate) fn wait_within(&mut self, limit: Duration) -> ExitStatus {
        if !self.ends_within(limit) {
            panic!("process {} does not end; its stderr:\n{}", self.id(), self.stderr.text());
        }
        self.child.wait().expect("an exited child can be reaped")
    }

    /// Waits for the end, but no longer than so; whether it came.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        self.exited.recv_timeout(limit) != Err(mpsc::RecvTimeoutError::Timeout)
    }

    /// Waits for the end, and returns the exit code with all that was said on stderr; −1 stands for a
    /// signal.
    pub(crate) fn outcome(&mut self) -> (i32, String) {
        let code = self.wait().code().unwrap_or(-1);
        (code, String::from_utf8_lossy(&self.stderr.to_end()).into_owned())
    }

    /// Whether the process has ended by now.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// What comes out of a pipe, gathered by a thread of its own.
pub(crate) struct Captured {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    pub(crate) fn new(mut pipe: impl Read + Send + 'static) -> Arc<Self> {
        let captured = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let filled = Arc::clone(&captured);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                let count = pipe.read(&mut buffer).unwrap_or(0);
                let mut state = filled.state.lock().unwrap();
                state.bytes.extend_from_slice(&buffer[..count]);
                state.ended |= count == 0;
                filled.changed.notify_all();
                if state.ended {
                    return;
                }
            }
        });
        captured
    }

    /// What has come so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.state.lock().unwrap().bytes).into_owned()
    }

    /// Waits until the text satisfies `enough`, and returns it; the end of the pipe or the deadline
    /// fails the test.
    pub(crate) fn wait_for(&self, what: &str, enough: impl Fn(&str) -> bool) -> String {
        let holds = |state: &State| enough(&String::from_utf8_lossy(&state.bytes));
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state.lock().unwrap(), DEADLINE, |state| !holds(state) && !state.ended)
            .unwrap();
        let text = String::from_utf8_lossy(&state.bytes).into_owned();
        assert!(holds(&state), "{what} did not come; what came:\n{text}");
        text
    }

    /// Waits for so many lines, or for the end of the pipe; how many came.
    pub(crate) fn lines(&self, count: usize) -> usize {
        let lines = |state: &State| state.bytes.iter().filter(|byte| **byte == b'\n').count();
        let lacks = |state: &mut State| lines(state) < count && !state.ended;
        let (state, _) =
            self.changed.wait_timeout_while(self.state.lock().unwrap(), DEADLINE, lacks).unwrap();
        lines(&state)
    }

    /// Waits for the end of the pipe, and returns all of it.
    pub(crate) fn to_end(&self) -> Vec<u8> {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state.lock().unwrap(), DEADLINE, |state| !state.ended)
            .unwrap();
        assert!(state.ended, "the pipe stays open; what came:\n{}", String::from_utf8_lossy(&state.bytes));
        state.bytes.clone()
    }
}
