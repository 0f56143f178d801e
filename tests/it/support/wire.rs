//! A wire between a bridge and a real server, on loopback, which a test can cut.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use url::Url;

use super::connect_proxy::listen;

/// The running wire. It ends with the test's process.
pub(crate) struct Wire {
    url: Url,
    cut: Arc<Notify>,
}

impl Wire {
    /// Leads to the server of `url`, an address on loopback with a port.
    pub(crate) fn to(url: &str) -> Self {
        let url = Url::parse(url).expect("a URL");
        let port = url.port().expect("a port");
        Self::start(url, move || Some(port))
    }

    /// Leads to the server whose URL stands in `file` by then.
    pub(crate) fn to_the_one_named_in(file: PathBuf) -> Self {
        let named = move || Url::parse(&std::fs::read_to_string(&file).ok()?).ok()?.port();
        Self::start(Url::parse("http://127.0.0.1/").expect("a URL"), named)
    }

    fn start(mut url: Url, port: impl Fn() -> Option<u16> + Send + 'static) -> Self {
        let cut = Arc::<Notify>::default();
        let cuts = Arc::clone(&cut);
        let address = listen(move |mut stream| {
            let (cut, port) = (Arc::clone(&cuts).notified_owned(), port());
            async move {
                let Some(port) = port else { return };
                let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                tokio::select! {
                    () = cut => {}
                    _gone = copy_bidirectional(&mut stream, &mut far) => {}
                }
            }
        });
        url.set_port(Some(address.port())).expect("an address with a port");
        Self { url, cut }
    }

    /// The server's URL at this end.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Cuts every connection that there is; new ones lead to the server again.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }
}
