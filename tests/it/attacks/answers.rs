//! Attacks by what a malicious endpoint answers to the host's messages: redirects, endpoints elsewhere,
//! cookies (A).

use serde_json::{Value, json};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::canaries::{Evidence, secrets_of};
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Server};
use crate::support::mcp_server::{McpServer, Setup, result};
use crate::support::service::{NAME, Service};
use crate::support::sse_server::SseServer;

const REDIRECTS: [u16; 6] = [300, 301, 302, 303, 307, 308];
/// A header of the user's own, which only the endpoint may see.
const OWN_HEADER: &str = "X-Team: canary-team-header-51";

/// Where each of `requests` went, which redirects what `is_meant` picks to `target`, out of a guarded
/// endpoint with a login.
fn redirecting(
    status: u16,
    target: String,
    is_meant: impl Fn(&Request) -> bool + Send + Sync + 'static,
) -> Service {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(move |request, responder| {
            let meant = is_meant(request);
            if meant {
                responder.reply(&Reply::status(status).header("Location", target.as_str()));
            }
            meant
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    service
}

/// Neither the message nor the token nor a header of the user's own goes along, whichever message is
/// redirected, and whatever the redirect looks like.
#[test]
fn a16_a_redirect_to_another_origin_takes_nothing_along() {
    type Meant = fn(&Request) -> bool;
    let meant: [(&str, Meant); 5] = [
        ("initialize", |request| request.json()["method"] == "initialize"),
        ("a notification", |request| request.json()["method"] == "notifications/initialized"),
        ("a call", |request| request.json()["method"] == "tools/call"),
        ("the stream", |request| request.method == "GET"),
        ("the farewell", |request| request.method == "DELETE"),
    ];
    let elsewhere = Server::start(|_, responder| responder.reply(&Reply::status(200)));
    let port = elsewhere.address().port();
    let mut places = vec![elsewhere.origin() + "/mcp", format!("http://localhost:{port}/mcp")];
    places.push(format!("//127.0.0.1:{port}/mcp"));
    places.push(format!("\\\\127.0.0.1:{port}/mcp"));
    places.push(format!("https://127.0.0.1:{port}/mcp"));
    places.push(format!("http://user:password@127.0.0.1:{port}/"));
    for (number, status) in [302, 307, 308].into_iter().enumerate() {
        for (what, is_meant) in meant {
            let target = places[(number + what.len()) % places.len()].clone();
            let what = format!("{status} for {what} to {target}");
            let service = redirecting(status, target, is_meant);
            let before = service.server.requests().len();
            let mut bridge = Bridge::start(&service.home, &[NAME, "--header", OWN_HEADER, "-vvv"]);
            let answer = bridge.initialize();
            if answer["result"].is_object() {
                bridge.call(1, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
            }
            bridge.close_stdin();
            bridge.wait();
            assert!(service.server.requests().len() > before, "{what}");
            assert_eq!(elsewhere.connections(), 0, "{what}");
            let mut evidence = Evidence::in_home(&service.home);
            evidence.add("stderr", bridge.process.stderr.to_end());
            let own = OWN_HEADER.trim_start_matches("X-Team: ").to_owned();
            evidence.assert_free_of(&secrets_of(&service.authorization).into_iter().chain([own]).collect());
        }
    }
}

/// Every place that each status could lead to, for the message that opens a session: the host is told.
#[test]
fn a16_a_host_is_told_of_a_redirect_that_is_not_followed() {
    let elsewhere = Server::start(|_, responder| responder.reply(&Reply::status(200)));
    for status in REDIRECTS {
        let target = elsewhere.origin();
        let service = redirecting(status, target, |request| request.json()["method"] == "tools/call");
        let mut bridge = service.bridge();
        bridge.initialize();
        let error = bridge.refused(1);
        assert_eq!(error["data"]["httpStatus"], status, "{error}");
        // A login that is checked, and a doctor who looks, follow nothing either.
        service.login(&[]).expect(0);
        service.home.run(["doctor", NAME]);
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// User information in a redirect would become an `Authorization` of the server's choice.
#[test]
fn a16_a_redirect_with_user_information_is_not_followed() {
    let server = McpServer::scripted(|request, responder| {
        let origin = request.header("Host").unwrap_or_default();
        let elsewhere = format!("http://user:password@{origin}/elsewhere");
        responder.reply(&Reply::status(307).header("Location", elsewhere));
        true
    });
    let home = Home::with_file_store();
    let mut bridge = Bridge::start(&home, &[&server.url()]);
    assert_eq!(bridge.initialize()["error"]["data"]["httpStatus"], 307);
    for request in server.requests() {
        assert_eq!((request.path(), request.header("Authorization")), ("/mcp", None));
    }
}

/// The transport of 2024-11-05 has a stream to redirect, and an address for messages.
#[test]
fn a16_the_older_transport_is_redirected_nowhere() {
    let elsewhere = Server::start(|_, responder| responder.reply(&Reply::status(200)));
    for of_stream in [true, false] {
        for status in REDIRECTS {
            let target = elsewhere.origin();
            let server = SseServer::scripted(move |request, responder, _| {
                let meant = match of_stream {
                    true => request.method == "GET",
                    false => request.path() == "/messages",
                };
                if meant {
                    responder.reply(&Reply::status(status).header("Location", target.as_str()));
                }
                meant
            });
            let home = Home::with_file_store();
            let mut bridge =
                Bridge::start(&home, &[&server.url(), "--transport", "sse", "--header", OWN_HEADER]);
            let answer = bridge.call(0, "initialize", initialize_params());
            assert!(answer["error"].is_object(), "{status}: {answer}");
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// The token would go there, and what names a session is a secret.
#[test]
fn a17_an_endpoint_event_of_another_origin_gets_nothing() {
    let elsewhere = SseServer::open();
    let port = elsewhere.server.address().port();
    for endpoint in [
        format!("{}/messages?sessionId=canary-foreign", elsewhere.server.origin()),
        format!("http://localhost:{port}/messages?sessionId=canary-foreign"),
        format!("//127.0.0.1:{port}/messages?sessionId=canary-foreign"),
        format!("\\\\127.0.0.1:{port}\\messages?sessionId=canary-foreign"),
        format!("https://127.0.0.1:{port}/messages?sessionId=canary-foreign"),
        format!("http://127.0.0.1:1@127.0.0.1:{port}/canary-foreign"),
        "http://169.254.169.254/latest?canary-foreign".to_owned(),
        "http://u:canary-foreign@127.0.0.1/".to_owned(),
        "file:///etc/passwd?canary-foreign".to_owned(),
        "data:text/plain,canary-foreign".to_owned(),
        "javascript:canary-foreign".to_owned(),
    ] {
        let named = endpoint.clone();
        let server = SseServer::scripted(move |request, responder, streams| {
            let opens = request.method == "GET";
            if opens {
                streams.open(responder, &named);
            }
            opens
        });
        let home = Home::with_file_store();
        let mut bridge = Bridge::start(&home, &[&server.url(), "-vvv", "--header", OWN_HEADER]);
        let answer = bridge.initialize();
        let data = &answer["error"]["data"];
        let expected = (&json!("no_endpoint"), &json!(false));
        assert_eq!((&data["reason"], &data["mayHaveExecuted"]), expected, "{endpoint}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("another origin"), "{endpoint}: {message}");
        bridge.close_stdin();
        bridge.wait();
        let said = format!("{answer}{}", String::from_utf8_lossy(&bridge.process.stderr.to_end()));
        assert!(!said.contains("canary-foreign"), "{said}");
    }
    assert_eq!(elsewhere.server.connections(), 0);
}

/// The endpoint's cookies go back to it, those for other domains do not, and another process knows
/// nothing of them.
#[test]
fn a18_the_endpoint_s_cookies_come_back_to_it_alone() {
    let server = McpServer::scripted(|request, responder| {
        let message = request.json();
        let is_first = message["method"] == "initialize";
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
        let mut reply = Reply::json(200, answer.to_string());
        if is_first {
            reply = reply
                .header("Set-Cookie", "AWSALB=canary-cookie; Path=/; Expires=Wed, 01 Jan 2200 00:00:00 GMT")
                .header("Mcp-Session-Id", "one");
            for cookie in REFUSED_COOKIES {
                reply = reply.header("Set-Cookie", cookie);
            }
            reply = reply.header("Set-Cookie", format!("huge={}", "x".repeat(60_000)));
        }
        responder.reply(&reply);
        true
    });
    let home = Home::with_file_store().with("MCP_FRONT_LOG", "trace");
    for _ in 0..2 {
        let before = server.requests().len();
        let mut bridge = Bridge::start(&home, &[&server.url(), "--header", "Cookie: own=1"]);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "stuck"), "stuck");
        bridge.close_stdin();
        bridge.wait();
        let carried: Vec<_> = server.requests()[before..].iter().map(cookie_and_method).collect();
        assert!(carried.contains(&("own=1".to_owned(), "initialize".into())), "{carried:?}");
        let call = ("own=1; AWSALB=canary-cookie".to_owned(), "tools/call".into());
        assert!(carried.contains(&call), "{carried:?}");
        assert!(!bridge.process.stderr.text().contains("canary-cookie"));
    }
    let mut evidence = Evidence::in_home(&home);
    evidence.look_at_files(&home, &[]);
    evidence.assert_free_of(&["canary-cookie".to_owned()].into());
}

/// What is for somebody else, or for nobody.
const REFUSED_COOKIES: [&str; 7] = [
    "elsewhere=1; Domain=example.com",
    "above=1; Domain=0.0.1",
    "below=1; Domain=evil.127.0.0.1",
    "path=1; Path=/elsewhere",
    "=nameless",
    "late=1; Max-Age=0",
    "split=1\u{80}; Domain=example.com",
];

fn cookie_and_method(request: &Request) -> (String, Value) {
    (request.header("Cookie").unwrap_or_default().to_owned(), request.json()["method"].clone())
}

/// An authorization server and another service on the same host see nothing of a service's cookies.
#[test]
fn a18_cookies_reach_nobody_else() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(|request, responder| {
            let message = request.json();
            let is_first = message["method"] == "initialize";
            if is_first {
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result(&message)});
                let cookie = "to-all=canary-cookie-2; Path=/; Domain=127.0.0.1";
                let reply = Reply::json(200, answer.to_string()).header("Set-Cookie", cookie);
                responder.reply(&reply);
            } else {
                responder.reply(&Reply::status(if message["id"].is_null() { 202 } else { 401 }));
            }
            true
        })),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    bridge.initialize();
    bridge.refused(1);
    assert!(service.authorization.refreshes() > 0);
    let other = McpServer::open();
    let mut another = Bridge::start(&service.home, &[&other.url()]);
    another.initialize();
    let seen = service.authorization.seen().into_iter().chain(other.requests());
    assert!(seen.into_iter().all(|request| !request.header("Cookie").unwrap_or_default().contains("canary")));
}
