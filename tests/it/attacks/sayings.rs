//! Attacks by what servers say: text that works on terminals, wherever it stands (A).

use serde_json::{Value, json};

use super::observer::{challenging, logging_home, look, look_around, look_at_bridge, texts};
use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::http_server::{Reply, Request, Responder, Server};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::printed::{HOSTILE, HOSTILE_IN_HEADERS, assert_plain};
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;

/// What a token endpoint says: at a login, at a refresh, and in what is kept of them.
#[test]
fn a20_what_a_token_endpoint_says_does_nothing_to_terminals() {
    let refusal = |status, members: Value| Reply::json(status, members.to_string());
    let replies = || {
        [
            refusal(400, json!({"error": "invalid_request", "error_description": HOSTILE})),
            refusal(400, json!({"error": HOSTILE, "error_description": HOSTILE, "error_uri": HOSTILE})),
            refusal(401, json!({"error": "invalid_client", "error_description": HOSTILE})),
            refusal(400, json!({"error": {"code": HOSTILE, "message": HOSTILE}})),
            refusal(200, json!({"error": HOSTILE, "error_description": HOSTILE})),
            refusal(200, json!({"access_token": HOSTILE, "token_type": HOSTILE, "expires_in": HOSTILE})),
            refusal(500, json!({"error": "server_error", "error_description": HOSTILE})),
            Reply::html(503, HOSTILE),
            Reply::html(200, HOSTILE),
            Reply::status(302).header("Location", format!("/{HOSTILE_IN_HEADERS}")),
            Reply::status(429).header("Retry-After", HOSTILE_IN_HEADERS),
            refusal(400, json!({"error": "invalid_grant", "error_description": HOSTILE})),
        ]
    };
    // Some of them are waited out.
    std::thread::scope(|scope| {
        for (number, reply) in replies().into_iter().enumerate() {
            scope.spawn(move || hear(&format!("answer {number}"), &reply));
        }
    });
}

/// A service whose token endpoint says this, at the login and ever after.
fn hear(what: &str, reply: &Reply) {
    let (service, _) = challenging();
    service.authorization.fault(Fault::Reply(reply.clone()));
    look(what, &service, &["login", &service.server.url(), "--name", NAME, "-vvv"]);
    service.authorization.clear_faults();
    service.login(&["--force"]).expect(0);
    let again = reply.clone();
    service.authorization.script(move || vec![Fault::Reply(again.clone())]);
    look(what, &service, &["refresh", NAME, "--force"]);
    look(what, &service, &["status"]);
    service.authorization.refuse_issued_access_tokens();
    look_at_bridge(what, &service, &["--strict"]);
    look_around(what, &service);
    look(what, &service, &["logout", NAME]);
}

/// What becomes part of a login: scopes, and whatever names its server.
#[test]
fn a20_what_a_login_keeps_does_nothing_to_terminals() {
    let (service, _) = challenging();
    for members in [
        json!({"scope": format!("read {HOSTILE} write")}),
        json!({"scope": HOSTILE_IN_HEADERS}),
        json!({"scope": [HOSTILE], "token_type": HOSTILE}),
        json!({"refresh_token_expires_in": HOSTILE, "expires_in": HOSTILE, "id_token": HOSTILE}),
    ] {
        let what = members.to_string();
        service.authorization.fault(Fault::Members(members));
        look(&what, &service, &["login", &service.server.url(), "--name", NAME, "--force", "-vvv"]);
        look_around(&what, &service);
        look_at_bridge(&what, &service, &["-vvv"]);
        look(&what, &service, &["logout", NAME]);
    }
}

/// What metadata and registrations say, where they are refused and where they are taken.
#[test]
fn a20_what_metadata_say_does_nothing_to_terminals() {
    let (service, _) = challenging();
    let issuer = service.authorization.issuer();
    let odd_path = format!("{issuer}/{HOSTILE}");
    let odd_host = format!("https://{HOSTILE}.example/");
    for members in [
        json!({"issuer": HOSTILE}),
        json!({"issuer": odd_path}),
        json!({"authorization_endpoint": HOSTILE}),
        json!({"authorization_endpoint": odd_host}),
        json!({"token_endpoint": format!("http://as.example/{HOSTILE}")}),
        json!({"registration_endpoint": format!("{HOSTILE}://x")}),
        json!({"registration_endpoint": odd_path}),
        json!({"code_challenge_methods_supported": [HOSTILE]}),
        json!({"token_endpoint_auth_methods_supported": [HOSTILE]}),
        json!({"scopes_supported": [HOSTILE], "service_documentation": HOSTILE}),
        json!({"revocation_endpoint": odd_host}),
    ] {
        let what = members.to_string();
        service.authorization.set_metadata(members);
        look(&what, &service, &["login", &service.server.url(), "--name", NAME, "--force", "-vvv"]);
        look(&what, &service, &["doctor", &service.server.url()]);
        look_around(&what, &service);
        look(&what, &service, &["logout", NAME]);
    }
    service.authorization.set_metadata(Value::Null);
    for members in [
        json!({"resource": HOSTILE}),
        json!({"resource": format!("{}{HOSTILE}", service.server.url())}),
        json!({"authorization_servers": [HOSTILE]}),
        json!({"authorization_servers": [format!("https://{HOSTILE}")]}),
        json!({"authorization_servers": [odd_path]}),
        json!({"scopes_supported": [HOSTILE, "read"], "resource_name": HOSTILE}),
    ] {
        let what = members.to_string();
        service.server.describe(members);
        look(&what, &service, &["login", &service.server.url(), "--name", NAME, "--force", "-vvv"]);
        look(&what, &service, &["doctor", &service.server.url()]);
        look_around(&what, &service);
        look(&what, &service, &["logout", NAME]);
    }
}

/// A refused registration, and a client that it makes up.
#[test]
fn a20_what_a_registration_says_does_nothing_to_terminals() {
    for (status, answer) in [
        (400, json!({"error": HOSTILE, "error_description": HOSTILE})),
        (403, json!({"error": "access_denied", "error_description": HOSTILE})),
        (201, json!({"client_id": HOSTILE, "token_endpoint_auth_method": HOSTILE})),
        (201, json!({"client_id": HOSTILE, "client_secret": HOSTILE, "redirect_uris": [HOSTILE]})),
        (201, json!({"client_id": [HOSTILE]})),
        (500, json!(HOSTILE)),
    ] {
        let what = format!("{status} {answer}");
        let registration = Server::start(move |_, responder: &mut Responder| {
            responder.reply(&Reply::json(status, answer.to_string()));
        });
        let (mut service, _) = challenging();
        let endpoint = registration.origin() + "/register";
        service.authorization.set_metadata(json!({"registration_endpoint": endpoint}));
        // A client that nobody knows is refused in the browser, where the person stops.
        service.home = service.home.with("BROWSER", "/bin/false");
        let arguments = ["login", &service.server.url(), "--name", NAME, "-vvv", "--no-input"];
        let redirect = ["--redirect-uri", "https://localhost:9/cb"];
        look(&what, &service, &[&arguments[..], &redirect].concat());
    }
}

/// The names that an endpoint gives itself and its tools, and what its errors say.
#[test]
fn a20_what_an_endpoint_says_does_nothing_to_terminals() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(odd_endpoint)),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, logging_home());
    service.login(&[]).expect(0);
    let mut bridge = service.bridge();
    let answer = bridge.initialize();
    assert_eq!(answer["result"]["serverInfo"]["name"], HOSTILE, "frames are the host's matter");
    for name in ["page", "type", "session", "redirect", "wait", "event", "id"] {
        let answer = bridge.call(1, "tools/call", json!({"name": name}));
        for text in texts(&answer["error"]) {
            assert_plain(name, &text);
        }
    }
    bridge.close_stdin();
    bridge.wait();
    assert_plain("the bridge", &bridge.process.stderr.text());
    look_around("odd names", &service);
}

/// Calls itself and its tools by odd names, and answers calls as their tools are called.
fn odd_endpoint(request: &Request, responder: &mut Responder) -> bool {
    let message = request.json();
    let result = |result: Value| {
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        Reply::json(200, answer.to_string())
    };
    let reply = match message["method"].as_str().unwrap_or_default() {
        "initialize" => result(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}, HOSTILE: {}},
            "serverInfo": {"name": HOSTILE, "title": HOSTILE, "version": HOSTILE},
            "instructions": HOSTILE,
        })),
        "tools/list" => result(
            json!({"tools": [{"name": HOSTILE, "description": HOSTILE, "inputSchema": {"type": "object"}}]}),
        ),
        "tools/call" => match message["params"]["name"].as_str().unwrap_or_default() {
            "page" => Reply::html(500, HOSTILE),
            "type" => Reply::status(200).body(HOSTILE_IN_HEADERS, HOSTILE),
            "session" => Reply::status(404).header("Mcp-Session-Id", HOSTILE_IN_HEADERS),
            "redirect" => Reply::status(307).header("Location", format!("http://x/{HOSTILE_IN_HEADERS}")),
            "wait" => Reply::status(429).header("Retry-After", HOSTILE_IN_HEADERS),
            "id" => Reply::json(200, json!({"jsonrpc": "2.0", "id": HOSTILE, "result": {}}).to_string()),
            _ => Reply::events(format!("event: {HOSTILE}\nid: {HOSTILE}\ndata: {HOSTILE}\n\n")),
        },
        "notifications/initialized" => Reply::status(202),
        _ => return false,
    };
    responder.reply(&reply);
    true
}

/// A person's terminal shows no more than that.
#[test]
fn a20_a_terminal_is_left_alone() {
    let (service, _) = challenging();
    service.authorization.fault(Fault::Members(json!({"scope": HOSTILE})));
    service.server.describe(json!({"scopes_supported": [HOSTILE]}));
    let url = service.server.url();
    service.authorization.script(|| {
        let refusal = json!({"error": "invalid_request", "error_description": HOSTILE});
        vec![Fault::Reply(Reply::json(400, refusal.to_string()))]
    });
    for arguments in [
        &["login", &url, "--name", NAME][..],
        &["refresh", NAME, "--force"],
        &["status"],
        &["status", "--json"],
        &["tokens", "list"],
        &["doctor", NAME],
        &[],
    ] {
        let mut terminal = Terminal::start(&service.home, arguments);
        terminal.wait();
        let text = terminal.text();
        for odd in [
            "\u{1b}]0",
            "\u{1b}]52",
            "\u{1b}]8;;http://evil",
            "\u{1b}[2J",
            "\u{7}",
            "\u{9b}",
            "\u{9d}",
            "\u{8}",
            "\0",
            "\u{202e}",
            "\u{200b}",
        ] {
            assert!(!text.contains(odd), "{odd:?} after {arguments:?}: {text:?}");
        }
    }
}
