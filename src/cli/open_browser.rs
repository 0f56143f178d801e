//! `mcp-front open-browser`: hidden; opens one address, with none of the login's secrets in reach.

use super::failure::Failure;
use crate::browser;

/// Opens the address on stdin.
///
/// # Errors
/// Where it is no address for a browser, or none could be opened.
pub(super) fn run() -> Result<(), Failure> {
    browser::run_child().map_err(|error| Failure::Helper(error.into()))
}
