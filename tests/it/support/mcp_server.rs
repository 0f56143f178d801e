//! A scripted MCP endpoint over Streamable HTTP: it records what came, serves a small session by
//! default, and lets a test answer any request with raw bytes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use super::DEADLINE;
use super::authorization_server::AuthorizationServer;
use super::http_server::{Reply, Request, Responder, Server};
use super::open_session::is_post_of;

/// Answers a request that needs no token, or leaves it to the default.
type Unguarded = Box<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

/// Answers a request, or returns false to leave it to the default.
type Script = Box<dyn Fn(&Request, &mut Responder) -> bool + Send + Sync>;

/// How the endpoint is set up.
#[derive(Default)]
pub(crate) struct Setup {
    /// Who issues the tokens that it demands.
    pub(crate) authorization: Option<AuthorizationServer>,
    /// The scopes that its challenge and its metadata name.
    pub(crate) scope: Option<&'static str>,
    /// Whether its metadata names the origin as the resource, as Front's does.
    pub(crate) resource_is_origin: bool,
    /// What it says that it offers; `None` for tools.
    pub(crate) capabilities: Option<Value>,
    /// Answers what nobody needs a token for.
    pub(crate) unguarded: Option<Unguarded>,
    /// Comes before the default.
    pub(crate) script: Option<Script>,
}

/// The running endpoint.
pub(crate) struct McpServer {
    server: Server,
    state: Arc<State>,
}

struct State {
    setup: Setup,
    origin: Mutex<String>,
    /// The issuer that the metadata names in place of the real one.
    issuer: Mutex<Option<String>>,
    /// Merged into the metadata; null removes a member.
    described: Mutex<Value>,
    /// Where the challenge says that the metadata lies, in place of the real one.
    pointer: Mutex<Option<String>>,
    /// Who issues the tokens that it demands, once it has moved.
    successor: Mutex<Option<AuthorizationServer>>,
    sessions: Mutex<Sessions>,
    requests: Mutex<Vec<Request>>,
    changed: Condvar,
}

#[derive(Default)]
struct Sessions {
    opened: usize,
    alive: HashSet<String>,
}

impl McpServer {
    /// Open to everybody.
    pub(crate) fn open() -> Self {
        Self::start(Setup::default())
    }

    /// Demands the access tokens of `authorization`.
    pub(crate) fn guarded_by(authorization: &AuthorizationServer) -> Self {
        Self::start(Setup { authorization: Some(authorization.clone()), ..Setup::default() })
    }

    /// Open to everybody, with `script` before the default.
    pub(crate) fn scripted(
        script: impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::start(Setup { script: Some(Box::new(script)), ..Setup::default() })
    }

    /// Open to everybody, with `answer` for every `tools/call`.
    pub(crate) fn on_calls(answer: impl Fn(&Request, &mut Responder) + Send + Sync + 'static) -> Self {
        Self::scripted(move |request, responder| {
            let is_call = is_post_of(request, "tools/call");
            if is_call {
                answer(request, responder);
            }
            is_call
        })
    }

    pub(crate) fn start(setup: Setup) -> Self {
        let state = Arc::new(State {
            setup,
            origin: Mutex::default(),
            issuer: Mutex::default(),
            described: Mutex::default(),
            pointer: Mutex::default(),
            successor: Mutex::default(),
            sessions: Mutex::default(),
            requests: Mutex::default(),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        let server = Server::start(move |request, responder| answer(&shared, request, responder));
        *state.origin.lock().unwrap() = server.origin();
        Self { server, state }
    }

    /// The endpoint's address.
    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.server.origin())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn origin(&self) -> String {
        self.server.origin()
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Closes every connection, those that lie idle among them.
    pub(crate) fn drop_connections(&self) {
        self.server.drop_connections();
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The bodies of every POST so far.
    pub(crate) fn posted(&self) -> Vec<Vec<u8>> {
        let is_post = |request: &Request| request.method == "POST";
        self.requests().into_iter().filter(is_post).map(|request| request.body).collect()
    }

    /// Waits for the first request that satisfies `wanted`.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Request) -> bool) -> Request {
        let (requests, _) = self
            .state
            .changed
            .wait_timeout_while(self.state.requests.lock().unwrap(), DEADLINE, |requests| {
                !requests.iter().any(&wanted)
            })
            .unwrap();
        let found = requests.iter().find(|request| wanted(request)).cloned();
        found.unwrap_or_else(|| panic!("{what} did not come; what came: {requests:#?}"))
    }

    /// Forgets every session, as a restart would.
    pub(crate) fn forget_sessions(&self) {
        self.state.sessions.lock().unwrap().alive.clear();
    }

    /// Calls itself by another origin from now on: that of who stands before it.
    pub(crate) fn call_itself(&self, origin: &str) {
        origin.clone_into(&mut self.state.origin.lock().unwrap());
    }

    /// Names another authorization server in the metadata from now on.
    pub(crate) fn name_authorization_server(&self, issuer: &str) {
        *self.state.issuer.lock().unwrap() = Some(issuer.to_owned());
    }

    /// Replaces members of the metadata from now on; null removes one.
    pub(crate) fn describe(&self, members: Value) {
        *self.state.described.lock().unwrap() = members;
    }

    /// Says in its challenges from now on that the metadata lies elsewhere.
    pub(crate) fn point_to(&self, url: &str) {
        *self.state.pointer.lock().unwrap() = Some(url.to_owned());
    }

    /// Demands the access tokens of another authorization server from now on, and names it.
    pub(crate) fn move_to(&self, authorization: &AuthorizationServer) {
        *self.state.successor.lock().unwrap() = Some(authorization.clone());
    }

    /// How many sessions were opened so far, and how many are open.
    pub(crate) fn sessions(&self) -> (usize, usize) {
        let sessions = self.state.sessions.lock().unwrap();
        (sessions.opened, sessions.alive.len())
    }
}

fn answer(state: &State, request: &Request, responder: &mut Responder) {
    if request.path().starts_with("/.well-known/") {
        return responder.reply(&state.metadata(request.path()));
    }
    state.requests.lock().unwrap().push(request.clone());
    state.changed.notify_all();
    if let Some(reply) = state.setup.unguarded.as_ref().and_then(|answer| answer(request)) {
        return responder.reply(&reply);
    }
    if let Some(refusal) = state.refusal(request) {
        return responder.reply(&refusal);
    }
    if state.setup.script.as_ref().is_some_and(|script| script(request, responder)) {
        return;
    }
    responder.reply(&state.serve(request));
}

impl State {
    /// Who issues the tokens that it demands.
    fn authorization(&self) -> Option<AuthorizationServer> {
        self.successor.lock().unwrap().clone().or_else(|| self.setup.authorization.clone())
    }

    /// Protected resource metadata (RFC 9728), at the path-specific place alone.
    fn metadata(&self, path: &str) -> Reply {
        let origin = self.origin.lock().unwrap().clone();
        match self.authorization() {
            Some(authorization) if path == "/.well-known/oauth-protected-resource/mcp" => {
                let resource = if self.setup.resource_is_origin { origin } else { format!("{origin}/mcp") };
                let issuer = self.issuer.lock().unwrap().clone().unwrap_or_else(|| authorization.issuer());
                let mut metadata = json!({"resource": resource, "authorization_servers": [issuer]});
                if let Some(scope) = self.setup.scope {
                    metadata["scopes_supported"] = scope.split(' ').collect();
                }
                for (name, value) in self.described.lock().unwrap().as_object().into_iter().flatten() {
                    metadata[name] = value.clone();
                }
                metadata.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
                Reply::json(200, metadata.to_string())
            }
            _ => Reply::status(404),
        }
    }

    fn refusal(&self, request: &Request) -> Option<Reply> {
        let authorization = self.authorization()?;
        let token = request.header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
        if token.is_some_and(|token| authorization.accepts(token)) {
            return None;
        }
        let origin = self.origin.lock().unwrap().clone();
        let place = format!("{origin}/.well-known/oauth-protected-resource/mcp");
        let place = self.pointer.lock().unwrap().clone().unwrap_or(place);
        let mut challenge = format!("Bearer resource_metadata=\"{place}\"");
        if token.is_some() {
            challenge.push_str(", error=\"invalid_token\"");
        }
        if let Some(scope) = self.setup.scope {
            challenge.push_str(&format!(", scope=\"{scope}\""));
        }
        Some(Reply::json(401, r#"{"error":"unauthorized"}"#).header("WWW-Authenticate", challenge))
    }

    fn serve(&self, request: &Request) -> Reply {
        let session = request.header("Mcp-Session-Id");
        let message = request.json();
        let starts = message["method"] == "initialize";
        if !starts && !session.is_some_and(|id| self.sessions.lock().unwrap().alive.contains(id)) {
            return Reply::status(if session.is_some() { 404 } else { 400 });
        }
        match request.method.as_str() {
            "GET" => Reply::status(405),
            "DELETE" => {
                self.sessions.lock().unwrap().alive.remove(session.unwrap_or_default());
                Reply::status(200)
            }
            _ if message.get("id").is_none() || message.get("method").is_none() => Reply::status(202),
            _ => {
                let mut result = result(&message);
                if let Some(capabilities) = self.setup.capabilities.as_ref().filter(|_| starts) {
                    result["capabilities"] = capabilities.clone();
                }
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                let reply = Reply::json(200, answer.to_string());
                if starts { reply.header("Mcp-Session-Id", self.open_session()) } else { reply }
            }
        }
    }

    fn open_session(&self) -> String {
        let mut sessions = self.sessions.lock().unwrap();
        sessions.opened += 1;
        let id = format!("canary-session-{}", sessions.opened);
        sessions.alive.insert(id.clone());
        id
    }
}

/// What the default server answers to `message`.
pub(crate) fn result(message: &Value) -> Value {
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        }),
        "tools/list" => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        "tools/call" => {
            json!({"content": [{"type": "text", "text": message["params"]["arguments"]["text"]}]})
        }
        _ => json!({}),
    }
}
