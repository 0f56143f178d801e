//! Streamable HTTP (MCP transports, revisions 2025-03-26 to 2025-11-25).

mod detour;
mod event_stream;
mod reply;

use std::time::Instant;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub use event_stream::{Event, EventStream, EventStreamError};
pub use reply::{Rejection, Reply};

use detour::Detour;
use reply::Sent;

use crate::http::{Client, HttpError, Response, secrets_sent};
use crate::redact::Known;
use crate::server_uri::ServerUri;
use crate::wire::{EVENTS, JSON, JSON_OR_EVENTS};

/// `Last-Event-ID`.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The largest message that is taken from the server, in bytes.
pub const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// One MCP endpoint.
#[derive(Debug, Clone)]
pub struct StreamableHttp {
    client: Client,
    server: ServerUri,
    headers: HeaderMap,
    detour: Detour,
}

/// What came back, with the session id that the server may have assigned.
#[derive(Debug)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// `Mcp-Session-Id` of the response.
    pub session_id: Option<HeaderValue>,
}

impl StreamableHttp {
    /// Describes the endpoint; `headers` go with every request, nothing is connected yet.
    pub fn new(client: Client, server: ServerUri, headers: HeaderMap) -> Self {
        Self { client, server, headers, detour: Detour::default() }
    }

    /// The endpoint's address.
    pub fn server(&self) -> &ServerUri {
        &self.server
    }

    /// Sends one message; `headers` carry authorization, session and version.
    ///
    /// # Errors
    /// [`HttpError`]; only [`HttpError::NotSent`] says that the server has not seen the message.
    ///
    /// # Cancel safety
    /// Dropping the future closes the exchange; the server may have acted on the message.
    pub async fn post(&self, headers: HeaderMap, message: Bytes) -> Result<Answer, HttpError> {
        let mut headers = self.complete(headers, JSON_OR_EVENTS);
        headers.insert(CONTENT_TYPE, JSON);
        let known = self.detour.address(Instant::now());
        let start = known.as_ref().unwrap_or(self.server.as_url());
        let sent = self.client.follow(Method::POST, start.clone(), headers.clone(), message.clone()).await;
        let address = sent.as_ref().ok().map(|response| response.url().clone());
        let answer = match sent {
            Ok(response) => self.read(response, &headers, &message).await,
            Err(error) => Err(error),
        };
        let reply = answer.as_ref().ok().map(|answer| &answer.reply);
        match known {
            Some(known) if address.as_ref() != Some(&known) || !reply.is_some_and(Reply::is_success) => {
                self.detour.forget(&known);
            }
            None if address.as_ref() != Some(self.server.as_url()) && reply.is_some_and(Reply::is_mcp) => {
                self.detour.learn(address, Instant::now());
            }
            _ => {}
        }
        answer
    }

    /// Opens the stream of messages that the server sends of itself, or resumes one behind
    /// `last_event_id`, which has to fit a header ([`resumable`]).
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn listen(&self, headers: HeaderMap, last_event_id: Option<&str>) -> Result<Answer, HttpError> {
        let mut headers = self.complete(headers, EVENTS);
        if let Some(id) = last_event_id.and_then(event_id_header) {
            headers.insert(LAST_EVENT_ID, id);
        }
        self.send(Method::GET, headers).await
    }

    /// Sends one message to another address of the endpoint's origin, which stands for a session.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub(super) async fn post_to(
        &self,
        url: &Url,
        headers: HeaderMap,
        message: Bytes,
    ) -> Result<Answer, HttpError> {
        let mut headers = self.complete(headers, JSON_OR_EVENTS);
        headers.insert(CONTENT_TYPE, JSON);
        let sent = self.client.follow(Method::POST, url.clone(), headers.clone(), message.clone());
        let response = sent.await?;
        let (server, headers, message) = (&self.server, &headers, &message);
        reply::read(response, Sent { server, headers, message, is_secret_address: true }).await
    }

    /// Ends the session that `headers` name.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn end_session(&self, headers: HeaderMap) -> Result<Answer, HttpError> {
        let headers = self.complete(headers, JSON_OR_EVENTS);
        self.send(Method::DELETE, headers).await
    }

    /// The secrets that the server is sent with `headers`: in these, in those that go with every request, and
    /// in its address.
    pub fn secrets_sent_with(&self, headers: HeaderMap) -> Known {
        secrets_sent(&[&self.complete(headers, JSON_OR_EVENTS)], &self.server)
    }

    fn complete(&self, mut headers: HeaderMap, accept: HeaderValue) -> HeaderMap {
        for (name, value) in &self.headers {
            if !headers.contains_key(name) {
                headers.append(name, value.clone());
            }
        }
        if let Some(authorization) = headers.get_mut(AUTHORIZATION) {
            authorization.set_sensitive(true);
        }
        headers.insert(ACCEPT, accept);
        headers
    }

    /// Sends what is no message, and whose redirect says nothing of those.
    async fn send(&self, method: Method, headers: HeaderMap) -> Result<Answer, HttpError> {
        let url = self.server.as_url().clone();
        let response = self.client.follow(method, url, headers.clone(), Bytes::new()).await?;
        self.read(response, &headers, &Bytes::new()).await
    }

    async fn read(
        &self,
        response: Response,
        headers: &HeaderMap,
        message: &Bytes,
    ) -> Result<Answer, HttpError> {
        let sent = Sent { server: &self.server, headers, message, is_secret_address: false };
        reply::read(response, sent).await
    }
}

/// Whether a stream can be resumed behind the event with this id: it has to fit a header, and an
/// empty one stands for none (WHATWG HTML §9.2.6).
pub fn resumable(event_id: &str) -> bool {
    event_id_header(event_id).is_some()
}

fn event_id_header(id: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(id.as_bytes()).ok().filter(|value| !value.is_empty())
}
