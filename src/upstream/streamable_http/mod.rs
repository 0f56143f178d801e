//! Streamable HTTP (MCP transports, revisions 2025-03-26 to 2025-11-25).

mod event_stream;
mod reply;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use url::Url;

pub use event_stream::{Event, EventStream, EventStreamError};
pub use reply::{Rejection, Reply};

use crate::http::{Client, HttpError, Response};
use crate::server_uri::ServerUri;
use crate::wire::{EVENTS, JSON, JSON_OR_EVENTS, SESSION_ID};

/// `Last-Event-ID`.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The largest message that is taken from the server, in bytes.
pub const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;
/// How many redirects within the endpoint's origin are followed.
const REDIRECT_LIMIT: usize = 3;

/// One MCP endpoint.
#[derive(Debug, Clone)]
pub struct StreamableHttp {
    client: Client,
    server: ServerUri,
    headers: HeaderMap,
    /// Where the endpoint redirects to within its origin, so that one detour is enough.
    moved_to: Arc<Mutex<Option<Url>>>,
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
        Self { client, server, headers, moved_to: Arc::default() }
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
        self.send(Method::POST, headers, message).await
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
        self.send(Method::GET, headers, Bytes::new()).await
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
        let mut url = url.clone();
        for _ in 0..=REDIRECT_LIMIT {
            let response = self.client.send(Method::POST, url, headers.clone(), message.clone()).await?;
            match redirect_within_origin(&response) {
                Some(next) => url = next,
                None => return reply::read(response, true).await,
            }
        }
        Ok(Answer { reply: Reply::Rejected(Rejection::redirects()), session_id: None })
    }

    /// Where the endpoint is, redirects within its origin included.
    pub(super) fn address(&self) -> Url {
        self.moved_to().clone().unwrap_or_else(|| self.server.as_url().clone())
    }

    /// Ends the session that `headers` name.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn end_session(&self, headers: HeaderMap) -> Result<Answer, HttpError> {
        let headers = self.complete(headers, JSON_OR_EVENTS);
        self.send(Method::DELETE, headers, Bytes::new()).await
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

    async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Answer, HttpError> {
        let had_session = headers.contains_key(SESSION_ID);
        for _ in 0..=REDIRECT_LIMIT {
            let sent = self.client.send(method.clone(), self.address(), headers.clone(), body.clone());
            let response = sent.await?;
            match redirect_within_origin(&response) {
                Some(next) => *self.moved_to() = Some(next),
                None => return reply::read(response, had_session).await,
            }
        }
        *self.moved_to() = None;
        Ok(Answer { reply: Reply::Rejected(Rejection::redirects()), session_id: None })
    }

    fn moved_to(&self) -> MutexGuard<'_, Option<Url>> {
        self.moved_to.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Where a 307 or 308 points, if that is within the same origin: token and body may go there, and
/// nowhere else (RFC 9110 §15.4.8).
fn redirect_within_origin(response: &Response) -> Option<Url> {
    if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = response.url().join(location).ok()?;
    // User information would become an `Authorization` of the server's choosing.
    let is_bare = next.username().is_empty() && next.password().is_none();
    (is_bare && next.origin() == response.url().origin()).then_some(next)
}
