//! `status` word by word, against oidc-provider and a server as Front is described.

use crate::support::bridge::Bridge;
use crate::support::browser::Browser;
use crate::support::home::Home;
use crate::support::node::{Node, NodeServer};
use crate::support::service::{NAME, Service};
use crate::support::snapshot::assert_snapshot;

/// Takes `status`, its JSON and the short one in `home`, with `bridge` running on the one service there.
/// `origins` are masked.
fn assert_status(name: &str, home: &Home, origins: &[(&str, &str)], bridge: &Bridge) {
    let pid = bridge.process.id().to_string();
    let host = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).expect("a name");
    let host = host.trim_end();
    let shown = (format!("pid {pid}, started by {host},"), "pid <pid>, started by <host>,");
    let members = (format!("\"pid\": {pid}"), "\"pid\": <pid>");
    let member = (format!("\"host\": \"{host}\""), "\"host\": \"<host>\"");
    let bridge = [&shown, &members, &member].map(|(found, mask)| (found.as_str(), *mask));
    let masks = [&bridge[..], origins].concat();
    for (arguments, file) in
        [(&["status"][..], "status.txt"), (&["status", NAME, "--json"], "status.json"), (&[], "short.txt")]
    {
        let text = home.run(arguments).expect(0).stdout;
        assert_snapshot(&format!("{name}-{file}"), &text, home, &masks);
    }
}

/// An authorization server that nobody here wrote.
#[test]
fn status_of_oidc_provider() {
    let Some(node) = Node::installed() else { return };
    let server = NodeServer::start(node.fixture("authorization-server.mjs"));
    let browser = Browser::consenting();
    let home = Home::with_file_store().with("BROWSER", browser.executable());
    home.run(["login", &server.url, "--name", NAME]).expect(0);
    let mut bridge = Bridge::start(&home, &[NAME]);
    bridge.initialize();
    home.run(["refresh", NAME, "--force"]).expect(0);
    let origin = server.url.trim_end_matches("/mcp");
    assert_status("oidc-provider", &home, &[(origin, "<server>")], &bridge);
}

/// A server as Front is described: a confidential client, `expires_at`, a refresh token that stays.
#[test]
fn status_of_a_service_like_front() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    service.home.run(["refresh", NAME, "--force"]).expect(0);
    let (server, issuer) = (service.server.origin(), service.authorization.issuer());
    let origins = [(server.as_str(), "<server>"), (&issuer, "<authorization-server>")];
    assert_status("front-like", &service.home, &origins, &bridge);
}
