//! What a session is made of, each a function of a host in its session.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::host::{Host, said};
use super::server::TOOLS;
use super::{Cell, Era, Sdk, Transport};
use crate::support::DEADLINE;

/// Tries until it is so.
#[track_caller]
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "it never comes: {what}");
    }
}

pub(super) fn list(host: &mut Host) {
    let list = host.ask("tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().unwrap_or_else(|| panic!("{list}"));
    let mut names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, TOOLS);
}

/// Headers and bodies agree whatever is said, and what the server does not have is its error.
pub(super) fn call(host: &mut Host) {
    for text in ["hello", " größer\r\n", ""] {
        assert_eq!(host.call("echo", json!({"text": text})), text);
    }
    let refused = host.ask("no/such/method", json!({}));
    assert!(refused["error"]["code"].is_i64(), "{refused}");
}

/// Step by step, before the answer.
pub(super) fn progress(host: &mut Host) {
    let id = host.start_call("progress");
    for step in [1.0, 2.0] {
        let message = host.bridge.message();
        assert_eq!(message["method"], "notifications/progress", "{message}");
        assert_eq!(message["params"]["progressToken"], "p", "{message}");
        assert_eq!(message["params"]["progress"].as_f64(), Some(step), "{message}");
    }
    let answer = host.bridge.message();
    assert_eq!((&answer["id"], said(&answer)), (&json!(id), Some("done")), "{answer}");
}

/// Starts a call that does not end by itself, and returns its id once the server is at it.
fn wait(host: &mut Host) -> i64 {
    let id = host.start_call("wait");
    loop {
        let message = host.bridge.message();
        if message["method"] == "notifications/progress" {
            return id;
        }
        // Of a change that was told before, and more than once.
        assert_eq!(message["method"], "notifications/tools/list_changed", "{message}");
    }
}

/// The server stops, and the host hears nothing more of it.
pub(super) fn cancel(host: &mut Host) {
    let id = wait(host);
    host.cancel(id);
    until("the server's end of the call", || host.call("cancelled", json!({})) == "1");
    host.bridge.close_stdin();
    let (status, rest) = host.bridge.wait();
    assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");
}

pub(super) fn elicitation(host: &mut Host) {
    let answer = json!({"action": "accept", "content": {"name": "Ada"}});
    let (question, said) = host.answer_question("ask", &answer);
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Who?");
    assert!(said.contains("Ada"), "{said}");
}

pub(super) fn sampling(host: &mut Host) {
    let content = json!({"type": "text", "text": "Grace"});
    let answer = json!({"role": "assistant", "model": "m", "content": content});
    let (question, said) = host.answer_question("sample", &answer);
    assert_eq!(question["method"], "sampling/createMessage");
    let asked = &question["params"]["messages"][0]["content"];
    assert!(asked["text"] == "Who?" || asked[0]["text"] == "Who?", "{question}");
    assert!(said.contains("Grace"), "{said}");
}

/// Calls a tool until a notification is there of this method, which the call brings about: the
/// stream that it comes on may stand later than the session.
fn call_until_told(host: &mut Host, tool: &str, method: &str) {
    until(method, || {
        host.ask("tools/call", json!({"name": tool, "arguments": {}}));
        let mark = host.send("tools/call", json!({"name": "echo", "arguments": {"text": "mark"}}));
        let mut is_told = false;
        loop {
            let message = host.bridge.message();
            is_told |= message["method"] == method;
            if message["id"] == mark {
                return is_told;
            }
        }
    });
}

fn hear_of_a_change(host: &mut Host) {
    call_until_told(host, "change", "notifications/tools/list_changed");
}

pub(super) fn change(host: &mut Host) {
    host.listen();
    hear_of_a_change(host);
}

/// What was under way has one answer, and what comes after works: calls, and word of changes
/// without asking for it again.
pub(super) fn cut_stream(host: &mut Host) {
    host.listen();
    hear_of_a_change(host);
    let id = wait(host);
    host.wire.cut();
    if resumes(host.cell) {
        call_until_told(host, "nudge", "notifications/progress");
        assert_eq!(host.call("release", json!({})), "released");
        let answer = host.bridge.response(&json!(id));
        assert_eq!(said(&answer), Some("released"), "{answer}");
    } else {
        let answer = host.bridge.response(&json!(id));
        assert_eq!(answer["error"]["data"]["mayHaveExecuted"], true, "{answer}");
    }
    let echo = || json!({"name": "echo", "arguments": {"text": "on"}});
    until("the server", || said(&host.ask("tools/call", echo())) == Some("on"));
    // One word may be the bridge's own.
    hear_of_a_change(host);
    hear_of_a_change(host);
}

/// Whether the server keeps what it says on a stream for whoever comes back.
pub(super) fn resumes(cell: Cell) -> bool {
    (cell.served(), cell.sdk, cell.transport) == (Era::Legacy, Sdk::Rmcp, Transport::StreamableHttp)
}

/// What is under way when the host leaves is answered once, and ended at the server; the next
/// process finds everything as it was.
pub(super) fn end_of_process(host: &mut Host) {
    let id = wait(host);
    host.bridge.close_stdin();
    let (status, rest) = host.bridge.wait();
    let rest: Vec<Value> = rest.iter().map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    assert!(status.success() && rest.len() == 1 && rest[0]["id"] == id, "{status}, {rest:?}");
    host.again();
    until("the server's end of the call", || host.call("cancelled", json!({})) == "1");
    host.bridge.signal(Signal::TERM);
    let (status, rest) = host.bridge.wait();
    assert!(status.code() != Some(101) && rest.is_empty(), "{status}, {rest:?}");
}
