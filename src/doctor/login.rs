//! The stored login: its client, where the browser comes back to, its token and its scopes.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::endpoint::Demand;
use super::{Check, Finding, Subject, within};
use crate::authorizer::AuthorizerError;
use crate::clock;
use crate::credential::{Client, ClientAuthentication, Credential, Kind, Registration};
use crate::oauth::Discovery;
use crate::redact::printable;
use crate::server_uri::ServiceKey;
use crate::store::index::{Entry, EntryKind, Index, State};
use crate::store::{Patience, Store};
use crate::web::{CallbackListener, WebError};

/// How long a refresh may take, with a store and a token endpoint that are slow.
const TOKEN_LIMIT: Duration = Duration::from_secs(40);

/// The record, where there is one and the store gives it. What is wrong with the store, others tell.
pub(super) async fn record(store: &Store, key: &ServiceKey) -> Option<Credential> {
    store.load(key, Patience::Bridge).await.ok().flatten()
}

/// The client that holds the login's grant.
fn client_of(record: Option<&Credential>) -> Option<&Client> {
    match record.map(|record| &record.kind) {
        Some(Kind::Oauth(oauth)) => Some(&oauth.client),
        Some(Kind::Token(_)) | None => None,
    }
}

/// Whether the authorization server takes the client in the way that it authenticates.
pub(super) fn client(record: Option<&Credential>, found: Option<&Discovery>, subject: &Subject) -> Finding {
    let Some(client) = client_of(record) else {
        return Finding::skipped(Check::Client, "no login is at hand");
    };
    let registration = match client.registration {
        Registration::PreRegistered => "a client made by hand",
        Registration::MetadataDocument => "a client ID metadata document",
        Registration::Dynamic => "a client that was registered at the login",
    };
    let method = match client.authentication {
        ClientAuthentication::None => "none",
        ClientAuthentication::Basic => "client_secret_basic",
        ClientAuthentication::Post => "client_secret_post",
    };
    let text = format!("{registration}, authentication `{method}`");
    match found.and_then(|found| found.authentication_methods.as_ref()) {
        None => Finding::good(Check::Client, text),
        Some(taken) if taken.iter().any(|taken| taken == method) => {
            Finding::good(Check::Client, format!("{text}, which the authorization server takes"))
        }
        Some(taken) => {
            let taken: Vec<_> = taken.iter().map(|taken| printable(taken)).collect();
            let listed = taken.join(", ");
            Finding::notice(Check::Client, format!("{text}; the authorization server lists {listed}"))
                .with_remedy(format!("should it refuse the client, run {}", subject.commands.replace()))
        }
    }
}

/// Whether the next login's callback could be listened for.
pub(super) async fn redirect(record: Option<&Credential>, subject: &Subject) -> Finding {
    let kept = client_of(record).filter(|client| client.registration == Registration::PreRegistered);
    let kept = kept.and_then(|client| Url::parse(&client.redirect_uri).ok());
    let fixed = subject.callback_port.map(|port| format!("http://127.0.0.1:{port}/callback"));
    let Some(uri) = kept.or_else(|| Url::parse(&fixed?).ok()) else {
        return Finding::good(Check::Redirect, "any free port of this machine");
    };
    let shown = printable(uri.as_str());
    if !CallbackListener::serves(&uri) {
        return Finding::good(Check::Redirect, format!("{shown}, whose answer is pasted"));
    }
    match CallbackListener::bind(&uri) {
        Ok(listener) => {
            listener.close().await;
            Finding::good(Check::Redirect, shown)
        }
        Err(error @ WebError::PortTaken { .. }) => {
            let text = format!("{shown}: {error}; the next login would fail");
            Finding::notice(Check::Redirect, text)
                .with_remedy("end the program that uses the port, unless it is a login of this service")
        }
        Err(error) => Finding::notice(Check::Redirect, format!("{shown}: {error}")),
    }
}

/// What a bridge would send now; a token that is due is renewed for it. `demand` is whether the
/// service wants a login.
pub(super) async fn token(subject: &Subject, demand: Demand) -> Finding {
    let asked = async {
        match subject.authorizer.authorize().await {
            Ok(authorization) if !authorization.is_bare() => stands(subject),
            Ok(_) => without(subject, demand),
            Err(error) => fails(&error, subject),
        }
    };
    within(Check::Token, TOKEN_LIMIT, asked).await
}

/// No login is stored.
fn without(subject: &Subject, demand: Demand) -> Finding {
    let log_in = format!("run {}", subject.commands.login());
    match demand {
        Demand::NoLogin => Finding::good(Check::Token, "none is needed"),
        Demand::Login => Finding::bad(Check::Token, "no login is stored").with_remedy(log_in),
        Demand::NoWayIn => {
            Finding::bad(Check::Token, "no login is stored, and one would fail as the discovery does")
                .with_remedy("see to the discovery first")
        }
        // What is built in about a service is how it is logged in to.
        Demand::Unknown if subject.pinned.is_some() => {
            Finding::skipped(Check::Token, "no login is stored, and the service wants one")
                .with_remedy(log_in)
        }
        Demand::Unknown => Finding::skipped(
            Check::Token,
            "none is stored; whether one is needed is not known: the endpoint is not reached",
        ),
    }
}

fn fails(error: &AuthorizerError, subject: &Subject) -> Finding {
    let finding = Finding::bad(Check::Token, error.to_string());
    match error {
        AuthorizerError::LoginRequired { reason, command } => {
            Finding::bad(Check::Token, reason.clone()).with_remedy(format!("run {command}"))
        }
        AuthorizerError::Store { problem, remedy, .. } => {
            Finding::bad(Check::Token, problem.clone()).with_remedy(remedy.clone())
        }
        AuthorizerError::Busy { .. } => finding.with_remedy(format!(
            "end what hangs ({} shows the bridges that run), then run this again",
            subject.commands.status()
        )),
        AuthorizerError::Unavailable { .. } => finding.with_remedy(format!(
            "bridges try again by themselves; {} tries now",
            subject.commands.refresh_anew()
        )),
        AuthorizerError::Rejected { .. } | AuthorizerError::InsufficientScope { .. } => finding,
    }
}

/// The entry as it is now: the check of the token may have renewed it.
fn entry(subject: &Subject) -> Option<Entry> {
    let index = Index::open(subject.store.paths.clone());
    index.get(subject.authorizer.key()).ok().flatten().or_else(|| subject.entry.clone())
}

fn stands(subject: &Subject) -> Finding {
    let Some(entry) = entry(subject) else { return Finding::good(Check::Token, "one is stored") };
    if let State::LoginRequired { reason, .. } = &entry.state {
        let remedy = format!("run {}", subject.commands.renew());
        return match entry.is_ended() {
            // The token at hand may be good for a while yet; nothing comes after it.
            true => Finding::bad(Check::Token, reason.clone()).with_remedy(remedy),
            false => Finding::notice(Check::Token, format!("{reason}, when it was last sent"))
                .with_remedy(format!("should the session fail by it, {remedy}")),
        };
    }
    let until = match entry.access_expires_at {
        Some(end) => format!("good for {:#}", left(end)),
        None => "good until the service refuses it".to_owned(),
    };
    match (entry.kind, entry.renews) {
        (EntryKind::Token, _) => Finding::good(Check::Token, "a static token; it is sent as it is"),
        (EntryKind::Oauth, true) => Finding::good(Check::Token, format!("{until}, and renews by itself")),
        (EntryKind::Oauth, false) => {
            let text = format!("{until}; there is no refresh token, so it ends then");
            Finding::notice(Check::Token, text)
                .with_remedy("the authorization server may issue one for the scope offline_access")
        }
    }
}

/// The time until `end`, to the second.
fn left(end: Timestamp) -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(end.duration_since(clock::now()).as_secs().max(0))
}

/// Whether the login has the scopes that the service asks for.
pub(super) fn scopes(subject: &Subject, found: Option<&Discovery>) -> Finding {
    let Some(entry) = entry(subject).filter(|entry| entry.kind == EntryKind::Oauth) else {
        return Finding::skipped(Check::Scopes, "no login is at hand");
    };
    let shown = |scopes: &[String]| {
        let scopes: Vec<_> = scopes.iter().map(|scope| printable(scope)).collect();
        scopes.join(" ")
    };
    if entry.scopes.is_empty() {
        return Finding::good(Check::Scopes, "none were named");
    }
    let wanted = found.map(|found| found.scopes.as_slice()).unwrap_or_default();
    let missing: Vec<String> = wanted.iter().filter(|scope| !entry.scopes.contains(scope)).cloned().collect();
    if missing.is_empty() {
        return Finding::good(Check::Scopes, shown(&entry.scopes));
    }
    let text = format!("{}; the service also asks for {}", shown(&entry.scopes), shown(&missing));
    Finding::notice(Check::Scopes, text)
        .with_remedy(format!("if something is refused, run {}", subject.commands.replace()))
}
