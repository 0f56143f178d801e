//! Attacks by the claims and the form of metadata documents: what must not be used ends the login
//! before anybody is asked for anything (A).

use serde_json::{Value, json};

use super::publisher::{Answer, Publisher, SERVER_METADATA, document, good_resource, good_server, words};
use super::refusal::refused;
use crate::support::authorization_server::{CLIENT_ID, CLIENT_SECRET};
use crate::support::canaries::Evidence;
use crate::support::home::write_private;
use crate::support::http_server::Reply;
use crate::support::internet::{Internet, PUBLIC};
use crate::support::service::Service;
use crate::support::tls_service::TlsService;

/// The same origin and the endpoint's path or a parent of it, compared as URLs: nothing that only looks
/// like it.
#[test]
fn a08_metadata_of_another_resource_are_refused() {
    let names: [(&str, &[&str]); 2] = [("mcp.test", &[PUBLIC[0]]), ("auth.test", &[PUBLIC[1]])];
    let Some(internet) = Internet::start(&names) else { return };
    let mut service = TlsService::on_ports("mcp.test", "auth.test");
    service.home = internet.around(service.home);
    let port = service.endpoint.address().port();
    for resource in [
        json!(format!("https://other.test:{port}/mcp")),
        json!(format!("https://mcp.test.evil.test:{port}/mcp")),
        json!(format!("https://mcp.test.:{port}/mcp")),
        json!(format!("https://mcp.test:{port}@evil.test/mcp")),
        json!(format!("https://mcp.test@evil.test:{port}/mcp")),
        json!(format!("https://evil.test@mcp.test:{port}/mcp")),
        json!(format!("https://evilmcp.test:{port}/mcp")),
        json!(format!("https://mcp.test\\@evil.test:{port}/mcp")),
        json!(format!("https://mcp.test%2eevil.test:{port}/mcp")),
        json!(format!("https://mcp.te\u{455}t:{port}/mcp")),
        json!(format!("http://mcp.test:{port}/mcp")),
        json!("https://mcp.test/mcp"),
        json!(format!("https://mcp.test:{port}/mc")),
        json!(format!("https://mcp.test:{port}/mcp/more")),
        json!(format!("https://mcp.test:{port}/other")),
        json!(format!("https://mcp.test:{port}/mcp/../other")),
        json!(format!("https://mcp.test:{port}/mcp#fragment")),
        json!(format!("//mcp.test:{port}/mcp")),
        json!("urn:mcp"),
        json!(""),
        json!(7),
        json!([format!("https://mcp.test:{port}/mcp")]),
        Value::Null,
    ] {
        service.server.describe(json!({"resource": resource}));
        let what = resource.to_string();
        refused(&what, &service, service.home.run(service.login_arguments(&[])));
    }
    // Where nobody points to it, a document at the well-known place counts as well.
    service.server.point_to("");
    service.server.describe(json!({"resource": "https://mcp.test.evil.test/mcp"}));
    let said = refused("unpointed", &service, service.home.run(service.login_arguments(&[])));
    assert!(said.contains("mcp.test.evil.test"), "{said}");
    service.server.describe(json!({"resource": format!("https://MCP.test:{port}")}));
    service.home.run(service.login_arguments(&[])).expect(0);
}

#[test]
fn a09_metadata_of_another_issuer_are_refused() {
    let service = Service::new();
    let issuer = service.authorization.issuer();
    let port = service.authorization.address().port();
    for named in [
        json!("https://as.example"),
        json!(format!("{issuer}.evil.example")),
        json!(format!("{issuer}@evil.example")),
        json!(format!("https://127.0.0.1:{port}")),
        json!(format!("http://localhost:{port}")),
        json!("http://127.0.0.1"),
        json!(format!("{issuer}/tenant")),
        json!(format!("{issuer}?x")),
        json!(format!("{issuer}#x")),
        json!(format!("{issuer}//")),
        json!(""),
        json!([issuer]),
        json!({"issuer": issuer}),
        json!(7),
        json!(true),
        Value::Null,
    ] {
        service.authorization.set_metadata(json!({"issuer": named}));
        refused(&named.to_string(), &service, service.login(&[]));
    }
    // One that the resource names with a path, whose documents are another's.
    service.authorization.set_metadata(Value::Null);
    service.server.name_authorization_server(&format!("{issuer}/tenant"));
    refused("a tenant", &service, service.login(&[]));
    service.server.name_authorization_server(&format!("{issuer}{SERVER_METADATA}"));
    service.authorization.set_metadata(json!({"issuer": "https://as.example"}));
    refused("a document's own address", &service, service.login(&[]));
}

/// A secret that a person was given for one authorization server does not go to a guessed address; the
/// endpoints may be configured.
#[test]
fn a12_a_client_secret_goes_to_no_guessed_address() {
    let nothing = || -> Answer { Box::new(|_, responder| responder.reply(&Reply::status(404))) };
    let publisher = Publisher::start(nothing(), nothing());
    let secret = publisher.home.path().join("client-secret");
    write_private(&secret, CLIENT_SECRET);
    let secret_file = secret.to_string_lossy().into_owned();
    let client = ["--client-id", CLIENT_ID, "--client-secret-file", &secret_file, "-vvv"];
    let said = publisher.refuse("nothing is published", &client);
    assert!(said.contains("a client secret does not go to a guessed address"), "{said}");
    let mut evidence = Evidence::in_home(&publisher.home);
    evidence.add("what was said", said);
    evidence.look_at_files(&publisher.home, &[secret]);
    evidence.assert_free_of(&[CLIENT_SECRET.to_owned()].into());
}

#[test]
fn a13_an_authorization_server_without_s256_is_refused() {
    let service = Service::new();
    for methods in [
        Value::Null,
        json!([]),
        json!(["plain"]),
        json!(["s256"]),
        json!(["S256 "]),
        json!(["plain S256"]),
        json!(["S512", "plain"]),
        json!("S256"),
        json!({"S256": true}),
        json!([["S256"]]),
    ] {
        service.authorization.set_metadata(json!({"code_challenge_methods_supported": methods}));
        for flags in [&[][..], &["--force", "--allow-http"]] {
            refused(&methods.to_string(), &service, service.login(flags));
        }
    }
    service.authorization.set_metadata(json!({"code_challenge_methods_supported": ["plain", "S256"]}));
    service.login(&[]).expect(0);
    assert_eq!(service.authorization.authorizations()[0]["code_challenge_method"], "S256");
}

/// A document that leaves a choice is refused, and names in other cases are other names.
#[test]
fn a15_doubled_and_differently_cased_members_change_nothing() {
    let rest = r#""authorization_endpoint":"$/authorize","token_endpoint":"$/token","code_challenge_methods_supported":["S256"]"#;
    for server in [
        format!(r#"{{"issuer":"https://as.example","issuer":"$",{rest}}}"#),
        format!(r#"{{"issuer":"$","issuer":"https://as.example",{rest}}}"#),
        format!(r#"{{"issuer":"$","\u0069ssuer":"https://as.example",{rest}}}"#),
        format!(r#"{{"issuer":"$",{rest},"token_endpoint":"https://as.example/token"}}"#),
        format!(r#"{{"issuer":"$",{rest},"code_challenge_methods_supported":["plain"]}}"#),
        format!(r#"{{"issuer":"$",{rest},"registration_endpoint":"$/a","registration_endpoint":"$/b"}}"#),
        format!(r#"{{"issuer":"$",{rest},"revocation_endpoint":"$/a","revocation_endpoint":"$/b"}}"#),
        format!(r#"{{"ISSUER":"$",{rest}}}"#),
        format!(r#"{{"Issuer":"$",{rest}}}"#),
        format!(r#"{{"issuer":"https://as.example","ISSUER":"$","Issuer":"$",{rest}}}"#),
        r#"{"issuer":"$","Authorization_Endpoint":"$/authorize","TOKEN_ENDPOINT":"$/token","code_challenge_methods_supported":["S256"]}"#.to_owned(),
        r#"{"issuer":"$","authorization_endpoint":"$/authorize","token_endpoint":"$/token","Code_Challenge_Methods_Supported":["S256"]}"#.to_owned(),
    ] {
        Publisher::start(document(good_resource), words(&server)).refuse(&server, &[]);
    }
    for resource in [
        r#"{"resource":"https://mcp.example/mcp","resource":"$/mcp","authorization_servers":["$"]}"#,
        r#"{"resource":"$/mcp","resource":"https://mcp.example/mcp","authorization_servers":["$"]}"#,
        r#"{"resource":"$/mcp","r\u0065source":"https://mcp.example/mcp","authorization_servers":["$"]}"#,
        r#"{"resource":"$/mcp","authorization_servers":["https://as.example"],"authorization_servers":["$"]}"#,
        r#"{"Resource":"$/mcp","authorization_servers":["$"]}"#,
        r#"{"resource":"https://mcp.example/mcp","RESOURCE":"$/mcp","authorization_servers":["$"]}"#,
    ] {
        Publisher::start(words(resource), document(good_server)).refuse(resource, &[]);
    }
}

/// Members in other cases beside good ones are nobody's.
#[test]
fn a15_members_in_another_case_are_not_read() {
    let service = Service::new();
    service.authorization.set_metadata(json!({
        "Issuer": "https://as.example",
        "TOKEN_ENDPOINT": "http://127.0.0.1:1/token",
        "Authorization_Endpoint": "javascript:alert(1)",
        "Registration_Endpoint": "file:///etc/passwd",
        "CODE_CHALLENGE_METHODS_SUPPORTED": ["plain"],
    }));
    service.server.describe(json!({
        "Resource": "https://mcp.example/mcp",
        "AUTHORIZATION_SERVERS": ["http://169.254.169.254"],
    }));
    service.login(&[]).expect(0);
    assert_eq!(service.authorization.token_requests().len(), 1);
}
