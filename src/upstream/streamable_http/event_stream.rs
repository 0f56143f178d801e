//! Server-sent events, as MCP uses them (WHATWG HTML §9.2; MCP transports, "Resumability").

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sse_stream::SseByteStream;
use url::Url;

use super::MESSAGE_LIMIT;
use crate::http::{HttpError, Response};

/// How many events are looked at in search of a message.
const LOOK_AHEAD: usize = 8;

type Body = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// An open event stream. Dropping it closes the connection.
pub struct EventStream {
    events: SseByteStream<Capped>,
    held: Arc<AtomicUsize>,
    /// Where it came from, redirects included.
    address: Option<Box<Url>>,
    end: Option<End>,
    /// Events that were looked at, and are still to be read.
    ahead: VecDeque<Result<Event, EventStreamError>>,
}

/// What ends a stream that its server does not end.
type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One event.
#[derive(Debug, Default)]
pub struct Event {
    /// `id`, for `Last-Event-ID`; an empty one takes back the last.
    pub id: Option<String>,
    /// `retry`: how long to wait before a reconnect.
    pub retry: Option<Duration>,
    /// The message; `None` for a priming event and for events that are no messages.
    pub message: Option<Bytes>,
    /// The data of an `endpoint` event, which opens a stream of the HTTP+SSE transport.
    pub endpoint: Option<String>,
}

/// Why a stream broke off.
#[derive(Debug, thiserror::Error)]
pub enum EventStreamError {
    /// The connection broke; the stream may be resumed.
    #[error("the event stream broke off: {0}")]
    Broken(String),
    /// An event is too large or no text; resuming would bring it again.
    #[error("the event stream cannot be read: {0}")]
    Unreadable(String),
}

#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("an event is larger than {} MiB", MESSAGE_LIMIT / 1024 / 1024)]
    TooLarge,
}

impl EventStream {
    pub(super) fn new(response: Response) -> Self {
        let address = Some(Box::new(response.url().clone()));
        let stream = Self::of(response.bytes_stream().map(|chunk| chunk.map_err(HttpError::of)));
        Self { address, ..stream }
    }

    /// Where it came from; `None` where that was no server.
    pub(in crate::upstream) fn address(&self) -> Option<&Url> {
        self.address.as_deref()
    }

    /// Reads the events of a body, in whatever pieces it comes.
    pub fn of(body: impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static) -> Self {
        let bytes = Box::pin(body.map(|chunk| chunk.map_err(BodyError::from)));
        let held = Arc::new(AtomicUsize::new(0));
        let capped = Capped { bytes, held: Arc::clone(&held), line: Line::Start };
        let events = SseByteStream::new(capped);
        Self { events, held, address: None, end: None, ahead: VecDeque::new() }
    }

    /// The same stream, which ends when `end` resolves, too.
    pub fn ended_by(self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { end: Some(Box::pin(end)), ..self }
    }

    /// The next event; `None` where the server ended the stream.
    ///
    /// # Errors
    /// [`EventStreamError`] where the connection broke or the event is no text; the stream is over.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Event, EventStreamError>> {
        match self.ahead.pop_front() {
            Some(event) => Some(event),
            None => self.read().await,
        }
    }

    /// The first message, which stays to be read; `None` where none is near, and where an `endpoint` event
    /// comes first: on a stream of HTTP+SSE nobody speaks before its client does.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn peek(&mut self) -> Option<Bytes> {
        while self.ahead.len() < LOOK_AHEAD {
            let event = self.read().await?;
            let is_end = event.as_ref().map_or(true, |event| event.endpoint.is_some());
            let message = event.as_ref().ok().and_then(|event| event.message.clone());
            self.ahead.push_back(event);
            if is_end || message.is_some() {
                return message;
            }
        }
        None
    }

    /// Whether what was looked at opens a stream of HTTP+SSE.
    pub fn was_seen_to_open_sse(&self) -> bool {
        self.ahead.iter().flatten().any(|event| event.endpoint.is_some())
    }

    async fn read(&mut self) -> Option<Result<Event, EventStreamError>> {
        let event = match &mut self.end {
            None => self.events.next().await?,
            Some(end) => tokio::select! {
                event = self.events.next() => event?,
                () = end => return None,
            },
        };
        self.held.store(0, Ordering::Relaxed);
        Some(match event {
            Ok(event) => {
                let data = event.data.filter(|data| !data.is_empty());
                let (message, endpoint) = match event.event.as_deref() {
                    None | Some("" | "message") => (data.map(Bytes::from), None),
                    Some("endpoint") => (None, data),
                    Some(_) => (None, None),
                };
                Ok(Event { id: event.id, retry: event.retry.map(Duration::from_millis), message, endpoint })
            }
            Err(sse_stream::Error::Body(cause)) => Err(match cause.downcast_ref() {
                Some(BodyError::TooLarge) => EventStreamError::Unreadable(cause.to_string()),
                _ => EventStreamError::Broken(cause.to_string()),
            }),
            Err(error) => Err(EventStreamError::Unreadable(error.to_string())),
        })
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("EventStream")
    }
}

/// Counts what the decoder holds of an event that is not whole, and ends the stream before that
/// grows past [`MESSAGE_LIMIT`].
struct Capped {
    bytes: Body,
    held: Arc<AtomicUsize>,
    line: Line,
}

/// Where in a line the bytes so far have ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    /// At the start, behind a CR that a LF may complete.
    AfterCarriageReturn,
    Within,
}

impl Capped {
    /// Bytes since the last blank line, which ends an event.
    fn hold(&mut self, chunk: &[u8]) -> usize {
        let mut held = self.held.load(Ordering::Relaxed) + chunk.len();
        let mut line_start = 0;
        for end in memchr::memchr2_iter(b'\n', b'\r', chunk) {
            if end > line_start {
                self.line = Line::Within;
            }
            line_start = end + 1;
            self.line = match (self.line, chunk[end]) {
                // CR LF ends one line, not two.
                (Line::AfterCarriageReturn, b'\n') => Line::Start,
                (Line::Within, b'\n') => Line::Start,
                (Line::Within, _) => Line::AfterCarriageReturn,
                (_, ending) => {
                    held = chunk.len() - line_start;
                    if ending == b'\r' { Line::AfterCarriageReturn } else { Line::Start }
                }
            };
        }
        if line_start < chunk.len() {
            self.line = Line::Within;
        }
        self.held.store(held, Ordering::Relaxed);
        held
    }
}

impl Stream for Capped {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.bytes.as_mut().poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &polled
            && self.hold(chunk) > MESSAGE_LIMIT
        {
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(chunks: &'static [&'static str]) -> EventStream {
        let chunks = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        EventStream::of(futures_util::stream::iter(chunks))
    }

    async fn events(chunks: &'static [&'static str]) -> Vec<Event> {
        let mut stream = stream(chunks);
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.unwrap());
        }
        events
    }

    #[tokio::test]
    async fn events_are_read_as_the_standard_says() {
        let found = events(&[
            "\u{feff}: hello\n\nid: 1\nretry: 500\ndata\n\n",
            "event: message\r\ndata: {\"a\":\r\ndata: 1}\r",
            "\n\r\n",
            "event: ping\ndata: x\n\nunknown: y\nno colon\ndata:z\n\ndata: cut",
        ])
        .await;
        let messages: Vec<_> = found.iter().map(|event| event.message.as_deref()).collect();
        assert_eq!(messages, [None, Some(&b"{\"a\":\n1}"[..]), None, Some(b"z")]);
        assert_eq!(found[0].id.as_deref(), Some("1"));
        assert_eq!(found[0].retry, Some(Duration::from_millis(500)));
    }

    #[tokio::test]
    async fn what_was_looked_at_stays_to_be_read() {
        let mut stream = stream(&["id: 1\nretry: 5\n\n", "data: a\n\n", "data: b\n\n"]);
        assert_eq!(stream.peek().await.as_deref(), Some(&b"a"[..]));
        let mut messages = Vec::new();
        while let Some(event) = stream.next().await {
            messages.push(event.unwrap().message);
        }
        assert_eq!(messages, [None, Some("a".into()), Some("b".into())]);
        assert_eq!(stream.peek().await, None);
    }

    #[tokio::test]
    async fn behind_an_endpoint_no_message_is_looked_for() {
        let mut stream = stream(&[": hi\n\nevent: endpoint\ndata: /m\n\n", "data: a\n\n"]);
        assert!(!stream.was_seen_to_open_sse());
        assert_eq!(stream.peek().await, None);
        assert!(stream.was_seen_to_open_sse());
        while stream.next().await.unwrap().unwrap().message.is_none() {}
    }

    #[test]
    fn blank_lines_give_the_room_back() {
        let bytes = Box::pin(futures_util::stream::empty());
        let mut capped = Capped { bytes, held: Arc::default(), line: Line::Start };
        for (chunk, held) in [
            ("data: abc", 9),
            ("\n", 10),
            ("\n", 0),
            ("a\r\n", 3),
            ("\r\n", 1),
            ("a\r", 3),
            ("\nb", 5),
            ("\r\rc", 1),
            ("\n: x\n\n", 0),
        ] {
            assert_eq!(capped.hold(chunk.as_bytes()), held, "{chunk:?}");
        }
    }

    #[tokio::test]
    async fn an_endless_event_is_cut_off() {
        let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
        let endless = futures_util::stream::repeat(chunk).map(Ok);
        let mut stream = EventStream::of(endless);
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
    }
}
