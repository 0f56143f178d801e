//! Opening an address in the person's browser.
//!
//! The address was put together from what a server named, so it is looked at once more: `https` or
//! `http` and nothing else is opened, as one argument and never through a shell (MCP security best
//! practices, "Authorization URL"). The browser is started by a helper process of our own binary,
//! whose environment its maker has rid of secrets, for a browser hands its environment on; the
//! address reaches the helper on its stdin.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use url::Url;

use crate::dumps;
use crate::redact::printable;

/// The hidden command that opens a browser.
pub const SUBCOMMAND: &str = "open-browser";

/// How long the helper may take to report a failure. A launcher that stays for longer has found a
/// browser.
const VERDICT_LIMIT: Duration = Duration::from_secs(3);
/// The longest address, in bytes.
const ADDRESS_LIMIT: usize = 64 * 1024;
/// The longest reason, in bytes.
const REASON_LIMIT: u64 = 4096;

/// Why no browser was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
        /// What the platform said, safe to print.
        reason: String,
    },
}

/// Opens `url` through `helper`, which is the hidden command [`SUBCOMMAND`], not started yet.
///
/// # Errors
/// [`BrowserError`].
///
/// # Cancel safety
/// Dropping the future leaves a helper that has the address to its own end.
pub async fn open(helper: Command, url: &Url) -> Result<(), BrowserError> {
    check(url)?;
    let failed = |error: io::Error| BrowserError::NotOpened { reason: printable(&error.to_string()) };
    let mut helper = tokio::process::Command::from(helper);
    helper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = dumps::lifted(|| helper.spawn()).map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(url.as_str().as_bytes()).await.map_err(failed)?;
    }
    let stdout = child.stdout.take();
    match tokio::time::timeout(VERDICT_LIMIT, child.wait()).await {
        Err(_) => {
            tokio::spawn(async move { child.wait().await });
            Ok(())
        }
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(_)) => {
            let mut reason = String::new();
            if let Some(stdout) = stdout {
                // What cannot be read is not said.
                let _ = BufReader::new(stdout.take(REASON_LIMIT)).read_line(&mut reason).await;
            }
            let reason = if reason.is_empty() { "the helper failed" } else { reason.trim_end() };
            Err(BrowserError::NotOpened { reason: printable(reason) })
        }
        Ok(Err(error)) => Err(failed(error)),
    }
}

/// The body of the hidden command: reads one address from stdin and opens it; on stdout goes why it
/// could not be opened, as one line. Blocks for as long as the platform's launcher does.
///
/// # Errors
/// [`BrowserError`].
pub fn run_child() -> Result<(), BrowserError> {
    let opened = open_given();
    if let Err(BrowserError::NotOpened { reason }) = &opened {
        // Whoever asked may have left.
        let _ = writeln!(io::stdout(), "{reason}");
    }
    opened
}

fn open_given() -> Result<(), BrowserError> {
    let failed = |reason: String| BrowserError::NotOpened { reason: printable(&reason) };
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(ADDRESS_LIMIT as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() > ADDRESS_LIMIT {
        return Err(too_long());
    }
    let url = Url::parse(text.trim()).map_err(|error| failed(error.to_string()))?;
    check(&url)?;
    if has_nowhere_to_show() {
        return Err(failed("this session has no display".to_owned()));
    }
    dumps::lifted(|| webbrowser::open(url.as_str())).map_err(|error| failed(error.to_string()))
}

/// Whether no browser can have a window here. A launcher tells neither in time nor at all: it starts
/// what is installed and leaves.
fn has_nowhere_to_show() -> bool {
    // A browser of the person's own choice may need none, and Windows around a WSL has its own.
    let ways = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME", "WSL_INTEROP"];
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "linux") && !ways.into_iter().any(is_set)
}

fn too_long() -> BrowserError {
    BrowserError::NotOpened { reason: "the address is longer than 64 KiB".to_owned() }
}

fn check(url: &Url) -> Result<(), BrowserError> {
    if url.as_str().len() > ADDRESS_LIMIT {
        return Err(too_long());
    }
    match url.scheme() {
        "https" | "http" if url.host().is_some() => Ok(()),
        scheme => Err(BrowserError::Scheme { scheme: printable(scheme) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_opened() {
        for (address, opened) in [
            ("https://as.example/authorize?a=$(touch%20pwn)", true),
            ("http://127.0.0.1:1/", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("file:///etc/passwd", false),
            ("vbscript:x", false),
            ("ssh://as.example/", false),
            ("ms-msdt:/id", false),
            ("mailto:x@as.example", false),
        ] {
            assert_eq!(check(&Url::parse(address).unwrap()).is_ok(), opened, "{address}");
        }
    }

    #[test]
    fn an_address_that_is_too_long_is_refused_whole() {
        let address = |length: usize| {
            let start = "https://as.example/?";
            Url::parse(&format!("{start}{}", "x".repeat(length - start.len()))).unwrap()
        };
        check(&address(ADDRESS_LIMIT)).unwrap();
        assert_eq!(check(&address(ADDRESS_LIMIT + 1)).unwrap_err(), too_long());
    }
}
