//! A host that speaks 2026-07-28 on a server that opens with `initialize`: the host is ahead. This is
//! done where it is asked for (`--era modern`) alone, for hosts that are of both eras need it not.
//!
//! Beneath it lies a session like any other, to which this is a legacy host. What is said in which
//! order is decided without any pipe ([`Machine`]), and can be read off a table.
//!
//! | from the host | becomes |
//! |---|---|
//! | `server/discover` | `initialize` and `notifications/initialized` of ours, once; the `InitializeResult` with `resultType`, `supportedVersions`, `ttlMs`, `cacheScope`, with `serverInfo` in `_meta` and without `protocolVersion` is the answer |
//! | a request | the same without version, client information, client capabilities and log level in `_meta`; under an id of ours where a call that waits has the host's; where the session needs another log level for it and those under way, `logging/setLevel` goes ahead of it |
//! | a request with `requestState` | answers to what the server asked; the call that waits for them goes on |
//! | `subscriptions/listen`, and its end | `resources/subscribe` and `resources/unsubscribe`, for each of its resources that no other subscription wants; one after the other |
//! | `notifications/cancelled` | the same with the id that the server knows |
//!
//! | from the server | becomes |
//! |---|---|
//! | a result | the same with the host's id and `resultType`; with `ttlMs` and `cacheScope` where results are cacheable |
//! | error −32002 of `resources/read` | −32602 |
//! | error −32042 of `tools/call`, `prompts/get`, `resources/read` | `input_required`, which asks to open the pages that it names; −32021 where the host offers to open none; −32603 where it does not agree, and elsewhere |
//! | a question (elicitation, sampling, roots) | `input_required` in answer to the call that it belongs to, which waits for the host's next attempt; its `jsonrpc` and `id` are removed |
//! | a change | the same, with the subscription's id, for each subscription that asked for it |
//! | progress | the same while the request waits, with the token of its latest attempt |
//! | a log message | the same while a request waits that wants to read it |

mod call;
mod calls;
mod envelope;
mod listens;
mod logs;
mod machine;
mod pages;
mod results;
#[cfg(test)]
mod tests;
mod translator;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::jsonrpc::edit::{self, Repeated};
use crate::jsonrpc::{ErrorResponse, Head, Id, Message, code};
use crate::relay::{Config, Leave, Session};
use machine::Machine;

/// How many messages may wait between this and the session beneath it.
const QUEUE: usize = 16;
/// How long the session's last words may take to get through.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How many questions of one call may be open.
const QUESTIONS: usize = 32;

/// Something to be said.
#[derive(Debug, PartialEq, Eq)]
enum Out {
    Host(Bytes),
    Server(Bytes),
}

impl Out {
    fn host(frame: String) -> Self {
        Self::Host(frame.into())
    }

    fn server(frame: String) -> Self {
        Self::Server(frame.into())
    }

    /// The same, said to the server.
    fn back(self) -> Self {
        let (Self::Host(frame) | Self::Server(frame)) = self;
        Self::Server(frame)
    }
}

/// Names for what this says itself.
#[derive(Debug, Default)]
struct Names(u64);

impl Names {
    /// The key of a question.
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("mcp-front-{}", self.0)
    }

    /// An id of ours.
    fn id(&mut self) -> Id {
        Id::of_text(&self.next())
    }

    /// A word that nobody guesses; `None` where no random numbers are to be had.
    fn secret(&self) -> Option<String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        Some(crate::hex::hex(&random))
    }
}

/// One step of the machine's.
struct Turn<'a> {
    names: &'a mut Names,
    now: Instant,
}

/// A refusal of the host's request `id`.
fn refusal(id: &Id, code: i64, reason: &str) -> Out {
    Out::Host(ErrorResponse::new(id.clone(), code, reason).into_bytes())
}

/// Why a request is called off that the server does not answer.
const UNANSWERED: &str = "it was not answered in time";

/// Calls off a request that the server knows by `id`.
fn cancellation(id: &Id, reason: &str) -> Out {
    let (id, reason) = (id.as_json(), edit::written(reason));
    Out::server(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":{reason}}}}}"#
    ))
}

/// What becomes of a message of the host's that could be read in two ways.
fn ambiguous(message: &Message, repeated: Repeated) -> Vec<Out> {
    match message.head() {
        Head::Request { id, .. } => vec![refusal(id, code::INVALID_REQUEST, &repeated.to_string())],
        _ => {
            tracing::warn!(%repeated, "a message of the host's is refused");
            Vec::new()
        }
    }
}

/// The answer to the server's `ping`, of which a modern host knows nothing; `None` for all else.
fn pong(message: &Message) -> Option<Out> {
    match message.head() {
        Head::Request { id, method, .. } if method == "ping" => {
            Some(Out::Server(crate::jsonrpc::result_response(id, &serde_json::json!({}))))
        }
        _ => None,
    }
}

/// A session on a server of either era, for a host of 2026-07-28.
pub(in crate::relay) struct Ahead {
    session: Session,
    desk: Arc<Desk>,
    listening: Mutex<Option<JoinHandle<()>>>,
    ended: CancellationToken,
}

/// Where all that is said is put in order.
struct Desk {
    machine: tokio::sync::Mutex<Machine>,
    outbox: mpsc::Sender<Bytes>,
    /// What the one that reads the session says to it, who must not wait for it. There is no more of
    /// it than the server has asked, and the host has subscribed to.
    lane: mpsc::UnboundedSender<Bytes>,
    /// Time brings something at another moment than before.
    rescheduled: Notify,
}

impl Ahead {
    /// Starts a session, as [`Session::new`].
    pub(in crate::relay) fn new(config: Config, outbox: mpsc::Sender<Bytes>) -> Self {
        let (inner, said) = mpsc::channel(QUEUE);
        let session = Session::new(config, inner);
        let (lane, spoken) = mpsc::unbounded_channel();
        let (machine, rescheduled) = Default::default();
        let desk = Arc::new(Desk { machine, outbox, lane, rescheduled });
        let ended = CancellationToken::new();
        let until_ended = || ended.clone();
        tokio::spawn(until_ended().run_until_cancelled_owned(speak(session.clone(), spoken)));
        tokio::spawn(until_ended().run_until_cancelled_owned(Arc::clone(&desk).keep_time()));
        let listening = listen(session.clone(), Arc::clone(&desk), said, ended.clone());
        let listening = Mutex::new(Some(tokio::spawn(listening)));
        Self { session, desk, listening, ended }
    }

    /// Takes one frame from the host, as [`Session::accept`].
    pub(in crate::relay) async fn accept(&self, frame: Bytes) {
        let step = |machine: &mut Machine| match Message::parse(frame.clone()) {
            Ok(message) => machine.host(message, Instant::now()),
            Err(invalid) => vec![machine.invalid(frame, &invalid)],
        };
        for frame in self.desk.step(step).await {
            self.session.accept(frame).await;
        }
    }

    /// Ends the session, as [`Session::close`].
    pub(in crate::relay) async fn close(&self, leave: Leave) {
        let abandoning = async {
            for frame in self.desk.step(Machine::abandon).await {
                self.session.accept(frame).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, abandoning).await.is_err() {
            tracing::debug!("the host does not read what it was told");
        }
        self.session.close(leave).await;
        self.ended.cancel();
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        let last_words = async {
            if let Some(listening) = listening {
                let _heard = listening.await;
            }
            self.desk.step(|machine| machine.end("the bridge is shutting down")).await
        };
        if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
            tracing::debug!("the session's last words did not reach the host in time");
        }
    }
}

impl Desk {
    /// Takes one step, and tells the host what comes of it before the next; gives what the server is
    /// to hear.
    async fn step(&self, step: impl FnOnce(&mut Machine) -> Vec<Out>) -> Vec<Bytes> {
        let mut machine = self.machine.lock().await;
        let before = machine.deadline();
        let said = step(&mut machine);
        if machine.deadline() != before {
            self.rescheduled.notify_one();
        }
        let mut to_server = Vec::new();
        for said in said {
            match said {
                Out::Server(frame) => to_server.push(frame),
                Out::Host(frame) => {
                    if self.outbox.send(frame).await.is_err() {
                        tracing::debug!("a message for a host that has gone");
                    }
                }
            }
        }
        to_server
    }

    /// The same where the server's part is said later.
    async fn step_aside(&self, step: impl FnOnce(&mut Machine) -> Vec<Out>) {
        for frame in self.step(step).await {
            let _over = self.lane.send(frame);
        }
    }

    /// Takes a step whenever time brings something.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let deadline = self.machine.lock().await.deadline();
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.step_aside(|machine| machine.expire(Instant::now())).await,
                () = self.rescheduled.notified() => {}
            }
        }
    }
}

/// Says to the session what comes on the lane.
async fn speak(session: Session, mut lane: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(frame) = lane.recv().await {
        session.accept(frame).await;
    }
}

/// Takes what the session says, to the last word.
async fn listen(
    session: Session,
    desk: Arc<Desk>,
    mut said: mpsc::Receiver<Bytes>,
    ended: CancellationToken,
) {
    let mut renewals = session.renewals();
    loop {
        let frame = tokio::select! {
            biased;
            // Before all that is said in the new session.
            Ok(()) = renewals.changed() => {
                let answer = session.introduction();
                let step = |machine: &mut Machine| {
                    machine.renewed(answer.as_ref());
                    Vec::new()
                };
                desk.step_aside(step).await;
                continue;
            }
            frame = said.recv() => frame,
            () = ended.cancelled() => None,
        };
        let Some(frame) = frame else { return };
        let step = |machine: &mut Machine| match Message::parse(frame.clone()) {
            Ok(message) => {
                let on = message.head().request_id().and_then(|question| session.asker(question));
                machine.server(message, on.as_ref(), Instant::now())
            }
            Err(_) => vec![Out::Host(frame)],
        };
        desk.step_aside(step).await;
    }
}
