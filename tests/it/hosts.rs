//! What a server asks of its host, and tells it unasked, through the bridge: the reference server's
//! sampling, elicitation, roots, logs and subscriptions, on the stream of a request and beside it.

use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::node::{Node, NodeServer};

const RESOURCE: &str = "demo://resource/dynamic/text/1";

/// A host with every capability, which answers what it is asked and notes what it is told.
struct Host {
    bridge: Bridge,
    next: i64,
    asked: Vec<Value>,
    told: Vec<Value>,
    _home: Home,
}

impl Host {
    /// Connects to `url`; the roots that the server then asks for are part of it.
    fn connect(url: &str) -> Self {
        let home = Home::with_file_store();
        let bridge = Bridge::start(&home, &[url]);
        let mut host = Self { bridge, next: 0, asked: Vec::new(), told: Vec::new(), _home: home };
        let capabilities =
            json!({"roots": {"listChanged": true}, "sampling": {}, "elicitation": {"form": {}, "url": {}}});
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": {"name": "mcp-front-tests", "version": "1"},
        });
        assert!(host.request("initialize", params)["result"]["capabilities"].is_object());
        host.bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        host
    }

    /// Sends a request and serves the server until its response comes.
    fn request(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = json!(self.next);
        self.bridge.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        self.serve(&format!("the response to {method}"), |message, _| {
            message.get("method").is_none() && message["id"] == id
        })
    }

    /// Calls a tool and returns the text of its answer.
    fn call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        let parts = answer["result"]["content"].as_array().unwrap_or_else(|| panic!("{tool}: {answer}"));
        parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Serves the server until it has sent a notification for which `wanted` holds.
    fn wait_to_be_told(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) {
        if !self.told.iter().any(&wanted) {
            self.serve(what, |message, _| wanted(message));
        }
    }

    /// Answers the server's requests and notes its notifications until `enough` holds for a message.
    fn serve(&mut self, what: &str, enough: impl Fn(&Value, &[Value]) -> bool) -> Value {
        for _ in 0..1000 {
            let message = self.bridge.message();
            match (message["method"].as_str(), message.get("id")) {
                (Some(method), Some(id)) => {
                    let answer = json!({"jsonrpc": "2.0", "id": id, "result": answer(method, &message)});
                    self.bridge.send(answer.to_string());
                    self.asked.push(message.clone());
                }
                (Some(_), None) => self.told.push(message.clone()),
                (None, _) => {}
            }
            if enough(&message, &self.asked) {
                return message;
            }
        }
        panic!("{what} does not come");
    }

    fn was_asked(&self, method: &str) -> usize {
        self.asked.iter().filter(|request| request["method"] == method).count()
    }
}

/// What the person and the model behind this host answer.
fn answer(method: &str, request: &Value) -> Value {
    match method {
        "roots/list" => json!({"roots": [{"uri": "file:///the-root", "name": "the root"}]}),
        "sampling/createMessage" => json!({
            "role": "assistant",
            "content": {"type": "text", "text": "said by the model"},
            "model": "none",
            "stopReason": "endTurn",
        }),
        "elicitation/create" if request["params"]["mode"] == "url" => json!({"action": "accept"}),
        "elicitation/create" => json!({
            "action": "accept",
            "content": {"name": "A Person", "check": true, "email": "a@example.com", "integer": 7, "number": 2.5},
        }),
        _ => json!({}),
    }
}

/// A11: a server's requests reach the host on the stream of the call and on the session's own, and
/// the answers reach the server.
#[test]
fn server_everything_asks_its_host() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("everything.mjs"));
    let mut host = Host::connect(&server.url);
    host.serve("roots/list", |_, asked| asked.iter().any(|request| request["method"] == "roots/list"));
    let roots = host.call("get-roots-list", json!({}));
    assert!(roots.contains("file:///the-root"), "{roots}");

    let sampled = host.call("trigger-sampling-request", json!({"prompt": "hello", "maxTokens": 5}));
    assert!(sampled.contains("said by the model"), "{sampled}");
    let elicited = host.call("trigger-elicitation-request", json!({}));
    assert!(elicited.contains("A Person"), "{elicited}");
    let url = json!({"url": "https://example.com/consent"});
    let opened = host.call("trigger-url-elicitation", url);
    assert!(opened.contains("completed the URL elicitation"), "{opened}");
    for (method, count) in [("sampling/createMessage", 1), ("elicitation/create", 2), ("roots/list", 1)] {
        assert_eq!(host.was_asked(method), count, "{method}");
    }

    // The error that sends a person to an address keeps its data (-32042).
    let arguments = json!({"url": "https://example.com/first", "errorPath": true});
    let refused =
        host.request("tools/call", json!({"name": "trigger-url-elicitation", "arguments": arguments}));
    assert_eq!(refused["error"]["code"], -32042, "{refused}");
    assert_eq!(refused["error"]["data"]["elicitations"][0]["mode"], "url", "{refused}");
}

/// A11: what a server tells unasked reaches the host: logs and changes of resources.
#[test]
fn server_everything_tells_its_host() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("everything.mjs"));
    let mut host = Host::connect(&server.url);
    assert_eq!(host.request("logging/setLevel", json!({"level": "debug"}))["result"], json!({}));
    host.call("toggle-simulated-logging", json!({}));
    host.wait_to_be_told("a log message", |message| {
        message["method"] == "notifications/message"
            && message["params"]["data"].as_str().is_some_and(|text| text.contains("SessionId"))
    });
    assert_eq!(host.request("resources/subscribe", json!({"uri": RESOURCE}))["result"], json!({}));
    host.call("toggle-subscriber-updates", json!({}));
    host.wait_to_be_told("an update", |message| {
        message["method"] == "notifications/resources/updated" && message["params"]["uri"] == RESOURCE
    });
    let read = host.request("resources/read", json!({"uri": RESOURCE}));
    assert_eq!(read["result"]["contents"][0]["uri"], RESOURCE, "{read}");
    let completed = host.request(
        "completion/complete",
        json!({
            "ref": {"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"},
            "argument": {"name": "resourceId", "value": "1"},
        }),
    );
    assert!(completed["result"]["completion"].is_object(), "{completed}");
    assert_eq!(host.request("ping", json!({}))["result"], json!({}));
    let prompts = host.request("prompts/list", json!({}));
    assert!(prompts["result"]["prompts"].as_array().is_some_and(|prompts| !prompts.is_empty()), "{prompts}");
}

/// A11: two hosts on one server: what one is asked and told, the other is not.
#[test]
fn two_hosts_of_one_server_stay_apart() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("everything.mjs"));
    let (mut one, mut other) = (Host::connect(&server.url), Host::connect(&server.url));
    one.call("toggle-simulated-logging", json!({}));
    one.call("trigger-sampling-request", json!({"prompt": "hello", "maxTokens": 5}));
    assert_eq!(other.call("echo", json!({"message": "hello"})), "Echo: hello");
    assert_eq!((one.was_asked("sampling/createMessage"), other.was_asked("sampling/createMessage")), (1, 0));
    let logged = |message: &&Value| message["params"]["data"].to_string().contains("SessionId");
    assert_eq!(other.told.iter().filter(logged).count(), 0, "{:?}", other.told);
}
