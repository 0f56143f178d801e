//! What a person should know about where a secret is kept, beyond the place.

use std::path::Path;
use std::time::Duration;

use crate::authorizer::Commands;
use crate::redact::printable;
use crate::server_uri::ServerUri;
use crate::store::StoreKind;

/// What to know while another process has the service's lock.
pub(super) fn waiting(limit: Duration) -> String {
    format!(
        "Another mcp-front is renewing or changing this login; waiting up to {} s for it.\n",
        limit.as_secs()
    )
}

/// What to know where the address of a service seems to hold a key.
pub(super) fn key_in_address(server: &ServerUri) -> String {
    let Some(name) = server.credential_in_query() else { return String::new() };
    format!(
        "warning: `{}` in the address looks like a key, and addresses are kept in the clear.\n\
         Where the service takes it in a header, leave it out of the address, and give the bridge\n\
         `--header 'NAME: ${{VARIABLE}}'` instead.\n",
        printable(&name)
    )
}

/// What to know where what was stored moved, and `store` still holds something of before.
pub(super) fn left_behind(store: StoreKind, commands: &Commands) -> String {
    let command = commands.delete_from(store);
    format!(
        "The store `{store}` could not be cleared: what it holds of before stays there.\n\
         {command} removes it once it can.\n"
    )
}

/// What to know where the encrypted files' key was made just now, at `path`.
pub(super) fn generated_key(path: &Path) -> String {
    format!(
        "The files' key was made beside them: {}\n\
         It protects copies that are made without it (a backup, a synced folder), and not \
         against programs that run as you. MCP_FRONT_ENCRYPTION_KEY_FILE can name another.\n",
        printable(&path.display().to_string())
    )
}
