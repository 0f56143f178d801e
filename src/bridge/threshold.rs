//! Where the host's frames go: into the session, once it is known which service is meant.
//!
//! A name may mean nothing yet, or nothing any more: on a new machine, after a deletion. Hosts show
//! little of what a server says that ends at its start, so this one stays: each request is answered
//! with an error that names the command to run, and looks the name up again.

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::authorizer::CommandLine;
use crate::jsonrpc::{ErrorResponse, Head, Message, code};
use crate::relay::{Config, Conversation, Leave};

/// The JSON-RPC error code, beside those of [`crate::authorizer::AuthorizerError`].
const UNKNOWN_SERVICE: i64 = -32017;

/// Why it is not known which service is meant, or how to reach it. It holds no secret.
#[derive(Debug)]
pub struct Unknown {
    /// `error.data.reason`.
    pub reason: &'static str,
    /// The text, the command included.
    pub message: String,
    /// What a person can run.
    pub command: Option<CommandLine>,
}

/// The session, or the search for its service.
pub(super) struct Threshold<F> {
    find: F,
    outbox: mpsc::Sender<Bytes>,
    session: Option<Conversation>,
}

impl<F: FnMut() -> Result<Config, Unknown>> Threshold<F> {
    /// Starts the session, where the service was `found`; else `find` is asked again, request by
    /// request. Must be called within a tokio runtime.
    pub(super) fn new(found: Result<Config, Unknown>, find: F, outbox: mpsc::Sender<Bytes>) -> Self {
        let session = match found {
            Ok(config) => Some(Conversation::new(config, outbox.clone())),
            Err(unknown) => {
                tracing::error!("{}", unknown.message);
                None
            }
        };
        Self { find, outbox, session }
    }

    /// Takes one frame from the host, as [`Conversation::accept`].
    pub(super) async fn accept(&mut self, frame: Bytes) {
        if self.session.is_none() {
            self.look(&frame).await;
        }
        if let Some(session) = &self.session {
            session.accept(frame).await;
        }
    }

    /// Looks for the service on behalf of a request, and answers that where it is not found.
    async fn look(&mut self, frame: &Bytes) {
        let message = match Message::parse(frame.clone()) {
            Ok(message) => message,
            Err(invalid) => return self.answer(invalid.to_response()).await,
        };
        let Head::Request { id, method, .. } = message.head() else {
            tracing::debug!("a message for a service that is not known");
            return;
        };
        let answer = match (self.find)() {
            Ok(config) => {
                tracing::info!("the service is known by now");
                self.session = Some(Conversation::new(config, self.outbox.clone()));
                return;
            }
            // Hosts take any other error for a word of the server's, and may end there.
            Err(_) if method == "server/discover" => {
                ErrorResponse::new(id.clone(), code::METHOD_NOT_FOUND, "Method not found")
            }
            Err(Unknown { reason, message, command }) => {
                let mut data = json!({"source": "mcp-front", "reason": reason, "mayHaveExecuted": false});
                if let Some(command) = &command {
                    data["command"] = command.as_str().into();
                }
                ErrorResponse::new(id.clone(), UNKNOWN_SERVICE, message).with_data(data)
            }
        };
        self.answer(answer).await;
    }

    async fn answer(&self, response: ErrorResponse) {
        let _host_gone = self.outbox.send(response.into_bytes()).await;
    }

    /// Ends the session, as [`Conversation::close`], where there is one.
    pub(super) async fn close(&self, leave: Leave) {
        if let Some(session) = &self.session {
            session.close(leave).await;
        }
    }
}
