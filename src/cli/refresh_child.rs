//! `mcp-front refresh-child`: hidden; the short-lived process in which a bridge's token is renewed.

use super::Context;
use super::failure::Failure;
use crate::authorizer::{self, RefreshChild};
use crate::redact::with_causes;

/// Takes a request from stdin and answers on stdout.
///
/// # Errors
/// Where stdin holds no request. What keeps the token from being renewed is told on stdout.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    authorizer::run_refresh_child(child(context).map_err(|failure| with_causes(&failure)))
        .await
        .map_err(|source| Failure::Io { doing: "take a refresh request from stdin", source })
}

/// What a refresh needs: files that the bridge found at its start may be gone by now.
fn child(context: &Context) -> Result<RefreshChild, Failure> {
    Ok(RefreshChild {
        paths: context.settings.paths()?,
        encryption_key: context.settings.encryption_key(),
        http: context.settings.network.http_config(&context.environment)?,
    })
}
