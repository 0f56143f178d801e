//! Services that are known without being stored.
//!
//! A preset fills in what a service's metadata may fail to say; discovery always wins over its
//! endpoints.

use crate::server_uri::ServerUri;

/// What is built in about one service.
#[derive(Debug)]
pub struct Preset {
    /// The name to type.
    pub name: &'static str,
    /// The MCP endpoint.
    pub endpoint: &'static str,
    /// The authorization endpoint, where discovery finds no authorization server metadata.
    pub authorization_endpoint: &'static str,
    /// The token endpoint, likewise.
    pub token_endpoint: &'static str,
    /// The callback's port: its client is registered by hand, so the redirect URI has to stay.
    pub callback_port: u16,
    /// Where a person creates the OAuth client that the service demands.
    pub client_instructions: &'static str,
    /// What ends a login of it that was not revoked, as a clause.
    pub revocation_note: &'static str,
    /// How many months a refresh token lives, as far as is known, where the server does not say.
    pub refresh_token_months: i32,
    /// What is known of how its refresh tokens live and end, and what is not; whole sentences.
    pub login_ends: &'static str,
    /// What to know before a static token is stored for it.
    pub token_note: &'static str,
}

/// Front (<https://front.com>): no dynamic registration, a confidential client, HTTP Basic.
const FRONT: Preset = Preset {
    name: "front",
    endpoint: "https://mcp.frontapp.com/mcp",
    authorization_endpoint: "https://app.frontapp.com/oauth/authorize",
    token_endpoint: "https://app.frontapp.com/oauth/token",
    callback_port: 41789,
    client_instructions: "\
Front wants an OAuth client of your own, made once:
  1. In Front, open Settings > Developers and create an app.
  2. Add the feature OAuth to it, with feature access to \"MCP Server\" and nothing else.
  3. Enter this redirect URL:",
    revocation_note: "to end the login itself, an admin of Front removes the app's authorization in Front's \
                      settings",
    refresh_token_months: 6,
    login_ends: "\
Front gives a refresh token about 6 months. A refresh returns the same one until near its end; the next one \
goes to whoever refreshes then, within its last 24 hours by one report. There is no address for revoking: an \
admin removes the app's authorization in Front's settings. Whether removing the seat or changing its password \
ends the login is not public.",
    token_note: "Front's MCP server takes no API tokens at present; `mcp-front login front` is the way in.",
};

const PRESETS: [&Preset; 1] = [&FRONT];

/// The preset of this name.
pub fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.into_iter().find(|preset| preset.name == name)
}

/// The preset of this endpoint.
pub fn at(server: &ServerUri) -> Option<&'static Preset> {
    PRESETS.into_iter().find(|preset| preset.endpoint == server.as_str())
}

/// The names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.into_iter().map(|preset| preset.name)
}
