//! Hosts that write their frames themselves, of either era.

use serde_json::{Value, json};

use super::server::Server;
use super::{Cell, Era, Speaks};
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::modern_server::envelope;
use crate::support::translated::{capabilities, introduce};
use crate::support::wire::Wire;

/// A host in a session with the server of its cell.
pub(super) struct Host {
    pub(super) bridge: Bridge,
    pub(super) cell: Cell,
    pub(super) wire: Wire,
    calls: i64,
    home: Home,
    _server: Server,
}

impl Host {
    /// Opens as a host of the cell's era does, and goes on as the answer says.
    pub(super) fn on(cell: Cell, server: Server) -> Self {
        let home = Home::with_file_store();
        let wire = Wire::to(&server.url);
        let bridge = start(&home, cell, &wire);
        let mut host = Self { bridge, cell, wire, calls: 0, home, _server: server };
        host.open();
        host
    }

    /// The same host on a new process.
    pub(super) fn again(&mut self) {
        self.bridge = start(&self.home, self.cell, &self.wire);
        self.open();
    }

    fn open(&mut self) {
        if self.cell.host != Speaks::Legacy {
            self.bridge.send(self.frame("probe", "server/discover", json!({}), true));
            let found = self.bridge.message();
            if self.cell.spoken() == Era::Modern {
                let versions = found["result"]["supportedVersions"].as_array();
                assert!(versions.is_some_and(|versions| versions.contains(&json!("2026-07-28"))), "{found}");
                return;
            }
            // One of a modern server's errors would forbid the host to go on as it does.
            let code = found["error"]["code"].as_i64();
            assert!(code.is_some_and(|code| !(-32022..=-32020).contains(&code)), "{found}");
        }
        let initialized = introduce(&mut self.bridge, capabilities());
        let version = initialized["result"]["protocolVersion"].as_str();
        assert!(version.is_some_and(|version| version < "2026"), "{initialized}");
        let tools = &initialized["result"]["capabilities"]["tools"];
        assert_eq!(tools["listChanged"], true, "{initialized}");
    }

    pub(super) fn is_modern(&self) -> bool {
        self.cell.spoken() == Era::Modern
    }

    fn frame(&self, id: impl Into<Value>, method: &str, mut params: Value, is_modern: bool) -> String {
        if is_modern {
            let mut meta = envelope();
            meta["io.modelcontextprotocol/clientCapabilities"] = capabilities();
            for (name, value) in params["_meta"].as_object().cloned().unwrap_or_default() {
                meta[name] = value;
            }
            params["_meta"] = meta;
        }
        json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
    }

    /// Sends a request and returns its id.
    pub(super) fn send(&mut self, method: &str, params: Value) -> i64 {
        self.calls += 1;
        let frame = self.frame(self.calls, method, params, self.is_modern());
        self.bridge.send(frame);
        self.calls
    }

    /// Sends a request and returns its response; other messages stay to be read.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.bridge.response(&json!(id))
    }

    /// Starts a call whose progress is told under the token `p`, and returns its id.
    pub(super) fn start_call(&mut self, tool: &str) -> i64 {
        self.send("tools/call", json!({"name": tool, "arguments": {}, "_meta": {"progressToken": "p"}}))
    }

    /// The text that a tool answers with.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let text = said(&answer);
        text.unwrap_or_else(|| panic!("{tool} failed: {answer}")).to_owned()
    }

    /// Calls a tool that asks the host something; gives the method of the question and its
    /// parameters, and what the tool says to `answer`.
    pub(super) fn answer_question(&mut self, tool: &str, answer: &Value) -> (Value, String) {
        let params = json!({"name": tool, "arguments": {}});
        let (question, answered) = if self.is_modern() {
            let asked = self.ask("tools/call", params.clone());
            let result = &asked["result"];
            assert_eq!(result["resultType"], "input_required", "{asked}");
            let (key, question) = result["inputRequests"]
                .as_object()
                .and_then(|questions| questions.iter().next())
                .unwrap_or_else(|| panic!("{asked}"));
            let mut again = params;
            again["inputResponses"] = json!({key.as_str(): answer});
            again["requestState"] = result["requestState"].clone();
            (question.clone(), self.ask("tools/call", again))
        } else {
            let id = self.send("tools/call", params);
            let question = self.bridge.message();
            self.bridge.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}).to_string());
            (question, self.bridge.response(&json!(id)))
        };
        let text = said(&answered).unwrap_or_else(|| panic!("{tool} failed: {answered}"));
        (json!({"method": question["method"], "params": question["params"]}), text.to_owned())
    }

    /// Wants to hear of changes, as far as this has to be said.
    pub(super) fn listen(&mut self) {
        if self.is_modern() {
            self.send("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
            assert_eq!(self.bridge.message()["method"], "notifications/subscriptions/acknowledged");
        }
    }

    /// Calls a request off.
    pub(super) fn cancel(&mut self, id: i64) {
        let word =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        self.bridge.send(word.to_string());
    }
}

fn start(home: &Home, cell: Cell, wire: &Wire) -> Bridge {
    let era: &[&str] = if cell.host == Speaks::ModernAlone { &["--era", "modern"] } else { &[] };
    Bridge::start(home, &[&[wire.url()], era].concat())
}

/// The text of a tool's result.
pub(super) fn said(answer: &Value) -> Option<&str> {
    answer["result"]["content"][0]["text"].as_str()
}
