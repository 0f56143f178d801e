//! Attacks over stdin and by the model (D): what a host may say, and what becomes of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::{self, envelope, modern};
use crate::support::open_session::{OpenSession, is_post_of};
use crate::support::process::Process;
use crate::support::service::Service;

/// What a model might hope to steer the bridge with.
fn steering(elsewhere: &str) -> Value {
    let token = "Bearer canary-of-the-model";
    json!({
        "Authorization": token, "authorization": token, "token": "canary-of-the-model",
        "headers": {"Authorization": token, "Host": "evil.example", "X-Evil": "1"},
        "url": elsewhere, "endpoint": elsewhere, "server": elsewhere, "resource": elsewhere,
        "baseUrl": elsewhere, "proxy": elsewhere, "redirect": elsewhere, "issuer": elsewhere,
        "profile": "other", "store": "memory", "login": true, "transport": "sse",
        "Mcp-Session-Id": "evil", "sessionId": "evil", "MCP-Protocol-Version": "1999-01-01",
        "env": {"MCP_FRONT_PROFILE": "other", "HTTPS_PROXY": elsewhere}, "command": "touch steered",
    })
}

/// Calls that carry it: as parameters, as metadata beside `meta`, and beside the envelope.
fn steered_calls(elsewhere: &str, meta: &Value) -> Vec<String> {
    let merged = |one: &Value, other: &Value| {
        let members = [one, other].into_iter().filter_map(Value::as_object).flatten();
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let steering = steering(elsewhere);
    let call = json!({"name": "echo", "arguments": {"text": "x"}, "_meta": meta});
    let frame = |params: &Value| json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let arguments = json!({"arguments": merged(&json!({"text": "x"}), &steering)});
    [
        frame(&merged(&call, &steering)),
        frame(&merged(&call, &arguments)),
        frame(&merged(&call, &json!({"_meta": merged(meta, &steering)}))),
        frame(&merged(
            &call,
            &json!({"_meta": merged(meta, &json!({"mcp-front": steering, "headers": steering}))}),
        )),
        merged(&frame(&call), &steering),
    ]
    .map(|frame| frame.to_string())
    .into()
}

/// A request's headers, but for the length of its body.
fn headers(request: &Request) -> BTreeSet<(String, String)> {
    let headers = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    headers.filter(|(name, _)| name != "content-length").collect()
}

#[test]
fn d01_parameters_steer_nothing() {
    for is_modern in [false, true] {
        let elsewhere = McpServer::open();
        let authorization = AuthorizationServer::start();
        let server = match is_modern {
            true => modern_server::guarded_by(&authorization),
            false => McpServer::guarded_by(&authorization),
        };
        let service = Service::of(authorization, server, Home::with_file_store());
        service.login(&[]).expect(0);
        service.browser.opened();
        let mut bridge = service.bridge();
        let meta = if is_modern { envelope() } else { json!({}) };
        if is_modern {
            bridge.send(modern_server::request("probe", "server/discover", json!({})));
            bridge.response(&json!("probe"));
        } else {
            let mut params = initialize_params();
            params["_meta"] = steering(&elsewhere.url());
            bridge.call(0, "initialize", params);
            bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        }
        let plain = json!({"name": "echo", "arguments": {"text": "x"}, "_meta": meta});
        bridge.call(1, "tools/call", plain);
        let call = || {
            let mut requests = service.server.requests().into_iter();
            requests.rfind(|request| is_post_of(request, "tools/call")).expect("the call")
        };
        let expected = headers(&call());
        assert!(
            expected.iter().any(|(name, value)| name == "authorization" && value.contains("canary-access"))
        );
        for frame in steered_calls(&elsewhere.url(), &meta) {
            bridge.send(&frame);
            assert!(bridge.response(&json!(7))["result"].is_object(), "{frame}");
            let sent = call();
            assert_eq!(String::from_utf8_lossy(&sent.body), frame, "it is data, and stays so");
            assert_eq!(headers(&sent), expected, "{frame}");
        }
        assert_eq!((elsewhere.connections(), service.browser.tabs()), (0, 0));
        assert_eq!(service.authorization.refreshes(), 0);
        assert!(!service.home.path().join("steered").exists());
    }
}

/// The one tool that stands in the server's place takes no parameters either, and runs nothing.
#[test]
fn d01_what_stands_in_for_the_server_is_not_steered() {
    let elsewhere = McpServer::open();
    let service = Service::new();
    let url = service.server.url();
    let mut bridge = Bridge::start(&service.home, &[&url]);
    bridge.initialize();
    let listed = bridge.call(1, "tools/list", json!({}));
    let tool = listed["result"]["tools"][0]["name"].clone();
    assert!(tool.is_string(), "{listed}");
    let plain = bridge.call(2, "tools/call", json!({"name": tool, "arguments": {}}));
    let mut params = json!({"name": tool, "arguments": steering(&elsewhere.url())});
    params["_meta"] = steering(&elsewhere.url());
    let steered = bridge.call(3, "tools/call", params);
    assert_eq!(steered["result"], plain["result"], "{steered}");
    assert!(steered["result"].is_object() && !steered.to_string().contains("canary"), "{steered}");
    for (id, method) in [(4, "login"), (5, "mcp-front/login"), (6, "profile/set")] {
        let answer = bridge.call(id, method, steering(&elsewhere.url()));
        assert!(answer["error"].is_object() && !answer.to_string().contains("canary"), "{answer}");
    }
    assert_eq!((elsewhere.connections(), service.browser.tabs()), (0, 0));
    assert!(!service.home.path().join("steered").exists());
}

/// More than any line may have.
const FLOOD: usize = 100 * 1024 * 1024;
/// How deep what is deep is nested.
const DEPTH: usize = 100_000;

/// Lines that are no message, each with the code of its answer.
fn senseless() -> Vec<(&'static str, Vec<u8>, i64)> {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#;
    let of_method = |bytes: &[u8]| [br#"{"jsonrpc":"2.0","id":1,"method":""#, bytes, br#""}"#].concat();
    let utf16: Vec<u8> = message.encode_utf16().flat_map(u16::to_be_bytes).collect();
    vec![
        ("100 MB of nothing", vec![b'x'; FLOOD], -32700),
        ("a request of 100 MB", of_method(&vec![b'x'; FLOOD]), -32700),
        ("zero bytes", vec![0; 64], -32700),
        ("a zero byte in a string", of_method(b"tools\0call"), -32700),
        ("a zero byte behind a message", [message.as_bytes(), b"\0"].concat(), -32700),
        ("a byte order mark", [b"\xef\xbb\xbf", message.as_bytes()].concat(), -32700),
        ("UTF-16", utf16, -32700),
        ("an overlong character", of_method(b"tools\xc0\xafcall"), -32700),
        ("a surrogate", of_method(b"\xed\xa0\x80"), -32700),
        ("a character cut off", of_method(b"\xf0\x9f\x98"), -32700),
        ("a byte that begins nothing", of_method(b"\x80"), -32700),
        ("two bytes that are none", b"\xff\xfe".to_vec(), -32700),
        ("a control character", of_method(b"\x1b[2J"), -32700),
        ("arrays without end", b"[".repeat(DEPTH), -32700),
        ("objects without end", br#"{"a":"#.repeat(DEPTH), -32700),
        ("deep arrays", [b"[".repeat(DEPTH), b"]".repeat(DEPTH)].concat(), -32600),
        (
            "a deep id",
            format!(r#"{{"jsonrpc":"2.0","id":{}{},"method":"m"}}"#, "[".repeat(DEPTH), "]".repeat(DEPTH))
                .into(),
            -32600,
        ),
        ("an array of many", format!("[{}1]", "1,".repeat(DEPTH)).into(), -32600),
        ("two messages", format!("{message}{message}").into(), -32700),
        ("HTTP", b"POST /mcp HTTP/1.1".to_vec(), -32700),
        ("a text", br#""tools/call""#.to_vec(), -32600),
        ("a number of a megabyte", b"9".repeat(1024 * 1024), -32600),
        ("a word that is none", b"undefined".to_vec(), -32700),
    ]
}

/// The most memory that a process had at once, in MiB.
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
fn d02_what_is_no_message_is_answered_and_the_bridge_lives_on() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    assert_eq!(session.bridge.echo(1, "before"), "before");
    let before = server.requests().len();
    for (what, line, code) in senseless() {
        session.bridge.send(&line);
        let answer = session.bridge.message();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&Value::Null, &json!(code)),
            "{what}: {answer}"
        );
        let text = answer["error"]["message"].as_str().expect("a message");
        assert!(text.len() < 1000 && !text.contains(['\0', '\u{1b}']), "{what}: {text}");
    }
    assert!(!server.requests().iter().skip(before).any(|request| request.method == "POST"));
    assert_eq!(session.bridge.echo(2, "after"), "after");
    // Twice the longest line, for the moment when room for more is made, and the program itself.
    let peak = peak(&session.bridge.process);
    assert!(peak < 256, "{peak} MiB");
    session.bridge.close_stdin();
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
}

/// A line that never ends, long or short, is answered once the host has gone.
#[test]
fn d02_a_line_without_an_end_is_answered_at_the_end() {
    let server = McpServer::open();
    for line in [vec![b'x'; FLOOD], br#"{"jsonrpc":"2.0","id":1,"method":"tools/call""#.to_vec()] {
        let mut session = OpenSession::on(&server);
        session.bridge.send_raw(&line);
        session.bridge.close_stdin();
        let answer = session.bridge.message();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)), "{answer}");
        let (status, rest) = session.bridge.wait();
        assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
    }
    let is_call = |request: &Request| String::from_utf8_lossy(&request.body).contains("tools/call");
    assert!(!server.requests().iter().any(is_call));
}

/// Depth is no offence: what is a message goes through as it is, from either side and to either era.
#[test]
fn d02_a_deep_message_goes_through() {
    let deep = format!("{}{}", r#"{"a":["#.repeat(DEPTH), "]}".repeat(DEPTH));
    let answer = format!(r#"{{"jsonrpc":"2.0","id":9,"result":{{"deep":{deep}}}}}"#);
    let frame = |meta: &Value| {
        format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"echo","arguments":{{"deep":{deep}}},"_meta":{meta}}}}}"#
        )
    };
    let is_deep = |request: &Request| request.body.len() > DEPTH;
    for (is_modern, host_is_modern) in [(false, false), (true, true), (true, false)] {
        let answer_of = answer.clone();
        let script = move |request: &Request, responder: &mut Responder| {
            let is_deep = is_deep(request);
            if is_deep {
                responder.reply(&Reply::json(200, answer_of.clone()));
            }
            is_deep
        };
        let server = if is_modern { modern(script) } else { McpServer::scripted(script) };
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        let meta = if host_is_modern { envelope() } else { json!({}) };
        if host_is_modern {
            bridge.send(modern_server::request("probe", "server/discover", json!({})));
            bridge.response(&json!("probe"));
        } else {
            bridge.initialize();
        }
        let sent = frame(&meta);
        bridge.send(&sent);
        let line = String::from_utf8(bridge.line()).expect("UTF-8");
        let received = server.wait_for("the deep call", is_deep).body;
        if is_modern == host_is_modern {
            assert!(line == answer, "{line:.300}");
            assert!(received == sent.as_bytes());
        } else {
            assert!(
                line.contains(&deep) && String::from_utf8_lossy(&received).contains(&deep),
                "{line:.300}"
            );
        }
        let ping = json!({"name": "echo", "arguments": {"text": "on"}, "_meta": meta});
        assert_eq!(bridge.call(10, "tools/call", ping)["result"]["content"][0]["text"], "on");
    }
}
