//! What the authorization server knows: its clients, the codes and tokens that it gave out, and what
//! they are worth.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::super::clock::DAY;
use super::super::http_server::{Reply, Request};
use super::{CLIENT_ID, CLIENT_SECRET, Fault, TokenRequest};

/// Names the faults of a refresh.
type Script = Box<dyn FnMut() -> Vec<Fault> + Send>;

/// How long a refresh token lasts that refreshes do not replace, in milliseconds.
const REFRESH_LIFE: i64 = 182 * DAY * 1000;
/// How long before its end a refresh replaces it all the same.
const LAST_DAY: i64 = DAY * 1000;

#[derive(Default)]
pub(super) struct State {
    pub(super) issuer: String,
    /// Merged into the metadata; null removes a member.
    pub(super) metadata: Value,
    /// Members that say when an access token ends.
    pub(super) expiry: Value,
    /// The confidential client where there is no dynamic registration.
    pub(super) pre_registered: bool,
    /// Whether a refresh answers with the same refresh token.
    pub(super) keeps_refresh_tokens: bool,
    /// Whether a refresh may repeat the one before it.
    pub(super) is_lenient: bool,
    pub(super) denies: bool,
    /// By how many seconds its clock is ahead.
    pub(super) ahead: i64,
    /// How often a spent refresh token was sent.
    pub(super) replays: usize,
    /// Whether the resource server refuses every access token, fresh ones too.
    pub(super) refuses_all: bool,
    pub(super) clients: HashMap<String, Vec<String>>,
    pub(super) codes: HashMap<String, HashMap<String, String>>,
    pub(super) grants: Vec<Grant>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) script: Option<Script>,
    /// After which the resource server refuses an access token.
    pub(super) life: Option<Duration>,
    pub(super) requests: Vec<TokenRequest>,
    /// Requests of every kind.
    pub(super) seen: Vec<Request>,
    pub(super) revocation_faults: VecDeque<Fault>,
    pub(super) revocations: Vec<TokenRequest>,
    pub(super) authorizations: Vec<HashMap<String, String>>,
    /// Everything secret that was ever handed out.
    pub(super) secrets: Vec<String>,
}

#[derive(Default)]
pub(super) struct Grant {
    pub(super) client: String,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
    /// In the order of their issue: the last one is good, the others are spent.
    pub(super) refresh_tokens: Vec<String>,
    /// In the order of their issue.
    pub(super) access_tokens: Vec<String>,
    /// When each of them was issued, in milliseconds.
    issued: Vec<i64>,
    /// When the refresh token began its life, in milliseconds.
    rotated: i64,
    /// How many of the first ones the resource server refuses.
    pub(super) refused: usize,
    pub(super) revoked: bool,
}

impl State {
    pub(super) fn metadata(&self) -> Reply {
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

    pub(super) fn register(&mut self, request: &Value) -> Reply {
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

    pub(super) fn authorize(&mut self, query: &HashMap<String, String>) -> Reply {
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

    pub(super) fn grant(&mut self, request: &TokenRequest, members: &Value) -> Reply {
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
                if let Some(life) = self.life.filter(|_| answer["expires_at"].is_number()) {
                    answer["expires_at"] = json!(self.now() / 1000 + life.as_secs().cast_signed());
                }
                merge(&mut answer, members);
                Reply::json(200, answer.to_string()).header("Cache-Control", "no-store")
            }
            Err(error) => Reply::json(400, json!({"error": error}).to_string()),
        }
    }

    pub(super) fn knows_client(&self, request: &TokenRequest) -> bool {
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
            ..Grant::default()
        };
        self.grants.push(grant);
        Ok(self.issue(self.grants.len() - 1))
    }

    fn refresh(&mut self, request: &TokenRequest) -> Result<Value, &'static str> {
        let token = request.form.get("refresh_token").ok_or("invalid_request")?;
        let place = self.grants.iter().position(|grant| grant.refresh_tokens.contains(token));
        let place = place.ok_or("invalid_grant")?;
        let now = self.now();
        let grant = &mut self.grants[place];
        if request.form.get("resource") != grant.resource.as_ref() {
            return Err("invalid_target");
        }
        let mut latest = grant.refresh_tokens.iter().rev();
        let is_good = latest.next() == Some(token);
        let is_repeated = !is_good && self.is_lenient && latest.next() == Some(token);
        self.replays += usize::from(!is_good);
        let is_over = self.life.is_some() && now > grant.rotated + REFRESH_LIFE;
        if self.keeps_refresh_tokens && is_over {
            return Err("invalid_grant");
        }
        // A spent token that comes again was stolen, or lost a race: the grant ends either way.
        grant.revoked |= !is_good && !is_repeated;
        if grant.revoked || request.form.get("client_id").is_some_and(|id| *id != grant.client) {
            return Err("invalid_grant");
        }
        Ok(if is_repeated { grant.answer() } else { self.issue(place) })
    }

    /// Issues a grant's first tokens, or its next ones.
    pub(super) fn issue(&mut self, place: usize) -> Value {
        let access_token = self.secret("canary-access");
        let now = self.now();
        let ends_soon = now > self.grants[place].rotated + REFRESH_LIFE - LAST_DAY;
        let keeps = self.keeps_refresh_tokens && (self.life.is_none() || !ends_soon);
        let kept = self.grants[place].refresh_tokens.last().filter(|_| keeps);
        let refresh_token = kept.cloned().unwrap_or_else(|| self.secret("canary-refresh"));
        let grant = &mut self.grants[place];
        if grant.refresh_tokens.last() != Some(&refresh_token) {
            grant.rotated = now;
        }
        grant.issued.push(now);
        grant.access_tokens.push(access_token);
        grant.refresh_tokens.push(refresh_token);
        grant.answer()
    }

    /// Knows a client and its grant that nobody asked for here.
    pub(super) fn adopt(&mut self, client: &str, resource: &str) {
        self.clients.insert(client.to_owned(), Vec::new());
        let (client, resource) = (client.to_owned(), Some(resource.to_owned()));
        self.grants.push(Grant { client, resource, ..Grant::default() });
        self.issue(self.grants.len() - 1);
    }

    /// What its clock shows, in milliseconds.
    pub(super) fn now(&self) -> i64 {
        Timestamp::now().as_millisecond() + 1000 * self.ahead
    }

    /// The token requests that were refreshes, well or not.
    pub(super) fn refreshes(&self) -> impl Iterator<Item = &TokenRequest> {
        self.requests.iter().filter(|request| is_refresh(request))
    }

    /// Notes a token request, and scripts the faults that it meets.
    pub(super) fn receive(&mut self, request: TokenRequest) {
        if let Some(script) = self.script.as_mut().filter(|_| is_refresh(&request)) {
            let scripted = script().into_iter().rev();
            scripted.for_each(|fault| self.faults.push_front(fault));
        }
        self.requests.push(request);
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

impl Grant {
    /// Whether an access token opens the resource server, and is younger than `life` at `now`.
    pub(super) fn accepts(&self, token: &str, now: i64, life: Option<Duration>) -> bool {
        let age = |issued: i64| Duration::from_millis((now - issued).max(0).unsigned_abs());
        let mut tokens = self.access_tokens.iter().zip(&self.issued).skip(self.refused);
        let is_young = |issued: i64| life.is_none_or(|life| age(issued) < life);
        !self.revoked && tokens.any(|(known, issued)| known == token && is_young(*issued))
    }

    /// The latest tokens.
    fn answer(&self) -> Value {
        let mut answer = json!({
            "access_token": self.access_tokens.last(),
            "token_type": "Bearer",
            "refresh_token": self.refresh_tokens.last(),
        });
        if let Some(scope) = &self.scope {
            answer["scope"] = json!(scope);
        }
        answer
    }
}

fn is_refresh(request: &TokenRequest) -> bool {
    request.form.get("grant_type").is_some_and(|kind| kind == "refresh_token")
}

fn merge(target: &mut Value, members: &Value) {
    for (name, value) in members.as_object().into_iter().flatten() {
        match value {
            Value::Null => target.as_object_mut().map(|object| object.remove(name)),
            value => target.as_object_mut().map(|object| object.insert(name.clone(), value.clone())),
        };
    }
}
