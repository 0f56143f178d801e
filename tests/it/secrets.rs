//! No secret leaves the store: planted ones are looked for in everything that others can see, at
//! the most verbose log, when all goes well and when servers say them out loud.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use url::Url;

use crate::support::authorization_server::{
    AuthorizationServer, CLIENT_ID, CLIENT_SECRET, Fault, TokenRequest,
};
use crate::support::bridge::Bridge;
use crate::support::browser::{Browser, redirect_of};
use crate::support::canaries::{
    Evidence, HOST_SECRET, HOST_VARIABLE, KEY, KEY_VARIABLE, secrets_in, secrets_of,
};
use crate::support::fetch;
use crate::support::gate::Gate;
use crate::support::home::{Home, Outcome, finish, write_private};
use crate::support::http_server::{Reply, Request, Responder};
use crate::support::mcp_server::{McpServer, Setup};
use crate::support::process::{Captured, Process};
use crate::support::service::{NAME, Service};

const STATIC_TOKEN: &str = "canary-static+token/0d3f=";

/// The session id that the scripted server gives first.
const SESSION: &str = "canary-session-1";

/// The ways to the most verbose log, in both formats.
#[derive(Clone, Copy, Debug)]
enum Log {
    Verbose,
    Trace,
}

const LOGS: [Log; 2] = [Log::Verbose, Log::Trace];

/// A service like Front, a person, and all that can be seen of them.
struct Scene {
    service: Service,
    evidence: Evidence,
    /// Flags for every command.
    words: &'static [&'static str],
    client: Vec<String>,
    own_files: Vec<PathBuf>,
}

impl Scene {
    fn new(log: Log) -> Self {
        Self::with(log, None)
    }

    fn with(log: Log, script: Option<fn(&Request, &mut Responder) -> bool>) -> Self {
        let authorization = AuthorizationServer::front_like();
        let server = McpServer::start(Setup {
            authorization: Some(authorization.clone()),
            scope: Some("feature:mcp"),
            resource_is_origin: true,
            script: script.map(|script| Box::new(script) as Box<_>),
        });
        let home = Home::bare();
        let directory = home.path().join("tmp");
        std::fs::create_dir(&directory).expect("the home is writable");
        let secret = home.path().join("client-secret");
        write_private(&secret, CLIENT_SECRET);
        let mut home = home
            .with("MCP_FRONT_STORE", "file")
            .with(KEY_VARIABLE, KEY)
            .with(HOST_VARIABLE, HOST_SECRET)
            .with("TMPDIR", directory.to_string_lossy());
        let words: &[&str] = match log {
            Log::Verbose => &["-vvv"],
            Log::Trace => {
                home = home.with("MCP_FRONT_LOG", "trace");
                &["--log-format", "json"]
            }
        };
        let evidence = Evidence::in_home(&home);
        let service = Service::of(authorization, server, home);
        let client = ["--client-id", CLIENT_ID, "--client-secret-file", &secret.to_string_lossy()];
        let client = client.map(str::to_owned).into();
        Self { service, evidence, words, client, own_files: vec![secret] }
    }

    fn secrets(&self) -> BTreeSet<String> {
        let planted = [KEY, HOST_SECRET, STATIC_TOKEN, SESSION].map(str::to_owned);
        secrets_of(&self.service.authorization).into_iter().chain(planted).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.service.home.command(arguments.iter().chain(self.words))
    }

    /// The arguments of a login, the client's included.
    fn login_command(&self, more: &[&str]) -> Command {
        let arguments = self.service.login_arguments(more);
        self.command(&arguments.iter().chain(&self.client).map(String::as_str).collect::<Vec<_>>())
    }

    fn run(&mut self, arguments: &[&str], input: &str) -> Outcome {
        let outcome = finish(self.command(arguments), input.as_bytes());
        self.evidence.add_outcome(&arguments.join(" "), &outcome);
        outcome
    }

    /// Has the token endpoint hold its next answer back, and looks at every process meanwhile:
    /// one of them is `waiting`.
    fn look_while_held<T: Send>(&mut self, waiting: &str, act: impl FnOnce() -> T + Send) -> T {
        let gate = Gate::default();
        self.service.authorization.fault(Fault::Hold(gate.clone()));
        std::thread::scope(|scope| {
            let acting = scope.spawn(act);
            gate.wait_for_arrivals(1);
            let seen = self.evidence.look_at_processes();
            gate.open();
            assert!(seen.iter().any(|line| line.contains(waiting)), "{waiting} is not among {seen:#?}");
            acting.join().expect("the act ends")
        })
    }

    fn log_in_by_callback(&mut self, more: &[&str]) {
        let command = self.login_command(more);
        let outcome = self.look_while_held(" login ", move || finish(command, b""));
        self.evidence.add_outcome("login", &outcome);
        assert!(outcome.expect(0).stderr.to_ascii_lowercase().contains("debug"), "the log is verbose");
    }

    /// A login without a browser, whose answer is pasted after one that belongs elsewhere.
    fn log_in_by_paste(&mut self) -> Outcome {
        let mut command = self.login_command(&["--force", "--no-browser"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let stdout = Captured::new(process.child.stdout.take().expect("stdout is piped"));
        let mut stdin = process.child.stdin.take().expect("stdin is piped");
        let start = format!("{}/authorize?", self.service.authorization.issuer());
        let address = |text: &str| {
            let from = &text[text.find(&start)?..];
            from.find(char::is_whitespace).map(|end| from[..end].to_owned())
        };
        let text = process.stderr.wait_for("the address", |text| address(text).is_some());
        let answer = redirect_of(&Url::parse(&address(&text).expect("it is there")).expect("a URL"));
        let foreign = answer.as_str().replace("state=", "state=x");
        let mut paste = |text: &str| writeln!(stdin, "{text}").expect("the login reads");
        paste(&foreign);
        process.stderr.wait_for("the refusal", |text| text.contains("Still waiting."));
        paste(answer.as_str());
        let status = process.wait();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let outcome =
            Outcome { status, stdout: text(stdout.to_end()), stderr: text(process.stderr.to_end()) };
        self.evidence.add_outcome("login --no-browser", &outcome);
        outcome
    }

    /// Starts a bridge on `target`.
    fn bridge(&self, target: &[&str]) -> Bridge {
        let arguments: Vec<_> = target.iter().chain(self.words).copied().collect();
        Bridge::start(&self.service.home, &arguments)
    }

    /// Ends a bridge and takes down what it said, but for the answers that the test has read.
    fn leave(&mut self, mut bridge: Bridge) {
        bridge.close_stdin();
        let (status, rest) = bridge.wait();
        assert!(status.success(), "{status}");
        self.evidence.add("stdout of bridge", rest.join(&b'\n'));
        let stderr = bridge.process.stderr.to_end();
        assert!(!stderr.is_empty(), "the log is verbose");
        self.evidence.add("stderr of bridge", stderr);
    }

    /// Starts a bridge whose `initialize` fails, and takes down the error.
    fn fail_to_start(&mut self, target: &[&str]) -> Value {
        let mut bridge = self.bridge(target);
        let answer = bridge.initialize();
        assert!(answer["error"].is_object(), "{answer}");
        self.evidence.add("error of bridge", answer.to_string());
        self.leave(bridge);
        answer["error"].clone()
    }

    fn list(&mut self) {
        self.run(&["tokens", "list"], "").expect(0);
        self.run(&["tokens", "list", "--json"], "").expect(0);
    }

    /// Looks at what is left in files, and fails the test where a secret was seen.
    fn conclude(mut self) {
        self.evidence.look_at_files(&self.service.home, &self.own_files);
        self.evidence.assert_free_of(&self.secrets());
    }
}

/// What a careless server says: `secrets` as they are, as a form encodes them, and as Basic.
fn said_aloud(secrets: &[String]) -> String {
    let say = |secret: &String| {
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        format!("{secret} token={form} Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{secret}")))
    };
    secrets.iter().map(say).collect::<Vec<_>>().join(" ")
}

/// A token endpoint's answer that repeats what it was sent, as `answer` puts it.
fn repeating(answer: impl FnOnce(&str) -> Reply + Send + 'static) -> Fault {
    Fault::Answer(Box::new(move |request: &TokenRequest| {
        let client = request.authorization.iter().map(|_| CLIENT_SECRET.to_owned());
        answer(&said_aloud(&secrets_in(request).into_iter().chain(client).collect::<Vec<_>>()))
    }))
}

/// A refusal of RFC 6749 with a description.
fn described(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, json!({"error": error, "error_description": description}).to_string())
}

/// What a token endpoint can do wrong without ending the login.
const CARELESS: [fn(&str) -> Reply; 11] = [
    |aloud| Reply::html(500, &format!("<h1>{aloud}</h1>")),
    |aloud| described(500, "server_error", aloud),
    |aloud| Reply::json(200, format!("no JSON: {aloud}")),
    |aloud| described(200, "temporarily_unavailable", aloud),
    |aloud| Reply::json(200, json!({"token_type": aloud, "expires_in": aloud}).to_string()),
    |aloud| described(400, "invalid_request", aloud),
    // Whatever is cut off at the end must not leave half a secret there.
    |aloud| described(400, "invalid_request", &format!("{}{aloud}", "x".repeat(490))),
    |aloud| Reply::json(400, json!({"error": aloud}).to_string()),
    |aloud| Reply::json(400, json!({"error": {"code": aloud, "message": aloud}}).to_string()),
    |aloud| Reply::status(302).header("Location", format!("http://127.0.0.1:1/?{aloud}")),
    |aloud| described(429, "slow_down", aloud).header("Retry-After", aloud),
];

/// Bar 6, A29: login by callback and by paste, refresh, listing and deleting, with an encrypted store.
#[test]
fn a_login_that_goes_well_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        let seen = scene.service.browser.seen();
        assert!(seen.contains("HOME=") && seen.contains("/authorize?"), "{seen}");
        assert!(!seen.contains(KEY_VARIABLE), "{seen}");
        scene.evidence.add("the browser", seen);
        scene.log_in_by_paste().expect(0);
        scene.list();

        let mut bridge = scene.bridge(&[NAME]);
        bridge.initialize();
        scene.service.authorization.refuse_issued_access_tokens();
        let echoed = scene.look_while_held("refresh-child", || (bridge.echo(1, "hello"), bridge));
        assert_eq!(echoed.0, "hello");
        scene.leave(echoed.1);
        scene.list();
        scene.run(&["tokens", "delete", NAME, "--yes"], "").expect(0);
        scene.conclude();
    }
}

/// Bar 6, B12: a callback that is not this login's, and the pages that both end on.
#[test]
fn codes_of_callbacks_are_not_shown() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        let browser = Browser::watching();
        scene.service.home = scene.service.home.with("BROWSER", browser.executable());
        let mut login = Process::start(&mut scene.login_command(&[]));
        let right = redirect_of(&browser.opened());
        let mut wrong = right.clone();
        let foreign = ["canary-foreign-code", "canary-foreign-state"];
        wrong.query_pairs_mut().clear().append_pair("code", foreign[0]).append_pair("state", foreign[1]);
        let refused = fetch::get(&wrong).expect("an answer");
        assert_eq!(refused.status, 400);
        let accepted = fetch::get(&right).expect("an answer");
        assert!(login.wait().success());
        scene.evidence.add("stderr of login", login.stderr.to_end());
        scene.evidence.add("the pages", refused.text() + &accepted.text());
        let state =
            right.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        scene.evidence.assert_free_of(&foreign.map(str::to_owned).into());
        let response = [refused.text(), accepted.text()].concat();
        assert!(state.is_some_and(|state| !response.contains(&state)));
        scene.conclude();
    }
}

/// Bar 6, A28: a token endpoint that fails, and says aloud what it was sent.
#[test]
fn a_refresh_that_fails_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        scene.service.authorization.refuse_issued_access_tokens();
        for reply in CARELESS {
            // A bridge tries twice where there was no verdict.
            let enough = scene.service.authorization.refreshes() + 2;
            scene.service.authorization.fault(repeating(reply));
            scene.service.authorization.fault(repeating(reply));
            while scene.service.authorization.refreshes() < enough {
                scene.fail_to_start(&[NAME]);
            }
            scene.list();
        }
        for error in ["invalid_client", "invalid_grant"] {
            scene.service.authorization.fault(repeating(move |aloud| described(400, error, aloud)));
            scene.fail_to_start(&[NAME]);
            scene.list();
            assert_eq!(scene.service.row()["state"], "login_required");
            scene.log_in_by_callback(&["--force"]);
            scene.service.authorization.refuse_issued_access_tokens();
        }
        scene.conclude();
    }
}

/// Bar 6: an exchange that fails, and says aloud what it was sent.
#[test]
fn an_exchange_that_fails_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        for error in ["invalid_grant", "invalid_client", "invalid_request", "server_error"] {
            scene.service.authorization.fault(repeating(move |aloud| described(400, error, aloud)));
            assert_ne!(scene.log_in_by_paste().code(), 0);
        }
        scene.list();
        scene.conclude();
    }
}

/// Bar 6: fresh tokens that the service refuses again.
#[test]
fn a_token_that_is_refused_for_ever_leaves_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        scene.log_in_by_callback(&[]);
        scene.service.authorization.revoke_access_for_ever();
        scene.fail_to_start(&[NAME]);
        scene.list();
        scene.conclude();
    }
}

/// Bar 6, B18: a static token, typed on stdin, sent, refused and deleted; and headers of the user's own.
#[test]
fn a_static_token_and_own_headers_leave_no_secret_behind() {
    for log in LOGS {
        let mut scene = Scene::new(log);
        let url = scene.service.server.url();
        scene.run(&["tokens", "set", &url, "--name", NAME], &format!("{STATIC_TOKEN}\n")).expect(0);
        scene.list();
        let error = scene.fail_to_start(&[NAME]);
        assert!(error.to_string().contains("tokens set"), "{error}");
        let sent = scene.service.server.requests().pop().expect("a request");
        assert_eq!(sent.header("Authorization"), Some(format!("Bearer {STATIC_TOKEN}").as_str()));
        scene.list();
        scene.run(&["tokens", "delete", NAME, "--yes"], "").expect(0);

        let file = scene.service.home.path().join("headers");
        write_private(&file, &format!("X-Two: {STATIC_TOKEN}\n"));
        scene.own_files.push(file);
        let open = McpServer::open();
        let header = format!("X-One: ${{{HOST_VARIABLE}}}");
        let mut bridge = scene.bridge(&[&open.url(), "--header", &header, "--header-file", "headers"]);
        bridge.initialize();
        let sent = open.requests().pop().expect("a request");
        assert_eq!((sent.header("X-One"), sent.header("X-Two")), (Some(HOST_SECRET), Some(STATIC_TOKEN)));
        scene.evidence.look_at_processes();
        scene.leave(bridge);
        scene.conclude();
    }
}

/// Bar 6: a login that the bridge starts, in a process of its own and, for the memory store, within.
#[test]
fn a_login_of_the_bridges_own_leaves_no_secret_behind() {
    for log in LOGS {
        for store in ["file", "memory"] {
            let mut scene = Scene::new(log);
            let url = scene.service.server.url();
            let client: Vec<_> = scene.client.clone();
            let mut arguments = vec![url.as_str(), "--login", "--store", store];
            arguments.extend(client.iter().map(String::as_str));
            let mut bridge = scene.bridge(&arguments);
            let waiting = if store == "file" { "login-child" } else { "bridge" };
            let mut bridge = scene.look_while_held(waiting, move || {
                bridge.initialize();
                bridge
            });
            assert_eq!(bridge.echo(1, "hello"), "hello");
            scene.service.authorization.refuse_issued_access_tokens();
            let waiting = if store == "file" { "refresh-child" } else { "bridge" };
            let mut bridge = scene.look_while_held(waiting, move || {
                assert_eq!(bridge.echo(2, "again"), "again");
                bridge
            });
            scene.service.authorization.refuse_issued_access_tokens();
            let refusal = repeating(|aloud| described(400, "invalid_request", aloud));
            scene.service.authorization.fault(refusal);
            let answer = bridge.call(3, "tools/call", json!({"name": "echo"}));
            assert!(answer["error"].is_object(), "{answer}");
            scene.evidence.add("error of bridge", answer.to_string());
            scene.leave(bridge);
            scene.list();
            scene.conclude();
        }
    }
}

/// Answers a tool's call as its name says, with the access token in whatever comes back.
fn careless(request: &Request, responder: &mut Responder) -> bool {
    let message = request.json();
    if message["method"] != "tools/call" {
        return false;
    }
    let authorization = request.header("Authorization").unwrap_or_default();
    let token = authorization.trim_start_matches("Bearer ").to_owned();
    let aloud = said_aloud(std::slice::from_ref(&token));
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
        "broken JSON" => Reply::json(200, format!("{{\"jsonrpc\":\"2.0\",\"{aloud}")),
        "no message" => Reply::json(200, json!({"token": aloud}).to_string()),
        "event" => Reply::events(format!("event: {token}\nid: {token}\ndata: {aloud}\n\n")),
        "redirect" => Reply::status(307).header("Location", format!("http://127.0.0.1:1/{token}")),
        "found" => Reply::status(302).header("Location", format!("/?{token}")),
        "wait" => Reply::html(429, &aloud).header("Retry-After", token.as_str()),
        "scope" => challenge(403, "error=\"insufficient_scope\", scope=\"feature:mcp more\""),
        "token as scope" => challenge(403, &format!("error=\"insufficient_scope\", scope=\"{token}\"")),
        "token as error" => challenge(401, &format!("error=\"{token}\"")),
        "challenge" => challenge(401, "error=\"invalid_token\""),
        _ => return false,
    };
    responder.reply(&reply);
    true
}

/// Bar 6: a service that says the access token aloud when it refuses.
#[test]
fn an_access_token_in_an_error_page_is_not_repeated() {
    for log in LOGS {
        let mut scene = Scene::with(log, Some(careless));
        scene.log_in_by_callback(&[]);
        for kind in [
            "page",
            "forbidden page",
            "JSON",
            "text",
            "other type",
            "broken JSON",
            "no message",
            "event",
            "redirect",
            "found",
            "wait",
            "scope",
            "token as scope",
            "token as error",
            "challenge",
        ] {
            let mut bridge = scene.bridge(&[NAME]);
            bridge.initialize();
            let answer = bridge.call(1, "tools/call", json!({"name": kind}));
            assert!(answer["error"].is_object(), "{kind}: {answer}");
            scene.evidence.add(&format!("error for {kind}"), answer.to_string());
            scene.leave(bridge);
        }
        scene.list();
        scene.conclude();
    }
}
