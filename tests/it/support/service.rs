//! A hosted service as the product meets it: a guarded MCP endpoint, its authorization server, and
//! a person's home and browser.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use mcp_front::credential::Kind;
use mcp_front::lock::{Purpose, ServiceLock};
use mcp_front::paths::Paths;
use mcp_front::redact::SecretSlice;
use mcp_front::server_uri::{ServerUri, ServiceKey};
use mcp_front::store::index::Index;
use mcp_front::store::{JournalEntry, KeySource, Patience, Store, StoreConfig, StoreKind};
use serde_json::Value;
use url::Url;

use super::DEADLINE;
use super::authorization_server::{AuthorizationServer, CLIENT_ID, CLIENT_SECRET};
use super::bridge::Bridge;
use super::browser::Browser;
use super::clock::Clock;
use super::failpoint::{self, Failpoint};
use super::home::{Home, Outcome, write_private};
use super::kept_login::run;
use super::keychain::Session;
use super::mcp_server::{McpServer, Setup};
use super::process::Process;
use super::terminal::Terminal;

/// The name under which the tests log in.
pub(crate) const NAME: &str = "service";

/// A service and the person who uses it.
pub(crate) struct Service {
    pub(crate) authorization: AuthorizationServer,
    pub(crate) server: McpServer,
    pub(crate) browser: Browser,
    pub(crate) home: Home,
    login: Vec<String>,
}

impl Service {
    /// Dynamic registration; the person consents, and nobody has logged in yet.
    pub(crate) fn new() -> Self {
        let authorization = AuthorizationServer::start();
        let server = McpServer::guarded_by(&authorization);
        Self::of(authorization, server, Home::with_file_store())
    }

    /// As Front is described, with the client's secret in a file.
    pub(crate) fn front_like() -> Self {
        Self::front_like_in(Home::with_file_store())
    }

    /// The same, in this home.
    pub(crate) fn front_like_in(home: Home) -> Self {
        let authorization = AuthorizationServer::front_like();
        let server = McpServer::start(Setup {
            authorization: Some(authorization.clone()),
            scope: Some("feature:mcp"),
            resource_is_origin: true,
            ..Setup::default()
        });
        let mut service = Self::of(authorization, server, home);
        let secret = service.home.path().join("client-secret");
        write_private(&secret, CLIENT_SECRET);
        let secret = secret.to_string_lossy().into_owned();
        service.login = ["--client-id", CLIENT_ID, "--client-secret-file", &secret].map(str::to_owned).into();
        service
    }

    /// Logins go into `session`'s keychain.
    pub(crate) fn in_keychain(session: &Session) -> Self {
        let authorization = AuthorizationServer::start();
        let server = McpServer::guarded_by(&authorization);
        Self::of(authorization, server, session.home())
    }

    pub(crate) fn of(authorization: AuthorizationServer, server: McpServer, home: Home) -> Self {
        let browser = Browser::consenting();
        let home = home.with("BROWSER", browser.executable());
        Self { authorization, server, browser, home, login: Vec::new() }
    }

    /// As [`logged_in`](Self::logged_in), with a clock that the test moves.
    pub(crate) fn with_clock() -> (Self, Clock) {
        let (service, clock) = Self::with_clock_in(Home::with_file_store());
        service.login(&[]).expect(0);
        service.browser.opened();
        (service, clock)
    }

    /// As [`new`](Self::new), in this home, with a clock that the test moves.
    pub(crate) fn with_clock_in(home: Home) -> (Self, Clock) {
        let authorization = AuthorizationServer::start();
        let server = McpServer::guarded_by(&authorization);
        let (home, clock) = Clock::in_home(home);
        (Self::of(authorization, server, home), clock)
    }

    /// As [`new`](Self::new), after a login.
    pub(crate) fn logged_in() -> Self {
        let service = Self::new();
        service.login(&[]).expect(0);
        service.browser.opened();
        service
    }

    /// The same with a person who looks at the page and does nothing until the test does.
    pub(crate) fn watched(mut self) -> Self {
        self.browser = Browser::watching();
        self.home = self.home.with("BROWSER", self.browser.executable());
        self
    }

    /// As [`logged_in`](Self::logged_in), with an access token that has ended since.
    pub(crate) fn with_expired_token() -> Self {
        let service = Self::logged_in();
        run(service.let_pass(SignedDuration::from_hours(2)));
        service
    }

    /// As [`logged_in`](Self::logged_in), with an access token that every process finds due for
    /// renewal, and that is good for three minutes yet.
    pub(crate) fn with_token_in_its_last_minutes() -> Self {
        let service = Self::logged_in();
        run(service.let_pass(SignedDuration::from_mins(57)));
        service
    }

    /// Where the login is kept.
    pub(crate) fn kept(&self) -> (Paths, Store, ServiceKey) {
        let paths = Paths::resolve(Some(self.home.path())).expect("an absolute path");
        let store = Store::open(StoreConfig {
            kind: StoreKind::File,
            paths: paths.clone(),
            encryption_key: Some(KeySource::File(self.home.key_file())),
        });
        let server = ServerUri::parse(&self.server.url(), false).expect("a URL");
        (paths, store, ServiceKey::new("default", &server))
    }

    /// Leaves the stored login as if it had been killed between the journal and the record.
    pub(crate) async fn cut_off_login(&self) {
        let (paths, store, key) = self.kept();
        let login = store.load(&key, Patience::Person).await.expect("a store").expect("a login");
        let lock = ServiceLock::try_acquire(&paths, &key, Purpose::Refresh)
            .expect("a lock file")
            .expect("nobody else");
        let index = Index::open(paths);
        let (lock, erased) = store.erase(lock, Patience::Person).await;
        assert!(erased.expect("the store takes it"));
        let lock = lock.back().expect("the lock comes back");
        index.remove(&lock).expect("no entry");
        let held = JournalEntry::AnswerHeld { succeeds: None, at: Timestamp::now(), kind: login.kind };
        store.write_journal(lock, held, Patience::Person).await.1.expect("the store takes it");
    }

    /// Leaves a refresh's answer in the journal, sealed with another key than the login.
    pub(crate) async fn leave_foreign_journal(&self) {
        let (paths, store, key) = self.kept();
        let login = store.load(&key, Patience::Person).await.expect("a store").expect("a login");
        // A refresh that has answered may still be clearing up.
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let lock = ServiceLock::acquire(&paths, &key, Purpose::Refresh, deadline).await.expect("the lock");
        let encryption_key = Some(KeySource::Inline(SecretSlice::from([b'k'; 32].to_vec())));
        let store = Store::open(StoreConfig { kind: StoreKind::File, paths, encryption_key });
        let (succeeds, at) = (Some(login.generation), Timestamp::now());
        let held = JournalEntry::AnswerHeld { succeeds, at, kind: login.kind };
        store.write_journal(lock, held, Patience::Person).await.1.expect("the store takes it");
    }

    /// Moves all times of the stored login back.
    async fn let_pass(&self, span: SignedDuration) {
        let (paths, store, key) = self.kept();
        let mut credential = store.load(&key, Patience::Person).await.expect("a store").expect("a login");
        if let Kind::Oauth(login) = &mut credential.kind {
            let times = [&mut login.access_token.obtained_at, &mut login.logged_in_at];
            let optional = [&mut login.access_token.expires_at, &mut login.refresh_token_obtained_at];
            for time in times.into_iter().chain(optional.into_iter().flatten()) {
                *time -= span;
            }
        }
        let lock = ServiceLock::try_acquire(&paths, &key, Purpose::Refresh)
            .expect("a lock file")
            .expect("nobody else");
        let (lock, saved) = store.save(lock, credential.kind, Patience::Person).await;
        let credential = saved.expect("the store takes it");
        let index = Index::open(paths);
        let identity = index.get(&key).expect("a readable entry").expect("an entry").identity;
        index.repair(&lock.back().expect("the lock comes back"), identity, &credential).expect("an entry");
    }

    /// The service's lock, as soon as nobody else has it.
    pub(crate) async fn lock(&self) -> ServiceLock {
        let (paths, _, key) = self.kept();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        ServiceLock::acquire(&paths, &key, Purpose::Refresh, deadline).await.expect("the lock")
    }

    /// The arguments of `login` for this service.
    pub(crate) fn login_arguments(&self, more: &[&str]) -> Vec<String> {
        let start = ["login".to_owned(), self.server.url(), "--name".to_owned(), NAME.to_owned()];
        start
            .into_iter()
            .chain(self.login.iter().cloned())
            .chain(more.iter().map(|&word| word.to_owned()))
            .collect()
    }

    /// Runs `login` to its end.
    pub(crate) fn login(&self, more: &[&str]) -> Outcome {
        self.home.run(self.login_arguments(more))
    }

    /// Starts `login`, and returns it with the page that it opens.
    pub(crate) fn waiting_login(&self, more: &[&str]) -> (Process, Url) {
        let process = Process::start(&mut self.home.command(self.login_arguments(more)));
        (process, self.browser.opened())
    }

    /// Starts `login` where there is no browser, and returns it with the address that it prints.
    pub(crate) fn printed_login(&self, more: &[&str]) -> (Terminal, Url) {
        let arguments = self.login_arguments(&[&["--no-browser"], more].concat());
        let terminal = Terminal::start(&self.home, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let opened = terminal.printed_url(&format!("{}/authorize?", self.authorization.issuer()));
        (terminal, opened)
    }

    /// Starts the bridge.
    pub(crate) fn bridge(&self) -> Bridge {
        Bridge::start(&self.home, &[NAME])
    }

    /// Starts the bridge, of whose processes the first one that reaches the point dies there.
    pub(crate) fn bridge_with(&self, failpoint: &Failpoint) -> Bridge {
        let mut command = self.home.command(["bridge", NAME, "--strict"]);
        command.env(failpoint::VARIABLE, failpoint.value());
        Bridge::spawn(command)
    }

    /// Starts one that refuses a host while there is no login.
    pub(crate) fn strict_bridge(&self) -> Bridge {
        Bridge::start(&self.home, &[NAME, "--strict"])
    }

    /// The service's index entry as it lies there.
    pub(crate) fn entry_file(&self) -> PathBuf {
        let (paths, _, key) = self.kept();
        paths.services().join(format!("{key}.json"))
    }

    /// The service's row in `tokens list --json`.
    pub(crate) fn row(&self) -> Value {
        let listed = self.home.run(["tokens", "list", "--json"]).expect(0).stdout;
        let rows: Value = serde_json::from_str(&listed).expect("JSON");
        rows[0].clone()
    }
}
