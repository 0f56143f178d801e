//! The HTTP+SSE transport of the revision 2024-11-05 ("HTTP with SSE"): one event stream for all that
//! the server says, whose first event names the endpoint that the client's messages are POSTed to.
//!
//! That endpoint has to be of the stream's origin: the token goes there too. Its query or path names
//! the session, so it is a secret, and nothing here prints it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::streamable_http::{Answer, EventStream, Reply, StreamableHttp};
use crate::http::HttpError;
use crate::redact::{Known, printable};

/// How long the stream may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// How long the `endpoint` event may take: servers send it as soon as the stream opens.
const ENDPOINT_LIMIT: Duration = Duration::from_secs(5);
/// The longest endpoint that is taken, in bytes.
const ENDPOINT_LENGTH: usize = 8 * 1024;

/// An MCP endpoint of this transport.
#[derive(Debug, Clone, Copy)]
pub struct LegacySse<'a>(&'a StreamableHttp);

/// Where the messages of one stream's session are POSTed to.
#[derive(Clone)]
pub struct MessageEndpoint(Url);

/// Why a stream is not one of this transport.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It does not begin with an `endpoint` event: the server speaks something else, or is not well.
    #[error("its event stream names no endpoint for messages: {0}")]
    Missing(String),
    /// It names an endpoint that no message may go to.
    #[error("the endpoint that it names for messages is refused: {0}")]
    Refused(String),
}

impl<'a> LegacySse<'a> {
    /// The same address, client and headers as of `http`.
    pub fn new(http: &'a StreamableHttp) -> Self {
        Self(http)
    }

    /// Opens an event stream, which is a session of its own; `headers` carry authorization.
    ///
    /// # Errors
    /// As [`StreamableHttp::listen`], and [`HttpError::Timeout`] after 15 s.
    pub async fn open(&self, headers: HeaderMap) -> Result<Answer, HttpError> {
        let opening = self.0.listen(headers, None);
        // A server of another transport may hold the answer back until it has something to say.
        let late = || HttpError::Timeout { host: self.0.server().authority().to_owned() };
        tokio::time::timeout(OPEN_LIMIT, opening).await.unwrap_or_else(|_| Err(late()))
    }

    /// Reads the stream's first event. Comments and events of unknown kinds may come before it. The server
    /// may repeat what is `known` to it.
    ///
    /// # Errors
    /// [`EndpointError`], after 5 s at the latest.
    pub async fn endpoint(
        &self,
        stream: &mut EventStream,
        known: &Known,
    ) -> Result<MessageEndpoint, EndpointError> {
        let missing = |reason: &str| EndpointError::Missing(reason.to_owned());
        let base = stream.address().unwrap_or(self.0.server().as_url()).clone();
        let named = async {
            loop {
                let event = match stream.next().await {
                    None => return Err(missing("it ended")),
                    Some(Err(error)) => return Err(missing(&error.to_string())),
                    Some(Ok(event)) => event,
                };
                if let Some(reference) = event.endpoint {
                    return MessageEndpoint::resolve(&base, &reference, known);
                }
                if event.message.is_some() {
                    return Err(missing("a message came first"));
                }
            }
        };
        let late = || Err(missing("none came in time"));
        tokio::time::timeout(ENDPOINT_LIMIT, named).await.unwrap_or_else(|_| late())
    }

    /// Sends one message, whose answer comes on the stream; `headers` carry authorization.
    ///
    /// A refusal that says that the session is unknown is [`Reply::SessionGone`]; a success that is
    /// neither JSON nor an event stream is [`Reply::Accepted`], whatever it says.
    ///
    /// # Errors
    /// As [`StreamableHttp::post`].
    ///
    /// # Cancel safety
    /// As [`StreamableHttp::post`].
    pub async fn post(
        &self,
        endpoint: &MessageEndpoint,
        headers: HeaderMap,
        message: Bytes,
    ) -> Result<Answer, HttpError> {
        let mut answer = self.0.post_to(&endpoint.0, headers, message).await?;
        if matches!(&answer.reply, Reply::Rejected(rejection) if rejection.status.is_success()) {
            answer.reply = Reply::Accepted;
        }
        Ok(answer)
    }
}

impl MessageEndpoint {
    /// Reads the `endpoint` event's data, a URL or a reference relative to the stream's.
    fn resolve(stream: &Url, reference: &str, known: &Known) -> Result<Self, EndpointError> {
        let refused = |reason: String| Err(EndpointError::Refused(reason));
        if reference.len() > ENDPOINT_LENGTH {
            return refused(format!("it is longer than {ENDPOINT_LENGTH} bytes"));
        }
        let Ok(mut url) = stream.join(reference.trim()) else {
            return refused("it is not a URL".to_owned());
        };
        if url.origin() != stream.origin() {
            let origin = printable(&known.hide(&url.origin().ascii_serialization()));
            return refused(format!("it is at another origin ({origin}), where the token must not go"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it carries a user name or password".to_owned());
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Debug for MessageEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MessageEndpoint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Secret;

    #[test]
    fn an_endpoint_is_of_the_streams_origin_or_refused() {
        let stream = Url::parse("https://mcp.example.com/v1/sse?team=a").unwrap();
        let resolve = |reference: &str| MessageEndpoint::resolve(&stream, reference, &Known::default());
        for (reference, expected) in [
            ("/messages?sessionId=s", "https://mcp.example.com/messages?sessionId=s"),
            ("messages/?session_id=s", "https://mcp.example.com/v1/messages/?session_id=s"),
            ("?sessionId=s", "https://mcp.example.com/v1/sse?sessionId=s"),
            ("../m/s", "https://mcp.example.com/m/s"),
            (" /messages/s ", "https://mcp.example.com/messages/s"),
            ("https://MCP.example.com:443/m?s#x", "https://mcp.example.com/m?s"),
            ("//mcp.example.com/m", "https://mcp.example.com/m"),
        ] {
            assert_eq!(resolve(reference).unwrap().0.as_str(), expected, "{reference}");
        }
        for reference in [
            "https://evil.example/m?sessionId=s",
            "//evil.example/m",
            "http://mcp.example.com/m",
            "https://mcp.example.com:8443/m",
            "https://mcp.example.com.evil.example/m",
            "https://mcp.example.com@evil.example/m",
            "https://user:password@mcp.example.com/m",
            "\\\\evil.example/m",
            "data:text/plain,x",
            "javascript:alert(1)",
            "https://",
        ] {
            let error = resolve(reference).expect_err(reference);
            assert!(matches!(error, EndpointError::Refused(_)), "{reference}: {error}");
        }
        assert!(resolve(&"x".repeat(ENDPOINT_LENGTH + 1)).is_err());
    }

    #[test]
    fn nothing_prints_it() {
        let stream = Url::parse("https://mcp.example.com/sse").unwrap();
        let sent = Known::new([&Secret::from("Sk-Canary")]);
        let endpoint = MessageEndpoint::resolve(&stream, "/m?sessionId=canary", &sent).unwrap();
        assert_eq!(format!("{endpoint:?}"), "MessageEndpoint");
        for reference in ["http://evil.example/m?sessionId=canary", "https://Sk-Canary.example/m"] {
            let error = MessageEndpoint::resolve(&stream, reference, &sent).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
