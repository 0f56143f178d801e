//! The demo's listener: port 0 on 127.0.0.1, served until it is told to end.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::endpoints::{self, Shared};
use super::grants::Tally;

/// How long open connections have to end once the server was told to.
const CLOSING: Duration = Duration::from_millis(250);

/// A running server; dropping it ends it.
pub(super) struct Server {
    shared: Arc<Shared>,
    access_life: Duration,
    ending: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Binds a free loopback port and serves there; access tokens are good for `access_life`.
    ///
    /// # Errors
    /// Where no loopback port can be bound.
    pub(super) async fn start(access_life: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let shared = Arc::new(Shared::new(listener.local_addr()?.to_string(), access_life));
        let ending = CancellationToken::new();
        let router = endpoints::router(Arc::clone(&shared), ending.clone());
        let told = ending.clone().cancelled_owned();
        // Without it an event stream waits for the client's delayed acknowledgement of its headers.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let serving = axum::serve(listener, router).with_graceful_shutdown(told);
        Ok(Self { shared, access_life, ending, task: tokio::spawn(serving.into_future()) })
    }

    /// The MCP endpoint's URL.
    pub(super) fn endpoint(&self) -> &str {
        &self.shared.resource
    }

    /// The authorization server's issuer, which is the origin of all pages.
    pub(super) fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// How long an access token is good.
    pub(super) fn access_life(&self) -> Duration {
        self.access_life
    }

    /// What the server has seen so far.
    pub(super) fn tally(&self) -> Tally {
        self.shared.grants().tally()
    }

    /// When the newest access token expires; `None` before the first.
    pub(super) fn newest_expiry(&self) -> Option<Instant> {
        self.shared.grants().newest_expiry()
    }

    /// Ends all sessions and stops listening, without waiting for slow clients.
    pub(super) async fn stop(mut self) {
        self.ending.cancel();
        // An outcome of the listener is of no interest any more.
        let _ = tokio::time::timeout(CLOSING, &mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.cancel();
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
