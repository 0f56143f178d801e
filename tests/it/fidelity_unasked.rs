//! What is no answer travels as bytes too: notifications both ways, the server's questions, and the
//! host's answers to them.

use std::sync::Arc;

use crate::fidelity::VALUES;
use crate::support::gate::Gate;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::McpServer;
use crate::support::open_session::OpenSession;

fn question(place: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"q{place}","method":"elicitation/create","params":{{"_meta":{{"x":{value}}}}}}}"#,
        value = VALUES[place]
    )
}

fn answer(place: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"q{place}","result":{{"content":{}}}}}"#, VALUES[place])
}

fn notification(place: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"data":{}}}}}"#, VALUES[place])
}

fn call(place: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{place},"method":"tools/call","params":{{"name":"asks"}}}}"#)
}

fn result(place: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{place},"result":{{}}}}"#)
}

/// Plays the server: each call brings a notification and a question before its result.
fn play(gates: &[Gate], request: &Request, responder: &mut Responder) -> bool {
    let is = |text: String| request.body == text.into_bytes();
    if (0..VALUES.len()).any(|place| is(notification(place))) {
        responder.reply(&Reply::status(202));
        return true;
    }
    if let Some(place) = (0..VALUES.len()).find(|place| is(answer(*place))) {
        gates[place].open();
        responder.reply(&Reply::status(202));
        return true;
    }
    let Some(place) = (0..VALUES.len()).find(|place| is(call(*place))) else { return false };
    responder.start_events();
    responder.chunk(format!("data: {}\n\ndata: {}\n\n", notification(place), question(place)));
    gates[place].pass();
    responder.chunk(format!("data: {}\n\n", result(place)));
    responder.end();
    true
}

/// A11: also where nobody waits for the frame, and where the host is the one who answers.
#[test]
fn notifications_questions_and_their_answers_arrive_byte_for_byte() {
    let gates: Arc<Vec<Gate>> = Arc::new(VALUES.iter().map(|_| Gate::default()).collect());
    let server = McpServer::scripted(move |request, responder| play(&gates, request, responder));
    let mut session = OpenSession::on(&server);
    for (place, value) in VALUES.iter().enumerate() {
        session.bridge.send(call(place));
        assert_eq!(String::from_utf8(session.bridge.line()).unwrap(), notification(place));
        assert_eq!(String::from_utf8(session.bridge.line()).unwrap(), question(place));
        // Taken by the server as these bytes, or by nobody.
        session.bridge.send(answer(place));
        assert_eq!(String::from_utf8(session.bridge.line()).unwrap(), result(place));
        session.bridge.send(notification(place));
        let told = notification(place).into_bytes();
        server.wait_for(value, |request| request.body == told);
    }
}
