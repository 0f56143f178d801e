//! H: what a token endpoint answers, and what becomes of the login.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_front::authorizer::AuthorizerError;
use mcp_front::credential::Kind;
use mcp_front::store::StoreKind::{File, Memory};
use mcp_front::store::index::State;
use serde_json::json;

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, OUTAGE_LIMIT, initialize_params};
use crate::support::clock::{Clock, HOUR};
use crate::support::connect_proxy::PASSWORD;
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::Reply;
use crate::support::kept_login::{KeptLogin, carried, login_required, run, until};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::open_session::is_named;
use crate::support::service::{NAME, Service};
use crate::support::silence::Silence;
use crate::support::tls::{Authority, TlsFront};
use crate::support::tls_service::TlsService;

/// The shortest time for which authorization servers take the previous refresh token as well.
const GRACE: Duration = Duration::from_secs(5);

/// A lost answer is asked for again at once, within the shortest grace that servers give.
#[test]
fn h01_a_lost_answer_is_asked_for_again() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        kept.authorization.be_lenient();
        kept.authorization.fault(Fault::Lose);
        assert_eq!(carried(&kept.authorizer().authorize().await.unwrap()), kept.access_token(1));
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
        let sent: Vec<_> = kept.authorization.sent_refresh_tokens().into_iter().map(|(_, at)| at).collect();
        assert_eq!(sent.len(), 2);
        assert!(sent[1] - sent[0] < GRACE, "{:?}", sent[1] - sent[0]);
    });
}

/// An answer that is there is not lost, however its body ends: its refresh token is nowhere else.
#[test]
fn h01_an_answer_that_is_whole_is_taken_however_it_ends() {
    run(async {
        for (mark, waits) in [("", false), ("", true), ("\u{feff}", true)] {
            let kept = KeptLogin::new(Memory, -10).await;
            kept.authorization.fault(Fault::Unended { mark, waits });
            assert_eq!(carried(&kept.authorizer().authorize().await.unwrap()), kept.access_token(1));
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
            assert_eq!((kept.authorization.refreshes(), kept.authorization.replays()), (1, 0));
        }
    });
}

/// Nor is one given up that is lost after those who waited were told so: the server may still give it again.
#[test]
fn h01_an_answer_that_is_lost_late_is_asked_for_again_at_once() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        kept.authorization.be_lenient();
        let gate = Gate::default();
        kept.authorization.fault(Fault::Hold(gate.clone()));
        kept.authorization.fault(Fault::Lose);
        let told = kept.authorizer().authorize().await;
        assert!(matches!(told, Err(AuthorizerError::Unavailable { .. })), "{told:?}");
        gate.open();
        until("the repetition", || kept.authorization.refreshes() == 2).await;
        drop(kept.lock().await);
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
    });
}

/// A network that changes under a refresh is noticed while the server still gives its answer again.
#[test]
fn h01_an_answer_that_falls_silent_is_asked_for_again() {
    let Some(silence) = Silence::to_come() else { return };
    let (service, clock) = Service::with_clock_in(silence.around(Home::with_file_store()));
    let url = service.server.url();
    let mut bridge =
        Bridge::start(&service.home, &[&url, "--login", "--store", "memory", "--name", NAME, "--strict"]);
    bridge.initialize();
    let gate = Gate::default();
    service.authorization.be_lenient();
    service.authorization.fault(Fault::Hold(gate.clone()));
    clock.advance(2 * HOUR);
    let call = json!({"name": "echo", "arguments": {"text": "on"}});
    bridge.send(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).to_string());
    gate.wait_for_arrivals(1);
    let Some(()) = silence.fall() else { return };
    gate.open();
    service.authorization.wait_for_refreshes(2);
    // The service's connections are as silent: the call may be lost with one of them, the login is not.
    bridge.response(&json!(1));
    assert_eq!(bridge.echo(2, "on"), "on");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (2, 1));
}

/// Without a grace the server's verdict stands, after one repetition; the login is marked, and kept.
#[test]
fn h02_a_lost_answer_without_a_grace_ends_the_login_with_the_server_s_word() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        kept.authorization.fault(Fault::Lose);
        let (reason, _) = login_required(kept.authorizer().authorize().await);
        assert!(reason.contains("cut off"), "{reason}");
        assert_eq!(kept.authorization.refreshes(), 2);
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(0));
        assert_eq!(kept.entry().last_error.unwrap().code, "invalid_grant");
    });
}

/// A28: what is transient keeps the login, is told as retryable, and heals without a restart.
#[test]
fn h03_transient_failures_keep_the_login() {
    let page = "<html><body>Welcome to the hotel</body></html>";
    let faults = [
        ("500", Reply::status(500)),
        ("502 with a page", Reply::html(502, page)),
        ("503", Reply::json(503, "{}")),
        ("429", Reply::json(429, "{}").header("Retry-After", "120")),
        ("a captive portal", Reply::html(200, page)),
        ("an empty 200", Reply::status(200)),
        ("a 200 with an error", Reply::json(200, r#"{"ok":false,"error":"internal_error"}"#)),
        ("a gateway's empty 401", Reply::status(401)),
        ("a gateway's 401", Reply::json(401, r#"{"message":"Unauthorized"}"#)),
        ("a gateway's 403", Reply::json(403, r#"{"error":"access_denied"}"#)),
    ];
    let outage = |(what, reply): (&str, Reply)| {
        let service = Service::with_expired_token();
        for _ in 0..32 {
            service.authorization.fault(Fault::Reply(reply.clone()));
        }
        let mut bridge = service.strict_bridge();
        let error = bridge.refused_within(OUTAGE_LIMIT, "initialize", initialize_params());
        assert_eq!(error["data"]["reason"], "unavailable", "{what}: {error}");
        assert_ne!(service.row()["state"], "login_required", "{what}");
        assert_eq!(service.authorization.living_grants(), 1);
    };
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || outage(fault));
        }
    });
}

/// An outage that passes while a request can wait costs the host nothing.
#[test]
fn h03_a_short_outage_is_waited_out() {
    let service = Service::with_expired_token();
    for _ in 0..2 {
        service.authorization.fault(Fault::Reply(Reply::status(500)));
    }
    service.authorization.fault(Fault::Reset);
    service.authorization.fault(Fault::Reply(Reply::json(429, "{}").header("Retry-After", "2")));
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "on"), "on");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (5, 1));
}

/// H03, H04: without a verdict the login is kept, requests get a prompt error, and no storm follows.
#[test]
fn h04_a_server_that_asks_to_wait_is_left_alone() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        let busy = Reply::json(429, "{}").header("Retry-After", "120");
        kept.authorization.fault(Fault::Reply(busy));
        let authorizer = kept.authorizer();
        for _ in 0..50 {
            match authorizer.authorize().await {
                Err(error @ AuthorizerError::Unavailable { .. }) => {
                    let wait = error.data()["retryAfterSeconds"].as_u64().unwrap();
                    assert!((100..=120).contains(&wait), "{wait}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(kept.authorization.refreshes(), 1);
        assert_eq!(kept.entry().last_error.unwrap().code, "rate_limited");
        assert_eq!(kept.entry().state, State::Valid);
    });
}

/// What a server asks for is honoured within bounds, and what it garbles is our own choice.
#[test]
fn h04_absurd_waits_are_bounded() {
    let in_ninety_seconds = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(90);
    let date = in_ninety_seconds.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    run(async {
        let rows = [
            (date.as_str(), 60..=90),
            ("999999999", 200..=300),
            ("soon", 1..=30),
            ("-5", 1..=30),
            ("0", 1..=30),
            ("", 1..=30),
        ];
        join_all(rows.into_iter().map(async |(wait, bounds)| {
            let kept = KeptLogin::new(Memory, -10).await;
            for _ in 0..32 {
                let busy = Reply::json(429, "{}").header("Retry-After", wait);
                kept.authorization.fault(Fault::Reply(busy));
            }
            let error = kept.authorizer().authorize().await.unwrap_err();
            let told = error.data()["retryAfterSeconds"].as_u64().unwrap_or_else(|| panic!("{error}"));
            assert!(bounds.contains(&told), "`{wait}`: {told}");
            assert!(kept.authorization.refreshes() <= 10, "`{wait}`: {}", kept.authorization.refreshes());
            assert_eq!(kept.entry().state, State::Valid);
        }))
        .await;
    });
}

/// What keeps a refresh from its server passes, and is told by its cause.
#[test]
fn h05_what_keeps_from_the_server_is_named_and_passes() {
    let authority = Authority::new();
    let plain = AuthorizationServer::start();
    let untrusted = TlsFront::start("localhost", plain.address(), &authority, None);
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let rows = [
        (format!("http://{nobody}/token"), "refused"),
        ("https://authorization.invalid/token".to_owned(), "authorization.invalid"),
        (format!("https://localhost:{}/token", untrusted.address().port()), "certificate"),
        (format!("{}/nowhere", plain.issuer()), "HTTP status 404"),
    ];
    run(async {
        join_all(rows.iter().map(async |(endpoint, named)| {
            let kept = KeptLogin::empty(Memory);
            let mut kind = kept.oauth(-10);
            if let Kind::Oauth(login) = &mut kind {
                login.binding.token_endpoint = endpoint.parse().unwrap();
            }
            kept.save(kind).await;
            let error = kept.authorizer().authorize().await.unwrap_err();
            assert_eq!(error.data()["reason"], "unavailable", "{endpoint}: {error}");
            assert!(error.message().contains(named), "{endpoint}: {error}");
            let entry = kept.entry();
            assert_eq!(entry.state, State::Valid);
            assert!(entry.last_error.unwrap().text.contains(named), "{endpoint}");
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(0));
        }))
        .await;
    });
}

/// The same of what stands between: a portal that wants to be looked at, and a proxy that refuses.
#[test]
fn h05_portals_and_proxies_are_named_and_pass() {
    let service = Service::with_expired_token();
    for _ in 0..32 {
        let portal = Reply::status(302).header("Location", "http://portal.example/welcome");
        service.authorization.fault(Fault::Reply(portal));
    }
    let mut bridge = service.strict_bridge();
    let error = bridge.refused_within(OUTAGE_LIMIT, "initialize", initialize_params());
    assert_eq!(error["data"]["reason"], "unavailable", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("302")), "{error}");

    let (mut service, proxy) = TlsService::behind_a_proxy("mcp.test", "auth.test");
    let (home, clock) = Clock::in_home(service.home.with("https_proxy", proxy.url(PASSWORD)));
    service.home = home;
    service.home.run(service.login_arguments(&[])).expect(0);
    clock.advance(2 * HOUR);
    service.home = service.home.with("https_proxy", proxy.url("another"));
    let mut bridge = Bridge::start(&service.home, &[NAME, "--strict"]);
    let error = bridge.refused_within(OUTAGE_LIMIT, "initialize", initialize_params());
    assert_eq!(error["data"]["reason"], "unavailable", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("proxy")), "{error}");
    assert_eq!((service.authorization.refreshes(), service.authorization.living_grants()), (0, 1));
}

/// H06, H13: what an answer omits stays; a narrowed scope is recorded.
#[test]
fn h06_what_an_answer_omits_stays() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        kept.authorization.fault(Fault::Members(json!({"refresh_token": null, "scope": "less"})));
        kept.authorizer().authorize().await.unwrap();
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(0));
        assert_eq!(kept.entry().scopes, ["less"]);
    });
}

/// A26: what a server says of an access token's end, in every dialect, and what it leaves out.
#[test]
fn h09_expiries_of_every_dialect_are_understood() {
    let now = jiff::Timestamp::now();
    let at = now.as_second() + 1800;
    for (members, known) in [
        (json!({"expires_in": 1800}), true),
        (json!({"expires_in": "1800"}), true),
        (json!({"expires_in": 1800.5}), true),
        (json!({"expires_in": null, "expires_at": at}), true),
        (json!({"expires_in": null, "expires_at": at * 1000}), true),
        (json!({"expires_in": null, "expires_at": at.to_string()}), true),
        (
            json!({"expires_in": null, "expires_at": jiff::Timestamp::from_second(at).unwrap().to_string()}),
            true,
        ),
        (json!({"expires_in": null}), false),
    ] {
        let service = Service::new();
        service.authorization.fault(Fault::Members(members.clone()));
        service.login(&[]).expect(0);
        let expiry = service.row()["access_token_expires_at"].clone();
        assert_eq!(expiry.is_string(), known, "{members}: {expiry}");
        if let Some(expiry) = expiry.as_str() {
            let expiry: jiff::Timestamp = expiry.parse().expect("RFC 3339");
            assert!((expiry.as_second() - at).abs() < 60, "{members}: {expiry}");
        }
        let mut bridge = service.bridge();
        bridge.initialize();
        assert_eq!(bridge.echo(1, "x"), "x");
        assert_eq!(service.authorization.refreshes(), 0, "{members}");
    }
}

/// Absurd lives: no tight loop, no failure.
#[test]
fn h11_absurd_lives_make_no_storm() {
    for members in [
        json!({"expires_in": 0}),
        json!({"expires_in": -5}),
        json!({"expires_in": 1e18}),
        json!({"expires_in": 5}),
        json!({"expires_in": "soon"}),
    ] {
        let service = Service::new();
        service.authorization.set_expiry(members.clone());
        service.login(&[]).expect(0);
        let mut bridge = service.bridge();
        bridge.initialize();
        for id in 1..=5 {
            assert_eq!(bridge.echo(id, "x"), "x", "{members}");
        }
        let refreshes = service.authorization.refreshes();
        assert!(refreshes <= 8, "{members}: {refreshes} refreshes for 7 requests");
        assert_eq!(service.authorization.living_grants(), 1);
    }
}

/// A12: a fresh token that is refused again is told as such and listed, with no loop.
#[test]
fn h14_a_fresh_token_that_is_refused_is_not_tried_for_ever() {
    let service = Service::logged_in();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(0, "accepted"), "accepted");
    service.authorization.revoke_access_for_ever();
    let calls = || service.server.posted().iter().filter(|body| is_named(body, "tools/call")).count();
    let error = bridge.refused(1);
    assert_eq!(error["data"]["reason"], "token_rejected");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("rights. Should the")), "{error}");
    assert_eq!((calls(), service.authorization.refreshes()), (3, 1), "sent again once, with a new token");
    let row = service.row();
    assert_eq!(
        (&row["state"], &row["last_error"]["code"]),
        (&json!("login_required"), &json!("token_rejected"))
    );
    let entry = std::fs::read(service.entry_file()).unwrap();
    for call in 2..=5 {
        assert_eq!(bridge.refused(call)["data"]["reason"], "token_rejected");
    }
    assert_eq!((calls(), service.authorization.refreshes()), (7, 1), "each is tried, and nothing is renewed");
    assert_eq!(std::fs::read(service.entry_file()).unwrap(), entry, "it is noted once");
}

/// A wider scope that the server asks for is not fetched in a loop; the command is named.
#[test]
fn h15_a_step_up_is_told_and_not_repeated() {
    let authorization = crate::support::authorization_server::AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(|request, responder| {
            let is_call = request.json()["method"] == "tools/call";
            if is_call {
                let challenge = r#"Bearer error="insufficient_scope", scope="mcp:admin""#;
                responder.reply(&Reply::json(403, "{}").header("WWW-Authenticate", challenge));
            }
            is_call
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, crate::support::home::Home::with_file_store());
    service.login(&[]).expect(0);
    service.browser.opened();
    let mut bridge = service.bridge();
    bridge.initialize();
    let error = bridge.refused(1);
    assert_eq!(error["data"]["reason"], "insufficient_scope", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("--scope=mcp:admin")), "{error}");
    assert_eq!((service.authorization.refreshes(), service.browser.tabs()), (0, 0));
}

/// H16: a refused client is told apart from a refused grant.
#[test]
fn h16_a_refused_client_is_told_apart() {
    run(async {
        let kept = KeptLogin::new(Memory, -10).await;
        kept.authorization.fault(Fault::Reply(Reply::json(401, r#"{"error":"invalid_client"}"#)));
        let (reason, _) = login_required(kept.authorizer().authorize().await);
        assert!(reason.contains("OAuth client"), "{reason}");
        assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(0));
    });
}

/// H18: what the server ended costs one token request, until somebody logs in again.
#[test]
fn h18_an_ended_login_costs_one_request() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::new(kind, -10).await;
            kept.authorization.revoke_grants();
            let authorizer = kept.authorizer();
            for _ in 0..1000 {
                let (reason, command) = login_required(authorizer.authorize().await);
                assert!(reason.contains("invalid_grant"), "{reason}");
                let place = if kind == File { " --store file" } else { "" };
                assert!(command.ends_with(&format!("mcp-front login service{place}")), "{command}");
            }
            login_required(kept.authorizer().authorize().await);
            assert_eq!(kept.authorization.refreshes(), 1);
            assert!(matches!(kept.entry().state, State::LoginRequired { .. }));
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(0), "it is kept");

            kept.save(kept.oauth(3000)).await;
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
        }
    });
}
