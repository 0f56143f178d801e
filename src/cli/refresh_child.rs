//! `mcp-front refresh-child`: hidden; the short-lived process in which a bridge's token is renewed.

use super::Context;
use super::failure::Failure;
use crate::authorizer::{self, RefreshChild};

/// Takes a request from stdin and answers on stdout.
///
/// # Errors
/// Where stdin holds no request.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let child = RefreshChild {
        paths: context.settings.paths()?,
        encryption_key: context.settings.encryption_key(),
        http: context.settings.network.http_config(&context.environment)?,
    };
    authorizer::run_refresh_child(child)
        .await
        .map_err(|source| Failure::Io { doing: "take a refresh request from stdin", source })
}
