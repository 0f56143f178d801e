//! A host that connects before there is a login.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::asking_server::ModernHost;
use crate::support::authorization_server::{AuthorizationServer, Fault};
use crate::support::bridge::{Bridge, said};
use crate::support::gate::Gate;
use crate::support::home::Home;
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::modern_server::error;
use crate::support::service::Service;

/// A host that does not hear that the lists have changed works after its next list.
#[test]
fn a_request_finds_the_login_by_itself() {
    let service = Service::logged_in();
    service.authorization.revoke_grants();
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_ne!(bridge.tools(1), ["echo"]);
    service.login(&[]).expect(0);
    let mut id = 2;
    while bridge.tools(id) != ["echo"] {
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

/// How long a host may wait for its first answer, which is two seconds on a machine that is not busy with
/// other tests.
const LET_IN_WITHIN: Duration = Duration::from_secs(3);

/// Whatever keeps the login from being used: none there, none wanted by anybody any more, and none known
/// yet, for the one who is asked does not answer.
#[test]
fn a_host_is_let_in_within_two_seconds() {
    let none = Service::new();
    let ended = Service::logged_in();
    ended.authorization.revoke_grants();
    ended.authorization.refuse_issued_access_tokens();
    let (silent, gate) = (Service::with_expired_token(), Gate::default());
    silent.authorization.fault(Fault::Hold(gate.clone()));
    for (service, case) in [(&none, "no login"), (&ended, "an ended one"), (&silent, "a silent server")] {
        let since = Instant::now();
        let mut bridge = Bridge::start(&service.home, &[&service.server.url()]);
        let answer = bridge.initialize();
        let took = since.elapsed();
        assert_eq!(answer["result"]["serverInfo"]["name"], "mcp-front", "{case}: {answer}");
        assert!(took < LET_IN_WITHIN, "{case}: {took:?}");
    }
    gate.open();
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

/// A host that knows no `initialize` is let in too, and finds the server itself once there is a login.
#[test]
fn a_host_that_knows_no_initialize_finds_the_server_itself_after_the_login() {
    let service = Service::new();
    let mut host = ModernHost::in_home(&service.home, &[&service.server.url(), "--era", "modern"]);
    let discovered = host.discover();
    let server = |discovered: &Value| {
        discovered["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].clone()
    };
    assert_eq!(server(&discovered), "mcp-front", "{discovered}");
    assert!(discovered["result"]["instructions"].as_str().is_some_and(|help| help.contains("login")));
    let filter = json!({"toolsListChanged": true, "resourceSubscriptions": ["x:a"]});
    host.send("subscriptions/listen", json!({"notifications": filter}));
    let agreed = host.bridge.message();
    assert_eq!(agreed["params"]["notifications"], json!({"toolsListChanged": true}), "{agreed}");

    service.login(&[]).expect(0);
    assert_eq!(host.bridge.message()["method"], "notifications/tools/list_changed");
    let discovered = host.discover();
    assert_eq!(server(&discovered), "scripted", "{discovered}");
    assert_eq!(discovered["result"]["capabilities"], json!({"tools": {}}), "{discovered}");
    assert_eq!(discovered["result"].get("instructions"), None, "{discovered}");
    assert_eq!(said(&host.call("echo", json!({"text": "served"}))), "served");
}

/// A service of 2026-07-28 that answers with `script`, and knows no login yet.
fn modern_service(script: fn(&Request, &mut Responder) -> bool) -> Service {
    let authorization = AuthorizationServer::start();
    let server = McpServer::start(Setup {
        authorization: Some(authorization.clone()),
        script: Some(Box::new(script)),
        ..Setup::default()
    });
    Service::of(authorization, server, Home::with_file_store())
}

fn discover(bridge: &mut Bridge) -> Value {
    bridge.call(0, "server/discover", modern_params(json!({})))
}

/// Has a bridge find out what the server speaks, and takes the login away again.
fn remember_and_log_out(service: &Service) {
    service.login(&[]).expect(0);
    let mut first = Bridge::start(&service.home, &[&service.server.url()]);
    assert_eq!(discover(&mut first)["result"]["capabilities"], json!({"tools": {}}));
    first.close_stdin();
    first.wait();
    service.home.run(["tokens", "delete", "service", "--yes"]).expect(0);
}

/// Asks for changes of the tools; gives the acknowledgement.
fn listen(bridge: &mut Bridge) -> Value {
    let params = modern_params(json!({"notifications": {"toolsListChanged": true}}));
    bridge.send(
        json!({"jsonrpc": "2.0", "id": "listen", "method": "subscriptions/listen", "params": params})
            .to_string(),
    );
    let acknowledged = bridge.message();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    acknowledged
}

/// A host of 2026-07-28 is let in where the server is remembered to speak that revision.
#[test]
fn a_host_of_the_new_era_is_let_in_where_the_server_is_remembered() {
    let service = modern_service(modern);
    let url = service.server.url();

    let mut unknown = Bridge::start(&service.home, &[&url]);
    assert_eq!(discover(&mut unknown)["error"]["code"], -32601, "nobody knows what the server speaks");

    remember_and_log_out(&service);
    let mut bridge = Bridge::start(&service.home, &[&url]);
    let discovered = discover(&mut bridge);
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]), "{discovered}");
    assert_eq!(discovered["result"]["capabilities"]["tools"]["listChanged"], true, "{discovered}");
    let listed = bridge.call(1, "tools/list", modern_params(json!({})));
    assert_eq!(listed["result"]["resultType"], "complete", "{listed}");
    let tool = listed["result"]["tools"][0]["name"].as_str().unwrap().to_owned();
    let call = |name: &str| modern_params(json!({"name": name, "arguments": {"text": "served"}}));
    assert!(said(&bridge.call(2, "tools/call", call(&tool))).contains("login"), "{tool}");
    let acknowledged = listen(&mut bridge);
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

/// A server that keeps no subscriptions says so, once it is there; of its lists the host hears all the same.
#[test]
fn a_host_hears_of_the_change_where_the_server_refuses_to_listen() {
    let service = modern_service(|request, responder| {
        let message = request.json();
        if message["method"] != "subscriptions/listen" {
            return modern(request, responder);
        }
        responder.reply(&error(404, &message["id"], -32601, "Method not found"));
        true
    });
    remember_and_log_out(&service);
    let mut bridge = Bridge::start(&service.home, &[&service.server.url()]);
    assert!(discover(&mut bridge)["result"]["instructions"].is_string());
    listen(&mut bridge);
    service.login(&[]).expect(0);
    let changed = bridge.message();
    assert_eq!(changed["method"], "notifications/tools/list_changed", "{changed}");
    assert_eq!(changed["params"]["_meta"][SUBSCRIPTION], "listen");
    let refused = bridge.message();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("listen"), &json!(-32601)), "{refused}");
}
