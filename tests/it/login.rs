//! `mcp-front login`, with a fake browser, a terminal, and everything that can go wrong between.

use std::net::TcpListener;

use serde_json::json;
use url::Url;

use crate::support::authorization_server::{AuthorizationServer, CLIENT_ID, CLIENT_SECRET, Fault};
use crate::support::bridge::Bridge;
use crate::support::browser::follow;
use crate::support::home::{BINARY, Home};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;

/// A2, A15: a URL is enough; the login says what it got, where it lies and how to use it.
#[test]
fn a_url_discovers_registers_and_logs_in() {
    let service = Service::new();
    let outcome = service.login(&[]).expect(0);
    let asked = service.authorization.authorizations().pop().expect("one authorization request");
    assert_eq!(asked["resource"], service.server.url());
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(asked["state"].len() >= 16);
    assert!(!asked.contains_key("scope"), "no scope where nobody names any");
    let redirect = Url::parse(&asked["redirect_uri"]).expect("a URL");
    assert!(matches!(redirect.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")), "{redirect}");

    let said = outcome.stdout + &outcome.stderr;
    for part in [NAME, "claude mcp add", BINARY, "mcpServers"] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    let row = service.row();
    assert_eq!((&row["name"], &row["url"]), (&json!(NAME), &json!(service.server.url())));
    assert_eq!(
        (&row["store"], &row["state"], &row["profile"]),
        (&json!("file"), &json!("renews"), &json!("default"))
    );

    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "hello"), "hello");
    assert_eq!(service.authorization.refreshes(), 0);
}

/// A transport that was pinned in the environment, which hosts do not hand on, stands in their entry.
#[test]
fn a_pinned_transport_stands_in_the_hosts_entry() {
    let mut service = Service::new();
    service.home = service.home.with("MCP_FRONT_TRANSPORT", "http");
    let said = service.login(&[]).expect(0).stderr;
    assert!(said.contains(&format!(" bridge {NAME} --transport http\n")), "{said}");
    assert!(said.contains(&format!(r#""args":["bridge","{NAME}","--transport","http"]"#)), "{said}");
}

/// A2, A27: a confidential client with HTTP Basic, `expires_at`, and the origin as the resource.
#[test]
fn a_front_like_service_logs_in_and_refreshes_with_basic() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    let asked = service.authorization.authorizations().pop().expect("one authorization request");
    assert_eq!(
        (asked["resource"].as_str(), asked["scope"].as_str()),
        (&*service.server.origin(), "feature:mcp")
    );
    let row = service.row();
    assert!(row["access_token_expires_at"].is_string(), "expires_at is read: {row}");

    let mut bridge = service.bridge();
    bridge.initialize();
    service.authorization.refuse_issued_access_tokens();
    assert_eq!(bridge.echo(1, "refreshed"), "refreshed");
    let requests = service.authorization.token_requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert!(request.authorization.is_some_and(|value| value.starts_with("Basic ")));
        assert!(!request.form.contains_key("client_secret"));
        assert_eq!(request.form["resource"], service.server.origin());
    }
}

#[test]
fn the_scope_of_the_challenge_wins_and_flags_win_over_it() {
    let authorization = AuthorizationServer::start();
    let scope = Some("mcp:read mcp:write");
    let setup = Setup { authorization: Some(authorization.clone()), scope, ..Setup::default() };
    let service = Service::of(authorization, McpServer::start(setup), Home::with_file_store());
    for (flags, asked_for) in [
        (&[][..], Some("mcp:read mcp:write")),
        (&["--force", "--scope", "a", "--scope", "b"][..], Some("a b")),
        (&["--force", "--no-scope"][..], None),
    ] {
        service.login(flags).expect(0);
        let asked = service.authorization.authorizations().pop().expect("an authorization request");
        assert_eq!(asked.get("scope").map(String::as_str), asked_for, "{flags:?}");
    }
}

/// A24, A20: the URL can be opened in a private window: the callback wins over pasting.
#[test]
fn without_a_browser_the_callback_works_too() {
    let service = Service::new();
    let (mut terminal, opened) = service.printed_login(&[]);
    follow(&opened).expect("the callback answers");
    assert!(terminal.wait().success(), "{}", terminal.text());
}

/// The client is asked for where the server registers none; its secret is hidden.
#[test]
fn a_confidential_client_is_asked_for_and_its_secret_is_hidden() {
    let service = Service::front_like();
    let url = service.server.url();
    let mut terminal = Terminal::start(&service.home, &["login", &url, "--name", NAME]);
    terminal.expect("Client id");
    terminal.type_in("front-client\r");
    terminal.expect("Client secret (not shown");
    terminal.type_in(&format!("{CLIENT_SECRET}\r"));
    assert!(terminal.wait().success(), "{}", terminal.text());
    assert!(!terminal.text().contains(CLIENT_SECRET));
}

/// A client without a secret is entered with Enter.
#[test]
fn a_public_client_has_no_secret_to_type() {
    let service = Service::front_like();
    let methods = ["client_secret_basic", "none"];
    service.authorization.set_metadata(json!({"token_endpoint_auth_methods_supported": methods}));
    let url = service.server.url();
    let mut terminal = Terminal::start(&service.home, &["login", &url, "--no-browser"]);
    terminal.expect("Client id");
    terminal.type_in("front-client\r");
    terminal.expect("Enter if it has none): ");
    terminal.type_in("\r");
    terminal.expect("/authorize?");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait().code(), Some(130));
}

/// Where metadata allows no public client, the secret of one that is named is asked for, and named
/// where nothing may be asked; a later login finds it stored.
#[test]
fn a_secret_that_the_server_demands_is_asked_for() {
    let service = Service::front_like();
    let url = service.server.url();
    let named = ["login", &url, "--name", NAME, "--client-id", CLIENT_ID];
    let refused = service.home.run([&named[..], &["--no-input"]].concat()).expect(2).stderr;
    assert!(refused.contains("takes no client without a secret"), "{refused}");
    assert!(refused.contains("hint: ") && refused.contains("--client-secret-file"), "{refused}");
    assert_eq!(service.browser.tabs(), 0, "told before the person goes to the browser");

    let mut terminal = Terminal::start(&service.home, &named);
    terminal.expect("Enter if it has none): ");
    terminal.type_in("\r");
    terminal.expect("takes no client without a secret.");
    terminal.expect("Client secret (not shown): ");
    assert!(!terminal.echoes());
    terminal.type_in(&format!("\r{CLIENT_SECRET}\r"));
    assert!(terminal.wait().success(), "{}", terminal.text());
    assert!(!terminal.text().contains(CLIENT_SECRET));
    service.home.run([&named[..], &["--force", "--no-input"]].concat()).expect(0);
}

/// A redirect URI elsewhere, and nobody who could paste what the browser shows: the login ends.
#[test]
fn a_login_that_nobody_can_answer_ends_at_once() {
    let service = Service::new();
    let elsewhere = ["--redirect-uri", "https://localhost:9/cb", "--no-browser"];
    for more in [&["--no-input"] as &[&str], &[]] {
        let refused = service.login(&[&elsewhere, more].concat()).expect(2);
        assert!(refused.stderr.contains("https://localhost:9/cb leads to no place"), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
    }
}

#[test]
fn the_secret_may_come_on_stdin() {
    let service = Service::front_like();
    let url = service.server.url();
    let arguments = ["login", &url, "--name", NAME, "--client-id", "front-client", "--client-secret-stdin"];
    service.home.run_with_input(arguments, format!("{CLIENT_SECRET}\n").as_bytes()).expect(0);
}

#[test]
fn a_pinned_port_is_used() {
    let service = Service::new();
    let free =
        TcpListener::bind(("127.0.0.1", 0)).expect("a free port").local_addr().expect("an address").port();
    service.login(&["--callback-port", &free.to_string()]).expect(0);
    let asked = service.authorization.authorizations().pop().expect("an authorization request");
    assert_eq!(Url::parse(&asked["redirect_uri"]).expect("a URL").port(), Some(free));
}

/// A21, A5: several profiles of one service, side by side.
#[test]
fn profiles_keep_several_logins_of_one_service() {
    let service = Service::logged_in();
    service.login(&["--profile", "service-user"]).expect(0);
    assert_eq!(service.authorization.living_grants(), 2);
    for profile in ["default", "service-user"] {
        let mut bridge = Bridge::start(&service.home, &[NAME, "--profile", profile]);
        bridge.initialize();
        assert_eq!(bridge.echo(1, profile), profile);
    }
    service.home.run(["tokens", "delete", NAME, "--yes", "--profile", "service-user"]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "untouched"), "untouched");
}

/// Nothing asks where nobody can answer.
#[test]
fn without_an_argument_and_without_a_terminal_it_is_a_usage_error() {
    let outcome = Home::with_file_store().run(["login", "--no-input"]).expect(2);
    assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
}

/// A service that cannot be reached is told as such.
#[test]
fn a_service_that_is_not_there_exits_3() {
    let port =
        TcpListener::bind(("127.0.0.1", 0)).expect("a free port").local_addr().expect("an address").port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let outcome = Home::with_file_store().run(["login", &url, "--no-input"]).expect(3);
    assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
}

/// A token that no request could carry is none.
#[test]
fn an_access_token_that_no_header_can_carry_is_refused() {
    for token in ["bad\ntoken", "bad\r\nX-Evil: 1", "tök", ""] {
        let service = Service::new();
        service.authorization.fault(Fault::Members(json!({"access_token": token})));
        let said = service.login(&[]).expect(3).stderr;
        assert!(said.contains("access token") && !said.contains("bad"), "{said}");
        service.home.run(["status", NAME]).expect(2);
    }
}
