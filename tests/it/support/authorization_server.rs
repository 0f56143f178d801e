//! A strict OAuth 2.1 authorization server whose person consents at once and whose faults are
//! scripted: refresh tokens rotate, and a spent one revokes its grant (RFC 9700 §4.14.2).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

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
    /// The request is served when the gate opens.
    Hold(Gate),
    /// The answer's members are replaced by these; null removes one.
    Members(Value),
}

/// One token request as it came.
#[derive(Debug, Clone)]
pub(crate) struct TokenRequest {
    pub(crate) form: HashMap<String, String>,
    pub(crate) authorization: Option<String>,
}

/// The running server; clones share it.
#[derive(Clone)]
pub(crate) struct AuthorizationServer {
    server: Arc<Server>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    issuer: String,
    /// Merged into the metadata; null removes a member.
    metadata: Value,
    /// Members that say when an access token ends.
    expiry: Value,
    /// The confidential client where there is no dynamic registration.
    pre_registered: bool,
    /// Whether a refresh answers with the same refresh token.
    keeps_refresh_tokens: bool,
    denies: bool,
    /// Whether the resource server refuses every access token, fresh ones too.
    refuses_all: bool,
    clients: HashMap<String, Vec<String>>,
    codes: HashMap<String, HashMap<String, String>>,
    grants: Vec<Grant>,
    faults: VecDeque<Fault>,
    requests: Vec<TokenRequest>,
    authorizations: Vec<HashMap<String, String>>,
    /// Everything secret that was ever handed out.
    secrets: Vec<String>,
}

#[derive(Default)]
struct Grant {
    client: String,
    resource: Option<String>,
    scope: Option<String>,
    refresh_token: String,
    spent: HashSet<String>,
    access_tokens: HashSet<String>,
    revoked: bool,
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

    fn with(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Arc::new(Server::start(move |request, responder| answer(&shared, request, responder)));
        state.lock().unwrap().issuer = server.origin();
        Self { server, state }
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

    /// The person refuses from now on.
    pub(crate) fn deny(&self) {
        self.state().denies = true;
    }

    /// Scripts the next token request that has no fault yet.
    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Whether `token` opens the resource server.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        let state = self.state();
        !state.refuses_all
            && state.grants.iter().any(|grant| !grant.revoked && grant.access_tokens.contains(token))
    }

    /// Makes the resource server refuse every access token that is out now; the grants live on.
    pub(crate) fn refuse_issued_access_tokens(&self) {
        for grant in &mut self.state().grants {
            grant.access_tokens.clear();
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

    /// Grants that are alive.
    pub(crate) fn living_grants(&self) -> usize {
        self.state().grants.iter().filter(|grant| !grant.revoked).count()
    }

    /// Every token request so far.
    pub(crate) fn token_requests(&self) -> Vec<TokenRequest> {
        self.state().requests.clone()
    }

    /// How many refreshes were asked for so far.
    pub(crate) fn refreshes(&self) -> usize {
        let is_refresh = |request: &&TokenRequest| {
            request.form.get("grant_type").is_some_and(|kind| kind == "refresh_token")
        };
        self.state().requests.iter().filter(is_refresh).count()
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

fn answer(state: &Mutex<State>, request: &Request, responder: &mut Responder) {
    let reply = match (request.method.as_str(), request.path()) {
        ("GET", "/.well-known/oauth-authorization-server") => state.lock().unwrap().metadata(),
        ("GET", "/authorize") => state.lock().unwrap().authorize(&request.query()),
        ("POST", "/register") => state.lock().unwrap().register(&request.json()),
        ("POST", "/token") => return token(state, request, responder),
        _ => Reply::status(404),
    };
    responder.reply(&reply);
}

/// Serves one token request, with its fault.
fn token(state: &Mutex<State>, request: &Request, responder: &mut Responder) {
    let form = request.form();
    let authorization = request.header("Authorization").map(str::to_owned);
    let received = TokenRequest { form, authorization };
    let fault = {
        let mut state = state.lock().unwrap();
        state.requests.push(received.clone());
        state.faults.pop_front()
    };
    let members = match fault {
        Some(Fault::Reply(reply)) => return responder.reply(&reply),
        Some(Fault::Answer(answer)) => return responder.reply(&answer(&received)),
        Some(Fault::Members(members)) => members,
        Some(Fault::Hold(gate)) => {
            gate.pass();
            Value::Null
        }
        None => Value::Null,
    };
    let reply = state.lock().unwrap().grant(&received, &members);
    responder.reply(&reply);
}

impl State {
    fn metadata(&self) -> Reply {
        let issuer = &self.issuer;
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": true,
        });
        if self.pre_registered {
            let changes = json!({
                "registration_endpoint": null,
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            });
            merge(&mut metadata, &changes);
        }
        merge(&mut metadata, &self.metadata);
        Reply::json(200, metadata.to_string())
    }

    fn register(&mut self, request: &Value) -> Reply {
        if self.pre_registered {
            return Reply::status(404);
        }
        let uris = request["redirect_uris"].as_array().cloned().unwrap_or_default();
        let uris: Vec<_> = uris.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let id = format!("client-{}", self.clients.len() + 1);
        let answer = json!({
            "client_id": id,
            "redirect_uris": uris,
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        });
        self.clients.insert(id, uris);
        Reply::json(201, answer.to_string())
    }

    fn authorize(&mut self, query: &HashMap<String, String>) -> Reply {
        self.authorizations.push(query.clone());
        let parameter = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let known = match self.clients.get(parameter("client_id")) {
            Some(uris) => uris.iter().any(|uri| uri == parameter("redirect_uri")),
            None => self.pre_registered && parameter("client_id") == CLIENT_ID,
        };
        let Ok(mut location) = Url::parse(parameter("redirect_uri")) else {
            return Reply::html(400, "no redirect_uri");
        };
        if !known || parameter("response_type") != "code" || parameter("code_challenge_method") != "S256" {
            return Reply::html(400, "unknown client, or no PKCE");
        }
        let mut answer = vec![("iss", self.issuer.clone())];
        if let Some(value) = query.get("state") {
            answer.push(("state", value.clone()));
        }
        if self.denies {
            answer.push(("error", "access_denied".to_owned()));
        } else {
            let code = self.secret("canary-code");
            self.codes.insert(code.clone(), query.clone());
            answer.push(("code", code));
        }
        location.query_pairs_mut().extend_pairs(answer);
        Reply::status(302).header("Location", location)
    }

    fn grant(&mut self, request: &TokenRequest, members: &Value) -> Reply {
        if !self.knows_client(request) {
            return Reply::json(401, r#"{"error":"invalid_client"}"#).header("WWW-Authenticate", "Basic");
        }
        let parameter = |name: &str| request.form.get(name).map(String::as_str).unwrap_or_default();
        let answer = match parameter("grant_type") {
            "authorization_code" => self.exchange(request),
            "refresh_token" => self.refresh(request),
            _ => Err("unsupported_grant_type"),
        };
        match answer {
            Ok(mut answer) => {
                merge(&mut answer, &self.expiry);
                merge(&mut answer, members);
                Reply::json(200, answer.to_string()).header("Cache-Control", "no-store")
            }
            Err(error) => Reply::json(400, json!({"error": error}).to_string()),
        }
    }

    fn knows_client(&self, request: &TokenRequest) -> bool {
        if !self.pre_registered {
            return request.form.get("client_id").is_some_and(|id| self.clients.contains_key(id));
        }
        let basic = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        request.authorization.as_deref() == Some(format!("Basic {basic}").as_str())
            && !request.form.contains_key("client_secret")
    }

    fn exchange(&mut self, request: &TokenRequest) -> Result<Value, &'static str> {
        let parameter = |name: &str| request.form.get(name).cloned().unwrap_or_default();
        let asked = self.codes.remove(&parameter("code")).ok_or("invalid_grant")?;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(parameter("code_verifier")));
        let same = |name: &str| asked.get(name) == request.form.get(name);
        if asked.get("code_challenge") != Some(&challenge) || !same("redirect_uri") || !same("resource") {
            return Err("invalid_grant");
        }
        self.secrets.push(parameter("code_verifier"));
        let grant = Grant {
            client: asked.get("client_id").cloned().unwrap_or_default(),
            resource: asked.get("resource").cloned(),
            scope: asked.get("scope").cloned(),
            refresh_token: self.secret("canary-refresh"),
            ..Grant::default()
        };
        self.grants.push(grant);
        Ok(self.tokens_of(self.grants.len() - 1))
    }

    fn refresh(&mut self, request: &TokenRequest) -> Result<Value, &'static str> {
        let token = request.form.get("refresh_token").ok_or("invalid_request")?;
        let is_its = |grant: &Grant| grant.refresh_token == *token || grant.spent.contains(token);
        let place = self.grants.iter().position(is_its).ok_or("invalid_grant")?;
        let grant = &mut self.grants[place];
        if request.form.get("resource") != grant.resource.as_ref() {
            return Err("invalid_target");
        }
        // A spent token that comes again was stolen, or lost a race: the grant ends either way.
        grant.revoked |= grant.spent.contains(token);
        if grant.revoked || request.form.get("client_id").is_some_and(|id| *id != grant.client) {
            return Err("invalid_grant");
        }
        if !self.keeps_refresh_tokens {
            let next = self.secret("canary-refresh");
            let grant = &mut self.grants[place];
            let spent = std::mem::replace(&mut grant.refresh_token, next);
            grant.spent.insert(spent);
        }
        Ok(self.tokens_of(place))
    }

    fn tokens_of(&mut self, place: usize) -> Value {
        let access_token = self.secret("canary-access");
        let grant = &mut self.grants[place];
        grant.access_tokens.insert(access_token.clone());
        let mut answer = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "refresh_token": grant.refresh_token,
        });
        if let Some(scope) = &grant.scope {
            answer["scope"] = json!(scope);
        }
        answer
    }

    fn secret(&mut self, kind: &str) -> String {
        let mut bytes = [0; 12];
        getrandom::fill(&mut bytes).expect("entropy");
        // Characters that change in a URL, a form and JSON.
        let secret = format!("{kind}+{}/~=", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        self.secrets.push(secret.clone());
        secret
    }
}

fn merge(target: &mut Value, members: &Value) {
    for (name, value) in members.as_object().into_iter().flatten() {
        match value {
            Value::Null => target.as_object_mut().map(|object| object.remove(name)),
            value => target.as_object_mut().map(|object| object.insert(name.clone(), value.clone())),
        };
    }
}
