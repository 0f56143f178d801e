//! `mcp-front login-child`: hidden; a login that outlives the bridge which asked for it.
//!
//! It asks nothing: there is a browser, and perhaps nobody at a terminal.

use super::failure::Failure;
use crate::authorizer::login;

/// Takes a request from stdin and answers on stdout.
///
/// # Errors
/// Where stdin holds no request, or the login failed.
pub(super) async fn run() -> Result<(), Failure> {
    login::run_child().await.map_err(|error| Failure::Helper(error.into()))
}
