//! The end of a bridge: EOF, signals, a host that dies or stops reading, and one that reads slowly.

use crate::support::gate::Gate;
use crate::support::http_server::Reply;
use crate::support::mcp_server::McpServer;
use crate::support::open_session::{OpenSession, is};

/// What is pending at EOF has two seconds to finish, and gets its answer.
#[test]
fn what_is_pending_at_eof_is_answered_before_the_end() {
    let arrived = Gate::default();
    let gate = arrived.clone();
    let server = McpServer::on_calls(move |_, responder| {
        gate.pass();
        responder.reply(&Reply::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{"late":true}}"#));
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#);
    arrived.wait_for_arrivals(1);
    session.bridge.close_stdin();
    arrived.open();
    assert_eq!(session.bridge.message()["result"]["late"], true);
    let (status, rest) = session.bridge.wait();
    assert!(status.success() && rest.is_empty());
    assert_eq!(server.sessions(), (1, 0), "the session is ended");
}

#[test]
fn what_never_finishes_at_eof_is_answered_with_an_error() {
    let server = McpServer::on_calls(|_, responder| {
        responder.wait_for_close();
    });
    let mut session = OpenSession::on(&server);
    session.bridge.send(r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"never"}}"#);
    server.wait_for("the call", is("tools/call"));
    session.bridge.close_stdin();
    let answer = session.bridge.message();
    assert_eq!(answer["id"], "x");
    assert!(answer["error"].is_object(), "{answer}");
    assert!(session.bridge.wait().0.success());
}
