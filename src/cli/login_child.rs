//! `mcp-front login-child`: hidden; a login that outlives the bridge which asked for it.
//!
//! It asks nothing: there is a browser, and perhaps nobody at a terminal.

use super::Context;
use super::failure::Failure;
use crate::authorizer::login::{self, LoginChild};

/// Takes a request from stdin and answers on stdout.
///
/// # Errors
/// Where stdin holds no request. A login that fails is told on stdout.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let child = LoginChild {
        paths: context.settings.paths()?,
        encryption_key: context.settings.encryption_key(),
        http: context.settings.network.http_config(&context.environment)?,
        children: super::children(context)?,
    };
    login::run_login_child(child).await.map_err(|error| Failure::Helper(error.into()))
}
