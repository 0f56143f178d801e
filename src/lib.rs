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
//! | 5 | [`doctor`] | what keeps a bridge from working, check by check |
//! | 4 | [`relay`] | one host session on one service: pending requests, retries, session replay, the eras of both sides and what is translated between them |
//! | 3 | [`authorizer`] | keeps a service's login: hands out what a request must carry, refreshes, logs in |
//! | 3 | [`upstream`] | one message out, replies back: Streamable HTTP, and the HTTP+SSE transport before it |
//! | 2 | [`oauth`] | OAuth 2.1 as MCP profiles it: discovery, registration, authorization, grants; it asks and never stores |
//! | 2 | [`store`] | credential stores behind one trait, the journal and the index |
//! | 1 | [`stdio`], [`http`], [`web`], [`lock`], [`paths`], [`browser`], [`signals`] | newline-delimited messages; the configured client; the loopback listener; the cross-process lock, and which bridges run; where things live; opening an address; requests to end (`lock` may import `paths`) |
//! | 0 | [`clock`], [`failpoint`], [`dumps`] | the time of day; where tests end the process, in no release; no pictures of its memory |
//! | 0 | [`jsonrpc`], [`challenge`], [`credential`], [`server_uri`], [`redact`], [`hex`], [`wire`] | sans-I/O nouns (`credential` may import `redact`, `credential` may import `hex`, `server_uri` may import `redact`, `server_uri` may import `hex`) |
//!
//! Each outside package that does more than extend the language has one door:
//!
//! | package | rooms that name it |
//! |---|---|
//! | `clap`, `tracing_subscriber`, `indicatif`, `comfy_table`, `unicode_width` | [`cli`] |
//! | `rustls` | [`cli`] for its provider, [`http`] for its errors |
//! | `rmcp` | [`oauth`] for the login, [`demo`] for its server |
//! | `oauth2` | [`oauth`] |
//! | `sse_stream` | [`upstream`] |
//! | `keyring`, `keyring_core`, `zbus_secret_service_keyring_store`, `secret_service`, `aes_gcm` | [`store`] |
//! | `reqwest`, `h2` | [`http`] |
//! | `axum` | [`web`], [`demo`] |
//! | `directories` | [`paths`] |
//! | `tempfile` | [`paths`], [`demo`] for its throw-away home |
//! | `strsim` | [`config`] |
//! | `webbrowser` | [`browser`] |
//! | `secrecy` | [`redact`] |
//! | `shlex` | [`authorizer`] |
//!
//! # A message's journey
//!
//! stdin → [`stdio::Reader::next`] → [`jsonrpc::Message`] (bytes and routing head) →
//! [`relay::Session`] (registers a request as pending, asks the authorizer what it must carry) →
//! [`upstream`] (headers, POST) → [`upstream::streamable_http::Reply`] → the session settles the
//! pending id → bounded channel → [`stdio::Writer`], sole owner of stdout.
//!
//! Two eras of MCP are live: a session that begins with `initialize` (2025-11-25 and earlier), and
//! requests that say for themselves what they need (2026-07-28). The host's era is seen from its
//! frames, the server's from its answers to them, which are remembered for a day. Where both are of
//! one era, frames pass through; where they differ, the relay translates: it changes the members that
//! must change, at their byte offsets, and none else. A host that opens with `initialize` gets that
//! by itself; one of 2026-07-28 falls back to `initialize`, or is served by a translation with a
//! session beneath it where that is asked for ([`relay::Conversation`]). A host that comes before
//! there is a login is answered in the server's place, until the server can speak for itself. After a
//! break in which a server may have told of a change, the host is told that the lists may be other ones. A
//! session that takes a lost one's place hears again what the host had asked of that: its own `initialize`,
//! its subscriptions and the level of the log.
//!
//! # A token's journey
//!
//! [`authorizer::Authorizer::authorize`] → in memory, fresh, and the index's generation unchanged:
//! used. Otherwise a short-lived process of this same binary takes the service's lock → reads the
//! store again (authoritative) → journals → asks the token endpoint that the login bound → merges →
//! saves → reads back → clears the journal → unlocks, and hands the access token back over a pipe.
//! While the token at hand is good no request waits for that: it happens behind the request, or
//! before one comes, for as long as the session lasts. A 401 takes the same way, once, and once more
//! behind a login that was made for it. A login takes it from the other end, under the same lock. A
//! record that is bound elsewhere than the index knows is refused: whoever can write to a keychain can
//! put one there.
//!
//! # Invariants
//!
//! 1. The bytes of a frame are never rewritten, but for raw newlines between tokens, and for the members
//!    that the other side's revision has otherwise.
//! 2. Every request that the host has not cancelled gets exactly one response: the server's, or
//!    ours with its own id and id type. Nothing is dropped silently.
//! 3. stdout carries messages and nothing else; all talk is on stderr.
//! 4. Everything is bounded: channels, lines, events, bodies, timeouts, retries. A slow reader slows
//!    the server.
//! 5. Retrying lives in the relay. A request that the server may have executed is never sent again.
//! 6. A cancellation reaches the server, in its own dialect.
//! 7. At EOF what is pending has two seconds to finish, the session ends, exit 0. No orphans, except
//!    a refresh that is not saved yet and a login with its browser open, each with a deadline.
//! 8. A credential is written by whoever holds the service's lock, and by nobody else: the lock is
//!    in the type of every write.
//! 9. A secret has one exit a use, and is in no argument, log, error text or `Debug`.

pub mod authorizer;
pub mod bridge;
pub mod browser;
pub mod challenge;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credential;
pub mod demo;
pub mod doctor;
pub mod dumps;
pub mod failpoint;
pub mod hex;
pub mod http;
pub mod jsonrpc;
pub mod lock;
pub mod oauth;
pub mod paths;
pub mod redact;
pub mod relay;
pub mod server_uri;
pub mod signals;
pub mod stdio;
pub mod store;
pub mod upstream;
pub mod web;
pub mod wire;
