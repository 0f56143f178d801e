//! Opening an address in the person's browser.

use std::path::Path;

use url::Url;

/// Why no browser was opened.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The address is none for a browser: its scheme is neither `https` nor `http`.
    #[error("the scheme `{scheme}` is not opened in a browser")]
    Scheme {
        /// The scheme, safe to print.
        scheme: String,
    },
    /// No browser was found, or it did not start.
    #[error("no browser could be opened: {reason}")]
    NotOpened {
        /// What the platform said.
        reason: String,
    },
}

/// Opens `url` through `executable`'s hidden command `open-browser`.
///
/// # Errors
/// [`BrowserError`].
pub async fn open(_executable: &Path, _url: &Url) -> Result<(), BrowserError> {
    todo!()
}

/// The body of the hidden command `open-browser`: reads one address from stdin and opens it.
///
/// # Errors
/// [`BrowserError`].
pub fn run_child() -> Result<(), BrowserError> {
    todo!()
}
