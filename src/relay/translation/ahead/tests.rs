//! What is said in which order, and which members change, for a host of 2026-07-28 on a legacy
//! server.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::calls::{PARKED, PATIENCE};
use super::envelope::{asks_the_same, unstamped};
use super::machine::Machine;
use super::{Out, results};
use crate::jsonrpc::{Id, Message};

mod session;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"h"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"roots":{"listChanged":true}}}"#;
const LEVEL: &str = r#""io.modelcontextprotocol/logLevel":"warning""#;

fn message(frame: &str) -> Message {
    Message::parse(frame.replace("META", META).replace("LEVEL", LEVEL).into()).unwrap()
}

fn id(text: &str) -> Id {
    message(&format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"m"}}"#)).head().request_id().unwrap().clone()
}

/// What is said, with the one it is said to before it.
fn said(out: Vec<Out>) -> Vec<String> {
    let text = |frame: &[u8]| String::from_utf8(frame.to_vec()).unwrap();
    let said = out.into_iter().map(|out| match out {
        Out::Host(frame) => format!("H {}", text(&frame)),
        Out::Server(frame) => format!("S {}", text(&frame)),
    });
    said.collect()
}

/// A machine at a time that the test moves on.
struct Table {
    machine: Machine,
    now: Instant,
}

impl Table {
    fn new() -> Self {
        Self { machine: Machine::default(), now: Instant::now() }
    }

    /// A session with a server that has all there is.
    fn in_session() -> Self {
        let mut table = Self::new();
        table.host(r#"{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{META}}"#);
        table.server(r#"{"jsonrpc":"2.0","id":"d","error":{"code":-32601,"message":""}}"#);
        let opened = table.server(
            r#"{"jsonrpc":"2.0","id":"mcp-front-1","result":{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"s"}}}"#,
        );
        assert!(opened[1].starts_with(r#"H {"jsonrpc":"2.0","id":"d","result":{"#), "{opened:?}");
        table
    }

    fn host(&mut self, frame: &str) -> Vec<String> {
        said(self.machine.host(message(frame), self.now))
    }

    fn server(&mut self, frame: &str) -> Vec<String> {
        said(self.machine.server(message(frame), None, self.now))
    }

    /// A question that came in answer to a request.
    fn asked_on(&mut self, request: &str, frame: &str) -> Vec<String> {
        said(self.machine.server(message(frame), Some(&id(request)), self.now))
    }

    fn call(&mut self, id: &str) {
        let frame =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t",META}}}}"#);
        assert_eq!(self.host(&frame).len(), 1);
    }

    /// The next attempt of the call that `asked` was said of.
    fn again(&mut self, id: &str, asked: &str, params: &str) -> Vec<String> {
        let state = state(asked);
        self.host(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t",{params}"requestState":"{state}",META}}}}"#
        ))
    }

    fn after(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        said(self.machine.expire(self.now))
    }
}

fn json(said: &str) -> Value {
    // serde_json's numbers end earlier.
    serde_json::from_str(&said[2..].replace("1e400", "1")).unwrap()
}

fn state(asked: &str) -> String {
    json(asked)["result"]["requestState"].as_str().unwrap_or_else(|| panic!("{asked}")).to_owned()
}

const QUESTION: &str =
    r#"{"jsonrpc":"2.0","id":7.0,"method":"elicitation/create","params":{"message":"?","n":1e400}}"#;

fn is_invalid_params(said: &[String]) -> bool {
    matches!(said, [one] if one.starts_with("H ") && json(one)["error"]["code"] == -32602)
}

#[test]
fn a_server_of_the_hosts_era_is_left_alone() {
    for answer in [
        r#"{"jsonrpc":"2.0","id":"d","result":{"supportedVersions":["2026-07-28"],"n":1e400}}"#,
        r#"{"jsonrpc":"2.0","id":"d","error":{"code":-32022,"message":""}}"#,
    ] {
        let mut table = Table::new();
        let discover = r#"{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{META}}"#;
        assert_eq!(table.host(discover), [format!("S {}", message(discover).text())]);
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{META}}"#;
        assert!(table.host(list).is_empty());
        assert_eq!(table.server(answer), [format!("H {answer}"), format!("S {}", message(list).text())]);
        assert_eq!(table.host(list), [format!("S {}", message(list).text())]);
        assert_eq!(table.server(answer), [format!("H {answer}")]);
    }
}

#[test]
fn a_session_is_opened_for_a_host_that_opens_none() {
    let mut table = Table::new();
    let discover = table.host(r#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{META}}"#);
    assert_eq!(
        discover,
        [
            r#"S {"jsonrpc":"2.0","id":"mcp-front-1","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"roots":{"listChanged":true}},"io.modelcontextprotocol/clientInfo":{"name":"h"}}}}"#
        ]
    );
    let initialize =
        table.server(r#"{"jsonrpc":"2.0","id":"mcp-front-1","error":{"code":-32601,"message":""}}"#);
    assert_eq!(
        initialize,
        [
            r#"S {"jsonrpc":"2.0","id":"mcp-front-2","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{},"roots":{}},"clientInfo":{"name":"h"}}}"#
        ]
    );
    assert_eq!(
        table.server(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        [r#"S {"jsonrpc":"2.0","id":1,"result":{}}"#]
    );
    let opened = table.server(r#"{"jsonrpc":"2.0","id":"mcp-front-2","result":{"capabilities":{}}}"#);
    assert_eq!(
        opened,
        [
            r#"S {"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"S {"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"_meta":{}}}"#
        ]
    );
}

#[test]
fn where_no_session_is_to_be_had_every_request_hears_so() {
    let mut table = Table::new();
    table.host(r#"{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{META}}"#);
    table.host(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{META}}"#);
    table.host(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{META}}"#);
    table.host(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#);
    table.server(r#"{"jsonrpc":"2.0","id":"d","error":{"code":-32601,"message":""}}"#);
    let failed =
        r#"{"jsonrpc":"2.0","id":"mcp-front-1","error":{"code":-32011,"message":"log in","data":[1.0]}}"#;
    assert_eq!(
        table.server(failed),
        [
            r#"H {"jsonrpc":"2.0","id":"d","error":{"code":-32601,"message":"Method not found"}}"#,
            r#"H {"jsonrpc":"2.0","id":1,"error":{"code":-32011,"message":"log in","data":[1.0]}}"#
        ]
    );
    // The next one tries again.
    assert_eq!(table.host(r#"{"jsonrpc":"2.0","id":3,"method":"server/discover","params":{META}}"#).len(), 1);
}

#[test]
fn a_host_that_opens_a_session_after_all_gets_its_own() {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
    let mut table = Table::new();
    table.host(r#"{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{META}}"#);
    assert_eq!(table.host(initialize), [format!("S {initialize}")]);
    let answer = r#"{"jsonrpc":"2.0","id":"d","error":{"code":-32601,"message":""}}"#;
    assert_eq!(table.server(answer), [format!("H {answer}")]);

    let mut table = Table::new();
    table.host(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{META}}"#);
    let [refused, begun] = &table.host(initialize)[..] else { panic!("two") };
    assert_eq!((&json(refused)["id"], &begun[2..]), (&Value::from(1), initialize));
    let late = r#"{"jsonrpc":"2.0","id":"mcp-front-1","error":{"code":-32601,"message":""}}"#;
    assert!(table.server(late).is_empty(), "nobody asked for it");
}

#[test]
fn requests_lose_what_only_their_revision_knows() {
    for (request, legacy) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{META}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{}}}"#,
        ),
        (
            r#"{ "params" : { "n" : 1e400 , "_meta" : { "progressToken" : 7.0 , LEVEL}, "n":"\ud800"}, "id":1 , "method":"x","jsonrpc":"2.0","odd":1}"#,
            r#"{ "params" : { "n" : 1e400 , "_meta" : { "progressToken" : 7.0 }, "n":"\ud800"}, "id":1 , "method":"x","jsonrpc":"2.0","odd":1}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"inputResponses":{},"requestState":"s","uri":"\u0061"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"uri":"\u0061"}}"#,
        ),
    ] {
        assert_eq!(unstamped(&message(request), &id("1")).unwrap(), legacy, "{request}");
        let renamed = unstamped(&message(request), &id("\"o\"")).unwrap();
        assert_eq!(renamed, legacy.replace(r#""id":1"#, r#""id":"o""#));
    }
}

#[test]
fn results_gain_what_the_hosts_revision_wants() {
    for (method, answer, modern) in [
        ("tools/call", r#""result":{ "n":1e400 }"#, r#""result":{ "n":1e400 ,"resultType":"complete"}"#),
        (
            "tools/call",
            r#""result":{"resultType":"input_required","a":1}"#,
            r#""result":{"resultType":"complete","a":1}"#,
        ),
        ("prompts/get", r#""result":{}"#, r#""result":{"resultType":"complete"}"#),
        (
            "tools/list",
            r#""result":{"tools":[]}"#,
            r#""result":{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
        ),
        (
            "resources/read",
            r#""result":{"ttlMs":5}"#,
            r#""result":{"ttlMs":5,"resultType":"complete","cacheScope":"private"}"#,
        ),
        (
            "resources/read",
            r#""error":{"code":-32002,"message":"m","data":[1.0]}"#,
            r#""error":{"code":-32602,"message":"m","data":[1.0]}"#,
        ),
        (
            "tools/call",
            r#""error":{"code":-32002,"message":"m"}"#,
            r#""error":{"code":-32002,"message":"m"}"#,
        ),
        ("tools/call", r#""result":7"#, r#""result":7"#),
    ] {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":1.0,{answer},"odd":1}}"#);
        let modern = format!(r#"{{"jsonrpc":"2.0","id":1,{modern},"odd":1}}"#);
        assert_eq!(results::for_host(&answer, method, &id("1")).unwrap(), modern, "{method}");
    }
}

#[test]
fn a_question_is_an_answer_and_the_next_attempt_goes_on() {
    let mut table = Table::in_session();
    table.call("1");
    let asked = table.asked_on("1", QUESTION);
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(
        *asked,
        format!(
            r#"H {{"jsonrpc":"2.0","id":1,"result":{{"resultType":"input_required","inputRequests":{{"mcp-front-2":{{"method":"elicitation/create","params":{{"message":"?","n":1e400}}}}}},"requestState":"{}"}}}}"#,
            state(asked)
        )
    );
    // What is left out is asked again, under another state.
    let left = table.again("2", asked, r#""inputResponses":{"other":{}},"#);
    assert!(is_invalid_params(&table.again("3", asked, "")), "a state is good for one attempt");
    let again = table.again("4", &left[0], r#""inputResponses":{"mcp-front-3":{"n":1e400}},"#);
    assert_eq!(again, [r#"S {"jsonrpc":"2.0","id":7.0,"result":{"n":1e400}}"#]);
    assert_eq!(
        table.server(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        [r#"H {"jsonrpc":"2.0","id":4,"result":{"resultType":"complete"}}"#]
    );
    assert!(table.server(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).is_empty(), "it has its answer");
}

#[test]
fn a_state_is_good_for_its_own_request_alone() {
    let mut table = Table::in_session();
    table.call("1");
    let asked = table.asked_on("1", QUESTION).remove(0);
    let state = state(&asked);
    assert!(state.len() >= 32);
    for params in [
        r#""name":"t","requestState":"STATE0""#,
        r#""name":"t","requestState":7"#,
        r#""name":"other","requestState":"STATE""#,
        r#""name":"t","arguments":{},"requestState":"STATE""#,
    ] {
        let params = params.replace("STATE", &state);
        let refused = table
            .host(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{{params},META}}}}"#));
        assert!(is_invalid_params(&refused), "{params}: {refused:?}");
    }
    let twice = r#""inputResponses":{"mcp-front-2":{},"\u006dcp-front-2":{}},"#;
    assert_eq!(json(&table.again("2", &asked, twice)[0])["error"]["code"], -32600);
    assert_eq!(
        table.again("2", &asked, r#""inputResponses":{"mcp-front-2":{}},"#).len(),
        1,
        "it is still good"
    );
    let same = |one: &str, other: &str| {
        let of = |params| message(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#));
        asks_the_same(&of(one), &of(other)).unwrap()
    };
    assert!(same(r#"{"a":{"b":1,"c":"\u0041"}}"#, r#"{ "a":{"c":"A","b":1},"_meta":{},"requestState":"s"}"#));
    assert!(!same(r#"{"a":1}"#, r#"{"a":1.5}"#) && same(r#"{"a":1e400}"#, r#"{"a":1e400}"#));
}

#[test]
fn an_id_of_the_hosts_may_be_used_again_while_its_call_waits() {
    let mut table = Table::in_session();
    table.call("1");
    table.asked_on("1", QUESTION);
    let second = table.host(r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{META}}"#);
    assert_eq!(
        second,
        [r#"S {"jsonrpc":"2.0","id":"mcp-front-3","method":"prompts/list","params":{"_meta":{}}}"#]
    );
    let cancelled = table.host(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"r"}}"#,
    );
    assert_eq!(
        cancelled,
        [
            r#"S {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"mcp-front-3","reason":"r"}}"#
        ]
    );
}

#[test]
fn what_the_host_cannot_be_asked_is_refused() {
    let mut table = Table::in_session();
    let is_refused = |said: &[String]| matches!(said, [one] if one.starts_with("S ") && json(one)["error"]["code"] == -32601);
    assert!(is_refused(&table.server(QUESTION)), "nothing is under way");
    table.host(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{META}}"#);
    assert!(is_refused(&table.asked_on("1", QUESTION)), "a list asks nothing");
    table.call("2");
    assert!(is_refused(&table.asked_on("1", QUESTION)), "it is not asked of another call");
    let sampling = QUESTION.replace("elicitation/create", "sampling/createMessage");
    assert!(is_refused(&table.asked_on("2", &sampling)), "the host does not offer it");
    let odd = QUESTION.replace("elicitation/create", "odd");
    assert!(is_refused(&table.asked_on("2", &odd)));
    assert!(
        table.server(QUESTION)[0].starts_with(r#"H {"jsonrpc":"2.0","id":2,"#),
        "by itself: the one that may be"
    );
}

#[test]
fn an_answer_waits_for_the_host_and_questions_for_each_other() {
    let mut table = Table::in_session();
    table.call("1");
    let asked = table.asked_on("1", QUESTION).remove(0);
    let later = QUESTION.replace("7.0", "8").replace("elicitation/create", "roots/list");
    assert!(table.asked_on("1", &later).is_empty());
    let second = table.again("2", &asked, r#""inputResponses":{"mcp-front-2":{}},"#);
    assert_eq!(second[0], r#"S {"jsonrpc":"2.0","id":7.0,"result":{}}"#);
    assert_eq!(json(&second[1])["result"]["inputRequests"]["mcp-front-3"]["method"], "roots/list");
    assert!(table.server(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"late"}}"#).is_empty());
    assert_eq!(
        table.again("3", &second[1], r#""inputResponses":{"mcp-front-3":{"roots":[]}},"#),
        [r#"H {"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"late"}}"#]
    );
}

#[test]
fn a_call_waits_for_its_host_for_so_long_and_with_so_many() {
    let mut table = Table::in_session();
    table.call("1");
    let asked = table.asked_on("1", QUESTION).remove(0);
    assert_eq!(table.machine.deadline(), Some(table.now + PATIENCE));
    assert!(table.after(PATIENCE - Duration::from_secs(1)).is_empty());
    let [refused, cancelled] = &table.after(Duration::from_secs(1))[..] else { panic!("two") };
    assert_eq!((&json(refused)["id"], json(refused)["error"].is_object()), (&serde_json::json!(7.0), true));
    assert_eq!(json(cancelled)["params"]["requestId"], 1);
    assert!(is_invalid_params(&table.again("2", &asked, "")));
    assert_eq!(table.machine.deadline(), None);

    for call in 0..PARKED {
        table.call(&call.to_string());
        assert_eq!(table.asked_on(&call.to_string(), QUESTION).len(), 1);
    }
    table.call("\"more\"");
    let said = table.asked_on("\"more\"", QUESTION);
    assert_eq!(json(&said[2])["params"]["requestId"], 0, "the one that has waited longest: {said:?}");
    assert_eq!(table.machine.abandon().len(), 2 * PARKED);
}
