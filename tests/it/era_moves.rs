//! A server that comes to speak another era while a bridge is on it: the host's session goes on there, on
//! the same process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::modern_server::{error, modern, remembered, serve};
use crate::support::open_session::{is, is_named};
use crate::support::translated::{posts_of, session};

/// A server with sessions, or what `other` answers where that is switched on; false leaves it to the first.
fn moving(
    other: impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static,
) -> (McpServer, Arc<AtomicBool>) {
    let moved = Arc::<AtomicBool>::default();
    let has_moved = Arc::clone(&moved);
    let server = McpServer::scripted(move |request, responder| {
        has_moved.load(Ordering::SeqCst) && other(request, responder)
    });
    (server, moved)
}

fn calls(server: &McpServer) -> usize {
    server.posted().iter().filter(|body| is_named(body, "tools/call")).count()
}

/// What an upgraded server has for a request of a session: it serves no such version, or misses the version
/// in the body.
#[test]
fn a_server_that_comes_to_speak_2026_07_28_alone_is_followed() {
    for code in [-32022, -32020] {
        let (server, moved) = moving(move |request, responder| {
            let message = request.json();
            let is_modern = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string();
            responder.reply(&match is_modern {
                true => serve(request),
                false => error(400, &message["id"], code, "another revision"),
            });
            true
        });
        let (_home, mut bridge) = session(&server);
        assert_eq!(bridge.echo(1, "in the session"), "in the session");
        moved.store(true, Ordering::SeqCst);
        assert_eq!(bridge.echo(2, "translated"), "translated");
        assert_eq!(calls(&server), 3, "refused once");
        assert_eq!(bridge.call(3, "ping", json!({}))["result"], json!({}));
        assert_eq!(bridge.echo(4, "still"), "still");
        assert_eq!(calls(&server), 4);
        assert_eq!(posts_of(&server, "initialize").len(), 2);
    }
}

/// Where no revision is common to both, the refusal is the host's to read.
#[test]
fn a_server_that_has_left_every_known_revision_keeps_its_word() {
    let (server, moved) = moving(|request, responder| {
        let data = json!({"supported": ["2027-01-01"]});
        let error = json!({"code": -32022, "message": "Unsupported protocol version", "data": data});
        let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
        responder.reply(&Reply::json(400, answer.to_string()));
        true
    });
    let (_home, mut bridge) = session(&server);
    moved.store(true, Ordering::SeqCst);
    let answer = bridge.call(1, "tools/call", json!({"name": "echo"}));
    assert_eq!(answer["error"]["data"]["supported"], json!(["2027-01-01"]), "{answer}");
    assert_eq!(calls(&server), 1);
}

/// A server with sessions may have codes of its own, for what it has carried out.
#[test]
fn a_server_that_keeps_its_sessions_is_not_asked_again() {
    for code in [-32022, -32020] {
        let (server, moved) = moving(move |request, responder| {
            let is_call = is("tools/call")(request);
            if is_call {
                responder.reply(&error(400, &request.json()["id"], code, "done, and not well"));
            }
            is_call
        });
        let (_home, mut bridge) = session(&server);
        moved.store(true, Ordering::SeqCst);
        let answer = bridge.call(1, "tools/call", json!({"name": "echo"}));
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(calls(&server), 1);
    }
}

/// What a server of the era before has for a request without a session, in the words of the SDKs' servers.
#[test]
fn a_server_that_goes_back_to_sessions_is_followed() {
    for refusal in [
        Reply::json(
            400,
            r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#,
        ),
        Reply::json(
            400,
            r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#,
        ),
        Reply::json(
            400,
            r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#,
        ),
        Reply::json(404, r#"{"error":"Session not found"}"#),
        Reply::html(400, "Invalid or missing session ID"),
    ] {
        let rolled_back = Arc::<AtomicBool>::default();
        let is_legacy = Arc::clone(&rolled_back);
        let server = McpServer::scripted(move |request, responder| {
            let belongs = request.header("Mcp-Session-Id").is_some() || is("initialize")(request);
            match (is_legacy.load(Ordering::SeqCst), belongs) {
                (true, true) => return false,
                (true, false) => responder.reply(&refusal),
                (false, _) => responder.reply(&serve(request)),
            }
            true
        });
        let (home, mut bridge) = session(&server);
        assert_eq!(bridge.echo(1, "translated"), "translated");
        rolled_back.store(true, Ordering::SeqCst);
        assert_eq!(bridge.echo(2, "in a session"), "in a session");
        assert_eq!(calls(&server), 3, "refused once");
        assert_eq!(posts_of(&server, "tools/call")[2]["params"].get("_meta"), None);
        assert_eq!(posts_of(&server, "notifications/initialized").len(), 1);
        assert_eq!(bridge.call(3, "ping", json!({}))["result"], json!({}));
        assert_eq!(posts_of(&server, "ping").len(), 1, "nothing is answered here any more");
        server.wait_for("the stream", |request| request.method == "GET");
        remembered(&home, r#""legacy":{"is":true"#);
    }
}

/// What a tool says of sessions of its own is its answer.
#[test]
fn a_call_to_a_server_that_stays_without_sessions_is_sent_once() {
    let server = modern(|request, responder| {
        let is_call = is("tools/call")(request);
        if is_call {
            responder.reply(&error(400, &request.json()["id"], -32000, "Session not found: browser"));
        }
        is_call
    });
    let (_home, mut bridge) = session(&server);
    let answer = bridge.call(1, "tools/call", json!({"name": "click"}));
    assert_eq!(answer["error"]["message"], "Session not found: browser", "{answer}");
    assert_eq!(calls(&server), 1);
    assert_eq!(bridge.tools(2), ["echo"]);
}
