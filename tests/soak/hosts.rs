//! Hosts that start bridges, call, and kill.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::bridge::initialize_params;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

/// After which a call counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(60);

/// One call, and what came of it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    /// The error, where it failed.
    pub(crate) failure: Option<String>,
}

/// A host whose bridges come and go.
pub(crate) struct Host<'a> {
    service: &'a Service,
    chance: Chance,
    pub(crate) calls: Vec<Call>,
    /// Bridges that were killed, and those that were left in peace.
    pub(crate) killed: usize,
    pub(crate) left: usize,
}

/// What ends a wait for an answer.
enum Answer {
    Came(Value),
    /// The bridge's time is over.
    Killed,
    Missing(&'static str),
}

impl<'a> Host<'a> {
    pub(crate) fn new(service: &'a Service, chance: Chance) -> Self {
        Self { service, chance, calls: Vec::new(), killed: 0, left: 0 }
    }

    pub(crate) fn run_until(mut self, end: Instant) -> Self {
        while Instant::now() < end {
            std::thread::sleep(self.chance.between(0, 3000));
            let life = self.chance.between(1_000, 60_000);
            self.serve((Instant::now() + life).min(end));
        }
        self
    }

    /// Starts a bridge and calls until its time is over; kills it then, or lets it end.
    fn serve(&mut self, end: Instant) {
        let mut bridge = Bridge::start(self.service);
        let mut id = 0;
        loop {
            let frame = if id == 0 {
                json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()})
            } else {
                let params = json!({"name": "echo", "arguments": {"text": "hello"}});
                json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
            };
            let from = Instant::now();
            let answer = bridge.ask(&frame, end);
            let failure = match answer {
                // Nobody waits for its answer any more.
                Answer::Killed => break,
                Answer::Came(answer) if answer.get("result").is_some() => None,
                Answer::Came(answer) => Some(answer["error"].to_string()),
                Answer::Missing(why) => Some(format!("{why}; stderr: {}", bridge.process.stderr.text())),
            };
            let is_missing = failure.as_ref().is_some_and(|failure| !failure.starts_with('{'));
            self.calls.push(Call { from, to: Instant::now(), failure });
            if is_missing {
                break;
            }
            if id == 0 {
                bridge.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
            }
            id += 1;
            let pause = self.chance.between(500, 1500);
            std::thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
        }
        if self.chance.percent(70) {
            bridge.process.signal(Signal::KILL);
            self.killed += 1;
        } else {
            self.left += 1;
        }
        drop(bridge.stdin.take());
        bridge.process.wait();
    }
}

struct Bridge {
    process: Process,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
}

impl Bridge {
    fn start(service: &Service) -> Self {
        let mut command = service.home.command(["bridge", NAME]);
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let stdin = process.child.stdin.take();
        let stdout = BufReader::new(process.child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let messages = stdout.lines().map_while(Result::ok);
            for message in messages.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { process, stdin, lines }
    }

    /// Whether the bridge took it.
    fn write(&mut self, frame: &Value) -> bool {
        let line = format!("{frame}\n");
        self.stdin.as_mut().is_some_and(|stdin| stdin.write_all(line.as_bytes()).is_ok())
    }

    /// Sends a request and waits for its answer, until the bridge's time is over.
    fn ask(&mut self, frame: &Value, end: Instant) -> Answer {
        if Instant::now() >= end {
            return Answer::Killed;
        }
        if !self.write(frame) {
            return Answer::Missing("the bridge does not read");
        }
        let by = (Instant::now() + PATIENCE).min(end);
        loop {
            match self.lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
                Ok(answer) if answer["id"] == frame["id"] && answer.get("method").is_none() => {
                    return Answer::Came(answer);
                }
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Timeout) if by == end => return Answer::Killed,
                Err(mpsc::RecvTimeoutError::Timeout) => return Answer::Missing("no answer came"),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Answer::Missing("the bridge has ended"),
            }
        }
    }
}

/// The processes in the service's home that are there after `patience`; helpers may take their time.
pub(crate) fn processes_left(service: &Service, patience: Duration) -> Vec<u32> {
    let mark = format!("MCP_FRONT_HOME={}", service.home.path().display());
    let end = Instant::now() + patience;
    loop {
        let left = with_environment(mark.as_bytes());
        if left.is_empty() || Instant::now() >= end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn with_environment(mark: &[u8]) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("a /proc to look for processes in");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process: &u32| {
            let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark)
        })
        .collect()
}
