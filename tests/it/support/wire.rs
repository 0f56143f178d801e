//! A wire between a bridge and a real server, on loopback, which a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use url::Url;

use super::connect_proxy::listen;

/// The running wire. It ends with the test's process.
pub(crate) struct Wire {
    url: String,
    cut: Arc<Notify>,
}

impl Wire {
    /// Leads to the server of `url`, an address on loopback with a port.
    pub(crate) fn to(url: &str) -> Self {
        let mut near = Url::parse(url).expect("a URL");
        let port = near.port().expect("a port");
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let cut = Arc::<Notify>::default();
        let cuts = Arc::clone(&cut);
        let address = listen(move |mut stream| {
            let cut = Arc::clone(&cuts).notified_owned();
            async move {
                let Ok(mut far) = TcpStream::connect(server).await else { return };
                tokio::select! {
                    () = cut => {}
                    _gone = copy_bidirectional(&mut stream, &mut far) => {}
                }
            }
        });
        near.set_port(Some(address.port())).expect("an address with a port");
        Self { url: near.into(), cut }
    }

    /// The server's URL at this end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts every connection that there is; new ones lead to the server again.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }
}
