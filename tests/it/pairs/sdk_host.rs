//! The TypeScript SDK's client as a host that speaks 2026-07-28 alone, on every server of the era
//! before: what `--era modern` is for, between two sides that nobody here wrote.

use serde_json::{Value, json};

use super::rows::{resumes, until};
use super::server::{Server, TOOLS};
use super::{CELLS, Cell, Era, Speaks, server};
use crate::support::bridge::Bridge;
use crate::support::home::{BINARY, Home};
use crate::support::node::Node;
use crate::support::wire::Wire;

/// The host, which does what it is told.
struct SdkHost {
    process: Bridge,
    wire: Wire,
    _home: Home,
    _server: Server,
}

impl SdkHost {
    fn on(node: &Node, server: Server) -> Self {
        let home = Home::with_file_store();
        let wire = Wire::to(&server.url);
        let mut host = node.fixture("modern-host.mjs");
        host.args([BINARY, "bridge", wire.url(), "--era", "modern"]);
        host.env_clear().envs(home.environment()).envs(node.environment());
        Self { process: Bridge::spawn(host), wire, _home: home, _server: server }
    }

    /// Has it do something: what it hears meanwhile, and what comes of it.
    fn hear(&mut self, action: &Value) -> (Vec<Value>, Value) {
        self.process.send(action.to_string());
        let mut heard = Vec::new();
        loop {
            let said = self.process.message();
            match said.get("done") {
                Some(done) => return (heard, done.clone()),
                None if said.get("failed").is_some() => return (heard, said),
                None => heard.push(said),
            }
        }
    }

    /// The same where nothing is to be heard but of a change, which comes when it likes.
    #[track_caller]
    fn act(&mut self, action: &Value) -> Value {
        let (heard, done) = self.hear(action);
        assert!(heard.iter().all(|said| *said == told()), "{action}: {heard:?}");
        done
    }

    /// Starts a call that does not end by itself; the server is at it then.
    fn wait(&mut self) {
        assert_eq!(self.act(&json!(["wait"])), Value::Null);
        self.find("progress");
    }

    /// Lets the call that waits go.
    #[track_caller]
    fn release(&mut self) {
        let (heard, done) = self.hear(&json!(["call", "release"]));
        assert_eq!(done, "released");
        let ended = heard.iter().find_map(|said| said.get("ended").cloned());
        assert_eq!(ended.unwrap_or_else(|| self.find("ended")), "released");
    }

    /// Reads on until it says this.
    fn find(&mut self, what: &str) -> Value {
        loop {
            let said = self.process.message();
            if let Some(found) = said.get(what) {
                return found.clone();
            }
        }
    }

    /// How often a call was called off at the server.
    fn cancelled(&mut self) -> u64 {
        let said = self.act(&json!(["call", "cancelled"]));
        said.as_str().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    }

    /// Calls a tool until it is heard that the list has changed.
    fn hear_of_a_change(&mut self) {
        until("word of a change", || {
            let (mut heard, changed) = self.hear(&json!(["call", "change"]));
            assert_eq!(changed, "changed");
            heard.extend(self.hear(&json!(["call", "echo", {"text": "mark"}])).0);
            heard.contains(&told())
        });
    }
}

fn told() -> Value {
    json!({"told": "tools"})
}

#[test]
fn the_sdks_client_is_served_by_every_server_of_the_era_before() {
    let Some(node) = Node::installed() else { return };
    for (name, cell) in CELLS {
        if (cell.host, cell.server) == (Speaks::ModernAlone, Era::Legacy) {
            eprintln!("{name}");
            let Some(server) = server::start(*cell) else { return };
            let mut host = SdkHost::on(&node, server);
            use_all(&mut host);
            break_off(&mut host, *cell);
        }
    }
}

/// Lists, calls, progress, a cancellation, questions, changes.
fn use_all(host: &mut SdkHost) {
    assert_eq!(host.act(&json!(["connect"]))["tools"]["listChanged"], true);
    assert_eq!(host.act(&json!(["list"])), json!(TOOLS));
    assert_eq!(host.act(&json!(["call", "echo", {"text": " größer\r\n"}])), " größer\r\n");
    // Progress that comes together with the result the SDK leaves out.
    host.wait();
    host.release();
    host.wait();
    host.hear(&json!(["cancel"]));
    until("the server's end of the call", || {
        let (_ended, count) = host.hear(&json!(["call", "cancelled"]));
        count == "1"
    });
    for (tool, answer) in [("ask", "Ada"), ("sample", "Grace")] {
        let (heard, said) = host.hear(&json!(["call", tool]));
        assert_eq!(heard, [json!({"asked": "Who?"})], "{tool}: {said}");
        assert!(said.as_str().is_some_and(|said| said.contains(answer)), "{said}");
    }
    // The servers tell of no prompts.
    assert_eq!(host.act(&json!(["listen"])), json!({"toolsListChanged": true}));
    host.hear_of_a_change();
}

/// A cut stream, and the end of a process with a call under way.
fn break_off(host: &mut SdkHost, cell: Cell) {
    host.wait();
    host.wire.cut();
    let on = || json!(["call", "echo", {"text": "on"}]);
    if resumes(cell) {
        // What the server says before the stream goes on may be lost.
        until("the stream", || host.hear(&json!(["call", "nudge"])).0.contains(&json!({"progress": 1})));
        host.release();
    } else {
        let ended = host.find("ended");
        assert_eq!(ended["failed"]["data"]["mayHaveExecuted"], true, "{ended}");
        until("the server", || host.hear(&on()).1 == "on");
    }
    // One word may be the bridge's own.
    host.hear_of_a_change();
    host.hear_of_a_change();

    let before = host.cancelled();
    host.wait();
    host.hear(&json!(["close"]));
    host.hear(&json!(["connect"]));
    until("the server's end of the call", || host.cancelled() > before);
    host.hear(&json!(["close"]));
}
