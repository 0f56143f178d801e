//! A stored login without the journey that leads to it: the record is written as a login would
//! write it, and authorizers of this process keep it, with the real binary as their helper.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use mcp_front::authorizer::{
    Authorization, Authorizer, AuthorizerError, Children, Commands, Config, Given, LoginPolicy, Program,
    Subject,
};
use mcp_front::credential::{
    AccessToken, Binding, Client, ClientAuthentication, Credential, Kind, OauthCredential, Registration,
};
use mcp_front::http;
use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::paths::Paths;
use mcp_front::redact::Secret;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::index::{Entry, EntryKind, Identity, Index};
use mcp_front::store::{JournalEntry, Patience, Store, StoreConfig, StoreKind};
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::time::Instant;

use super::DEADLINE;
use super::authorization_server::AuthorizationServer;
use super::home::BINARY;
use super::processes::{self, Seen};

/// The service's address; nothing in these tests connects to it.
const SERVER: &str = "https://mcp.example/mcp";
const CLIENT: &str = "client";

/// A home with one login in it, and the authorization server that it is bound to.
pub(crate) struct KeptLogin {
    pub(crate) authorization: AuthorizationServer,
    pub(crate) key: ServiceKey,
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) paths: Paths,
    pub(crate) home: TempDir,
    kind: StoreKind,
}

impl KeptLogin {
    /// A login in the given store whose access token has `left` seconds of an hour left.
    pub(crate) async fn new(kind: StoreKind, left: i64) -> Self {
        let kept = Self::empty(kind);
        kept.save(kept.oauth(left)).await;
        kept
    }

    /// A home without a login.
    pub(crate) fn empty(kind: StoreKind) -> Self {
        let home = tempfile::Builder::new().prefix("mcp-front-test-").tempdir().expect("a directory");
        let paths = Paths::resolve(Some(home.path())).expect("an absolute path");
        let server = ServerUri::parse(SERVER, false).expect("a URL");
        Self {
            authorization: AuthorizationServer::with_grant(CLIENT, SERVER),
            key: ServiceKey::new("default", &server),
            store: Store::open(StoreConfig { kind, paths: paths.clone(), encryption_key: None }),
            index: Index::open(paths.clone()),
            paths,
            home,
            kind,
        }
    }

    /// A process's authorizer.
    pub(crate) fn authorizer(&self) -> Authorizer {
        let environment = [
            ("HOME", self.home.path().as_os_str().to_owned()),
            ("MCP_FRONT_HOME", self.home.path().as_os_str().to_owned()),
        ];
        let server = ServerUri::parse(SERVER, false).expect("a URL");
        Authorizer::new(Config {
            http: http::Client::new(http::Config::default(), &server),
            server,
            profile: "default".to_owned(),
            name: Some("service".to_owned()),
            commands: Commands::new(
                Program::new(BINARY.as_ref(), [], false),
                Subject {
                    target: "service".to_owned(),
                    name: None,
                    profile: "default".to_owned(),
                    store: self.kind,
                    is_stored: true,
                    kind: EntryKind::Oauth,
                    given: Given::default(),
                },
            ),
            store: StoreConfig { kind: self.kind, paths: self.paths.clone(), encryption_key: None },
            login: LoginPolicy::Never,
            keep_alive: false,
            children: Children::new(
                PathBuf::from(BINARY),
                environment.map(|(name, value)| (name.into(), value)),
            ),
        })
    }

    /// A login as the authorization server knows it.
    pub(crate) fn oauth(&self, left: i64) -> Kind {
        let expires_at = Timestamp::now() + SignedDuration::from_secs(left);
        let obtained_at = expires_at - SignedDuration::from_hours(1);
        let (access_token, refresh_token) = self.authorization.tokens(self.authorization.rotations());
        let oauth = OauthCredential {
            binding: Binding {
                issuer: None,
                token_endpoint: format!("{}/token", self.authorization.issuer()).parse().expect("a URL"),
                revocation_endpoint: None,
                resource: Some(SERVER.to_owned()),
            },
            client: Client {
                id: CLIENT.to_owned(),
                secret: None,
                authentication: ClientAuthentication::None,
                registration: Registration::Dynamic,
                redirect_uri: "http://127.0.0.1/callback".to_owned(),
            },
            scopes: vec!["read".to_owned()],
            access_token: AccessToken {
                value: Secret::from(access_token),
                obtained_at,
                expires_at: Some(expires_at),
            },
            refresh_token: Some(Secret::from(refresh_token)),
            refresh_token_obtained_at: Some(obtained_at),
            refresh_token_expires_at: None,
            logged_in_at: obtained_at,
            ended: None,
        };
        Kind::Oauth(Box::new(oauth))
    }

    /// Saves a record and its index entry, as a login does.
    pub(crate) async fn save(&self, kind: Kind) {
        let (lock, saved) = self.store.save(self.lock().await, kind, Patience::Person).await;
        let credential = saved.expect("the store takes it");
        self.index
            .repair(&lock.back().expect("the lock comes back"), self.identity(), &credential)
            .expect("an entry");
    }

    /// Leaves a journal entry behind, as a process that was killed does.
    pub(crate) async fn leave_journal(&self, entry: JournalEntry) {
        let written = self.store.write_journal(self.lock().await, entry, Patience::Person).await;
        written.1.expect("the store takes it");
    }

    /// What the journal holds.
    pub(crate) async fn journal(&self) -> Option<JournalEntry> {
        self.store.journal(&self.lock().await, Patience::Person).await.expect("a readable journal")
    }

    /// The access token after so many rotations.
    pub(crate) fn access_token(&self, rotations: usize) -> String {
        self.authorization.tokens(rotations).0
    }

    /// The refresh token after so many rotations.
    pub(crate) fn refresh_token(&self, rotations: usize) -> String {
        self.authorization.tokens(rotations).1
    }

    /// The stored login.
    pub(crate) async fn record(&self) -> Option<Credential> {
        self.store.load(&self.key, Patience::Person).await.expect("a readable record")
    }

    /// The refresh token in the stored login.
    pub(crate) async fn stored_refresh_token(&self) -> String {
        use mcp_front::redact::ExposeSecret as _;
        match self.record().await.expect("a record").kind {
            Kind::Oauth(oauth) => oauth.refresh_token.expect("a refresh token").expose_secret().to_owned(),
            Kind::Token(_) => panic!("a static token is stored"),
        }
    }

    /// The index's entry.
    pub(crate) fn entry(&self) -> Entry {
        self.index.get(&self.key).expect("a readable entry").expect("an entry")
    }

    /// The service's lock, as soon as nobody else has it.
    pub(crate) async fn lock(&self) -> ServiceLock {
        let deadline = Instant::now() + DEADLINE;
        ServiceLock::acquire(&self.paths, &self.key, Purpose::Refresh, deadline).await.expect("the lock")
    }

    /// The refreshing process, by its environment.
    pub(crate) fn helper(&self) -> Pid {
        refreshing_process(self.home.path())
    }

    fn identity(&self) -> Identity {
        let server = ServerUri::parse(SERVER, false).expect("a URL");
        Identity::new("service", "default", &server, self.kind)
    }
}

/// The token that a request carries; empty for a bare one.
pub(crate) fn carried(authorization: &Authorization) -> String {
    let mut headers = ::http::HeaderMap::new();
    authorization.apply(&mut headers);
    let value = headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
    value.unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

/// Runs a test on a runtime like the bridge's.
pub(crate) fn run(test: impl Future<Output = ()>) {
    // Whoever comes second finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// The refreshing process of a home.
pub(crate) fn refreshing_process(home: &Path) -> Pid {
    refreshing_processes(home).pop().expect("a refresh is under way")
}

/// All of them, by their arguments and their environment.
pub(crate) fn refreshing_processes(home: &Path) -> Vec<Pid> {
    refreshes_with(&format!("MCP_FRONT_HOME={}", home.display()))
}

/// The same, of the processes that have the variable.
pub(crate) fn refreshes_with(variable: &str) -> Vec<Pid> {
    let is_refresh =
        |seen: &&Seen| seen.arguments.split(|byte| *byte == 0).any(|word| word == b"refresh-child");
    processes::with_variable(variable)
        .iter()
        .filter(is_refresh)
        .filter_map(|seen| Pid::from_raw(seen.id))
        .collect()
}

/// Waits until something holds that nothing announces.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come about");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Why a login is required, and the command that helps; fails the test where none is.
pub(crate) fn login_required(outcome: Result<Authorization, AuthorizerError>) -> (String, String) {
    match outcome {
        Err(AuthorizerError::LoginRequired { reason, command }) => (reason, command.as_str().to_owned()),
        other => panic!("no login is required: {other:?}"),
    }
}
