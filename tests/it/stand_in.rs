//! A host that connects before there is a login.

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::gate::Gate;
use crate::support::home::{BINARY, Home};
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::service::Service;

/// What the answer to a call says.
fn said(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}

fn tools(bridge: &mut Bridge, id: i64) -> Vec<String> {
    let listed = bridge.call(id, "tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("no list: {listed}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Reads what the host is told until it knows that all lists have changed.
fn wait_for_changes(bridge: &mut Bridge) {
    for list in ["tools", "prompts", "resources"] {
        assert_eq!(bridge.message()["method"], format!("notifications/{list}/list_changed"));
    }
}

/// The host is let in, told what to run, and served by the same process once that has been run.
#[test]
fn the_host_is_let_in_and_served_once_the_login_is_there() {
    let service = Service::new();
    let mut bridge = Bridge::start(&service.home, &[&service.server.url()]);
    let mut params = initialize_params();
    params["protocolVersion"] = "2025-06-18".into();
    let answer = bridge.call(0, "initialize", params);
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
    for list in ["tools", "prompts", "resources"] {
        assert_eq!(answer["result"]["capabilities"][list]["listChanged"], true, "{answer}");
    }
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let command = format!("{BINARY} login {}", service.server.url());
    let names_it = |text: &Value| text.as_str().is_some_and(|text| text.contains(&command));
    let listed = bridge.call(1, "tools/list", json!({}));
    let tool = &listed["result"]["tools"][0];
    assert!(names_it(&tool["description"]), "{listed}");
    for (id, method, list) in [
        (2, "prompts/list", "prompts"),
        (3, "resources/list", "resources"),
        (4, "resources/templates/list", "resourceTemplates"),
    ] {
        assert_eq!(bridge.call(id, method, json!({}))["result"][list], json!([]));
    }
    assert_eq!(bridge.call(5, "ping", json!({}))["result"], json!({}));
    for name in [tool["name"].as_str().unwrap(), "remembered_from_yesterday"] {
        let called = bridge.call(6, "tools/call", json!({"name": name, "arguments": {}}));
        assert!(said(&called).contains(&command), "{called}");
        assert_eq!(called["result"]["isError"], true, "{called}");
    }
    let refused = bridge.call(7, "resources/read", json!({"uri": "x:y"}));
    assert!(names_it(&refused["error"]["data"]["command"]), "{refused}");
    assert_eq!(service.browser.tabs(), 0, "no tab is opened");

    service.login(&[]).expect(0);
    wait_for_changes(&mut bridge);
    assert_eq!(tools(&mut bridge, 8), ["echo"]);
    assert_eq!(bridge.echo(9, "served"), "served");
    assert_eq!(service.server.sessions().0, 1);
    // A host that has not listed anew.
    let late = bridge.call(10, "tools/call", json!({"name": tool["name"], "arguments": {}}));
    assert!(said(&late).contains("List the tools again"), "{late}");
    bridge.close_stdin();
    assert!(bridge.wait().0.success());
    assert_eq!(service.server.sessions().1, 0, "the session is ended");
}

/// A host that does not hear that the lists have changed works after its next list.
#[test]
fn a_request_finds_the_login_by_itself() {
    let service = Service::logged_in();
    service.authorization.revoke_grants();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_ne!(tools(&mut bridge, 1), ["echo"]);
    service.login(&[]).expect(0);
    let mut id = 2;
    while tools(&mut bridge, id) != ["echo"] {
        id += 1;
        assert!(id < 50, "the login is not found");
    }
    assert_eq!(bridge.echo(100, "found"), "found");
}

/// A refresh that takes its time is no reason to fail a call.
#[test]
fn calls_wait_for_a_refresh_under_way() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.bridge();
    let answer = bridge.initialize();
    assert_eq!(answer["result"]["serverInfo"]["name"], "mcp-front", "{answer}");
    bridge.send(
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "echo", "arguments": {"text": "waited"}
        }})
        .to_string(),
    );
    gate.open();
    assert_eq!(said(&bridge.response(&json!(1))), "waited");
    assert_eq!(service.authorization.refreshes(), 1);
}

/// `--strict` refuses instead.
#[test]
fn a_strict_bridge_refuses_the_host() {
    let service = Service::new();
    let mut bridge = Bridge::start(&service.home, &[&service.server.url(), "--strict"]);
    let refused = bridge.initialize();
    assert_eq!(refused["error"]["data"]["reason"], "login_required", "{refused}");
    service.login(&[]).expect(0);
    assert!(bridge.initialize()["result"].is_object());
    assert_eq!(bridge.echo(1, "served"), "served");
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A server of 2026-07-28.
fn modern(request: &Request, responder: &mut Responder) -> bool {
    let message = request.json();
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
        "tools/list" => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        "tools/call" => {
            json!({"content": [{"type": "text", "text": message["params"]["arguments"]["text"]}]})
        }
        "subscriptions/listen" => {
            responder.start_events();
            let acknowledged =
                json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"});
            responder.chunk(format!("data: {acknowledged}\n\n"));
            responder.wait_for_close();
            return true;
        }
        _ => {
            responder.reply(&Reply::status(400));
            return true;
        }
    };
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    responder.reply(&Reply::json(200, answer.to_string()));
    true
}

fn modern_params(mut params: Value) -> Value {
    params["_meta"] = json!({VERSION: "2026-07-28"});
    params
}

/// A host of 2026-07-28 is let in where the server is remembered to speak that revision.
#[test]
fn a_host_of_the_new_era_is_let_in_where_the_server_is_remembered() {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(modern)),
        ..Setup::default()
    });
    let service = Service::of(authorization, server, Home::with_file_store());
    let url = service.server.url();
    let discover = |bridge: &mut Bridge| bridge.call(0, "server/discover", modern_params(json!({})));

    let mut unknown = Bridge::start(&service.home, &[&url]);
    assert_eq!(discover(&mut unknown)["error"]["code"], -32601, "nobody knows what the server speaks");

    service.login(&[]).expect(0);
    let mut first = Bridge::start(&service.home, &[&url]);
    assert_eq!(discover(&mut first)["result"]["capabilities"], json!({"tools": {}}));
    first.close_stdin();
    first.wait();
    service.home.run(["tokens", "delete", "service", "--yes"]).expect(0);

    let mut bridge = Bridge::start(&service.home, &[&url]);
    let discovered = discover(&mut bridge);
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]), "{discovered}");
    assert_eq!(discovered["result"]["capabilities"]["tools"]["listChanged"], true, "{discovered}");
    let listed = bridge.call(1, "tools/list", modern_params(json!({})));
    assert_eq!(listed["result"]["resultType"], "complete", "{listed}");
    let tool = listed["result"]["tools"][0]["name"].as_str().unwrap().to_owned();
    let call = |name: &str| modern_params(json!({"name": name, "arguments": {"text": "served"}}));
    assert!(said(&bridge.call(2, "tools/call", call(&tool))).contains("login"), "{tool}");
    let filter = json!({"notifications": {"toolsListChanged": true}});
    bridge.send(
        json!({"jsonrpc": "2.0", "id": "listen", "method": "subscriptions/listen", "params": modern_params(filter)})
            .to_string(),
    );
    let acknowledged = bridge.message();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(acknowledged["params"]["_meta"][SUBSCRIPTION], "listen");

    service.login(&[]).expect(0);
    let changed = bridge.message();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"][SUBSCRIPTION], "listen");
    let listed = bridge.call(3, "tools/list", modern_params(json!({})));
    assert_eq!(listed["result"]["tools"][0]["name"], "echo");
    assert_eq!(said(&bridge.call(4, "tools/call", call("echo"))), "served");
    assert!(said(&bridge.call(5, "tools/call", call(&tool))).contains("List the tools again"));
}
