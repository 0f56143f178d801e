//! A loopback MCP endpoint with its own authorization server, to try all without an account.
//!
//! The demo plays a hosted server on 127.0.0.1 and starts the real `login`, `bridge` and `tokens`
//! as processes of the same binary, as a person and an MCP host would. Their state lives in a
//! folder of its own, and goes with it. It opens no address beyond loopback, and touches neither
//! the user's keychain nor the user's settings.

mod children;
mod consent;
mod endpoints;
mod grants;
mod host;
mod journey;
mod person;
mod protocol;
mod server;
mod tools;
mod transcript;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::http::{self, Client};
use crate::lock::{Purpose, ServiceLock};
use crate::paths::Paths;
use crate::server_uri::{DEFAULT_PROFILE, ServerUri, ServiceKey};
use crate::signals::Signals;

use children::Children;
use journey::Journey;
use server::Server;
use transcript::Transcript;

/// How long an access token is good: short enough to watch one end, long enough for what comes
/// before on a busy machine.
const ACCESS_LIFE: Duration = Duration::from_secs(4);

/// How long a refresh under way is waited for.
const REFRESH_LIMIT: Duration = Duration::from_secs(3);

/// How the demo runs.
pub struct Config {
    /// Whether the consent page is shown to the person in a browser; otherwise the demo follows it.
    pub browser: bool,
    /// The binary whose `login`, `bridge` and `tokens` are shown: the running one.
    pub executable: PathBuf,
    /// Where the transcript goes: standard output.
    pub out: Box<dyn io::Write + Send>,
    /// Whether the transcript is coloured.
    pub colour: bool,
    /// Whether waiting shows a countdown: standard error is the terminal that shows the transcript.
    pub countdown: bool,
    /// How wide that terminal is, where there is one.
    pub columns: Option<u16>,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The loopback listener or the throw-away folder could not be made.
    #[error("the demo could not {what}")]
    Setup {
        /// What failed, completing "could not".
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A step did not do what it shall.
    #[error("{step}: {problem}")]
    Step {
        /// The step, for instance ``log in``.
        step: &'static str,
        /// What was seen instead, with no secret in it.
        problem: String,
    },
    /// A process that was shown ended with this exit code, and has told the person why.
    #[error("what was shown ended with {exit}")]
    Told {
        /// Its exit code.
        exit: u8,
    },
    /// The transcript could not be written.
    #[error("the transcript could not be written")]
    Output(#[source] io::Error),
    /// SIGINT or SIGTERM ended it; all has been cleaned up.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demo to its end and writes its transcript.
///
/// # Errors
/// The first step that misbehaves ends the demo. Whatever the outcome, its processes have ended
/// and its credential is gone when this returns; dropping the future early kills and erases too,
/// without waiting.
pub async fn run(config: Config) -> Result<(), DemoError> {
    let setup = |what| move |source| DemoError::Setup { what, source };
    let mut signals = Signals::new().map_err(setup("listen for signals"))?;
    let home = tempfile::Builder::new().prefix("mcp-front-demo-").tempdir();
    let home = home.map_err(setup("make a throw-away folder"))?;
    let server = Server::start(ACCESS_LIFE).await.map_err(setup("listen on loopback"))?;
    let endpoint = ServerUri::parse(server.endpoint(), false).map_err(io::Error::other);
    let endpoint = endpoint.map_err(setup("name its own endpoint"))?;
    let mut transcript = Transcript::new(config.out, config.colour, config.countdown, config.columns);
    let mut children = Children::new(config.executable, home.path().to_owned());
    let journey = Journey {
        transcript: &mut transcript,
        children: &mut children,
        server: &server,
        http: &Client::new(http::Config::default(), &endpoint),
        browser: config.browser,
    };
    let outcome = tokio::select! {
        outcome = journey.take() => outcome,
        _ = signals.next() => Err(DemoError::Interrupted),
    };
    children.end().await;
    wait_for_refresh(home.path(), server.endpoint()).await;
    server.stop().await;
    let removed = home.close().map_err(setup("remove its throw-away folder"));
    outcome.and(removed)?;
    transcript.finish("Done: the processes have ended and the login is gone").map_err(DemoError::Output)
}

/// Waits until no refresh of the demo's login is under way any more. A refresh runs in a process of
/// its own that outlives a bridge, and must not write into a folder that is being removed.
async fn wait_for_refresh(home: &Path, endpoint: &str) {
    let (Ok(paths), Ok(server)) = (Paths::resolve(Some(home)), ServerUri::parse(endpoint, false)) else {
        return;
    };
    if !paths.locks().exists() {
        return;
    }
    let key = ServiceKey::new(DEFAULT_PROFILE, &server);
    let deadline = tokio::time::Instant::now() + REFRESH_LIMIT;
    // At the deadline the folder goes all the same: the demo's credential must.
    let _ = ServiceLock::acquire(&paths, &key, Purpose::Refresh, deadline).await;
}

#[cfg(all(test, unix))]
mod tests;
