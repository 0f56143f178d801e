//! A scripted server of 2025-11-25 that asks its host while it works on a call, and tells on the
//! session's stream what has changed; and a host of 2026-07-28 on it.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use super::DEADLINE;
use super::bridge::Bridge;
use super::home::Home;
use super::http_server::{Reply, Request, Responder};
use super::mcp_server::{McpServer, result};
use super::open_session::is_post_of;

/// What passes between the server's requests; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    answers: HashMap<String, Value>,
    streams: Vec<Sender<String>>,
    opened: usize,
}

impl Stage {
    /// Asks on the stream of a request, and waits for the host's answer.
    pub(crate) fn ask(&self, responder: &mut Responder, id: &str, method: &str, params: &Value) -> Value {
        let question = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        responder.chunk(format!("data: {question}\n\n"));
        self.answer(id)
    }

    /// Waits for the host's answer.
    pub(crate) fn answer(&self, id: &str) -> Value {
        let (state, changed) = &*self.0;
        let (mut state, _) = changed
            .wait_timeout_while(state.lock().unwrap(), DEADLINE, |state| !state.answers.contains_key(id))
            .unwrap();
        state.answers.remove(id).unwrap_or_default()
    }

    /// Says something on the session's stream, once there is one.
    pub(crate) fn say(&self, message: &Value) {
        self.wait_for_streams(1);
        for stream in &self.0.0.lock().unwrap().streams {
            let _ = stream.send(format!("data: {message}\n\n"));
        }
    }

    /// Cuts the session's stream.
    pub(crate) fn cut(&self) {
        self.0.0.lock().unwrap().streams.clear();
    }

    /// Waits until so many streams were opened.
    pub(crate) fn wait_for_streams(&self, count: usize) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        let (state, _) = changed.wait_timeout_while(state, DEADLINE, |state| state.opened < count).unwrap();
        assert!(state.opened >= count, "{} of {count} streams were opened", state.opened);
    }

    fn open(&self) -> Receiver<String> {
        let (sender, said) = channel();
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.streams.push(sender);
        state.opened += 1;
        changed.notify_all();
        said
    }

    fn answered(&self, answer: &Value) {
        let (state, changed) = &*self.0;
        let id = answer["id"].as_str().unwrap_or_default().to_owned();
        state.lock().unwrap().answers.insert(id, answer.clone());
        changed.notify_all();
    }
}

/// Starts the server; `script` comes before the default.
pub(crate) fn asking(
    script: impl Fn(&Request, &mut Responder, &Stage) -> bool + Send + Sync + 'static,
) -> (McpServer, Stage) {
    let stage = Stage::default();
    let shared = stage.clone();
    let server = McpServer::scripted(move |request, responder| {
        let message = request.json();
        if request.method == "GET" {
            let said = shared.open();
            responder.start_events();
            responder.chunk(": here\n\n");
            while said.recv().is_ok_and(|event| responder.chunk(event)) {}
            return true;
        }
        if message.get("method").is_none() && message.get("id").is_some() {
            shared.answered(&message);
            responder.reply(&Reply::status(202));
            return true;
        }
        if script(request, responder, &shared) {
            return true;
        }
        // Who opened no session is asked for none.
        let is_bare = request.header("Mcp-Session-Id").is_none() && message["method"] != "initialize";
        if is_bare {
            let answered = Reply::json(200, answer(request, &result(&message)).to_string());
            let accepted = Reply::status(202);
            responder.reply(if message.get("id").is_some() { &answered } else { &accepted });
        }
        is_bare
    });
    (server, stage)
}

/// The answer to `request`.
pub(crate) fn answer(request: &Request, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result})
}

/// A tool's result that says this.
pub(crate) fn text(said: &Value) -> Value {
    json!({"content": [{"type": "text", "text": said.to_string()}]})
}

/// The `initialize` of a server that offers all there is, without a session.
pub(crate) fn offers_all(request: &Request, responder: &mut Responder) -> bool {
    if !is_post_of(request, "initialize") {
        return false;
    }
    let result = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {
            "logging": {},
            "prompts": {},
            "resources": {"subscribe": true, "listChanged": true},
            "tools": {"listChanged": true},
        },
        "serverInfo": {"name": "asking", "version": "1"},
        "instructions": "Ask \u{fc}ber all",
    });
    responder.reply(&Reply::json(200, answer(request, &result).to_string()));
    true
}

/// A host of 2026-07-28 that offers all there is, behind `--era modern`.
pub(crate) struct ModernHost {
    pub(crate) bridge: Bridge,
    next: i64,
    /// The home that is its own.
    _home: Option<Home>,
}

impl ModernHost {
    pub(crate) fn on(url: &str) -> Self {
        Self::with(url, &[])
    }

    pub(crate) fn with(url: &str, flags: &[&str]) -> Self {
        let home = Home::with_file_store();
        let words: Vec<_> = [url, "--era", "modern"].iter().chain(flags).copied().collect();
        let host = Self::in_home(&home, &words);
        Self { _home: Some(home), ..host }
    }

    /// The next messages are these notifications, each for a subscription by its id.
    #[track_caller]
    pub(crate) fn assert_told(&mut self, expected: &[(&Value, &str)]) {
        for (id, method) in expected {
            let told = self.bridge.message();
            assert_eq!(told["method"], format!("notifications/{method}"), "{told}");
            assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], **id, "{told}");
        }
    }

    /// A host with a bridge in a home that others use too.
    pub(crate) fn in_home(home: &Home, words: &[&str]) -> Self {
        Self { bridge: Bridge::start(home, words), next: 0, _home: None }
    }

    /// What the server says of itself.
    pub(crate) fn discover(&mut self) -> Value {
        self.ask("server/discover", json!({}))
    }

    /// Sends a request and returns its response; other messages stay to be read.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.bridge.response(&id)
    }

    /// Sends a request and returns its id.
    pub(crate) fn send(&mut self, method: &str, mut params: Value) -> Value {
        self.next += 1;
        let meta = params["_meta"].as_object().cloned().unwrap_or_default();
        params["_meta"] = envelope();
        for (name, value) in meta {
            params["_meta"][name] = value;
        }
        let frame = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        self.bridge.send(frame.to_string());
        json!(self.next)
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The next attempt of a call, with `answer` for each question of the `asked` before it.
    pub(crate) fn again(&mut self, tool: &str, asked: &Value, answer: impl Fn(&Value) -> Value) -> Value {
        let result = &asked["result"];
        assert_eq!(result["resultType"], "input_required", "{asked}");
        let requests = result["inputRequests"].as_object().expect("questions");
        let responses: serde_json::Map<_, _> =
            requests.iter().map(|(key, question)| (key.clone(), answer(question))).collect();
        let state = &result["requestState"];
        assert!(state.is_string(), "{asked}");
        let params =
            json!({"name": tool, "arguments": {}, "inputResponses": responses, "requestState": state});
        self.ask("tools/call", params)
    }

    /// Leaves, and gives what nobody read.
    pub(crate) fn leave(&mut self) -> Vec<Value> {
        self.bridge.close_stdin();
        let (status, rest) = self.bridge.wait();
        assert!(status.success(), "{status}");
        rest.iter().map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }
}

/// What each request says of this host.
pub(crate) fn envelope() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "host", "version": "7"},
        "io.modelcontextprotocol/clientCapabilities":
            {"elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true}, "sampling": {}},
    })
}
