//! The smallest MCP host there is: one request at a time over a bridge's pipes (MCP transports,
//! "stdio"), to show what any host sees.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};

use super::children::{Piped, Process, Talk};

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A host with one server, which is the bridge.
pub(super) struct Host {
    pub(super) process: Process,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    talk: Talk,
    last_id: u64,
}

/// A result, and how long it took to come.
pub(super) struct Answer {
    pub(super) result: Value,
    pub(super) took: Duration,
}

impl Host {
    /// A host at the other end of a bridge's pipes.
    pub(super) fn new(bridge: Piped) -> Self {
        Self {
            process: bridge.process,
            stdin: bridge.stdin,
            lines: BufReader::new(bridge.stdout).lines(),
            talk: Talk::gather(bridge.stderr),
            last_id: 0,
        }
    }

    /// Sends a request and waits for its result.
    ///
    /// # Errors
    /// A sentence that says what came instead, with the bridge's last words.
    pub(super) async fn request(&mut self, method: &str, params: Value) -> Result<Answer, String> {
        self.last_id += 1;
        let id = self.last_id;
        let asked = Instant::now();
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answered = async {
            self.send(&request).await?;
            self.answer(id).await
        };
        let outcome = tokio::time::timeout(ANSWER_LIMIT, answered).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs())));
        match outcome {
            Ok(result) => Ok(Answer { result, took: asked.elapsed() }),
            Err(problem) => Err(self.talk.follows(&format!("{method}: {problem}"))),
        }
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// Where the bridge has gone.
    pub(super) async fn notify(&mut self, method: &str) -> Result<(), String> {
        let sent = self.send(&json!({ "jsonrpc": "2.0", "method": method })).await;
        sent.map_err(|problem| self.talk.follows(&format!("{method}: {problem}")))
    }

    /// Closes the bridge's input, which asks it to end, and returns its process. What it still
    /// writes is read, so that nothing keeps it.
    pub(super) fn close(self) -> (Process, Talk) {
        // Its output has no reader that matters: after EOF a bridge owes no answer to this host.
        Talk::gather(self.lines.into_inner());
        (self.process, self.talk)
    }

    async fn send(&mut self, message: &Value) -> Result<(), String> {
        let line = format!("{message}\n");
        self.stdin.write_all(line.as_bytes()).await.map_err(|error| error.to_string())
    }

    async fn answer(&mut self, id: u64) -> Result<Value, String> {
        loop {
            let line = self.lines.next_line().await.map_err(|error| error.to_string())?;
            let line = line.ok_or("the bridge closed its output")?;
            let mut message: Value =
                serde_json::from_str(&line).map_err(|error| format!("not a JSON-RPC message: {error}"))?;
            if message["id"] != json!(id) {
                continue;
            }
            return match message.get_mut("result") {
                Some(result) => Ok(result.take()),
                None => Err(format!("error {}: {}", message["error"]["code"], message["error"]["message"])),
            };
        }
    }
}
