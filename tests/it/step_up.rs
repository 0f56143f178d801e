//! A service that wants more than the login was granted (MCP authorization, "Scope Challenge
//! Handling"), where the bridge may log in by itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::open_session::is_post_of;
use crate::support::service::{NAME, Service};

/// Serves behind `script`, and starts a bridge that may log in.
fn serve(
    authorization: AuthorizationServer,
    script: impl Fn(&Request, &mut Responder) -> bool + Send + Sync + 'static,
) -> (Service, Bridge) {
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        scope: Some("mcp:read"),
        script: Some(Box::new(script)),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--login", "--name", NAME]);
    bridge.initialize();
    assert_eq!(service.browser.tabs(), 1);
    (service, bridge)
}

fn want(scope: &str, responder: &mut Responder) -> bool {
    let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
    responder.reply(&Reply::json(403, "{}").header("WWW-Authenticate", challenge));
    true
}

fn scopes(asked: &str) -> Vec<&str> {
    let mut scopes: Vec<_> = asked.split(' ').collect();
    scopes.sort_unstable();
    scopes
}

/// What was granted before is asked for again, offline access with it, though the server did not
/// name it among what it granted.
#[test]
fn a_step_up_asks_for_all_that_was_granted_and_for_what_is_wanted() {
    let authorization = AuthorizationServer::start();
    authorization.set_metadata(json!({"scopes_supported": ["mcp:read", "mcp:write", "offline_access"]}));
    authorization.fault(Fault::Members(json!({"scope": "mcp:read"})));
    let asked = authorization.clone();
    let (service, mut bridge) = serve(authorization, move |request, responder| {
        let has_it = asked.authorizations().last().is_some_and(|last| last["scope"].contains("mcp:write"));
        is_post_of(request, "tools/call") && !has_it && want("mcp:write", responder)
    });
    assert_eq!(bridge.echo(1, "more"), "more");
    assert_eq!(service.browser.tabs(), 1);
    let asked = service.authorization.authorizations();
    let [first, second] = &asked[..] else { panic!("two logins, not {asked:?}") };
    assert_eq!(scopes(&first["scope"]), ["mcp:read", "offline_access"]);
    assert_eq!(scopes(&second["scope"]), ["mcp:read", "mcp:write", "offline_access"]);
    assert_eq!(second["prompt"], "consent");
}

/// A service that is never content, and wants something else each time, does not open tabs for ever.
#[test]
fn a_service_that_is_never_content_opens_tabs_a_few_times() {
    let wanted = AtomicUsize::new(0);
    let (service, mut bridge) = serve(AuthorizationServer::start(), move |request, responder| {
        is_post_of(request, "tools/call")
            && want(&format!("mcp:{}", wanted.fetch_add(1, Ordering::SeqCst)), responder)
    });
    for id in 1..=12 {
        let answer = bridge.call(id, "tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
        let error: &Value = &answer["error"];
        assert_eq!(error["data"]["reason"], "insufficient_scope", "{answer}");
    }
    assert!(service.browser.tabs() <= 8);
}
