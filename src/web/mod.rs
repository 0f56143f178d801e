//! The one loopback HTTP listener.

use std::io;

use url::Url;

mod page;

pub use page::Page;

/// Why no callback can be listened for.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Somebody else listens on the pinned port. It is never moved: a code could go astray.
    #[error("port {port} is taken by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The system gave no port.
    #[error("cannot listen on loopback")]
    Io(#[from] io::Error),
}

/// Listens for one callback on loopback.
#[derive(Debug)]
pub struct CallbackListener {}

/// One request that came to the callback's path.
#[derive(Debug)]
pub struct Visit {}

#[allow(clippy::todo)]
impl CallbackListener {
    /// Whether `redirect_uri` is one that this listener can serve: plain http on loopback.
    pub fn serves(_redirect_uri: &Url) -> bool {
        todo!()
    }

    /// Listens where `redirect_uri` points; port 0 takes a free one.
    ///
    /// # Errors
    /// [`WebError`].
    pub fn bind(_redirect_uri: &Url) -> Result<Self, WebError> {
        todo!()
    }

    /// The redirect URI with the port that is listened on.
    pub fn redirect_uri(&self) -> &Url {
        todo!()
    }

    /// Waits for the next request that came to the callback's path. Cancel-safe.
    pub async fn next(&mut self) -> Visit {
        todo!()
    }

    /// Stops listening at once; visits in hand can still be answered.
    pub fn settle(&mut self) {
        todo!()
    }

    /// Stops listening and waits, for a second at most, until what was answered is written.
    pub async fn close(self) {
        todo!()
    }
}

#[allow(clippy::todo)]
impl Visit {
    /// The request's query, without its question mark.
    pub fn query(&self) -> &str {
        todo!()
    }

    /// Answers with a page.
    pub fn answer(self, _page: &Page) {
        todo!()
    }
}
