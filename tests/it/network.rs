//! How requests leave this machine: proxies, certificates of the user's own, cookies, and the
//! addresses that a public service may name.

use std::path::Path;

use serde_json::json;

use crate::support::bridge::Bridge;
use crate::support::connect_proxy::PASSWORD;
use crate::support::connect_proxy::free_of_password;
use crate::support::home::{Home, write_private};
use crate::support::http_server::Reply;
use crate::support::http2_server::Http2Server;
use crate::support::mcp_server::{McpServer, result};
use crate::support::open_session::{OpenSession, is_named, is_post_of};
use crate::support::service::{NAME, Service};
use crate::support::tls::{Authority, TlsFront};
use crate::support::tls_service::TlsService;

/// A small container has no root certificates, and needs none for what it reaches in the clear on its own
/// loopback.
#[test]
fn what_is_reached_in_the_clear_on_loopback_needs_no_root_certificates() {
    let none = tempfile::tempdir().expect("a folder");
    let folder = shown(none.path());
    let without_roots = |home: Home| home.with("SSL_CERT_FILE", "/dev/null").with("SSL_CERT_DIR", &folder);
    without_roots(Home::bare()).run(["demo"]).expect(0);
    let mut service = Service::new();
    service.home = without_roots(service.home);
    service.home.run(service.login_arguments(&[])).expect(0);
    let mut bridge = Bridge::start(&service.home, &[NAME]);
    bridge.initialize();
    assert_eq!(bridge.tools(1), ["echo"]);
}

/// Nothing can be wrong with the address where nothing was sent.
#[test]
fn a_machine_without_root_certificates_is_told_where_to_get_some() {
    let home = Home::with_file_store().with("SSL_CERT_FILE", "/dev/null").with("SSL_CERT_DIR", "/dev/null");
    let url = "https://127.0.0.1:9/mcp";
    let remedy = "ca-certificates` as a rule), or name some with --ca-file";
    let refused = home.run(["login", url, "--no-browser", "--no-input"]).expect(3).stderr;
    assert!(refused.contains("no root certificates") && refused.contains(remedy), "{refused}");
    let examined = home.run(["doctor", url]).stdout;
    assert!(examined.contains("no root certificates") && examined.contains(remedy), "{examined}");
    let answer = Bridge::start(&home, &[url, "--strict"]).initialize();
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(remedy)), "{answer}");
}

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

/// A connection that the server has closed while it lay idle is no reason to fail, or to send twice.
#[test]
fn a_request_behind_a_closed_connection_goes_out_once() {
    let server = McpServer::open();
    let mut session = OpenSession::on(&server);
    for id in 1..=5 {
        assert_eq!(session.bridge.echo(id, "on"), "on");
        server.drop_connections();
    }
    assert_eq!(server.posted().iter().filter(|body| is_named(body, "tools/call")).count(), 5);
    assert_eq!(server.sessions(), (1, 1));
}

/// Where the server says how long it keeps an idle connection, none is used that may be at its end: a
/// request that dies with it could have been executed.
#[test]
fn a_connection_is_used_again_for_as_long_as_the_server_keeps_it() {
    const CALLS: i64 = 5;
    for (kept, is_reused) in [("timeout=1", false), ("timeout=120", true)] {
        let server = McpServer::scripted(move |request, responder| {
            let is_call = is_post_of(request, "tools/call") || is_post_of(request, "initialize");
            if is_call {
                let message = request.json();
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
                responder.reply(&Reply::json(200, answer.to_string()).header("Keep-Alive", kept));
            } else if request.json().get("method").is_some() {
                responder.reply(&Reply::status(202));
            }
            request.method == "POST"
        });
        let mut session = OpenSession::on(&server);
        assert_eq!(session.bridge.echo(0, "first"), "first");
        let before = server.connections();
        for id in 1..=CALLS {
            assert_eq!(session.bridge.echo(id, "next"), "next");
        }
        let opened = server.connections() - before;
        assert_eq!(opened, if is_reused { 0 } else { CALLS as usize }, "{kept}");
    }
}

/// An origin that speaks HTTP/2 needs one connection, besides the one that found that out, until it says
/// that it ends: then the next request has another, and goes out once.
#[test]
fn a_connection_of_http_2_serves_until_it_is_taken_back() {
    let authority = Authority::new();
    let server = Http2Server::start(&authority);
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url(), "--ca-file", &authority.roots()]);
    bridge.initialize();
    for id in 1..=5 {
        assert_eq!(bridge.echo(id, "multiplexed"), "multiplexed");
    }
    let before = server.connections();
    assert!(before <= 2, "{before} connections");
    server.go_away();
    for id in 6..=10 {
        assert_eq!(bridge.echo(id, "on another"), "on another");
    }
    assert_eq!(server.connections(), before + 1);
    let calls = server.posted().into_iter().filter(|message| message["method"] == "tools/call");
    let ids: Vec<_> = calls.map(|message| message["id"].clone()).collect();
    assert_eq!(ids, (1..=10).map(|id| json!(id)).collect::<Vec<_>>());
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it is readable")
}
