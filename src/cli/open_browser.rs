//! `mcp-front open-browser`: for no person; opens one address, with none of the login's secrets in reach.

use std::error::Error;

use crate::browser;

/// Opens the address on stdin.
///
/// # Errors
/// Where it is no address for a browser, or none could be opened.
pub(super) fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(browser::run_child()?)
}
