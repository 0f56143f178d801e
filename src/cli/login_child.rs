//! `mcp-front login-child`: for no person; a login that outlives the bridge which asked for it.
//!
//! It asks nothing: there is a browser, and perhaps nobody at a terminal.

use std::error::Error;

use super::Context;
use super::failure::Failure;
use crate::authorizer::login::{self, LoginChild};
use crate::redact::with_causes;

/// Takes a request from stdin and answers on stdout.
///
/// # Errors
/// Where stdin holds no request. A login that fails is told on stdout.
pub(super) async fn run(context: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let child = child(context).map_err(|failure| with_causes(&failure));
    Ok(login::run_login_child(child).await?)
}

/// What a login needs: files that the bridge found at its start may be gone by now.
fn child(context: &Context) -> Result<LoginChild, Failure> {
    Ok(LoginChild {
        paths: context.settings.paths()?,
        encryption_key: context.settings.encryption_key(),
        http: context.settings.network.http_config(&context.environment)?,
        children: super::children(context)?,
    })
}
