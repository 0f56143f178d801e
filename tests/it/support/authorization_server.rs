//! A strict OAuth 2.1 authorization server whose person consents at once and whose faults are
//! scripted: refresh tokens rotate, and a spent one revokes its grant (RFC 9700 §4.14.2).

mod grants;
mod revocation;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::grants::State;
use super::DEADLINE;
use super::gate::Gate;
use super::http_server::{Reply, Request, Responder, Server};

/// The confidential client of [`AuthorizationServer::front_like`].
pub(crate) const CLIENT_ID: &str = "front-client";
/// Its secret: a canary that must never be seen anywhere.
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret-b6e1";

/// What happens to one token request, taken in order; after the last one all goes well.
pub(crate) enum Fault {
    /// This answer, and nothing is done.
    Reply(Reply),
    /// The answer that this makes of the request, and nothing is done.
    Answer(Box<dyn FnOnce(&TokenRequest) -> Reply + Send>),
    /// The request waits for the gate, and then meets the next fault.
    Hold(Gate),
    /// The request waits for so long, and then meets the next fault.
    Delay(Duration),
    /// The connection is cut, and nothing is done.
    Reset,
    /// The request is served, and the connection cut in place of an answer.
    Lose,
    /// The request is served, and the answer's body, behind a mark perhaps, does not end: it is cut there,
    /// or `waits` for more.
    Unended { mark: &'static str, waits: bool },
    /// The answer's members are replaced by these; null removes one.
    Members(Value),
    /// The answer carries this header too.
    Header(&'static str, &'static str),
}

/// One token request as it came.
#[derive(Debug, Clone)]
pub(crate) struct TokenRequest {
    pub(crate) at: Instant,
    pub(crate) form: HashMap<String, String>,
    pub(crate) authorization: Option<String>,
}

impl TokenRequest {
    fn of(request: &Request) -> Self {
        let authorization = request.header("Authorization").map(str::to_owned);
        Self { at: Instant::now(), form: request.form(), authorization }
    }
}

/// The running server; clones share it.
#[derive(Clone)]
pub(crate) struct AuthorizationServer {
    server: Arc<Server>,
    state: Arc<Mutex<State>>,
    requested: Arc<Condvar>,
}

impl AuthorizationServer {
    /// Dynamic registration of public clients, rotation, access tokens of an hour.
    pub(crate) fn start() -> Self {
        Self::with(State { expiry: json!({"expires_in": 3600}), ..State::default() })
    }

    /// As Front is described: one confidential client with HTTP Basic, no registration endpoint,
    /// `expires_at`, and a refresh token that stays.
    pub(crate) fn front_like() -> Self {
        let in_an_hour = jiff::Timestamp::now().as_second() + 3600;
        Self::with(State {
            expiry: json!({"expires_at": in_an_hour}),
            pre_registered: true,
            keeps_refresh_tokens: true,
            secrets: vec![CLIENT_SECRET.to_owned()],
            ..State::default()
        })
    }

    /// Knows a public client and its grant for `resource`, as after a login.
    pub(crate) fn with_grant(client: &str, resource: &str) -> Self {
        let server = Self::start();
        server.state().adopt(client, resource);
        server
    }

    fn with(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let requested = Arc::new(Condvar::new());
        let shared = (Arc::clone(&state), Arc::clone(&requested));
        let server = Arc::new(Server::start(move |request, responder| {
            answer(&shared.0, &shared.1, request, responder)
        }));
        state.lock().unwrap().issuer = server.origin();
        Self { server, state, requested }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The issuer, which is also the server's origin.
    pub(crate) fn issuer(&self) -> String {
        self.server.origin()
    }

    /// Calls itself by another origin from now on: that of who stands before it.
    pub(crate) fn call_itself(&self, origin: &str) {
        origin.clone_into(&mut self.state().issuer);
    }

    /// Replaces members of the metadata; null removes one.
    pub(crate) fn set_metadata(&self, members: Value) {
        self.state().metadata = members;
    }

    /// Sets the members that say when access tokens end from now on.
    pub(crate) fn set_expiry(&self, members: Value) {
        self.state().expiry = members;
    }

    /// Issues access tokens of so many seconds from now on, which the resource server refuses then.
    pub(crate) fn set_life(&self, seconds: u32) {
        self.set_expiry(json!({"expires_in": seconds}));
        self.state().life = Some(Duration::from_secs(seconds.into()));
    }

    /// The person refuses from now on.
    pub(crate) fn deny(&self) {
        self.state().denies = true;
    }

    /// Scripts the next token request that has no fault yet.
    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Publishes its revocation endpoint from now on.
    pub(crate) fn publish_revocation(&self) {
        let endpoint = format!("{}/revoke", self.state().issuer);
        self.set_metadata(json!({"revocation_endpoint": endpoint}));
    }

    /// Scripts the next revocation request that has no fault yet.
    pub(crate) fn fault_revocation(&self, fault: Fault) {
        self.state().revocation_faults.push_back(fault);
    }

    /// Forgets the faults that no request has met.
    pub(crate) fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.revocation_faults.clear();
    }

    /// Every revocation request so far.
    pub(crate) fn revocations(&self) -> Vec<TokenRequest> {
        self.state().revocations.clone()
    }

    /// Scripts every refresh from now on with the faults that this names, before those above.
    pub(crate) fn script(&self, faults: impl FnMut() -> Vec<Fault> + Send + 'static) {
        self.state().script = Some(Box::new(faults));
    }

    /// Whether `token` opens the resource server.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        let state = self.state();
        let now = state.now();
        !state.refuses_all && state.grants.iter().any(|grant| grant.accepts(token, now, state.life))
    }

    /// Makes the resource server refuse every access token that is out now; the grants live on.
    pub(crate) fn refuse_issued_access_tokens(&self) {
        for grant in &mut self.state().grants {
            grant.refused = grant.access_tokens.len();
        }
    }

    /// Makes the resource server refuse every access token from now on, fresh ones too.
    pub(crate) fn revoke_access_for_ever(&self) {
        self.state().refuses_all = true;
    }

    /// An administrator revokes every grant.
    pub(crate) fn revoke_grants(&self) {
        for grant in &mut self.state().grants {
            grant.revoked = true;
        }
    }

    /// An administrator revokes one grant.
    pub(crate) fn revoke_grant(&self, number: usize) {
        self.state().grants[number].revoked = true;
    }

    /// Takes the previous refresh token as well, as servers with a grace period do.
    pub(crate) fn be_lenient(&self) {
        self.state().is_lenient = true;
    }

    /// Lets so many seconds pass here, and holds tokens to their lives from now on: access tokens to an
    /// hour, and refresh tokens that stay to half a year, in whose last day a new one comes.
    pub(crate) fn pass_time(&self, seconds: i64) {
        let mut state = self.state();
        state.ahead += seconds;
        state.life.get_or_insert(Duration::from_secs(3600));
    }

    /// How often a spent refresh token was sent.
    pub(crate) fn replays(&self) -> usize {
        self.state().replays
    }

    /// Rotates the first grant's tokens as if a refresh had been answered.
    pub(crate) fn rotate(&self) {
        self.state().issue(0);
    }

    /// How often the first grant's tokens were renewed.
    pub(crate) fn rotations(&self) -> usize {
        self.state().grants[0].access_tokens.len() - 1
    }

    /// The first grant's access token and refresh token after so many rotations.
    pub(crate) fn tokens(&self, rotations: usize) -> (String, String) {
        let grant = &self.state().grants[0];
        (grant.access_tokens[rotations].clone(), grant.refresh_tokens[rotations].clone())
    }

    /// Grants that are alive.
    pub(crate) fn living_grants(&self) -> usize {
        self.state().grants.iter().filter(|grant| !grant.revoked).count()
    }

    /// Every request so far, of whatever kind.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.state().seen.clone()
    }

    /// Every token request so far.
    pub(crate) fn token_requests(&self) -> Vec<TokenRequest> {
        self.state().requests.clone()
    }

    /// How many refreshes were asked for so far.
    pub(crate) fn refreshes(&self) -> usize {
        self.state().refreshes().count()
    }

    /// Every refresh token that was sent so far, with the time when it came.
    pub(crate) fn sent_refresh_tokens(&self) -> Vec<(String, Instant)> {
        let state = self.state();
        let sent = |request: &TokenRequest| (request.form["refresh_token"].clone(), request.at);
        state.refreshes().map(sent).collect()
    }

    /// Waits until so many refreshes have been asked for since the start.
    pub(crate) fn wait_for_refreshes(&self, count: usize) {
        let lacks = |state: &mut State| state.refreshes().count() < count;
        let (state, _) = self.requested.wait_timeout_while(self.state(), DEADLINE, lacks).unwrap();
        let came = state.refreshes().count();
        assert!(came >= count, "{came} of {count} refreshes were asked for");
    }

    /// The parameters of every authorization request so far.
    pub(crate) fn authorizations(&self) -> Vec<HashMap<String, String>> {
        self.state().authorizations.clone()
    }

    /// Everything secret that was handed out so far, the client's secret included.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.state().secrets.clone()
    }
}

fn answer(state: &Mutex<State>, requested: &Condvar, request: &Request, responder: &mut Responder) {
    state.lock().unwrap().seen.push(request.clone());
    let reply = match (request.method.as_str(), request.path()) {
        ("GET", "/.well-known/oauth-authorization-server") => state.lock().unwrap().metadata(),
        ("GET", "/authorize") => state.lock().unwrap().authorize(&request.query()),
        ("POST", "/register") => state.lock().unwrap().register(&request.json()),
        ("POST", "/token") => return token(state, requested, request, responder),
        ("POST", "/revoke") => return revocation(state, request, responder),
        _ => Reply::status(404),
    };
    responder.reply(&reply);
}

/// Serves one token request, with its fault.
fn token(state: &Mutex<State>, requested: &Condvar, request: &Request, responder: &mut Responder) {
    let received = TokenRequest::of(request);
    state.lock().unwrap().receive(received.clone());
    requested.notify_all();
    serve(state, &received, responder, |state| &mut state.faults, State::grant);
}

/// Serves one revocation request, with its fault.
fn revocation(state: &Mutex<State>, request: &Request, responder: &mut Responder) {
    let received = TokenRequest::of(request);
    state.lock().unwrap().revocations.push(received.clone());
    let revoke = |state: &mut State, request: &TokenRequest, _: &Value| state.revoke(request);
    serve(state, &received, responder, |state| &mut state.revocation_faults, revoke);
}

/// Answers with the next fault, else as it should be.
fn serve(
    state: &Mutex<State>,
    received: &TokenRequest,
    responder: &mut Responder,
    faults: fn(&mut State) -> &mut VecDeque<Fault>,
    act: impl Fn(&mut State, &TokenRequest, &Value) -> Reply,
) {
    let mut header = None;
    let members = loop {
        let fault = faults(&mut state.lock().unwrap()).pop_front();
        match fault {
            Some(Fault::Delay(delay)) => std::thread::sleep(delay),
            Some(Fault::Reset) => return responder.reset(),
            Some(Fault::Reply(reply)) => return responder.reply(&reply),
            Some(Fault::Answer(answer)) => return responder.reply(&answer(received)),
            Some(Fault::Members(members)) => break members,
            Some(Fault::Header(name, value)) => header = Some((name, value)),
            Some(Fault::Lose) => {
                act(&mut state.lock().unwrap(), received, &Value::Null);
                return responder.reset();
            }
            Some(Fault::Unended { mark, waits }) => {
                let reply = act(&mut state.lock().unwrap(), received, &Value::Null);
                let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                responder.start(reply.status, &headers.collect::<Vec<_>>());
                responder.chunk([mark.as_bytes(), &reply.body].concat());
                return if waits {
                    responder.wait_for_close()
                };
            }
            Some(Fault::Hold(gate)) => _ = gate.pass(),
            None => break Value::Null,
        };
    };
    let mut reply = act(&mut state.lock().unwrap(), received, &members);
    if let Some((name, value)) = header {
        reply = reply.header(name, value);
    }
    responder.reply(&reply);
}
