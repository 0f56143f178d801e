//! `mcp-front` keeps the OAuth login of a hosted MCP server and bridges it to hosts that start
//! local stdio servers.
//!
//! # Bird's-eye view
//!
//! A room imports from lower floors only, never sideways and never up, unless the table says so;
//! each outside package has one door. `tests/it/tidy.rs` holds this table against the code.
//!
//! | floor | room | what it is for |
//! |---|---|---|
//! | 6 | [`cli`], [`config`] | what the user typed and sees; settings resolved once into the rooms' own `Config` (`cli` may import `config`) |
//! | 5 | [`bridge`] | one stdio host: stdin and stdout around a relay session, until EOF or signal |
//! | 5 | [`demo`] | a loopback MCP endpoint with its own authorization server |
//! | 4 | [`relay`] | one host session on one service: pending requests, retries, session replay |
//! | 3 | [`authorizer`] | keeps a service's login: hands out what a request must carry, refreshes, logs in |
//! | 3 | [`upstream`] | one message out, replies back over Streamable HTTP |
//! | 2 | [`oauth`] | OAuth 2.1 as MCP profiles it: discovery, registration, authorization, grants; it asks and never stores |
//! | 2 | [`store`] | credential stores behind one trait, the journal and the index |
//! | 1 | [`stdio`], [`http`], [`web`], [`lock`], [`paths`], [`browser`] | newline-delimited messages; the configured client; the loopback listener; the cross-process lock; where things live; opening an address (`lock` may import `paths`) |
//! | 0 | [`jsonrpc`], [`challenge`], [`credential`], [`server_uri`], [`redact`] | sans-I/O nouns (`credential` may import `redact`, `server_uri` may import `redact`) |
//!
//! Each outside package that does more than extend the language has one door:
//!
//! | package | rooms that name it |
//! |---|---|
//! | `clap`, `tracing_subscriber`, `rustls`, `dialoguer`, `indicatif`, `comfy_table` | [`cli`] |
//! | `rmcp` | [`oauth`] for the login, [`demo`] for its server, [`upstream`] for the wire's constants |
//! | `oauth2` | [`oauth`] |
//! | `sse_stream` | [`upstream`] |
//! | `keyring`, `keyring_core`, `zbus_secret_service_keyring_store`, `aes_gcm` | [`store`] |
//! | `reqwest` | [`http`] |
//! | `axum` | [`web`], [`demo`] |
//! | `directories` | [`paths`] |
//! | `tempfile` | [`paths`], [`demo`] for its throw-away home |
//! | `strsim` | [`config`] |
//! | `webbrowser` | [`browser`] |
//! | `secrecy` | [`redact`] |

pub mod authorizer;
pub mod bridge;
pub mod browser;
pub mod challenge;
pub mod cli;
pub mod config;
pub mod credential;
pub mod demo;
pub mod http;
pub mod jsonrpc;
pub mod lock;
pub mod oauth;
pub mod paths;
pub mod redact;
pub mod relay;
pub mod server_uri;
pub mod stdio;
pub mod store;
pub mod upstream;
pub mod web;
