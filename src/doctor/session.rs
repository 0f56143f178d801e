//! A real session: a bridge as a host would start it, `initialize` and `tools/list` through it.

use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ::http::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Check, Finding, Subject, within};
use crate::authorizer::Commands;
use crate::http::secrets_sent;
use crate::redact::printable;
use crate::wire::LATEST_WITH_INITIALIZE;

/// How long the whole session may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How much a bridge may say meanwhile, in bytes: lists may be long.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;
/// How much of a name that the server chose is shown, in characters.
const NAME_SHOWN: usize = 60;

/// What to do about an error that the server itself answers with.
const NOT_OURS: &str = "ask whoever runs the service; a bridge with `--log-file FILE -vv` keeps when \
     it was asked, and how it answered";

/// What to do about what keeps the bridge from the login, on this machine.
const OURS: &str = "see to what it names, then run this again";

/// Holds the session, and says what came of it. The server may repeat what it was sent.
pub(super) async fn hold(subject: Subject) -> Finding {
    let Subject { bridge, authorizer, server, headers, commands, .. } = subject;
    within(Check::Session, LIMIT, async {
        let before = authorizer.authorize().await;
        let outcome = converse(bridge).await;
        // The bridge may have renewed it meanwhile.
        let after = authorizer.authorize().await;
        let [before, after] = [before, after].map(|authorization| {
            authorization.map_or_else(|_| HeaderMap::new(), |authorization| authorization.headers())
        });
        let known = secrets_sent(&[&before, &after, &headers], &server);
        let shown =
            |text: &str, limit: usize| printable(&known.hide(text).chars().take(limit).collect::<String>());
        match outcome {
            Ok(session) => Finding::good(Check::Session, session.told(|name| shown(name, NAME_SHOWN))),
            Err(Trouble::Error { asked, error }) => {
                let message = error["message"].as_str().unwrap_or("an error without a message");
                let message = shown(message, usize::MAX);
                Finding::bad(Check::Session, format!("`{asked}` is answered with: {message}"))
                    .with_remedy(remedy(&error, &commands))
            }
            Err(Trouble::Io(error)) => Finding::bad(
                Check::Session,
                format!("the bridge does not work: {}", printable(&error.to_string())),
            ),
        }
    })
    .await
}

/// A command is taken from an error only where it is one of ours: the server may have put it there.
fn remedy(error: &Value, commands: &Commands) -> String {
    let ours = [commands.renew(), commands.replace(), commands.login(), commands.set_token()];
    let named = error["data"]["command"].as_str();
    match ours.iter().find(|command| Some(command.as_str()) == named) {
        Some(command) => format!("run {command}"),
        None => match error["data"]["reason"].as_str() {
            Some("credential_store" | "busy") => OURS.to_owned(),
            _ => NOT_OURS.to_owned(),
        },
    }
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

/// What came about.
struct Session {
    /// The result of `initialize`.
    server: Value,
    /// The result of `tools/list`, where the server has tools.
    tools: Option<Value>,
    took: Duration,
}

impl Session {
    /// Its sentence; `shown` makes what the server chose fit to be seen.
    fn told(&self, shown: impl Fn(&str) -> String) -> String {
        let named = |value: &Value| shown(value.as_str().unwrap_or("?"));
        let mut text = format!(
            "{} {} speaks {}",
            named(&self.server["serverInfo"]["name"]),
            named(&self.server["serverInfo"]["version"]),
            named(&self.server["protocolVersion"])
        );
        if let Some(list) = &self.tools {
            let count = list["tools"].as_array().map_or(0, Vec::len);
            text += &match (count, list["nextCursor"].is_string()) {
                (count, true) => format!(", {count} and more tools"),
                (1, false) => ", 1 tool".to_owned(),
                (count, false) => format!(", {count} tools"),
            };
        }
        format!("{text}; all of it took {} ms", self.took.as_millis())
    }
}

async fn converse(bridge: std::process::Command) -> Result<Session, Trouble> {
    let begun = Instant::now();
    let mut bridge = Bridge::start(bridge)?;
    let hello = json!({
        "protocolVersion": LATEST_WITH_INITIALIZE,
        "capabilities": {},
        "clientInfo": { "name": "mcp-front doctor", "version": env!("CARGO_PKG_VERSION") },
    });
    let server = bridge.ask("initialize", hello).await?;
    bridge.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
    let tools = match server["capabilities"].get("tools") {
        Some(_) => Some(bridge.ask("tools/list", json!({})).await?),
        None => None,
    };
    let took = begun.elapsed();
    bridge.end().await?;
    Ok(Session { server, tools, took })
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
