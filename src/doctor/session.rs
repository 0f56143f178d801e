//! A real session: a bridge as a host would start it, `initialize` and `tools/list` through it.

use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Check, Finding, within};
use crate::redact::printable;
use crate::wire::LATEST_WITH_INITIALIZE;

/// How long the whole session may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How much a bridge may say meanwhile, in bytes: lists may be long.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;
/// How much of a name that the server chose is shown, in characters.
const NAME_SHOWN: usize = 60;

/// Holds the session, and says what came of it.
pub(super) async fn hold(bridge: std::process::Command) -> Finding {
    within(Check::Session, LIMIT, async {
        match converse(bridge).await {
            Ok(text) => Finding::good(Check::Session, text),
            Err(Trouble::Error { asked, error }) => refused(asked, &error),
            Err(Trouble::Io(error)) => Finding::bad(
                Check::Session,
                format!("the bridge does not work: {}", printable(&error.to_string())),
            ),
        }
    })
    .await
}

/// Why there was no session.
enum Trouble {
    /// A request was answered with this error.
    Error {
        asked: &'static str,
        error: Value,
    },
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn refused(asked: &str, error: &Value) -> Finding {
    let message = error["message"].as_str().unwrap_or("an error without a message");
    let finding = Finding::bad(Check::Session, format!("`{asked}` is answered with: {}", printable(message)));
    match error["data"]["command"].as_str() {
        Some(command) => finding.with_remedy(format!("run {}", printable(command))),
        None => finding,
    }
}

async fn converse(bridge: std::process::Command) -> Result<String, Trouble> {
    let begun = Instant::now();
    let mut bridge = Bridge::start(bridge)?;
    let hello = json!({
        "protocolVersion": LATEST_WITH_INITIALIZE,
        "capabilities": {},
        "clientInfo": { "name": "mcp-front doctor", "version": env!("CARGO_PKG_VERSION") },
    });
    let server = bridge.ask("initialize", hello).await?;
    bridge.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
    let named = |value: &Value| {
        let text: String = value.as_str().unwrap_or("?").chars().take(NAME_SHOWN).collect();
        printable(&text)
    };
    let mut text = format!(
        "{} {} speaks {}",
        named(&server["serverInfo"]["name"]),
        named(&server["serverInfo"]["version"]),
        named(&server["protocolVersion"])
    );
    if server["capabilities"].get("tools").is_some() {
        let list = bridge.ask("tools/list", json!({})).await?;
        let count = list["tools"].as_array().map_or(0, Vec::len);
        text += &match (count, list["nextCursor"].is_string()) {
            (count, true) => format!(", {count} and more tools"),
            (1, false) => ", 1 tool".to_owned(),
            (count, false) => format!(", {count} tools"),
        };
    }
    let took = begun.elapsed().as_millis();
    bridge.end().await?;
    Ok(format!("{text}; all of it took {took} ms"))
}

/// A bridge and its pipes. It is killed where it is dropped before its end.
struct Bridge {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<tokio::io::Take<ChildStdout>>,
    asked: u32,
}

impl Bridge {
    fn start(command: std::process::Command) -> io::Result<Self> {
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("it has no pipes"));
        };
        Ok(Self { process, stdin, stdout: BufReader::new(stdout.take(OUTPUT_LIMIT)), asked: 0 })
    }

    async fn tell(&mut self, message: &Value) -> io::Result<()> {
        self.stdin.write_all(format!("{message}\n").as_bytes()).await
    }

    /// Asks, and passes over what the server says meanwhile.
    async fn ask(&mut self, method: &'static str, params: Value) -> Result<Value, Trouble> {
        self.asked += 1;
        let id = self.asked;
        self.tell(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line).await? == 0 {
                return Err(io::Error::other("it ended without an answer").into());
            }
            let mut message: Value = serde_json::from_str(&line).map_err(io::Error::other)?;
            if message["id"] != id || message.get("method").is_some() {
                continue;
            }
            return match message["error"].take() {
                Value::Null => Ok(message["result"].take()),
                error => Err(Trouble::Error { asked: method, error }),
            };
        }
    }

    /// Ends the session as a host does, and waits until the bridge has left it.
    async fn end(mut self) -> io::Result<()> {
        drop(self.stdin);
        self.process.wait().await?;
        Ok(())
    }
}
