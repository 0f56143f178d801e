//! I18: what the environment says of the network holds on every leg.

use crate::support::bridge::Bridge;
use crate::support::connect_proxy::{ConnectProxy, PASSWORD, free_of_password};
use crate::support::service::NAME;
use crate::support::tls_service::TlsService;

/// Every leg goes through the proxy, of either kind: the endpoint, discovery, registration and tokens, in
/// this process and in those that refresh and log in; its password is never told.
#[test]
fn i18_every_leg_goes_through_the_proxy() {
    for url in [ConnectProxy::url, ConnectProxy::socks_url] {
        every_leg_goes_through(url);
    }
}

fn every_leg_goes_through(url: fn(&ConnectProxy, &str) -> String) {
    let (mut service, proxy) = TlsService::behind_a_proxy("mcp.test", "auth.test");
    service.home = service.home.with("https_proxy", url(&proxy, PASSWORD)).with("MCP_FRONT_LOG", "trace");
    service.authorization.publish_revocation();
    let arguments = service.login_arguments(&["--log-format", "json"]);
    free_of_password(service.home.run(arguments).expect(0));
    assert_eq!(service.browser.tabs(), 1);
    assert!(proxy.asked_for("mcp.test") > 0 && proxy.asked_for("auth.test") > 0, "{:?}", proxy.asked());

    let before = proxy.asked_for("auth.test");
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = Bridge::start(&service.home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "through"), "through");
    assert_eq!(service.authorization.refreshes(), 1);
    assert!(proxy.asked_for("auth.test") > before, "the refresh goes through it too");

    service.authorization.revoke_grants();
    service.authorization.refuse_issued_access_tokens();
    let before = proxy.asked_for("auth.test");
    let mut other = Bridge::start(&service.home, &[NAME, "--login"]);
    other.initialize();
    assert_eq!(other.echo(1, "again"), "again");
    assert_eq!(service.browser.tabs(), 1, "the login's own process opened it");
    assert!(proxy.asked_for("auth.test") > before, "that login goes through it too");
    for bridge in [&mut bridge, &mut other] {
        bridge.close_stdin();
        bridge.wait();
        assert!(!bridge.process.stderr.text().contains(PASSWORD));
    }

    let before = proxy.asked_for("auth.test");
    free_of_password(service.home.run(["logout", NAME]).expect(0));
    assert_eq!(service.authorization.revocations().len(), 2);
    assert!(proxy.asked_for("auth.test") > before, "the revocation goes through it too");
    let files = service.home.files();
    assert!(files.iter().all(|(_, content)| !String::from_utf8_lossy(content).contains(PASSWORD)));
}

/// What `NO_PROXY` names is reached without the proxy, and so not at all here.
#[test]
fn i18_exceptions_are_reached_directly() {
    let (mut service, proxy) = TlsService::behind_a_proxy("mcp.test", "auth.test");
    service.home = service.home.with("ALL_PROXY", proxy.url(PASSWORD)).with("NO_PROXY", "other.test, .test");
    let outcome = free_of_password(service.home.run(service.login_arguments(&[])).expect(3));
    assert!(outcome.stderr.contains("mcp.test"), "{}", outcome.stderr);
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
}

/// The variable that other programs know means the same on every leg, and is the platform's own business.
#[test]
fn i18_the_platform_s_own_variable_for_authorities_holds_on_every_leg() {
    let mut service = TlsService::on_loopback(None);
    service.authorization.publish_revocation();
    service.home.run(service.login_arguments(&[])).expect(3);
    service.home = service.home.with("SSL_CERT_FILE", service.authority.roots());
    service.home.run(service.login_arguments(&[])).expect(0);
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = Bridge::start(&service.home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "trusted"), "trusted");
    assert_eq!(service.authorization.refreshes(), 1, "the refreshing process trusts it as well");
    service.home.run(["logout", NAME]).expect(0);
    assert_eq!(service.authorization.revocations().len(), 2);
}

/// A root that the platform does not know is trusted where a flag or a variable names it, by the
/// helper processes too; without it nothing is sent.
#[test]
fn i18_a_private_authority_is_trusted_where_it_is_named() {
    let service = TlsService::on_loopback(None);
    service.authorization.publish_revocation();
    let outcome = service.home.run(service.login_arguments(&[])).expect(3);
    assert!(outcome.stderr.contains("--ca-file"), "{}", outcome.stderr);
    assert!(service.server.requests().is_empty());

    let roots = service.authority.roots();
    let named = service.login_arguments(&["--ca-file", &roots]);
    let outcome = service.home.run(named).expect(0);
    let entry = format!("MCP_FRONT_CA_FILE={roots}");
    assert!(outcome.stderr.contains(&entry), "the host's entry names it: {}", outcome.stderr);
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = Bridge::start(&service.home, &[NAME, "--ca-file", &roots]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "trusted"), "trusted");
    assert_eq!(service.authorization.refreshes(), 1, "the refreshing process trusts it as well");

    let mut bridge = Bridge::start(&service.home, &[NAME]);
    let answer = bridge.initialize();
    assert_eq!(answer["error"]["data"]["reason"], "unreachable", "{answer}");
    assert_eq!(answer["error"]["data"]["mayHaveExecuted"], false, "{answer}");
    assert!(answer["error"]["message"].to_string().contains("--ca-file"), "{answer}");

    service.home.run(["logout", NAME, "--ca-file", &roots]).expect(0);
    assert_eq!(service.authorization.revocations().len(), 2, "its revocation trusts it too");
}
