//! `mcp-front refresh-child`: for no person; the short-lived process in which a bridge's token is renewed.

use std::error::Error;

use super::Context;
use super::failure::Failure;
use crate::authorizer::{self, RefreshChild};
use crate::redact::with_causes;

/// Takes a request from stdin and answers on stdout.
///
/// # Errors
/// Where stdin holds no request. What keeps the token from being renewed is told on stdout.
pub(super) async fn run(context: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let child = child(context).map_err(|failure| with_causes(&failure));
    Ok(authorizer::run_refresh_child(child).await?)
}

/// What a refresh needs: files that the bridge found at its start may be gone by now.
fn child(context: &Context) -> Result<RefreshChild, Failure> {
    Ok(RefreshChild {
        paths: context.settings.paths()?,
        encryption_key: context.settings.encryption_key(),
        http: context.settings.network.http_config(&context.environment)?,
    })
}
