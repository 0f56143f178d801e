//! The demo's steps, in the order that a person would take them: meet the server, log in, use the
//! bridge, let the access token expire, use the bridge again, look at what is stored.
//!
//! Each step checks what it shows. The first one that misbehaves ends the journey.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Fuse, FusedFuture, FutureExt};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use url::Url;

use super::DemoError;
use super::children::{Children, Process, Talk};
use super::host::{Answer, Host};
use super::person::Person;
use super::server::Server;
use super::transcript::Transcript;
use crate::http::{AddressPolicy, Client};
use crate::redact::with_causes;

/// How long a part of a step may take that no person takes part in.
const PART_LIMIT: Duration = Duration::from_secs(15);

/// How long a person may take at the consent page: longer than `login` itself waits.
const PERSON_LIMIT: Duration = Duration::from_secs(330);

/// How far past the access token's end the demo waits.
const PAST_EXPIRY: Duration = Duration::from_millis(200);

/// The revision that the demo's host speaks.
const REVISION: &str = crate::wire::LATEST_WITH_INITIALIZE;

/// The service's name.
const NAME: &str = "demo";

/// What the steps work with.
pub(super) struct Journey<'a> {
    pub(super) transcript: &'a mut Transcript,
    pub(super) children: &'a mut Children,
    pub(super) server: &'a Server,
    pub(super) http: &'a Client,
    /// Whether a person answers the consent page, in a browser.
    pub(super) browser: bool,
}

/// Why a step did not succeed.
#[derive(Debug)]
enum Trouble {
    /// What was seen instead.
    Problem(String),
    /// A process has told the person itself why it ended, and its exit code.
    Told(u8),
    /// The transcript could not be written.
    Output(io::Error),
}

impl Journey<'_> {
    /// Takes all steps. Dropping the future leaves the processes to [`Children::end`].
    ///
    /// # Errors
    /// [`DemoError::Step`] with the first step that misbehaved; [`DemoError::Told`]; [`DemoError::Output`].
    pub(super) async fn take(mut self) -> Result<(), DemoError> {
        self.meet_the_server().await.map_err(at("meet the server"))?;
        self.log_in().await.map_err(at("log in"))?;
        let mut host = self.open_the_bridge().await.map_err(at("use the bridge"))?;
        self.outlive_the_token(&mut host).await.map_err(at("outlive the access token"))?;
        self.list_tokens().await.map_err(at("list what is stored"))?;
        self.leave(host).await.map_err(at("leave"))
    }

    async fn meet_the_server(&mut self) -> Result<(), Trouble> {
        let endpoint = self.server.endpoint();
        self.transcript
            .say("A hosted MCP server, a login and a bridge, all on this machine; nothing stays.")?;
        self.transcript.chapter("A hosted MCP server, played by this process", None)?;
        self.transcript.note("MCP endpoint", endpoint)?;
        let request = Request::post(endpoint)
            .header(CONTENT_TYPE, "application/json")
            .body(json!({ "jsonrpc": "2.0", "id": 0, "method": "ping" }).to_string().into_bytes())
            .map_err(Trouble::of)?;
        let answer =
            self.http.exchange(request, &AddressPolicy::bound(), PART_LIMIT).await.map_err(Trouble::of)?;
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some(challenge) = challenge.filter(|_| answer.status() == StatusCode::UNAUTHORIZED) else {
            return Err(Trouble::Problem(format!("without a token it answered {}", answer.status())));
        };
        self.transcript.note("a call without a token", "is answered 401 Unauthorized")?;
        self.transcript.quote("WWW-Authenticate: Bearer")?;
        for parameter in challenge.trim_start_matches("Bearer ").split(", ") {
            self.transcript.quote(&format!("  {parameter}"))?;
        }
        let life = self.server.access_life().as_secs();
        self.transcript.note("its tokens", &format!("access: {life} s each; refresh: each good once"))?;
        Ok(())
    }

    async fn log_in(&mut self) -> Result<(), Trouble> {
        let mut arguments = vec!["login", self.server.endpoint(), "--name", NAME];
        if !self.browser {
            arguments.push("--no-browser");
        }
        self.transcript.chapter("Log in, once", Some(&arguments))?;
        let process = if self.browser {
            self.children.start_attached(&arguments).map_err(Trouble::not_started)?
        } else {
            within(PART_LIMIT, self.follow_login(&arguments)).await?
        };
        match self.browser {
            true => self.attended(process).await?,
            false => self.ended_well(process, PART_LIMIT, &Talk::default()).await?,
        }
        if self.server.tally().logins != 1 {
            return Err(Trouble::Problem("the server saw no login".to_owned()));
        }
        self.transcript.note("logged in", "with PKCE; the login is in the demo's own store")?;
        Ok(())
    }

    /// Reads what `login` says, and follows the consent page once it names it.
    async fn follow_login(&mut self, arguments: &[&str]) -> Result<Process, Trouble> {
        // The pipe to its input is held until it has ended: it could take a closed one for an answer.
        let login = self.children.start(arguments).map_err(Trouble::not_started)?;
        let mut spoken = BufReader::new(login.stderr).lines();
        let mut printed = BufReader::new(login.stdout).lines();
        let (mut speaks, mut prints, mut asked) = (true, true, None);
        let person = Person { http: self.http, issuer: self.server.issuer() };
        let mut allowing = pin!(Fuse::terminated());
        while speaks || prints || !allowing.is_terminated() {
            let line = tokio::select! {
                line = spoken.next_line(), if speaks => {
                    speaks = matches!(line, Ok(Some(_)));
                    line
                }
                line = printed.next_line(), if prints => {
                    prints = matches!(line, Ok(Some(_)));
                    line
                }
                allowed = &mut allowing => {
                    let allowed: Result<(), String> = allowed;
                    allowed.map_err(Trouble::Problem)?;
                    let took = asked.map(|asked: Instant| milliseconds(asked.elapsed())).unwrap_or_default();
                    self.transcript.note("consent page", &format!("allowed, as a browser would ({took})"))?;
                    continue;
                }
            };
            let Some(line) = line.map_err(Trouble::of)? else { continue };
            self.transcript.quote(&line)?;
            if let Some(url) = authorization_url(&line, person.issuer).filter(|_| asked.is_none()) {
                asked = Some(Instant::now());
                allowing.set(person.allow(url).fuse());
            }
        }
        Ok(login.process)
    }

    async fn open_the_bridge(&mut self) -> Result<Host, Trouble> {
        let arguments = ["bridge", NAME];
        self.transcript.chapter("An MCP host uses the bridge", Some(&arguments))?;
        let mut host = Host::new(self.children.start(&arguments).map_err(Trouble::not_started)?);
        let params = json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": { "name": "mcp-front-demo-host", "version": env!("CARGO_PKG_VERSION") },
        });
        let answer = host.request("initialize", params).await.map_err(Trouble::Problem)?;
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let info = &answer.result["serverInfo"];
        let revision = text(&answer.result["protocolVersion"]);
        self.answered("initialize", &format!("{}, revision {revision}", text(&info["name"])), &answer)?;
        host.notify("notifications/initialized").await.map_err(Trouble::Problem)?;
        let answer = host.request("tools/list", json!({})).await.map_err(Trouble::Problem)?;
        let tools = answer.result["tools"].as_array().into_iter().flatten();
        let mut tools: Vec<String> = tools.map(|tool| text(&tool["name"])).collect();
        tools.sort_unstable();
        if tools != ["echo", "whoami"] {
            return Err(Trouble::Problem(format!("tools/list: the tools are {tools:?}")));
        }
        self.answered("tools/list", &tools.join(", "), &answer)?;
        let sent = "Grüße, 世界";
        let said = self.call(&mut host, "echo", json!({ "text": sent })).await?;
        if said != sent {
            return Err(Trouble::Problem("tools/call echo: the text came back changed".to_owned()));
        }
        self.call(&mut host, "whoami", json!({})).await?;
        Ok(host)
    }

    async fn outlive_the_token(&mut self, host: &mut Host) -> Result<(), Trouble> {
        self.transcript.chapter("The access token expires; the host does not notice", None)?;
        let before = self.server.tally();
        let none = || Trouble::Problem("no access token was issued".to_owned());
        let expiry = self.server.newest_expiry().ok_or_else(none)?;
        self.transcript.wait(expiry + PAST_EXPIRY, "the access token expires in").await;
        self.transcript.note("access token", "expired")?;
        self.call(host, "whoami", json!({})).await?;
        let after = self.server.tally();
        let seen = format!(
            "{}, {}, {} of a spent refresh token",
            counted(after.logins, "login", "logins"),
            counted(after.refreshes, "refresh", "refreshes"),
            counted(after.reuses, "use", "uses"),
        );
        self.transcript.note("as the server counted", &seen)?;
        if after.refreshes != before.refreshes + 1 || after.reuses != 0 || after.logins != 1 {
            return Err(Trouble::Problem(format!("one refresh was due, but the server counted {seen}")));
        }
        Ok(())
    }

    async fn list_tokens(&mut self) -> Result<(), Trouble> {
        let arguments = ["tokens", "list"];
        self.transcript.chapter("What is stored", Some(&arguments))?;
        let list = self.children.start(&arguments).map_err(Trouble::not_started)?;
        let talk = Talk::gather(list.stderr);
        let mut lines = BufReader::new(list.stdout).lines();
        let mut named = false;
        let reading = async {
            while let Some(line) = lines.next_line().await.map_err(Trouble::of)? {
                named |= line.contains(NAME);
                self.transcript.quote(&line)?;
            }
            Ok(())
        };
        within(PART_LIMIT, reading).await?;
        self.ended_well(list.process, PART_LIMIT, &talk).await?;
        if named { Ok(()) } else { Err(Trouble::Problem(format!("`{NAME}` is not listed"))) }
    }

    async fn leave(&mut self, host: Host) -> Result<(), Trouble> {
        self.transcript.chapter("The host leaves", None)?;
        let asked = Instant::now();
        let (process, talk) = host.close();
        self.ended_well(process, PART_LIMIT, &talk).await?;
        let took = milliseconds(asked.elapsed());
        self.transcript.note("bridge", &format!("ended with 0 once its input was closed ({took})"))?;
        Ok(())
    }

    async fn call(&mut self, host: &mut Host, tool: &str, arguments: Value) -> Result<String, Trouble> {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = host.request("tools/call", params).await.map_err(Trouble::Problem)?;
        let said = answer.result["content"][0]["text"].as_str();
        let Some(said) = said.filter(|_| answer.result["isError"] != json!(true)) else {
            return Err(Trouble::Problem(format!("tools/call {tool} answered {}", answer.result)));
        };
        self.answered(&format!("tools/call {tool}"), said, &answer)?;
        Ok(said.to_owned())
    }

    fn answered(&mut self, request: &str, text: &str, answer: &Answer) -> io::Result<()> {
        self.transcript.note(request, &format!("{text} ({})", milliseconds(answer.took)))
    }

    /// As [`ended_well`](Self::ended_well), for a process that speaks to the person.
    async fn attended(&mut self, process: Process) -> Result<(), Trouble> {
        let ending = async { self.children.outcome(process).await.map_err(Trouble::of) };
        let status = within(PERSON_LIMIT, ending).await?;
        match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(0) => Ok(()),
            Some(code) => Err(Trouble::Told(code)),
            None => Err(Trouble::Problem(format!("the process ended with {status}"))),
        }
    }

    async fn ended_well(&mut self, process: Process, limit: Duration, talk: &Talk) -> Result<(), Trouble> {
        let ending = async { self.children.outcome(process).await.map_err(Trouble::of) };
        let status = within(limit, ending).await?;
        let problem = || Trouble::Problem(talk.follows(&format!("the process ended with {status}")));
        if status.success() { Ok(()) } else { Err(problem()) }
    }
}

impl Trouble {
    fn not_started(error: io::Error) -> Self {
        Self::Problem(format!("this program could not be started again: {error}"))
    }

    fn of(error: impl std::error::Error) -> Self {
        Self::Problem(with_causes(&error))
    }
}

impl From<io::Error> for Trouble {
    /// The transcript is the only one whose errors come as they are.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Says at which step there was trouble.
fn at(step: &'static str) -> impl Fn(Trouble) -> DemoError {
    move |trouble| match trouble {
        Trouble::Problem(problem) => DemoError::Step { step, problem },
        Trouble::Told(exit) => DemoError::Told { exit },
        Trouble::Output(error) => DemoError::Output(error),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let late = || Trouble::Problem(format!("it did not end within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

/// The authorization URL in a line that a login wrote, with or without a terminal hyperlink around.
fn authorization_url(line: &str, issuer: &str) -> Option<Url> {
    let start = line.find(&format!("{issuer}/authorize?"))?;
    let url = line[start..].split(|character: char| character.is_whitespace() || character.is_control());
    url.into_iter().next().and_then(|text| Url::parse(text).ok())
}

fn counted(count: u32, one: &str, more: &str) -> String {
    match count {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_url_is_found_wherever_a_line_shows_it() {
        let issuer = "http://127.0.0.1:9";
        let url = "http://127.0.0.1:9/authorize?client_id=a&state=b";
        for (line, found) in [
            (url.to_owned(), true),
            (format!("Open {url} in a browser"), true),
            (format!("\u{1b}]8;;{url}\u{1b}\\{url}\u{1b}]8;;\u{1b}\\"), true),
            ("http://127.0.0.1:8/authorize?client_id=a".to_owned(), false),
            ("http://127.0.0.1:9/token".to_owned(), false),
        ] {
            assert_eq!(authorization_url(&line, issuer), found.then(|| Url::parse(url).unwrap()), "{line:?}");
        }
    }
}
