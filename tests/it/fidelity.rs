//! Frames travel as bytes: what the host writes is what the server reads and the other way round,
//! apart from raw newlines between tokens, and from frames that could be read in two ways.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::modern_server;
use crate::support::sse_server::SseServer;

/// Values that a typed or careless forwarder would change, each sent as a tool's argument and
/// returned as its result.
pub(crate) const VALUES: [&str; 50] = [
    // Numbers.
    "0",
    "-0",
    "0.0",
    "-0.0",
    "1.0",
    "1.50",
    "100e-2",
    "1E5",
    "1e+5",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
    "3.141592653589793238462643383279",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    // Strings.
    r#""""#,
    r#""caf\u00e9""#,
    r#""café""#,
    r#""\ud83d\ude00""#,
    r#""😀""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\u0000""#,
    r#""\/""#,
    r#""/""#,
    r#""\b\f\n\r\t\"\\""#,
    r#""\u2028\u2029""#,
    "\"\u{2028}\u{2029}\"",
    "\"\u{feff}\"",
    "\"\u{fffd}\u{10ffff}\"",
    "\"\u{7f}\u{80}\u{200b}\u{202e}\"",
    r#""\u003cscript\u003e&\u0026""#,
    r#""data: x\n\nevent: y""#,
    // Arrays and objects.
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[null,true,false]",
    "[1 , 2,\t3]",
    r#"{"b":1,"a":2,"":3}"#,
    r#"{"a":1,"a":2,"a":{"a":3,"a":4}}"#,
    r#"{"\u0061":1,"a":2}"#,
    r#"{"__proto__":{"x":1},"constructor":null}"#,
    r#"{"9":1,"10":2,"1":3}"#,
    r#"[[[[[[[[[[[[[[[[{"deep":[{}]}]]]]]]]]]]]]]]]]"#,
];

/// Whole frames: what the host sends, and what the server answers.
const FRAMES: [(&str, &str); 28] = [
    // Ids of every type, in every spelling.
    (r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
    (r#"{"jsonrpc":"2.0","id":"1","method":"m"}"#, r#"{"jsonrpc":"2.0","id":"1","result":{}}"#),
    (r#"{"jsonrpc":"2.0","id":-7,"method":"m"}"#, r#"{"jsonrpc":"2.0","id":-7,"result":{}}"#),
    (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#),
    (r#"{"jsonrpc":"2.0","id":2.0,"method":"m"}"#, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#),
    (r#"{"jsonrpc":"2.0","id":3e0,"method":"m"}"#, r#"{"jsonrpc":"2.0","id":3e0,"result":{}}"#),
    (
        r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":9007199254740993,"result":{}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":18446744073709551617,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":18446744073709551617,"result":{}}"#,
    ),
    (r#"{"jsonrpc":"2.0","id":"","method":"m"}"#, r#"{"jsonrpc":"2.0","id":"","result":{}}"#),
    (
        r#"{"jsonrpc":"2.0","id":"é\u00e9\"","method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":"\u00e9é\"","result":{}}"#,
    ),
    (r#"{"jsonrpc":"2.0","id":"\ud800","method":"m"}"#, r#"{"jsonrpc":"2.0","id":"\ud800","result":{}}"#),
    (
        r#"{"jsonrpc":"2.0","id":"3f2b8c1e-uuid-like","method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":"3f2b8c1e-uuid-like","result":{}}"#,
    ),
    // Order, spaces and unknown members.
    (r#"{"method":"m","id":20,"jsonrpc":"2.0"}"#, r#"{"result":{},"id":20,"jsonrpc":"2.0"}"#),
    (
        r#"{ "jsonrpc" : "2.0" , "id" : 21 , "method" : "m" }"#,
        r#"{ "jsonrpc" : "2.0" , "id" : 21 , "result" : {} }"#,
    ),
    (
        "{\"jsonrpc\":\"2.0\",\t\"id\":22,\"method\":\t\"m\"\t}",
        "{\"jsonrpc\":\"2.0\",\t\"id\":22,\"result\":\t{}}",
    ),
    (
        r#"{"jsonrpc":"2.0","id":23,"method":"m","x-unknown":{"a":1},"trace":null}"#,
        r#"{"jsonrpc":"2.0","id":23,"result":{"resultType":"complete"},"x-unknown":[1e400]}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":24,"method":"m","x":1,"x":2}"#,
        r#"{"jsonrpc":"2.0","id":24,"result":{},"x":1,"x":2}"#,
    ),
    (
        r#"{"\u006asonrpc":"2.0","id":25,"m\u0065thod":"m"}"#,
        r#"{"jsonrpc":"2.\u0030","\u0069d":25,"result":{}}"#,
    ),
    // Parameters and results of every shape.
    (
        r#"{"jsonrpc":"2.0","id":30,"method":"m","params":[1,"two"]}"#,
        r#"{"jsonrpc":"2.0","id":30,"result":null}"#,
    ),
    (r#"{"jsonrpc":"2.0","id":31,"method":"","params":{}}"#, r#"{"jsonrpc":"2.0","id":31,"result":"text"}"#),
    (
        r#"{"jsonrpc":"2.0","id":32,"method":"ünï/\ud83d\ude00"}"#,
        r#"{"jsonrpc":"2.0","id":32,"result":[{"a":1,"a":2}]}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":33,"method":"tools/call","params":{"name":"n","arguments":{"name":1,"name":2},"_meta":{"progressToken":1.0}}}"#,
        r#"{"jsonrpc":"2.0","id":33,"result":{"content":[],"structuredContent":{"n":1e400},"_meta":{"x":1,"x":2}}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":34,"method":"resources/read","params":{"uri":"file:///a%20b?\u0026"}}"#,
        r#"{"jsonrpc":"2.0","id":34,"result":{"contents":[{"uri":"file:///a%20b?&","blob":"AAEC/w=="}]}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":35,"method":"tools/call","params":{"name":"n","task":{"ttl":60000.0}}}"#,
        r#"{"jsonrpc":"2.0","id":35,"result":{"task":{"taskId":"t","status":"working","ttl":6e4}}}"#,
    ),
    // Errors.
    (
        r#"{"jsonrpc":"2.0","id":40,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":40,"error":{"code":-32601,"message":"no"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":41,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":41,"error":{"code":-32042,"message":"","data":{"elicitations":[{"mode":"url","url":"https://x/?a=1&b"}],"n":1.0}}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":42,"method":"m"}"#,
        r#"{"error":{"message":"\ud800","code":-1.0},"jsonrpc":"2.0","id":42}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"43","method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":"43","error":{"code":1e400,"message":"big"}}"#,
    ),
];

/// How the server sends an answer's text; the bytes between tokens are the only difference.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Json,
    Events,
    EventsByTheByte,
}

/// What the server answers to which body.
type Answers = Arc<Mutex<HashMap<Vec<u8>, (Framing, Vec<u8>)>>>;

/// A bridge on a server that answers each body as the test says.
struct Wire {
    server: McpServer,
    bridge: Bridge,
    answers: Answers,
    used: u32,
    _home: Home,
}

impl Wire {
    fn new() -> Self {
        let mut wire = Self::silent();
        wire.bridge.initialize();
        wire
    }

    /// The same for a host and a server of 2026-07-28.
    fn modern() -> Self {
        let mut wire = Self::silent();
        let first = modern_server::request("first", "resources/list", json!({}));
        wire.exchange(&first, Framing::Json, r#"{"jsonrpc":"2.0","id":"first","result":{}}"#);
        wire
    }

    fn silent() -> Self {
        let answers = Answers::default();
        let scripted = Arc::clone(&answers);
        let server = McpServer::scripted(move |request, responder| {
            let Some((framing, body)) = scripted.lock().unwrap().get(&request.body).cloned() else {
                return false;
            };
            match framing {
                Framing::Json => responder.reply(&Reply::json(200, body)),
                Framing::Events => responder.reply(&Reply::events(body)),
                Framing::EventsByTheByte => {
                    responder.start_events();
                    for byte in body {
                        responder.chunk([byte]);
                    }
                    responder.end();
                }
            }
            true
        });
        Self::on(server, answers)
    }

    /// The same over HTTP+SSE: the answers are events of the session's stream.
    fn over_sse() -> Self {
        let answers = Answers::default();
        let scripted = Arc::clone(&answers);
        let server = SseServer::scripted(move |request, responder, streams| {
            let found = scripted.lock().unwrap().get(&request.body).cloned();
            let Some((framing, body)) = found else { return false };
            responder.reply(&Reply::status(202));
            let text = String::from_utf8(body).expect("UTF-8");
            streams.send(&if let Framing::Json = framing { event(&text) } else { text });
            true
        });
        let mut wire = Self::on(server.server, answers);
        wire.bridge.initialize();
        wire
    }

    fn on(server: McpServer, answers: Answers) -> Self {
        let home = Home::with_file_store();
        let bridge = Bridge::start(&home, &[&server.url()]);
        Self { server, bridge, answers, used: 0, _home: home }
    }

    /// As [`exchange`](Self::exchange), with an id that has not been used: the request's and the
    /// answer's ids stand in the texts as `$id`.
    fn fresh(&mut self, framing: Framing, answer: &str) -> (String, String) {
        self.used += 1;
        let id = self.used.to_string();
        let answer = answer.replace("$id", &id);
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        (self.exchange(&request, framing, answer.as_str()), answer)
    }

    /// Sends `frame`, has it answered with `body`, and returns what the host reads.
    fn exchange(&mut self, frame: &str, framing: Framing, body: impl Into<Vec<u8>>) -> String {
        self.answers.lock().unwrap().insert(frame.as_bytes().to_vec(), (framing, body.into()));
        self.bridge.send(frame);
        let line = self.bridge.line();
        let posted = self.server.posted().pop().unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&posted), frame, "the server reads what the host wrote");
        String::from_utf8(line).expect("UTF-8")
    }
}

/// An event whose data is `text`, one `data:` line for each of its lines.
fn event(text: &str) -> String {
    let lines: String = text.split('\n').map(|line| format!("data: {line}\n")).collect();
    format!("event: message\n{lines}\n")
}

/// A11: every frame of the table arrives byte for byte, both ways, over JSON, event streams and
/// HTTP+SSE.
#[test]
fn frames_arrive_byte_for_byte_both_ways() {
    let mut frames: Vec<(String, String)> =
        FRAMES.iter().map(|(up, down)| ((*up).to_owned(), (*down).to_owned())).collect();
    for (place, value) in VALUES.iter().enumerate() {
        let id = 1000 + place;
        frames.push((
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"n","arguments":{value}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":{value}}}}}"#),
        ));
    }
    assert!(frames.len() >= 70);
    let envelope = format!(r#""_meta":{},"#, modern_server::envelope());
    for (start, meta) in [
        (Wire::new as fn() -> Wire, String::new()),
        (Wire::over_sse, String::new()),
        (Wire::modern, envelope),
    ] {
        for framing in [Framing::Json, Framing::Events] {
            let mut wire = start();
            for (up, down) in &frames {
                let meta = if up.contains("_meta") { "" } else { &meta };
                let up = up.replace(r#""name":"n","#, &format!(r#""name":"n",{meta}"#));
                let body = if let Framing::Json = framing { down.clone() } else { event(down) };
                assert_eq!(wire.exchange(&up, framing, body), *down);
            }
        }
    }
}

#[test]
fn raw_newlines_between_tokens_become_spaces() {
    let mut wire = Wire::new();
    let pretty = "{\n  \"jsonrpc\": \"2.0\",\n  \"id\": $id,\n  \"result\": {\n    \"n\": 1e400\n  }\n}";
    for newline in ["\n", "\r\n", "\r"] {
        let (line, sent) = wire.fresh(Framing::Json, &pretty.replace('\n', newline));
        assert_eq!(line, sent.replace(['\n', '\r'], " "), "{newline:?}");
        for framing in [Framing::Events, Framing::EventsByTheByte] {
            let (line, _) = wire.fresh(framing, &event(pretty).replace('\n', newline));
            let expected = pretty.replace('\n', " ").replace("$id", &wire.used.to_string());
            assert_eq!(line, expected, "{newline:?}, {framing:?}");
        }
    }
    let (line, sent) = wire.fresh(Framing::Json, &format!("{pretty}\n"));
    assert_eq!(line.trim_end(), sent.trim_end().replace('\n', " "));
}

#[test]
fn event_streams_of_every_form_carry_the_same_bytes() {
    let mut wire = Wire::new();
    let answer = "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"text\":\"é😀 data: x\"}}";
    for stream in [
        format!("data:{answer}\n\n"),
        format!("data: {answer}\n\n"),
        format!("\u{feff}data: {answer}\n\n"),
        format!(": a comment\n\n:\n\nid: 7\nretry: 10\nevent: message\ndata: {answer}\n\n"),
        format!("id: 1\ndata:\n\nid: 2\nevent: message\nunknown: x\ndata: {answer}\n\n: bye\n\n"),
    ] {
        for framing in [Framing::Events, Framing::EventsByTheByte] {
            let (line, _) = wire.fresh(framing, &stream);
            assert_eq!(line, answer.replace("$id", &wire.used.to_string()), "{stream:?}, {framing:?}");
        }
    }
}

#[test]
fn a_frame_of_megabytes_arrives_whole() {
    let mut wire = Wire::new();
    let text = "0123456789abcdef".repeat(5 * 65536);
    for (id, framing) in [(1, Framing::Json), (2, Framing::Events)] {
        let up = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"text":"{text}"}}}}"#);
        let down = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"text":"{text}"}}}}"#);
        let body = if let Framing::Json = framing { down.clone() } else { event(&down) };
        assert!(wire.exchange(&up, framing, body) == down);
    }
}

/// Frames that two readers could read differently, or that are no JSON-RPC: the code and the id of
/// the answer that the host gets. None reaches the server.
const REFUSED: [(&str, i64, &str); 16] = [
    (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, -32600, "null"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#, -32600, "1"),
    (r#"{"jsonrpc":"2.0","id":"a","method":"m","m\u0065thod":"n"}"#, -32600, r#""a""#),
    (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":3,"method":"m"}"#, -32600, "3"),
    (r#"{"jsonrpc":"2.0","id":4,"method":"m","params":{},"params":{}}"#, -32600, "4"),
    (r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a","name":"b"}}"#, -32600, "5"),
    (r#"{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#, -32600, "6"),
    (r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"a","uri":"a"}}"#, -32600, "7"),
    (r#"{"jsonrpc":"2.0","id":8,"method":"m","params":{"_meta":{},"_meta":{}}}"#, -32600, "8"),
    (
        r#"{"jsonrpc":"2.0","id":9,"method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"a","io.modelcontextprotocol/protocolVersion":"b"}}}"#,
        -32600,
        "9",
    ),
    (
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"requestId":2}}"#,
        -32600,
        "null",
    ),
    (r#"{"jsonrpc":"1.0","id":11,"method":"m"}"#, -32600, "11"),
    (r#"{"id":12,"method":"m"}"#, -32600, "12"),
    (r#"{"jsonrpc":"2.0","id":13,"method":"m""#, -32700, "null"),
    ("hello", -32700, "null"),
    (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, -32600, "null"),
];

#[test]
fn ambiguous_frames_of_the_host_are_refused_and_not_forwarded() {
    let mut wire = Wire::new();
    for (frame, code, id) in REFUSED {
        wire.bridge.send(frame);
        let answer = wire.bridge.message();
        assert_eq!(answer["error"]["code"], json!(code), "{frame} is answered {answer}");
        assert_eq!(answer["id"].to_string(), id, "{frame} is answered {answer}");
    }
    wire.bridge.send(b"\xff\xfe{}");
    let answer = wire.bridge.message();
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32700), &Value::Null));
    // What follows still works, and nothing of the above went out.
    wire.exchange(
        r#"{"jsonrpc":"2.0","id":99,"method":"m"}"#,
        Framing::Json,
        r#"{"jsonrpc":"2.0","id":99,"result":{}}"#,
    );
    assert_eq!(wire.server.posted().len(), 3, "initialize, initialized, and the last one");
}

#[test]
fn ambiguous_frames_of_the_server_become_an_error_for_the_request() {
    for (is_stream, start) in
        [(false, Wire::new as fn() -> Wire), (true, Wire::new), (false, Wire::modern), (true, Wire::modern)]
    {
        let mut wire = start();
        for (id, body) in [
            (1, r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#),
            (2, r#"{"jsonrpc":"2.0","id":2,"result":{},"result":{"b":1}}"#),
            (3, r#"{"jsonrpc":"2.0","id":3,"result":{},"\u0072esult":{"b":1}}"#),
            (4, r#"{"jsonrpc":"2.0","id":4,"result":{"#),
            (5, "<html>a captive portal</html>"),
            (6, ""),
        ] {
            let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
            let (framing, sent) =
                if is_stream { (Framing::Events, event(body)) } else { (Framing::Json, body.to_owned()) };
            let answer: Value = serde_json::from_str(&wire.exchange(&request, framing, sent)).unwrap();
            assert_eq!(answer["id"], json!(id), "{body} becomes {answer}");
            assert!(answer["error"]["message"].is_string(), "{body} becomes {answer}");
        }
    }
}
