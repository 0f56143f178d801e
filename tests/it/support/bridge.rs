//! A host's end of the bridge: raw lines in, raw lines out.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::DEADLINE;
use super::home::Home;
use super::process::Process;

/// How long a bridge may take to say that there is no login it could use, whatever the keychain and
/// the network do: a person waits, and hosts give up on a server that does not start.
pub(crate) const REFUSAL_LIMIT: Duration = Duration::from_secs(5);

/// How long an outage of the token endpoint may hold up an answer, repetitions included: hosts give a
/// server that starts half a minute.
pub(crate) const OUTAGE_LIMIT: Duration = Duration::from_secs(15);

/// A running `mcp-front bridge` (or anything that speaks MCP on stdio).
pub(crate) struct Bridge {
    pub(crate) process: Process,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Vec<u8>>,
    /// Lines that were read while looking for another one.
    passed_over: VecDeque<Vec<u8>>,
}

impl Bridge {
    /// Starts `mcp-front bridge ARGUMENTS` in `home`.
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::spawn(home.command(["bridge"].iter().chain(arguments)))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let stdin = process.child.stdin.take();
        let mut stdout = BufReader::new(process.child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Self { process, stdin, lines, passed_over: VecDeque::new() }
    }

    /// Writes `frame` and a newline.
    pub(crate) fn send(&mut self, frame: impl AsRef<[u8]>) {
        let mut line = frame.as_ref().to_vec();
        line.push(b'\n');
        self.send_raw(&line);
    }

    /// As [`send`](Self::send), to a bridge that may have ended at its start.
    pub(crate) fn try_send(&mut self, frame: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        let _ = writeln!(stdin, "{frame}");
    }

    /// Writes bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        if let Err(error) = stdin.write_all(bytes) {
            panic!("the bridge does not read: {error}; its stderr:\n{}", self.process.stderr.text());
        }
    }

    /// The next line, without its newline.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        match self.passed_over.pop_front() {
            Some(line) => line,
            None => self.fresh_line(DEADLINE).unwrap_or_else(|| {
                panic!("no line came; the bridge's stderr:\n{}", self.process.stderr.text())
            }),
        }
    }

    fn fresh_line(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let mut line = self.lines.recv_timeout(patience).ok()?;
        assert_eq!(line.pop(), Some(b'\n'), "a line is cut: {}", String::from_utf8_lossy(&line));
        Some(line)
    }

    /// Whether something came that nobody has read yet.
    pub(crate) fn has_line(&mut self) -> bool {
        self.passed_over.extend(self.lines.try_recv().ok().map(|mut line| {
            line.pop();
            line
        }));
        !self.passed_over.is_empty()
    }

    /// The next line as JSON.
    pub(crate) fn message(&mut self) -> Value {
        let line = self.line();
        serde_json::from_slice(&line)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&line)))
    }

    /// Sends a request and returns its response; other messages stay to be read.
    pub(crate) fn call(&mut self, id: i64, method: &str, params: Value) -> Value {
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        self.response(&json!(id))
    }

    /// The error of a request that must be refused, and within `limit`.
    #[track_caller]
    pub(crate) fn refused_within(&mut self, limit: Duration, method: &str, params: Value) -> Value {
        let start = Instant::now();
        let answer = self.call(0, method, params);
        assert!(start.elapsed() < limit, "the answer came after {:?}: {answer}", start.elapsed());
        assert!(answer["error"]["message"].is_string(), "no error: {answer}");
        answer["error"].clone()
    }

    /// The error that `initialize` is answered with, in the time that a missing login may take.
    #[track_caller]
    pub(crate) fn refusal(&mut self) -> Value {
        self.refused_within(REFUSAL_LIMIT, "initialize", initialize_params())
    }

    /// The error of a call; fails the test where the call succeeds.
    #[track_caller]
    pub(crate) fn refused(&mut self, id: i64) -> Value {
        let answer = self.call(id, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
        assert!(answer["error"]["message"].is_string(), "no error: {answer}");
        answer["error"].clone()
    }

    /// The names of the listed tools.
    pub(crate) fn tools(&mut self, id: i64) -> Vec<String> {
        let listed = self.call(id, "tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("no list: {listed}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Reads what the host is told until it knows that all lists have changed.
    pub(crate) fn wait_for_changes(&mut self) {
        for list in ["tools", "prompts", "resources"] {
            assert_eq!(self.message()["method"], format!("notifications/{list}/list_changed"));
        }
    }

    /// The response to `id`; other messages stay to be read.
    pub(crate) fn response(&mut self, id: &Value) -> Value {
        let is_it = |line: &[u8]| {
            serde_json::from_slice::<Value>(line)
                .is_ok_and(|message| message.get("id") == Some(id) && message.get("method").is_none())
        };
        if let Some(place) = self.passed_over.iter().position(|line| is_it(line)) {
            let line = self.passed_over.remove(place).expect("it is there");
            return serde_json::from_slice(&line).expect("it was JSON");
        }
        let end = Instant::now() + DEADLINE;
        while let Some(line) = self.fresh_line(end.saturating_duration_since(Instant::now())) {
            if is_it(&line) {
                return serde_json::from_slice(&line).expect("it was JSON");
            }
            self.passed_over.push_back(line);
        }
        panic!("no response to {id}; the bridge's stderr:\n{}", self.process.stderr.text());
    }

    /// `initialize` with id 0 and `notifications/initialized`; returns the response.
    pub(crate) fn initialize(&mut self) -> Value {
        let response = self.call(0, "initialize", initialize_params());
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        response
    }

    /// Calls the scripted server's echo tool and returns the text of its answer.
    pub(crate) fn echo(&mut self, id: i64, text: &str) -> String {
        let response = self.call(id, "tools/call", json!({"name": "echo", "arguments": {"text": text}}));
        let echoed = response["result"]["content"][0]["text"].as_str();
        echoed.unwrap_or_else(|| panic!("the call failed: {response}")).to_owned()
    }

    /// Ends the input, as a host that leaves does.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end; returns it with the lines that nobody read.
    pub(crate) fn wait(&mut self) -> (ExitStatus, Vec<Vec<u8>>) {
        let status = self.process.wait();
        let mut rest: Vec<_> = self.passed_over.drain(..).collect();
        while let Some(line) = self.fresh_line(DEADLINE) {
            rest.push(line);
        }
        (status, rest)
    }
}

/// What a host of 2025-11-25 says first.
pub(crate) fn initialize_params() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"roots": {"listChanged": true}},
        "clientInfo": {"name": "mcp-front-tests", "version": "1"}
    })
}

/// What the answer to a call says.
pub(crate) fn said(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}
