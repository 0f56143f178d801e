//! Attacks by refusals: challenges that work on terminals, and tokens that are said aloud (A).

use serde_json::json;

use super::observer::{challenging, look, look_around, look_at_bridge};
use crate::support::canaries::{HOST_VARIABLE, said_aloud};
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::printed::HOSTILE_IN_HEADERS;
use crate::support::scene::{LOGS, Scene};
use crate::support::service::NAME;

/// Challenges of every odd kind, the ones that no header can hold included.
fn challenges() -> Vec<(&'static str, Vec<String>)> {
    let bearer = |parameter: &str, value: &str| format!("Bearer {parameter}=\"{value}\"");
    let odd = HOSTILE_IN_HEADERS;
    let mut found = vec![
        ("an error", vec![bearer("error", odd)]),
        ("a description", vec![bearer("error=\"invalid_token\", error_description", odd)]),
        ("a scope", vec![bearer("error=\"insufficient_scope\", scope", &format!("{odd} other"))]),
        ("a pointer", vec![bearer("resource_metadata", &format!("http://127.0.0.1:1/{odd}"))]),
        ("a pointer's host", vec![bearer("resource_metadata", &format!("https://{odd}/"))]),
        ("a pointer's scheme", vec![bearer("resource_metadata", &format!("{odd}://x/"))]),
        ("a realm", vec![bearer("realm", odd)]),
        ("a scheme", vec![format!("{odd} realm=\"x\"")]),
        ("escapes", vec![bearer("error", "\u{1b}]52;c;aGk=\u{7}\u{1b}[2J")]),
        ("quoted escapes", vec![bearer("error", "\\\u{1b}[2J\\\"\\\\")]),
        ("a folded line", vec!["Bearer error=\"invalid_token\",\r\n error_description=\"x\"".to_owned()]),
        ("a second header", vec!["Bearer error=\"x\"\r\nX-Injected: \u{1b}[2J".to_owned()]),
        ("a bare line feed", vec!["Bearer error=\"a\nb\"".to_owned()]),
        ("a NUL", vec![bearer("error", "\0")]),
        ("100 KB", vec![bearer("scope", &"x ".repeat(50_000))]),
        ("a megabyte", vec![bearer("error_description", &"x".repeat(1024 * 1024))]),
        ("12 KB of commas", vec![format!("Bearer {}", ",".repeat(12_000))]),
        ("an open quote", vec![format!("Bearer error=\"{}", "y".repeat(10_000))]),
    ];
    found.push(("many of them", (0..90).map(|number| bearer("error", &format!("{number}{odd}"))).collect()));
    found
}

/// A challenge can hold anything: what is told of it is plain and bounded, by `login` as by all else.
#[test]
fn a19_a_challenge_does_nothing_to_terminals_and_logs() {
    let (service, said) = challenging();
    let (fresh, said_first) = challenging();
    service.login(&[]).expect(0);
    for (number, (what, values)) in challenges().into_iter().enumerate() {
        values.clone_into(&mut said_first.lock().unwrap());
        look(what, &fresh, &["login", &fresh.server.url(), "-vvv", "--force"]);
        *said.lock().unwrap() = values;
        let format = if number % 2 == 0 { "json" } else { "text" };
        look_at_bridge(what, &service, &["--strict", "--log-format", format]);
        look_around(what, &service);
        look(what, &service, &["refresh", NAME, "--force"]);
        said.lock().unwrap().clear();
        service.login(&["--force"]).expect(0);
    }
}

/// The header that the user adds.
const OWN_HEADER: &str = "X-Key";

/// Answers a tool's call as its name says, and a farewell, with the access token and the user's own header in
/// whatever comes back.
fn careless(request: &Request, responder: &mut Responder) -> bool {
    let authorization = request.header("Authorization").unwrap_or_default();
    let token = authorization.trim_start_matches("Bearer ").to_owned();
    let key = request.header(OWN_HEADER).unwrap_or_default().to_owned();
    let aloud = said_aloud(&[token.clone(), key.clone()]);
    if request.method == "DELETE" {
        responder.reply(&Reply::json(200, json!({"error": aloud}).to_string()));
        return true;
    }
    let message = if request.method == "POST" { request.json() } else { json!({}) };
    if message["method"] != "tools/call" {
        return false;
    }
    let challenge = |status: u16, parameters: &str| {
        let value = format!("Bearer {parameters}, error_description=\"{aloud}\"");
        Reply::html(status, &aloud).header("WWW-Authenticate", value)
    };
    let reply = match message["params"]["name"].as_str().unwrap_or_default() {
        "page" => Reply::html(500, &aloud),
        "forbidden page" => Reply::html(403, &aloud),
        "JSON" => Reply::json(400, json!({"error": aloud, "message": token}).to_string()),
        "text" => Reply::status(200).body("text/plain", aloud.as_bytes()),
        "other type" => Reply::status(200).body(&token, aloud.as_bytes()),
        "coding" => Reply::json(200, "{}").header("Content-Encoding", token.as_str()),
        "broken JSON" => Reply::json(200, format!("{{\"jsonrpc\":\"2.0\",\"{aloud}")),
        "no message" => Reply::json(200, json!({"token": aloud}).to_string()),
        "event" => Reply::events(format!("event: {token}\nid: {token}\ndata: {aloud}\n\n")),
        "redirect" => Reply::status(307).header("Location", format!("http://127.0.0.1:1/{token}")),
        "found" => Reply::status(302).header("Location", format!("/?{token}")),
        "wait" => Reply::html(429, &aloud).header("Retry-After", token.as_str()),
        "scope" => challenge(403, "error=\"insufficient_scope\", scope=\"feature:mcp more\""),
        "token as scope" => challenge(403, &format!("error=\"insufficient_scope\", scope=\"{token}\"")),
        "key as scope" => challenge(403, &format!("error=\"insufficient_scope\", scope=\"{key} more\"")),
        "token as error" => challenge(401, &format!("error=\"{token}\"")),
        "key as error" => challenge(401, &format!("error=\"{key}\"")),
        "key in an address" => Reply::status(307).header("Location", format!("http://{key}.test/{key}")),
        "challenge" => challenge(401, "error=\"invalid_token\""),
        _ => return false,
    };
    responder.reply(&reply);
    true
}

/// A service that says aloud what it was sent when it refuses.
#[test]
fn a21_an_access_token_in_an_error_page_is_not_repeated() {
    for log in LOGS {
        let mut scene = Scene::with(log, Some(careless));
        scene.log_in_by_callback(&[]);
        for kind in [
            "page",
            "forbidden page",
            "JSON",
            "text",
            "other type",
            "coding",
            "broken JSON",
            "no message",
            "event",
            "redirect",
            "found",
            "wait",
            "scope",
            "token as scope",
            "key as scope",
            "token as error",
            "key as error",
            "key in an address",
            "challenge",
        ] {
            let own_header = format!("{OWN_HEADER}: ${{{HOST_VARIABLE}}}");
            let mut bridge = scene.bridge(&[NAME, "--header", &own_header]);
            bridge.initialize();
            let answer = bridge.call(1, "tools/call", json!({"name": kind}));
            assert!(answer["error"].is_object(), "{kind}: {answer}");
            let asks_for_more = answer["error"]["data"]["scopes"].to_string().contains("more");
            assert_eq!(asks_for_more, ["scope", "key as scope"].contains(&kind), "{kind}: {answer}");
            scene.evidence.add(&format!("error for {kind}"), answer.to_string());
            scene.leave(bridge);
        }
        scene.list();
        scene.conclude();
    }
}
