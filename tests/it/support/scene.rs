//! A service like Front and a person, everything of whom is watched for secrets at the most verbose
//! log.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use url::Url;

use super::authorization_server::{AuthorizationServer, CLIENT_ID, CLIENT_SECRET, Fault};
use super::bridge::Bridge;
use super::browser::redirect_of;
use super::canaries::{Evidence, HOST_SECRET, HOST_VARIABLE, KEY, KEY_VARIABLE, secrets_of};
use super::gate::Gate;
use super::home::{Home, Outcome, finish, write_private};
use super::http_server::{Request, Responder};
use super::mcp_server::{McpServer, Setup};
use super::process::{Captured, Process};
use super::service::Service;

pub(crate) const STATIC_TOKEN: &str = "canary-static+token/0d3f=";

/// The session id that the scripted server gives first.
const SESSION: &str = "canary-session-1";

/// The ways to the most verbose log, in both formats.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Log {
    Verbose,
    Trace,
}

pub(crate) const LOGS: [Log; 2] = [Log::Verbose, Log::Trace];

/// A service like Front, a person, and all that can be seen of them.
pub(crate) struct Scene {
    pub(crate) service: Service,
    pub(crate) evidence: Evidence,
    /// Flags for every command.
    words: &'static [&'static str],
    pub(crate) client: Vec<String>,
    pub(crate) own_files: Vec<PathBuf>,
}

impl Scene {
    pub(crate) fn new(log: Log) -> Self {
        Self::with(log, None)
    }

    pub(crate) fn with(log: Log, script: Option<fn(&Request, &mut Responder) -> bool>) -> Self {
        let authorization = AuthorizationServer::front_like();
        let server = McpServer::start(Setup {
            authorization: Some(authorization.clone()),
            scope: Some("feature:mcp"),
            resource_is_origin: true,
            script: script.map(|script| Box::new(script) as Box<_>),
            ..Setup::default()
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
            .with("TMPDIR", directory.to_string_lossy())
            .with("MCP_FRONT_LOG_FILE", "log/kept.log");
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

    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        let planted = [KEY, HOST_SECRET, STATIC_TOKEN, SESSION].map(str::to_owned);
        secrets_of(&self.service.authorization).into_iter().chain(planted).collect()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.service.home.command(arguments.iter().chain(self.words))
    }

    /// The arguments of a login, the client's included.
    pub(crate) fn login_command(&self, more: &[&str]) -> Command {
        let arguments = self.service.login_arguments(more);
        self.command(&arguments.iter().chain(&self.client).map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn run(&mut self, arguments: &[&str], input: &str) -> Outcome {
        let outcome = finish(self.command(arguments), input.as_bytes());
        self.evidence.add_outcome(&arguments.join(" "), &outcome);
        outcome
    }

    /// Has the token endpoint hold its next answer back, and looks at every process meanwhile:
    /// one of them is `waiting`.
    pub(crate) fn look_while_held<T: Send>(&mut self, waiting: &str, act: impl FnOnce() -> T + Send) -> T {
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

    pub(crate) fn log_in_by_callback(&mut self, more: &[&str]) {
        let command = self.login_command(more);
        let outcome = self.look_while_held(" login ", move || finish(command, b""));
        self.evidence.add_outcome("login", &outcome);
        assert!(outcome.expect(0).stderr.to_ascii_lowercase().contains("debug"), "the log is verbose");
    }

    /// A login without a browser, whose answer is pasted after one that belongs elsewhere.
    pub(crate) fn log_in_by_paste(&mut self) -> Outcome {
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
    pub(crate) fn bridge(&self, target: &[&str]) -> Bridge {
        let arguments: Vec<_> = target.iter().chain(self.words).copied().collect();
        Bridge::start(&self.service.home, &arguments)
    }

    /// Ends a bridge and takes down what it said, but for the answers that the test has read.
    pub(crate) fn leave(&mut self, mut bridge: Bridge) {
        bridge.close_stdin();
        let (status, rest) = bridge.wait();
        assert!(status.success(), "{status}");
        self.evidence.add("stdout of bridge", rest.join(&b'\n'));
        let stderr = bridge.process.stderr.to_end();
        assert!(!stderr.is_empty(), "the log is verbose");
        self.evidence.add("stderr of bridge", stderr);
    }

    /// Starts a bridge whose `initialize` fails, and takes down the error.
    pub(crate) fn fail_to_start(&mut self, target: &[&str]) -> Value {
        let mut bridge = self.bridge(&[target, &["--strict"]].concat());
        let answer = bridge.initialize();
        assert!(answer["error"].is_object(), "{answer}");
        self.evidence.add("error of bridge", answer.to_string());
        self.leave(bridge);
        answer["error"].clone()
    }

    pub(crate) fn list(&mut self) {
        self.run(&["tokens", "list"], "").expect(0);
        self.run(&["tokens", "list", "--json"], "").expect(0);
        self.run(&[], "").expect(0);
        for format in [&["status"][..], &["status", "--json", "--fail-within", "1h"]] {
            // Whether a login is required by now is another test's matter.
            self.run(format, "");
        }
    }

    /// Looks at what is left in files, and fails the test where a secret was seen.
    pub(crate) fn conclude(mut self) {
        self.evidence.look_at_files(&self.service.home, &self.own_files);
        self.evidence.assert_free_of(&self.secrets());
    }
}
