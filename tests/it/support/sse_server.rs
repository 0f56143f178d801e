//! A scripted MCP endpoint over HTTP+SSE of 2024-11-05: one stream a session, and an address for
//! messages that names the session.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use super::DEADLINE;
use super::authorization_server::AuthorizationServer;
use super::bridge::Bridge;
use super::home::Home;
use super::http_server::{Reply, Request, Responder};
use super::mcp_server::{McpServer, Setup, result};

/// The running endpoint.
pub(crate) struct SseServer {
    pub(crate) server: McpServer,
    pub(crate) streams: Streams,
}

/// The streams that were opened; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    opened: usize,
    open: BTreeMap<String, Sender<String>>,
}

impl SseServer {
    /// Open to everybody.
    pub(crate) fn open() -> Self {
        Self::scripted(|_, _, _| false)
    }

    /// Open to everybody, with `script` before the default.
    pub(crate) fn scripted(
        script: impl Fn(&Request, &mut Responder, &Streams) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, script)
    }

    /// Demands the access tokens of `authorization`.
    pub(crate) fn guarded_by(authorization: &AuthorizationServer) -> Self {
        Self::start(Some(authorization.clone()), |_, _, _| false)
    }

    fn start(
        authorization: Option<AuthorizationServer>,
        script: impl Fn(&Request, &mut Responder, &Streams) -> bool + Send + Sync + 'static,
    ) -> Self {
        let streams = Streams::default();
        let shared = streams.clone();
        let serve = move |request: &Request, responder: &mut Responder| {
            if !script(request, responder, &shared) {
                shared.serve(request, responder);
            }
            true
        };
        // Routers refuse the method before anybody looks at a token.
        let unguarded = authorization.is_some().then(|| Box::new(refused_method) as _);
        let setup = Setup { authorization, unguarded, script: Some(Box::new(serve)), ..Setup::default() };
        Self { server: McpServer::start(setup), streams }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// How often a message of this method came to a session's address.
    pub(crate) fn count(&self, method: &str) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|request| is_message(request, method)).count()
    }
}

impl Streams {
    fn serve(&self, request: &Request, responder: &mut Responder) {
        match (request.method.as_str(), request.path()) {
            ("GET", "/mcp") => self.open(responder, "/messages?sessionId=$session"),
            ("POST", "/messages") => self.take(request, responder),
            _ => responder.reply(&Reply::status(405)),
        }
    }

    /// Opens a stream and keeps it open until it is cut; `$session` in `endpoint` stands for the
    /// session's id.
    pub(crate) fn open(&self, responder: &mut Responder, endpoint: &str) {
        let (sender, events) = channel();
        let (state, changed) = &*self.0;
        let session = {
            let mut state = state.lock().unwrap();
            state.opened += 1;
            let session = format!("canary-sse-{}", state.opened);
            state.open.insert(session.clone(), sender);
            changed.notify_all();
            session
        };
        responder.start_events();
        let endpoint = endpoint.replace("$session", &session);
        responder.chunk(format!(": hello\n\nevent: endpoint\ndata: {endpoint}\n\n"));
        while events.recv().is_ok_and(|event| responder.chunk(event)) {}
        state.lock().unwrap().open.remove(&session);
        responder.end();
    }

    /// Takes a message, and answers a request on the session's stream.
    fn take(&self, request: &Request, responder: &mut Responder) {
        let session = request.query().remove("sessionId").unwrap_or_default();
        if !self.0.0.lock().unwrap().open.contains_key(&session) {
            return responder.reply(&Reply::html(404, "no such session"));
        }
        responder.reply(&Reply::status(202).body("text/plain", "Accepted"));
        let message = request.json();
        if message.get("id").is_some() && message.get("method").is_some() {
            let answer: Value = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
            self.say(&answer.to_string());
        }
    }

    /// Sends one message on every open stream.
    pub(crate) fn say(&self, message: &str) {
        self.send(&format!("event: message\ndata: {message}\n\n"));
    }

    /// Sends text on every open stream as it is.
    pub(crate) fn send(&self, text: &str) {
        for stream in self.0.0.lock().unwrap().open.values() {
            let _ = stream.send(text.to_owned());
        }
    }

    /// Ends every stream.
    pub(crate) fn cut(&self) {
        self.0.0.lock().unwrap().open.clear();
    }

    /// How many streams were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.0.0.lock().unwrap().opened
    }

    /// Waits until so many were opened.
    pub(crate) fn wait_for_opened(&self, count: usize) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        let (state, _) = changed.wait_timeout_while(state, DEADLINE, |state| state.opened < count).unwrap();
        assert!(state.opened >= count, "{} of {count} streams were opened", state.opened);
    }
}

fn refused_method(request: &Request) -> Option<Reply> {
    (request.method == "POST" && request.path() == "/mcp").then(|| Reply::status(405))
}

/// Whether a request brings a message of this method to a session's address.
pub(crate) fn is_message(request: &Request, method: &str) -> bool {
    request.path().starts_with("/messages") && request.json()["method"] == method
}

/// A bridge on `server`, initialised; the home goes with it.
pub(crate) fn session_on(server: &SseServer) -> (Bridge, Home) {
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let answer = bridge.initialize();
    assert_eq!(answer["result"]["serverInfo"]["name"], "scripted", "{answer}");
    (bridge, home)
}
