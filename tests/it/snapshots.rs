//! `status`, `doctor` and `logout` word by word, against oidc-provider and a server as Front is
//! described.

use crate::support::bridge::Bridge;
use crate::support::browser::Browser;
use crate::support::home::Home;
use crate::support::node::{Node, NodeServer};
use crate::support::service::{NAME, Service};
use crate::support::snapshot::assert_snapshot;

/// A login as an operator looks at it, from its prime to its end.
struct Watched<'a> {
    /// What its snapshots begin with.
    name: &'a str,
    home: &'a Home,
    /// What is masked: where its servers are.
    origins: &'a [(&'a str, &'a str)],
}

impl Watched<'_> {
    /// Takes what each command says, with a bridge running on the login, and after the logout.
    fn assert_told(&self) {
        let mut bridge = Bridge::start(self.home, &[NAME]);
        bridge.initialize();
        self.home.run(["refresh", NAME, "--force"]).expect(0);
        self.assert_status(&bridge);
        drop(bridge);
        self.assert_output("doctor.txt", &["doctor", NAME], 0);
        self.assert_output("doctor.json", &["doctor", NAME, "--json"], 0);
        let logout = self.home.run(["logout", NAME]).expect(0);
        self.assert_snapshot("logout.txt", &logout.stderr, &[]);
        let again = self.home.run(["logout", NAME]).expect(0);
        self.assert_snapshot("logout-again.txt", &again.stderr, &[]);
    }

    /// Takes `status`, its JSON and the short one.
    fn assert_status(&self, bridge: &Bridge) {
        let pid = bridge.process.id().to_string();
        let host = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).expect("a name");
        let host = host.trim_end();
        let shown = (format!("pid {pid}, started by {host},"), "pid <pid>, started by <host>,");
        let members = (format!("\"pid\": {pid}"), "\"pid\": <pid>");
        let member = (format!("\"host\": \"{host}\""), "\"host\": \"<host>\"");
        let masks = [&shown, &members, &member].map(|(found, mask)| (found.as_str(), *mask));
        for (file, arguments) in [
            ("status.txt", &["status"][..]),
            ("status.json", &["status", NAME, "--json"]),
            ("short.txt", &[]),
        ] {
            self.assert_snapshot(file, &self.home.run(arguments).expect(0).stdout, &masks);
        }
    }

    fn assert_output(&self, file: &str, arguments: &[&str], code: i32) {
        self.assert_snapshot(file, &self.home.run(arguments).expect(code).stdout, &[]);
    }

    fn assert_snapshot(&self, file: &str, text: &str, masks: &[(&str, &str)]) {
        let masks = [masks, self.origins].concat();
        assert_snapshot(&format!("{}-{file}", self.name), text, self.home, &masks);
    }
}

/// An authorization server that nobody here wrote.
#[test]
fn what_is_told_of_oidc_provider() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("authorization-server.mjs"));
    let browser = Browser::consenting();
    let home = Home::with_file_store().with("BROWSER", browser.executable());
    home.run(["login", &server.url, "--name", NAME]).expect(0);
    let origin = server.url.trim_end_matches("/mcp");
    Watched { name: "oidc-provider", home: &home, origins: &[(origin, "<server>")] }.assert_told();
}

/// A server as Front is described: a confidential client, `expires_at`, a refresh token that stays.
#[test]
fn what_is_told_of_a_service_like_front() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    let (server, issuer) = (service.server.origin(), service.authorization.issuer());
    let origins = [(server.as_str(), "<server>"), (&issuer, "<authorization-server>")];
    Watched { name: "front-like", home: &service.home, origins: &origins }.assert_told();
}

/// What an operator finds once the provider has ended the login.
#[test]
fn what_is_told_of_a_login_that_has_ended() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    service.authorization.revoke_grants();
    service.home.run(["refresh", NAME, "--force"]).expect(4);
    let (server, issuer) = (service.server.origin(), service.authorization.issuer());
    let origins = [(server.as_str(), "<server>"), (&issuer, "<authorization-server>")];
    let ended = Watched { name: "front-like-ended", home: &service.home, origins: &origins };
    ended.assert_output("status.txt", &["status", NAME], 4);
    ended.assert_output("short.txt", &[], 0);
    ended.assert_output("doctor.txt", &["doctor", NAME], 1);
    ended.assert_output("doctor.json", &["doctor", NAME, "--json"], 1);
}
