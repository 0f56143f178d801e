//! The service's endpoint: name, connection, TLS and proxy; its clock; and what it publishes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, DATE, HeaderMap};
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::{Check, Finding, Subject};
use crate::authorizer::login::{Survey, next_step};
use crate::clock;
use crate::credential::Binding;
use crate::http::{Client, HttpError, ROOTS_REMEDY, Response, secrets_sent};
use crate::oauth::{Discovery, OauthError, Source};
use crate::redact::{in_full, printable, with_causes};
use crate::wire::EVENTS;

/// How long a name, and then an answer, is waited for.
const REACH_LIMIT: Duration = Duration::from_secs(10);
/// How long discovery may take here.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(30);
/// What two clocks may differ by before somebody should look, in seconds.
const SKEW_NOTICED: i64 = 60;
/// What they may differ by before tokens seem dead or alive that are not, in seconds.
const SKEW_HARMFUL: i64 = 300;

/// What reaching for the endpoint came to.
pub(super) struct Reached {
    pub(super) stands: bool,
    pub(super) finding: Finding,
    pub(super) clock: Finding,
}

impl Reached {
    fn not(finding: Finding) -> Self {
        Self { stands: false, finding, clock: Finding::skipped(Check::Clock, "not compared: no answer") }
    }
}

/// Looks the name up, connects, and sends a request without a token. Any answer will do.
pub(super) async fn reach(http: &Client, subject: &Subject) -> Reached {
    let host = printable(subject.server.authority());
    let proxies = proxies(subject);
    let mut text = match &proxies {
        Some(proxies) => format!("{host}, by way of {proxies} unless NO_PROXY excepts it"),
        None => match addresses(subject).await {
            // An address stands for itself.
            Ok(addresses) if addresses == subject.server.host() => host.clone(),
            Ok(addresses) => format!("{host} is {addresses}"),
            Err(problem) => {
                let finding = Finding::bad(Check::Network, format!("{host} has no address: {problem}"));
                return Reached::not(
                    finding.with_remedy("check the name, this machine's DNS and its network"),
                );
            }
        },
    };
    let headers = HeaderMap::from_iter([(ACCEPT, EVENTS)]);
    let begun = Instant::now();
    let asked = http.send(Method::GET, subject.server.as_url().clone(), headers, Bytes::new());
    let late = |_| Err(HttpError::Timeout { host: host.clone() });
    let answer = match tokio::time::timeout(REACH_LIMIT, asked).await.unwrap_or_else(late) {
        Ok(answer) => answer,
        Err(error) => return Reached::not(unreached(&error, proxies.is_some())),
    };
    let _ = write!(
        text,
        "; {} answered in {} ms",
        if subject.server.as_url().scheme() == "https" { "TLS stands, it" } else { "it" },
        begun.elapsed().as_millis()
    );
    let clock = compared_clock(&answer, clock::now());
    if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let finding = Finding::bad(Check::Network, "the proxy wants a user and a password");
        return Reached::not(finding.with_remedy("give them in HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT"));
    }
    Reached { stands: true, finding: Finding::good(Check::Network, text), clock }
}

/// The proxies that are set, for people.
fn proxies(subject: &Subject) -> Option<String> {
    let proxies = &subject.http.proxies;
    let proxy = match subject.server.as_url().scheme() {
        "https" => proxies.https.as_ref(),
        _ => proxies.http.as_ref(),
    };
    let proxy = proxy.filter(|_| !subject.server.is_loopback())?;
    Some(format!("the proxy {}", printable(proxy.place())))
}

async fn addresses(subject: &Subject) -> Result<String, String> {
    let url = subject.server.as_url();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let place = (host, url.port_or_known_default().unwrap_or(443));
    let found = tokio::time::timeout(REACH_LIMIT, tokio::net::lookup_host(place)).await;
    let mut found: Vec<String> = match found {
        Ok(Ok(found)) => found.map(|address| address.ip().to_string()).collect(),
        Ok(Err(error)) => return Err(printable(&error.to_string())),
        Err(_) => return Err(format!("no answer within {} s", REACH_LIMIT.as_secs())),
    };
    found.dedup();
    let first = found.first().cloned().ok_or("the name stands for none")?;
    Ok(match found.len() {
        1 => first,
        more => format!("{first} and {} more", more - 1),
    })
}

fn unreached(error: &HttpError, by_proxy: bool) -> Finding {
    let finding = Finding::bad(Check::Network, with_causes(error));
    match error {
        HttpError::Untrusted { .. } => finding.with_remedy(
            "where a company's proxy signs for others, name its root certificate: --ca-file, or \
             MCP_FRONT_CA_FILE",
        ),
        HttpError::NoRoots(_) => finding.with_remedy(ROOTS_REMEDY),
        HttpError::Setup(_) => finding.with_remedy("check --ca-file, --client-cert and the proxy variables"),
        _ if by_proxy => finding.with_remedy("check HTTPS_PROXY and NO_PROXY, and that the proxy is up"),
        _ => finding.with_remedy("check the address and the network; HTTPS_PROXY names a proxy"),
    }
}

/// Compares the clocks (RFC 9110 §6.6.1).
fn compared_clock(answer: &Response, now: Timestamp) -> Finding {
    let Some(theirs) = answer.headers().get(DATE).and_then(crate::http::date) else {
        return Finding::skipped(Check::Clock, "not compared: the server names no date");
    };
    judge_clock(now.duration_since(theirs))
}

fn judge_clock(ahead: SignedDuration) -> Finding {
    let seconds = ahead.as_secs();
    let apart = SignedDuration::from_secs(seconds.abs());
    let direction = if seconds > 0 { "ahead of" } else { "behind" };
    let text = format!("this machine's clock is {apart:#} {direction} the server's");
    let remedy = "set it by the network: `timedatectl set-ntp true`, for instance";
    match seconds.abs() {
        0..=SKEW_NOTICED => Finding::good(Check::Clock, "as the server's"),
        ..=SKEW_HARMFUL => Finding::notice(Check::Clock, text).with_remedy(remedy),
        _ => Finding::bad(Check::Clock, format!("{text}: tokens seem to end too early or too late"))
            .with_remedy(remedy),
    }
}

/// What discovery came to.
pub(super) struct Discovered {
    pub(super) finding: Finding,
    pub(super) found: Option<Discovery>,
    /// What is known of its demands.
    pub(super) demand: Demand,
}

/// Whether the service wants a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// It was not asked.
    Unknown,
    /// It answers without one.
    NoLogin,
    /// It does.
    Login,
    /// It seems to, and how to log in was not found out.
    NoWayIn,
}

impl Discovered {
    /// Nobody could be asked.
    pub(super) fn skipped() -> Self {
        let finding = Finding::skipped(Check::Discovery, "not tried: the endpoint is not reached");
        Self { finding, found: None, demand: Demand::Unknown }
    }
}

/// Reads the documents that a login would read, and holds them against the login's.
pub(super) async fn discover(http: &Client, subject: &Subject) -> Discovered {
    let survey = Survey {
        http,
        server: &subject.server,
        headers: &subject.headers,
        private_network: subject.http.private_network,
        challenge: None,
        pinned: subject.pinned.as_ref(),
    };
    let bound = subject.entry.as_ref().and_then(|entry| entry.binding.as_ref());
    let found = tokio::time::timeout(DISCOVERY_LIMIT, survey.find_server()).await;
    let found = found.unwrap_or_else(|_| {
        let source = format!("no outcome within {} s", DISCOVERY_LIMIT.as_secs()).into();
        Err(OauthError::Unreachable { what: subject.server.authority().to_owned(), source })
    });
    match found {
        Ok(Some(found)) => {
            let finding = compared(subject, bound, &found);
            Discovered { finding, demand: Demand::Login, found: Some(found) }
        }
        Ok(None) => {
            let finding = Finding::good(Check::Discovery, "the service answers without a login");
            Discovered { finding, found: None, demand: Demand::NoLogin }
        }
        Err(error) => {
            let finding = undiscovered(&error, subject);
            Discovered { finding, found: None, demand: Demand::NoWayIn }
        }
    }
}

fn compared(subject: &Subject, bound: Option<&Binding>, found: &Discovery) -> Finding {
    let server = printable(found.issuer.as_deref().unwrap_or(found.token_endpoint.as_str()));
    match bound {
        Some(bound) if bound.issuer != found.issuer || bound.token_endpoint != found.token_endpoint => {
            let known = printable(bound.issuer.as_deref().unwrap_or(bound.token_endpoint.as_str()));
            let text = format!(
                "the service names {server} (token endpoint {}) now, and the login is bound to {known} ({}): \
                 nothing secret goes there",
                printable(found.token_endpoint.as_str()),
                printable(bound.token_endpoint.as_str()),
            );
            Finding::bad(Check::Discovery, text)
                .with_remedy(format!("if the provider announced that, run {}", subject.commands.replace()))
        }
        _ => Finding::good(
            Check::Discovery,
            match found.source {
                Source::Metadata => format!("{server}, by its metadata; PKCE with S256"),
                Source::Pinned => format!("{server}, which is built in: the service publishes nothing"),
                Source::Defaults => format!("{server}, as of old: the service publishes nothing"),
            },
        ),
    }
}

/// A login that is there does not need discovery: a bridge makes none.
fn undiscovered(error: &OauthError, subject: &Subject) -> Finding {
    // Where the metadata lie is the server's word.
    let known = secrets_sent(&[&subject.headers], &subject.server);
    let text = printable(&known.hide(&in_full(error)));
    if subject.entry.is_some() {
        return Finding::notice(
            Check::Discovery,
            format!("{text}; the stored login goes on, a new one would fail"),
        );
    }
    Finding::bad(Check::Discovery, text).with_remedy(next_step(error, &subject.commands))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mark;

    #[test]
    fn clocks_may_differ_a_little() {
        for (seconds, mark, text) in [
            (0, Mark::Good, "as the server's"),
            (-60, Mark::Good, "as the server's"),
            (61, Mark::Notice, "this machine's clock is 1m 1s ahead of the server's"),
            (-300, Mark::Notice, "this machine's clock is 5m behind the server's"),
            (7200, Mark::Bad, "this machine's clock is 2h ahead of the server's: tokens seem"),
            (-1_800_000_000, Mark::Bad, "this machine's clock is 500000h behind"),
        ] {
            let finding = judge_clock(SignedDuration::from_secs(seconds));
            assert_eq!(finding.mark, mark, "{seconds}");
            assert!(finding.text.starts_with(text), "{}", finding.text);
        }
    }
}
