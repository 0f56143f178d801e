//! A token endpoint on loopback that rotates strictly: every refresh token is good once, and one
//! that comes again ends the grant, unless the server is told to be lenient about the latest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::gate::Gate;
use super::http_server::{Reply, Request, Responder, Server};

/// What the endpoint does with one request instead of serving it.
#[derive(Clone)]
pub(crate) enum Turn {
    /// Answers this, and grants nothing.
    Answer(Reply),
    /// Grants, and cuts the connection instead of answering.
    Lose,
    /// Waits at the gate, then serves as usual.
    Hold(Gate),
    /// Serves with these members changed; null removes one.
    Change(Value),
    /// Waits at the gate, then serves so.
    HoldAndChange(Gate, Value),
}

/// The running endpoint; clones share it.
#[derive(Clone)]
pub(crate) struct TokenEndpoint {
    server: Arc<Server>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rotations: usize,
    requests: usize,
    revoked: bool,
    lenient: bool,
    turns: VecDeque<Turn>,
}

impl TokenEndpoint {
    pub(crate) fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server = Server::start(move |request, responder| serve(&shared, request, responder));
        Self { server: Arc::new(server), state }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/token", self.server.origin())
    }

    /// What the next request meets.
    pub(crate) fn next(&self, turn: Turn) {
        self.state().turns.push_back(turn);
    }

    /// Takes the previous refresh token as well, as servers with a grace period do.
    pub(crate) fn be_lenient(&self) {
        self.state().lenient = true;
    }

    /// Rotates as if a refresh had been answered, so that the tokens are those of its answer.
    pub(crate) fn rotate(&self) {
        self.state().rotations += 1;
    }

    pub(crate) fn revoke(&self) {
        self.state().revoked = true;
    }

    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.state().revoked
    }

    /// The refresh token that is good now.
    pub(crate) fn refresh_token(&self) -> String {
        refresh_token(self.state().rotations)
    }

    /// The access token that was issued last.
    pub(crate) fn access_token(&self) -> String {
        access_token(self.state().rotations)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn refresh_token(rotation: usize) -> String {
    format!("canary-refresh-{rotation}")
}

fn access_token(rotation: usize) -> String {
    format!("canary-access-{rotation}")
}

fn serve(state: &Mutex<State>, request: &Request, responder: &mut Responder) {
    let turn = {
        let mut state = state.lock().unwrap();
        state.requests += 1;
        state.turns.pop_front()
    };
    let mut change = json!({});
    match turn {
        Some(Turn::Answer(reply)) => return responder.reply(&reply),
        Some(Turn::Lose) => {
            state.lock().unwrap().grant(request, &change);
            return responder.reset();
        }
        Some(Turn::Hold(gate)) => {
            gate.pass();
        }
        Some(Turn::Change(members)) => change = members,
        Some(Turn::HoldAndChange(gate, members)) => {
            gate.pass();
            change = members;
        }
        None => {}
    }
    let reply = state.lock().unwrap().grant(request, &change);
    responder.reply(&reply);
}

impl State {
    fn grant(&mut self, request: &Request, change: &Value) -> Reply {
        let form = request.form();
        let token = form.get("refresh_token").cloned().unwrap_or_default();
        let is_previous = self.rotations > 0 && token == refresh_token(self.rotations - 1);
        let is_current = token == refresh_token(self.rotations);
        self.revoked |= !(is_current || self.lenient && is_previous);
        if self.revoked {
            return Reply::json(400, r#"{"error":"invalid_grant"}"#);
        }
        if is_current {
            self.rotations += 1;
        }
        let mut answer = json!({
            "access_token": access_token(self.rotations),
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh_token(self.rotations),
        });
        for (name, value) in change.as_object().into_iter().flatten() {
            answer[name] = value.clone();
        }
        Reply::json(200, answer.to_string())
    }
}
