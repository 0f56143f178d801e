//! Redirects of the endpoint: which are followed, what is remembered of them, and what a host is told of
//! the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::doctor::{examine, finding};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::modern_server::{ModernSession, modern};
use crate::support::open_session::OpenSession;
use crate::support::service::{NAME, Service};
use crate::support::sse_server::{SseServer, session_on};

fn redirect(status: u16, target: &str) -> Reply {
    Reply::status(status).header("Location", target)
}

/// How many requests of this method came to a path.
fn count(server: &McpServer, method: &str, path: &str) -> usize {
    let requests = server.requests();
    requests.iter().filter(|request| request.method == method && request.path() == path).count()
}

/// Frameworks redirect `/mcp` to `/mcp/`: within the origin that is followed, the farewell included, and not
/// each message pays for it.
#[test]
fn a_redirect_within_the_origin_is_followed_by_every_method() {
    for status in [307, 308] {
        let server = McpServer::scripted(move |request, responder| {
            let detour = request.path() == "/mcp";
            if detour {
                responder.reply(&redirect(status, "/mcp/"));
            }
            detour
        });
        let mut session = OpenSession::on(&server);
        assert_eq!(session.bridge.echo(1, "there"), "there");
        session.bridge.close_stdin();
        assert!(session.bridge.wait().0.success());
        assert_eq!(server.sessions(), (1, 0), "{status}");
        assert_eq!(count(&server, "POST", "/mcp"), 1, "{status}");
    }
}

/// A path may hold a page for people beside the endpoint.
#[test]
fn where_a_stream_is_redirected_to_says_nothing_of_messages() {
    let server = McpServer::scripted(|request, responder| {
        let reply = match (request.method.as_str(), request.path()) {
            ("GET", "/mcp") => redirect(308, "/docs"),
            ("GET", "/docs") => Reply::html(200, "<html>how to use it</html>"),
            (_, "/docs") => Reply::status(405),
            _ => return false,
        };
        responder.reply(&reply);
        true
    });
    let mut session = OpenSession::on(&server);
    server.wait_for("the stream's detour", |request| request.path() == "/docs");
    for id in 1..=3 {
        assert_eq!(session.bridge.echo(id, "still"), "still");
    }
    session.bridge.close_stdin();
    assert!(session.bridge.wait().0.success());
    assert_eq!((server.sessions(), count(&server, "POST", "/docs")), ((1, 0), 0));
}

/// Whoever puts everything aside for a moment, by redirects, leaves nothing behind.
#[test]
fn a_page_for_maintenance_is_forgotten_with_the_maintenance() {
    let pages = [
        Reply::status(503),
        Reply::html(200, "<html>back soon</html>"),
        Reply::json(200, r#"{"status":"maintenance"}"#),
        Reply::status(204),
    ];
    for (number, page) in pages.into_iter().enumerate() {
        for of_2026 in [false, true] {
            let aside = Arc::<AtomicBool>::default();
            let (is_aside, page) = (Arc::clone(&aside), page.clone());
            let script = move |request: &Request, responder: &mut Responder| {
                let reply = match (request.path(), is_aside.load(Ordering::SeqCst)) {
                    ("/maintenance", true) => page.clone(),
                    ("/maintenance", false) => Reply::status(404),
                    (_, true) => redirect(307, "/maintenance"),
                    _ => return false,
                };
                responder.reply(&reply);
                true
            };
            let call = json!({"name": "echo", "arguments": {"text": "x"}});
            let what = format!("page {number}, 2026: {of_2026}");
            if of_2026 {
                let server = modern(script);
                let mut session = ModernSession::on(&server);
                aside.store(true, Ordering::SeqCst);
                assert!(session.call(1, "tools/call", call.clone())["error"].is_object(), "{what}");
                aside.store(false, Ordering::SeqCst);
                assert!(session.call(2, "tools/call", call)["result"].is_object(), "{what}");
            } else {
                let server = McpServer::scripted(script);
                let mut session = OpenSession::on(&server);
                aside.store(true, Ordering::SeqCst);
                session.bridge.refused(1);
                aside.store(false, Ordering::SeqCst);
                assert!(session.bridge.call(2, "tools/call", call)["result"].is_object(), "{what}");
                assert_eq!(server.sessions().0, 1, "{what}");
            }
        }
    }
}

/// The endpoint is asked again as soon as the address that it led to refuses anything.
#[test]
fn a_detour_that_leads_nowhere_any_more_is_left() {
    for (status, costs_a_call) in [(404, false), (503, true)] {
        let moved = Arc::<AtomicBool>::default();
        let has_moved = Arc::clone(&moved);
        let server = McpServer::scripted(move |request, responder| {
            let reply = match (request.path(), has_moved.load(Ordering::SeqCst)) {
                ("/mcp", false) => redirect(307, "/one"),
                ("/mcp", true) => redirect(307, "/two"),
                ("/one", true) => Reply::status(status),
                _ => return false,
            };
            responder.reply(&reply);
            true
        });
        let mut session = OpenSession::on(&server);
        assert_eq!(session.bridge.echo(1, "one"), "one");
        moved.store(true, Ordering::SeqCst);
        if costs_a_call {
            session.bridge.refused(2);
        }
        assert_eq!(session.bridge.echo(3, "two"), "two");
        assert!(count(&server, "POST", "/two") > 0);
    }
}

/// What a stream of HTTP+SSE names is relative to where it really is.
#[test]
fn an_endpoint_event_is_read_where_the_stream_was_redirected_to() {
    let server = SseServer::scripted(|request, responder, streams| {
        match (request.method.as_str(), request.path()) {
            ("GET", "/mcp") => responder.reply(&redirect(307, "/messages")),
            ("GET", "/messages") => streams.open(responder, "?sessionId=$session"),
            _ => return false,
        }
        true
    });
    let (mut bridge, _home) = session_on(&server);
    assert_eq!(bridge.echo(1, "there"), "there");
}

/// The login asks where the bridge asks, and is kept for the address that the person named.
#[test]
fn a_login_follows_what_a_bridge_follows() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        unguarded: Some(Box::new(|request| (request.path() == "/mcp").then(|| redirect(307, "/mcp/")))),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    let url = service.server.url();
    let before = examine(&service.home, &[&url], 1);
    assert_eq!(finding(&before, "discovery")["mark"], "good", "{before:?}");
    service.login(&[]).expect(0);
    assert_eq!(service.row()["url"], url);
    let asked = service.authorization.authorizations().pop().expect("one authorization request");
    assert_eq!(asked["resource"], url);
    let mut bridge = Bridge::start(&service.home, &[&url]);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "in"), "in");
    examine(&service.home, &[NAME], 0);
}

/// What leads elsewhere is not followed: a login says where to, and so does a bridge.
#[test]
fn a_redirect_that_is_not_followed_is_told_with_its_target() {
    for status in [301, 302, 303, 307, 308] {
        let server = McpServer::scripted(move |_, responder| {
            let target = "https://user:canary-one@moved.example/v2/mcp?key=canary-two#canary-three";
            responder.reply(&redirect(status, target));
            true
        });
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url()]);
        let error = bridge.initialize()["error"].clone();
        let data = &error["data"];
        assert_eq!((&data["httpStatus"], &data["mayHaveExecuted"]), (&json!(status), &json!(false)));
        let login = home.run(["login", &server.url()]).expect(3).stderr;
        for told in [error["message"].as_str().expect("a message"), &login] {
            assert!(told.contains("`https://moved.example/v2/mcp`"), "{told}");
            assert!(told.contains("name that address") && !told.contains("canary"), "{told}");
        }
    }
}

#[test]
fn a_circle_of_redirects_is_told_and_costs_no_more_than_a_few_requests() {
    let server = McpServer::scripted(|_, responder| {
        responder.reply(&redirect(307, "/mcp"));
        true
    });
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    let answer = bridge.initialize();
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("circles")), "{answer}");
    assert_eq!(server.requests().len(), 4);
}
