//! How requests leave this machine: proxies, certificates of the user's own, cookies, and the
//! addresses that a public service may name.

use std::path::Path;

use serde_json::json;

use crate::support::bridge::Bridge;
use crate::support::connect_proxy::PASSWORD;
use crate::support::connect_proxy::free_of_password;
use crate::support::home::write_private;
use crate::support::service::{NAME, Service};
use crate::support::tls::{Authority, TlsFront};
use crate::support::tls_service::TlsService;

/// A file that was there when the bridge started, and is gone when a helper needs it: the request's error
/// names it, and so does the start of the next bridge.
#[test]
fn a_file_that_went_away_is_told_to_the_request() {
    let service = Service::logged_in();
    let other = Service::new();
    let authority = Authority::new();
    let roots = authority.roots();
    let mut bridge = Bridge::start(&service.home, &[NAME, "--ca-file", &roots]);
    bridge.initialize();
    let url = other.server.url();
    let mut waiting = Bridge::start(&other.home, &[&url, "--login", "--strict", "--ca-file", &roots]);
    waiting.send("no message");
    assert_eq!(waiting.message()["error"]["code"], -32700, "it has started");
    std::fs::remove_file(&roots).expect("a file");

    service.authorization.refuse_issued_access_tokens();
    let answer = bridge.call(1, "tools/list", json!({}));
    assert_eq!(answer["error"]["data"]["reason"], "unavailable", "{answer}");
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains(&format!("cannot read {roots}: No such file")), "{message}");
    let answer = waiting.initialize();
    assert_eq!(answer["error"]["data"]["reason"], "login_required", "{answer}");
    assert!(answer.to_string().contains(&format!("cannot read {roots}: No such file")), "{answer}");
    let refused = service.home.run(["bridge", NAME, "--ca-file", &roots]).expect(2);
    assert!(refused.stderr.contains(&format!("cannot read {roots}")), "{}", refused.stderr);
}

/// A proxy that refuses, and one that is none, are told without their passwords; nothing goes
/// around them.
#[test]
fn a_proxy_that_does_not_serve_is_told_without_its_password() {
    let (mut service, proxy) = TlsService::behind_a_proxy("mcp.test", "auth.test");
    service.home = service.home.with("HTTPS_PROXY", proxy.url(&format!("x{PASSWORD}")));
    let outcome = free_of_password(service.home.run(service.login_arguments(&["-vvv"])).expect(3));
    assert!(outcome.stderr.contains("proxy"), "{}", outcome.stderr);
    let mut bridge = Bridge::start(&service.home, &[&service.url]);
    let answer = bridge.initialize();
    assert_eq!(answer["error"]["data"]["reason"], "unreachable", "{answer}");
    assert!(!answer.to_string().contains(PASSWORD), "{answer}");

    service.home = service.home.with("HTTPS_PROXY", format!("quic://u:{PASSWORD}@127.0.0.1:1"));
    let outcome = free_of_password(service.home.run(service.login_arguments(&[])).expect(2));
    assert!(outcome.stderr.contains("HTTPS_PROXY"), "{}", outcome.stderr);
    assert!(service.server.requests().is_empty());
}

/// The user's certificate goes to the endpoint's origin, its metadata included, and to nobody else.
#[test]
fn a_client_certificate_is_shown_to_the_endpoint_alone() {
    let clients = Authority::new();
    let service = TlsService::on_loopback(Some(&clients));
    let issued = clients.issue("agent");
    let (certificate, key) = (shown(&issued.certificate), shown(&issued.key));
    let roots = service.authority.roots();
    let trusting = service.login_arguments(&["--ca-file", &roots]);
    service.home.run(trusting).expect(3);
    assert!(service.server.requests().is_empty(), "without a certificate nobody gets in");

    let flags = ["--ca-file", &roots, "--client-cert", &certificate, "--client-key", &key];
    let outcome = service.home.run(service.login_arguments(&flags)).expect(0);
    assert!(outcome.stderr.contains(&format!("MCP_FRONT_CLIENT_KEY={key}")), "{}", outcome.stderr);
    let mut home = service.home;
    for (name, value) in [
        ("MCP_FRONT_CA_FILE", &roots),
        ("MCP_FRONT_CLIENT_CERT", &certificate),
        ("MCP_FRONT_CLIENT_KEY", &key),
    ] {
        home = home.with(name, value.as_str());
    }
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = Bridge::start(&home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "known"), "known");
    let at_endpoint = service.endpoint.shown();
    assert!(at_endpoint.len() >= 3 && at_endpoint.iter().all(|shown| *shown), "{at_endpoint:?}");
    assert!(service.issuer.shown().iter().all(|shown| !shown), "{:?}", service.issuer.shown());
}

/// An authorization server that could ask for it does not get the certificate either.
#[test]
fn another_origin_does_not_get_the_client_certificate() {
    let clients = Authority::new();
    let service = TlsService::on_loopback(None);
    let curious =
        TlsFront::start("localhost", service.authorization.address(), &service.authority, Some(&clients));
    let origin = format!("https://localhost:{}", curious.address().port());
    service.authorization.call_itself(&origin);
    service.server.name_authorization_server(&origin);
    let issued = clients.issue("agent");
    let (certificate, key) = (shown(&issued.certificate), shown(&issued.key));
    let roots = service.authority.roots();
    let flags = ["--ca-file", &roots, "--client-cert", &certificate, "--client-key", &key];
    service.home.run(service.login_arguments(&flags)).expect(3);
    assert!(curious.shown().is_empty(), "its handshakes fail for want of a certificate");
}

/// A bad file is told by its path before anything is sent.
#[test]
fn bad_files_are_told_before_any_request() {
    let clients = Authority::new();
    let service = TlsService::on_loopback(None);
    let (one, other) = (clients.issue("one"), clients.issue("other"));
    let place = |name: &str, text: &str| {
        let path = service.home.path().join(name);
        write_private(&path, text);
        shown(&path)
    };
    let missing = shown(&service.home.path().join("missing.pem"));
    let empty = place("empty.pem", "");
    let garbage = place("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let (certificate, key) = (shown(&one.certificate), shown(&other.key));
    for (flags, named) in [
        (&["--ca-file", &missing][..], &missing),
        (&["--ca-file", &empty], &empty),
        (&["--ca-file", &garbage], &garbage),
        (&["--ca-file", &key], &key),
        (&["--client-cert", &missing, "--client-key", &key], &missing),
        (&["--client-cert", &empty, "--client-key", &key], &empty),
        (&["--client-cert", &certificate], &certificate),
        (&["--client-cert", &certificate, "--client-key", &certificate], &certificate),
        (&["--client-cert", &certificate, "--client-key", &key], &key),
        (&["--client-key", &key], &"--client-cert".to_owned()),
    ] {
        for command in ["login", "bridge"] {
            let arguments = [command, service.url.as_str()].into_iter().chain(flags.iter().copied());
            let outcome = service.home.run(arguments).expect(2);
            assert!(outcome.stderr.contains(named.as_str()), "{flags:?}: {}", outcome.stderr);
        }
    }
    assert!(service.server.requests().is_empty());
    let both = place("both.pem", &[read(&one.certificate), read(&one.key)].concat());
    let outcome = service.home.run(service.login_arguments(&["--client-cert", &both])).expect(3);
    assert!(outcome.stderr.contains("not trusted"), "one file may hold both: {}", outcome.stderr);
}

/// A public service cannot send this machine into its own network, unless that is allowed.
#[test]
fn private_addresses_are_asked_only_where_that_is_allowed() {
    let (mut service, proxy) = TlsService::behind_a_proxy("mcp.test", "10.20.30.40");
    service.home = service.home.with("HTTPS_PROXY", proxy.url(PASSWORD));
    let outcome = service.home.run(service.login_arguments(&[])).expect(3);
    assert!(outcome.stderr.contains("10.20.30.40"), "{}", outcome.stderr);
    assert_eq!(proxy.asked_for("10.20.30.40"), 0);
    service.home.run(service.login_arguments(&["--allow-private-network"])).expect(0);
    assert!(proxy.asked_for("10.20.30.40") > 0);
    service.server.name_authorization_server("https://169.254.169.254");
    service.home.run(service.login_arguments(&["--allow-private-network", "--force"])).expect(3);
    assert_eq!(proxy.asked_for("169.254.169.254"), 0, "never, whatever is allowed");
}

/// A private endpoint may name its neighbours, and those alone.
#[test]
fn a_private_endpoint_names_its_neighbours() {
    let (mut service, proxy) = TlsService::behind_a_proxy("10.20.30.41", "10.20.30.40");
    service.home = service.home.with("HTTPS_PROXY", proxy.url(PASSWORD));
    service.home.run(service.login_arguments(&[])).expect(0);
    let asked = service.authorization.authorizations().pop().expect("an authorization request");
    assert_eq!(asked["resource"], "https://10.20.30.41/mcp");
    service.authorization.refuse_issued_access_tokens();
    let mut bridge = Bridge::start(&service.home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "beside"), "beside");
    assert_eq!(service.authorization.refreshes(), 1);
    let files = service.home.files();
    assert!(files.iter().all(|(_, content)| !String::from_utf8_lossy(content).contains(".invalid")));
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it is readable")
}
