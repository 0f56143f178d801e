//! The one loopback HTTP listener: it waits for a browser to come back from a login (RFC 8252
//! §7.3, §8.3).
//!
//! It listens on loopback only, on the redirect URI's own port, and never elsewhere: a pinned port
//! that is taken is an error, since the code would reach whoever holds it. A request counts as a
//! visit only if it is a GET for the redirect URI's path with a loopback `Host` (so that no other
//! name leads here) and without `Origin` (which a followed redirect never carries). Everything
//! else gets 400, and so does every visit but the one that is answered.

mod page;
mod socket;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use http::{Method, header};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use url::Url;
use zeroize::Zeroizing;

pub use page::{Page, Policy, escape};
use socket::{Heard, Sockets};

/// The longest query of a visit, in bytes.
const QUERY_LIMIT: usize = 16 * 1024;
/// How long a connection may take to bring a request.
const HEARING_LIMIT: Duration = Duration::from_secs(5);
/// How many visits wait to be looked at.
const VISIT_LIMIT: usize = 16;
/// How long [`CallbackListener::close`] waits for answers to be written.
const CLOSING_LIMIT: Duration = Duration::from_secs(1);

/// Why no callback can be listened for.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Somebody else listens on the pinned port. It is never moved: a code could go astray.
    #[error("port {port} is taken by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The redirect URI does not lead to this machine's loopback in plain http.
    #[error("`{redirect_uri}` does not lead to this machine")]
    NotLoopback {
        /// The redirect URI.
        redirect_uri: Url,
    },
    /// The system gave no port.
    #[error("cannot listen on loopback")]
    Io(#[from] io::Error),
}

/// Listens for a browser that comes back from a login. Dropping it stops listening at once.
#[derive(Debug)]
pub struct CallbackListener {
    redirect_uri: Url,
    visits: mpsc::Receiver<Visit>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

impl CallbackListener {
    /// Whether `redirect_uri` is one that a listener can serve: plain http on loopback.
    pub fn serves(redirect_uri: &Url) -> bool {
        redirect_uri.scheme() == "http" && socket::loopback_addresses(redirect_uri).is_some()
    }

    /// Listens where `redirect_uri` points; port 0 takes a free one. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// [`WebError`].
    pub fn bind(redirect_uri: &Url) -> Result<Self, WebError> {
        Self::listen(redirect_uri, HEARING_LIMIT)
    }

    fn listen(redirect_uri: &Url, hearing_limit: Duration) -> Result<Self, WebError> {
        let not_loopback = || WebError::NotLoopback { redirect_uri: redirect_uri.clone() };
        if !Self::serves(redirect_uri) {
            return Err(not_loopback());
        }
        let addresses = socket::loopback_addresses(redirect_uri).ok_or_else(not_loopback)?;
        let listeners = socket::listen(&addresses).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                WebError::PortTaken { port: redirect_uri.port_or_known_default().unwrap_or(0) }
            }
            _ => WebError::Io(error),
        })?;
        let sockets = Sockets::new(listeners, hearing_limit)?;
        let port = sockets.port()?;
        let mut redirect_uri = redirect_uri.clone();
        redirect_uri.set_port(Some(port)).map_err(|()| not_loopback())?;

        let (visits_in, visits) = mpsc::channel(VISIT_LIMIT);
        let (stop, stopped) = oneshot::channel::<()>();
        let door = Arc::new(Door { path: redirect_uri.path().to_owned(), port, visits: visits_in });
        let app = Router::new().fallback(receive).with_state(door);
        let serve = axum::serve(sockets, app.into_make_service_with_connect_info::<Heard>());
        // Dropping the sender resolves the receiver just as sending does.
        let serve = serve.with_graceful_shutdown(async move { drop(stopped.await) });
        let serving = tokio::spawn(serve.into_future());
        Ok(Self { redirect_uri, visits, stop: Some(stop), serving })
    }

    /// The redirect URI with the port that is listened on.
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// Waits for the next visit; `None` once listening has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Visit> {
        self.visits.recv().await
    }

    /// Stops listening at once. Visits in hand can still be answered; those that wait get 400.
    pub fn settle(&mut self) {
        self.stop = None;
        self.visits.close();
        while self.visits.try_recv().is_ok() {}
    }

    /// Stops listening and waits, for a second at most, until what was answered is written.
    pub async fn close(mut self) {
        self.settle();
        if tokio::time::timeout(CLOSING_LIMIT, &mut self.serving).await.is_err() {
            tracing::debug!("a browser did not take its answer");
        }
    }
}

/// One request that came to the redirect URI's path. Dropped without an answer, it gets 400.
pub struct Visit {
    query: Zeroizing<String>,
    answer: oneshot::Sender<Page>,
}

impl fmt::Debug for Visit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Visit").finish_non_exhaustive()
    }
}

impl Visit {
    /// The request's query, without its question mark. It may hold a code.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Answers with a page; a browser that has gone away is no matter.
    pub fn answer(self, page: Page) {
        drop(self.answer.send(page));
    }
}

/// What a request must match to come in.
struct Door {
    path: String,
    port: u16,
    visits: mpsc::Sender<Visit>,
}

impl Door {
    /// The query of a request that is a visit, or why it is none.
    fn query<'a>(&self, request: &'a Request) -> Result<&'a str, &'static str> {
        let uri = request.uri();
        if request.method() != Method::GET {
            return Err("This address is opened by a browser, with GET.");
        }
        if uri.authority().is_some() || !self.is_host(request) {
            return Err("This address belongs to this computer alone.");
        }
        if request.headers().contains_key(header::ORIGIN) {
            return Err("Another page may not call this address.");
        }
        if uri.path() != self.path {
            return Err("There is nothing at this address.");
        }
        let query = uri.query().unwrap_or_default();
        if query.len() > QUERY_LIMIT { Err("The address is too long.") } else { Ok(query) }
    }

    /// Exactly one `Host`, and a loopback one with our port: a foreign name that was made to
    /// resolve to this machine is refused.
    fn is_host(&self, request: &Request) -> bool {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(url) = Url::parse(&format!("http://{}/", host.to_str().unwrap_or("?"))) else { return false };
        url.port_or_known_default() == Some(self.port)
            && url.path() == "/"
            && url.username().is_empty()
            && url.query().is_none()
            && socket::loopback_addresses(&url).is_some()
    }
}

async fn receive(
    State(door): State<Arc<Door>>,
    ConnectInfo(heard): ConnectInfo<Heard>,
    request: Request,
) -> Response {
    heard.set();
    let query = match door.query(&request) {
        Ok(query) => Zeroizing::new(query.to_owned()),
        Err(reason) => return page::refusal(reason),
    };
    let (answer, answered) = oneshot::channel();
    let over = "This login is over, or was never yours.";
    if door.visits.try_send(Visit { query, answer }).is_err() {
        return page::refusal(over);
    }
    match answered.await {
        Ok(page) => page.into_response(),
        Err(_) => page::refusal(over),
    }
}

#[cfg(test)]
mod tests;
