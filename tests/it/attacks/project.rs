//! Attacks by a project that somebody else wrote (C13, C14, C16): its environment variables, its files, and
//! what a command could be talked into printing.

use std::fs;

use serde_json::{Value, json};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::write_executable;
use crate::support::connect_proxy::{ConnectProxy, PASSWORD};
use crate::support::home::{Home, Outcome, finish};
use crate::support::keychain::Session;
use crate::support::mcp_server::McpServer;
use crate::support::service::{NAME, Service};
use crate::support::terminal::Terminal;
use crate::support::tls::{Authority, TlsFront};
use crate::support::tls_service::TlsService;

/// An address that a project wants tokens at.
fn trap() -> McpServer {
    McpServer::open()
}

/// A login that a person made, with nothing set in the environment.
fn logged_in() -> Service {
    let authorization = AuthorizationServer::start();
    let server = McpServer::guarded_by(&authorization);
    let service = Service::of(authorization, server, Home::bare());
    service.login(&["--store", "file"]).expect(0);
    service
}

/// Fails the test where anything secret came to the trap.
#[track_caller]
fn assert_nothing_came(trap: &McpServer, service: &Service, what: &str) {
    for request in trap.requests() {
        assert_eq!(request.header("Authorization"), None, "{what}");
        let shown = format!("{request:?}");
        let leaked = service.authorization.secrets().into_iter().find(|secret| shown.contains(secret));
        assert_eq!(leaked, None, "{what}");
    }
}

/// Every variable that means something to this program, and names that look as if they did.
#[test]
fn c13_a_projects_variables_lead_no_token_elsewhere() {
    let (service, trap) = (logged_in(), trap());
    let project = service.home.path().join("project");
    fs::create_dir(&project).unwrap();
    let file = |name: &str| project.join(name).to_str().unwrap().to_owned();
    fs::write(file("key"), "k".repeat(32)).unwrap();
    fs::write(file("junk.pem"), "no certificate").unwrap();
    let (url, origin, key) = (trap.url(), trap.origin(), "k".repeat(32));
    let home = project.to_str().unwrap().to_owned();
    let rows: Vec<(&str, &str)> = vec![
        ("MCP_FRONT_URL", &url),
        ("MCP_FRONT_SERVER", &url),
        ("MCP_FRONT_ENDPOINT", &url),
        ("MCP_FRONT_ISSUER", &origin),
        ("MCP_FRONT_TOKEN_ENDPOINT", &url),
        ("MCP_FRONT_CONFIG", &home),
        ("MCP_FRONT_HOME", &home),
        ("MCP_FRONT_PROFILE", "other"),
        ("MCP_FRONT_STORE", "memory"),
        ("MCP_FRONT_STORE", "keyring"),
        ("MCP_FRONT_ENCRYPTION_KEY", &key),
        ("MCP_FRONT_ENCRYPTION_KEY", ""),
        ("MCP_FRONT_TRANSPORT", "sse"),
        ("MCP_FRONT_ALLOW_PRIVATE_NETWORK", "1"),
        ("MCP_FRONT_LOG", "trace"),
        ("HTTP_PROXY", &origin),
        ("http_proxy", &origin),
        ("HTTPS_PROXY", &origin),
        ("ALL_PROXY", &origin),
        ("NO_PROXY", ""),
        ("BASE_URL", &url),
        ("MCP_SERVER_URL", &url),
    ];
    let paths = ["MCP_FRONT_ENCRYPTION_KEY_FILE", "MCP_FRONT_CA_FILE", "MCP_FRONT_CLIENT_CERT"];
    let paths = paths.map(|name| (name, file(if name.ends_with("KEY_FILE") { "key" } else { "junk.pem" })));
    let logs = [("MCP_FRONT_LOG_FILE", file("log"))];
    let rows = rows.into_iter().map(|(name, value)| (name, value.to_owned()));
    for (name, value) in rows.chain(paths).chain(logs) {
        let what = format!("{name}={value}");
        let mut command = service.home.command(["bridge", NAME, "--strict"]);
        command.current_dir(&project).env(name, &value);
        let mut bridge = Bridge::spawn(command);
        // Some of them are a mistake that ends the start, which the host sees.
        let request =
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
        bridge.try_send(&request.to_string());
        bridge.close_stdin();
        bridge.wait();
        assert_nothing_came(&trap, &service, &what);
        assert!(!name.to_ascii_uppercase().ends_with("_PROXY") || trap.connections() == 0, "{what}");
        let said = bridge.process.stderr.text();
        let secrets = service.authorization.secrets();
        assert!(!secrets.iter().any(|secret| said.contains(secret.as_str())), "{what}: {said}");
        for path in fs::read_dir(&project).unwrap().flatten().map(|entry| entry.path()) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "{what}: {path:?}");
        }
    }
    let mut bridge = service.bridge();
    bridge.initialize();
    assert_eq!(bridge.echo(1, "unharmed"), "unharmed");
    assert_eq!((service.authorization.living_grants(), service.authorization.refreshes()), (1, 0));
}

/// A proxy of the project's is asked, and learns whither a request goes: what is in it goes to nobody
/// but the service that the login was made at, the refresh token included.
#[test]
fn c13_a_projects_proxy_gets_no_token() {
    let (service, proxy) = TlsService::behind_a_proxy("mcp.test", "auth.test");
    let mut login = service.home.command(service.login_arguments(&[]));
    login.env("https_proxy", proxy.url(PASSWORD));
    finish(login, b"").expect(0);
    let (forger, inside) = (Authority::new(), trap());
    let forged = ["mcp.test", "auth.test"].map(|name| TlsFront::start(name, inside.address(), &forger, None));
    let places = [("mcp.test", forged[0].address()), ("auth.test", forged[1].address())];
    let trap = ConnectProxy::start(places);
    let before = service.server.requests().len();
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        for (words, asked) in
            [(&["bridge", NAME, "--strict"][..], "mcp.test"), (&["refresh", NAME, "--force"], "auth.test")]
        {
            let count = trap.asked_for(asked);
            let mut command = service.home.command(words);
            command.env(name, trap.url(PASSWORD));
            let start =
                json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params()});
            let outcome = finish(command, format!("{start}\n").as_bytes());
            assert!(trap.asked_for(asked) > count, "{name} is not heeded: {outcome:?}");
        }
        assert!(
            inside.requests().is_empty() && forged.iter().all(|front| front.shown().is_empty()),
            "{name}"
        );
    }
    assert_eq!((service.server.requests().len(), service.authorization.refreshes()), (before, 0));
    assert_eq!(service.authorization.living_grants(), 1);
}

/// A home of the project's own, whose index says that the person's service is elsewhere: the login in
/// the keychain is the address's, not the name's.
#[test]
fn c13_a_planted_index_leads_no_token_elsewhere() {
    let Some(session) = Session::unlocked() else { return };
    let (service, trap) = (Service::in_keychain(&session), trap());
    service.login(&[]).expect(0);
    let (_, _, key) = service.kept();
    let entry = service.home.path().join(format!(".local/state/mcp-front/services/{key}.json"));
    let mut entry: Value = serde_json::from_slice(&fs::read(entry).unwrap()).unwrap();
    entry["url"] = json!(trap.url());
    let project = service.home.path().join("project");
    let services = project.join("state/services");
    fs::create_dir_all(&services).unwrap();
    fs::write(services.join(format!("{key}.json")), entry.to_string()).unwrap();
    for arguments in [vec!["bridge", NAME], vec!["bridge", &trap.url()]] {
        let mut command = service.home.command(&arguments);
        command.current_dir(&project).env("MCP_FRONT_HOME", &project);
        let mut bridge = Bridge::spawn(command);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "whoever answers"), "whoever answers");
        assert!(!trap.requests().is_empty());
        assert_nothing_came(&trap, &service, &arguments.join(" "));
    }
}

/// Where programs look for settings, in the folder that they are started in.
const SETTINGS: [&str; 15] = [
    "mcp-front.json",
    ".mcp-front.json",
    "mcp-front.jsonc",
    ".mcp-front/settings.json",
    ".config/mcp-front/settings.json",
    "settings.json",
    "config.json",
    ".mcp.json",
    ".claude/settings.json",
    "mcp-front.toml",
    ".mcp-front.toml",
    ".mcp-front/config.toml",
    ".env",
    ".env.local",
    ".envrc",
];

/// What other programs take for settings of a project's: each would run something, or lead elsewhere.
#[test]
fn c14_a_projects_files_are_no_settings() {
    let (service, trap) = (logged_in(), trap());
    let project = service.home.path().join("project");
    let pwned = project.join("pwned");
    let command = format!("touch {}", pwned.display());
    let settings = json!({
        "command": command, "token_command": command, "secret_command": command, "headersHelper": command,
        "url": trap.url(), "services": {NAME: {"url": trap.url(), "command": command}},
        "mcpServers": {NAME: {"command": "sh", "args": ["-c", command], "headersHelper": command}},
    });
    let toml = format!("command = \"{command}\"\nurl = \"{}\"\n", trap.url());
    let variables = format!(
        "MCP_FRONT_HOME={}\nMCP_FRONT_URL={}\nHTTP_PROXY={}\n",
        project.display(),
        trap.url(),
        trap.origin()
    );
    for name in SETTINGS {
        let path = project.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = match name {
            name if name.ends_with(".toml") => toml.clone(),
            name if name.starts_with(".env") => variables.clone(),
            _ => settings.to_string(),
        };
        fs::write(&path, text).unwrap();
    }
    for program in ["xdg-open", "open", "security", "secret-tool", "sh", "mcp-front"] {
        write_executable(&project.join(program), &format!("#!/bin/sh\n{command}\n"));
    }
    let run = |words: &[&str]| -> Outcome {
        let mut command = service.home.command(words);
        command.current_dir(&project);
        finish(command, b"")
    };
    for words in
        [&["status", NAME][..], &["tokens", "list"], &["doctor", NAME], &["refresh", NAME, "--force"]]
    {
        run(words).expect(0);
    }
    run(&["login", &service.server.url(), "--name", NAME, "--force"]).expect(0);
    let mut command = service.home.command(["bridge", NAME]);
    command.current_dir(&project);
    let mut bridge = Bridge::spawn(command);
    bridge.initialize();
    assert_eq!(bridge.echo(1, "at the person's service"), "at the person's service");
    assert!(!pwned.exists(), "something of the project's ran");
    assert_eq!(trap.connections(), 0);
}

/// There is no command that prints a token, to a terminal or into a file.
#[test]
fn c16_no_command_prints_a_token() {
    let service = Service::front_like();
    service.login(&[]).expect(0);
    let secrets = service.authorization.secrets();
    let is_free = |text: &str| !secrets.iter().any(|secret| text.contains(secret.as_str()));
    for words in [
        &["tokens", "export", NAME][..],
        &["tokens", "export", NAME, "--output", "exported"],
        &["tokens", "show", NAME],
        &["tokens", "get", NAME],
        &["tokens", "print", NAME],
        &["tokens", "list", "--show-secrets"],
        &["export", NAME],
        &["token", NAME],
        &["status", NAME, "--show-secrets"],
    ] {
        let outcome = service.home.run(words).expect(2);
        assert!(is_free(&outcome.stdout) && is_free(&outcome.stderr), "{outcome:?}");
        let mut terminal = Terminal::start(&service.home, words);
        assert_eq!(terminal.wait().code(), Some(2));
        assert!(is_free(&terminal.text()), "{}", terminal.text());
    }
    for words in [&["tokens", "list"][..], &["status", NAME], &["doctor", NAME], &[]] {
        let mut terminal = Terminal::start(&service.home, words);
        assert!(terminal.wait().success() && is_free(&terminal.text()), "{}", terminal.text());
    }
    assert!(!service.home.path().join("exported").exists());
}
