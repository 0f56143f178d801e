//! The demo's server as a client sees it, over its loopback port.

use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::http::{AddressPolicy, Client, Config};
use crate::server_uri::ServerUri;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Caller {
    http: Client,
    server: Server,
    origin: String,
}

impl Caller {
    async fn new() -> Self {
        // A second test of this process finds the provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::start(Duration::from_secs(60)).await.unwrap();
        let origin = server.endpoint().strip_suffix("/mcp").unwrap().to_owned();
        let endpoint = ServerUri::parse(server.endpoint(), false).unwrap();
        Self { http: Client::new(Config::default(), &endpoint), server, origin }
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> Response<Vec<u8>> {
        let request = request.body(body.as_bytes().to_vec()).unwrap();
        self.http.exchange(request, &AddressPolicy::bound(), Duration::from_secs(10)).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Vec<u8>> {
        self.send(Request::get(format!("{}{path}", self.origin)), "").await
    }

    async fn post(&self, path: &str, form: &Value) -> Response<Vec<u8>> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in form.as_object().unwrap() {
            body.append_pair(name, value.as_str().unwrap());
        }
        let request = Request::post(format!("{}{path}", self.origin))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, &body.finish()).await
    }

    async fn mcp(&self, token: Option<&str>, session: Option<&str>, body: &Value) -> Response<Vec<u8>> {
        let mut request = Request::post(self.server.endpoint())
            .header(CONTENT_TYPE, "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(session) = session {
            request = request.header("mcp-session-id", session).header("mcp-protocol-version", "2025-11-25");
        }
        self.send(request, &body.to_string()).await
    }

    /// Registers, consents and exchanges: the tokens, and the client's id.
    async fn login(&self) -> (Value, String) {
        let registration = json!({ "redirect_uris": ["http://127.0.0.1:1/callback"], "client_name": "<it>" });
        let request = Request::post(format!("{}/register", self.origin));
        let registered = read(&self.send(request, &registration.to_string()).await);
        let client = registered["client_id"].as_str().unwrap().to_owned();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &client)
            .append_pair("redirect_uri", "http://127.0.0.1:2/callback")
            .append_pair("response_type", "code")
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", self.server.endpoint())
            .append_pair("state", "s")
            .finish();
        let page = self.get(&format!("/authorize?{query}")).await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("form-action 'self' http://127.0.0.1:2;"), "{policy}");
        let html = String::from_utf8(page.into_body()).unwrap();
        assert!(html.contains("&#60;it&#62;") && !html.contains("<it>"), "{html}");
        let ticket = super::super::consent::ticket(&html).unwrap();
        let answer = self.post("/consent", &json!({ "ticket": ticket, "decision": "allow" })).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let target = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let members: std::collections::HashMap<_, _> = target.query_pairs().into_owned().collect();
        assert_eq!((members["state"].as_str(), &members["iss"]), ("s", &self.origin));
        let form = json!({
            "grant_type": "authorization_code", "client_id": client, "code": members["code"],
            "code_verifier": VERIFIER, "redirect_uri": "http://127.0.0.1:2/callback",
            "resource": self.server.endpoint(),
        });
        (read(&self.post("/token", &form).await), client)
    }
}

fn read(response: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } } })
}

#[tokio::test]
async fn a_request_without_a_good_token_is_challenged() {
    let caller = Caller::new().await;
    for (token, error) in [(None, ""), (Some("guess"), "error=\"invalid_token\", ")] {
        let answer = caller.mcp(token, None, &initialize()).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let expected = format!(
            "Bearer {error}resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\", scope=\"mcp:tools\"",
            caller.origin
        );
        assert_eq!(answer.headers()[WWW_AUTHENTICATE], expected);
    }
    assert_eq!(caller.server.tally().refused, 2);
}

#[tokio::test]
async fn metadata_names_the_server_itself() {
    let caller = Caller::new().await;
    let resource = read(&caller.get("/.well-known/oauth-protected-resource/mcp").await);
    assert_eq!(resource["resource"], caller.server.endpoint());
    assert_eq!(resource["authorization_servers"], json!([caller.origin]));
    let server = read(&caller.get("/.well-known/oauth-authorization-server").await);
    assert_eq!(server["issuer"], caller.origin);
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn another_host_or_origin_is_refused() {
    let caller = Caller::new().await;
    let address = format!("{}/.well-known/oauth-authorization-server", caller.origin);
    for (name, value, status) in [
        ("host", "rebound.example", StatusCode::FORBIDDEN),
        ("origin", "https://rebound.example", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("origin", caller.origin.as_str(), StatusCode::OK),
    ] {
        let answer = caller.send(Request::get(&address).header(name, value), "").await;
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_login_opens_the_tools_and_a_refresh_is_counted() {
    let caller = Caller::new().await;
    let (tokens, client) = caller.login().await;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(60)));
    let form = json!({
        "grant_type": "refresh_token", "client_id": client, "refresh_token": tokens["refresh_token"],
        "resource": caller.server.endpoint(),
    });
    let renewed = read(&caller.post("/token", &form).await);
    let token = renewed["access_token"].as_str();
    let answer = caller.mcp(token, None, &initialize()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let session = Some(session.as_str());
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(caller.mcp(token, session, &initialized).await.status(), StatusCode::ACCEPTED);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let listed = String::from_utf8(caller.mcp(token, session, &list).await.into_body()).unwrap();
    assert!(listed.contains("\"echo\"") && listed.contains("\"whoami\""), "{listed}");
    let call = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": "whoami" } });
    let called = String::from_utf8(caller.mcp(token, session, &call).await.into_body()).unwrap();
    assert!(called.contains("access token 2,") && called.contains("renewed once"), "{called}");
    let refused = caller.post("/token", &form).await;
    assert_eq!(
        (refused.status(), &read(&refused)["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    assert_eq!(caller.mcp(token, session, &list).await.status(), StatusCode::UNAUTHORIZED);
    let tally = caller.server.tally();
    assert_eq!((tally.registrations, tally.logins, tally.refreshes, tally.reuses), (1, 1, 1, 1));
    caller.server.stop().await;
}

#[tokio::test]
async fn a_stranger_gets_a_page_and_no_redirect() {
    let caller = Caller::new().await;
    let answer = caller.get("/authorize?client_id=guess&redirect_uri=https://evil.example/").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.headers().get("location").is_none());
    assert_eq!(caller.get("/authorize?client_id=a&client_id=b").await.status(), StatusCode::BAD_REQUEST);
}
