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
    /// The product's own name, for people.
    pub title: &'static str,
    /// The MCP endpoint.
    pub endpoint: &'static str,
    /// The authorization endpoint, where discovery finds no authorization server metadata.
    pub authorization_endpoint: &'static str,
    /// The token endpoint, likewise.
    pub token_endpoint: &'static str,
    /// Where a person creates the OAuth client that the service demands; one step a line.
    pub client_instructions: &'static str,
}

/// Front (<https://front.com>): no dynamic registration, a confidential client, HTTP Basic.
const FRONT: Preset = Preset {
    name: "front",
    title: "Front",
    endpoint: "https://mcp.frontapp.com/mcp",
    authorization_endpoint: "https://app.frontapp.com/oauth/authorize",
    token_endpoint: "https://app.frontapp.com/oauth/token",
    client_instructions: "\
Front wants an OAuth client of your own. In Front: Settings → Developers → Create app,
add the feature OAuth, give it feature access to \"MCP Server\" only, and enter the redirect URI
shown below. Then copy the client id and secret from there.",
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
