//! One refresh, from the lock to the save.
//!
//! Lock, read again, settle what an earlier refresh left in the journal, journal "request sent",
//! ask, journal "answer held", save, read back, hand out, clear the journal, unlock. Whoever runs
//! this must not be cancelled from the request to the save: a rotated refresh token exists in one
//! answer only (RFC 6749 §6). An answer that cannot be saved is handed out all the same, and the
//! lock is kept while saving is tried again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::decision::{Refused, Step, decide};
use super::failure::Failure;
use super::merge::{ended, merged};
use super::relocation;
use super::standing::Standing;
use super::trouble::LONGEST_PAUSE;
use super::turn::{Turn, generation_of};
use crate::credential::{Credential, Generation, Kind, OauthCredential};
use crate::http;
use crate::lock::{Purpose, ServiceLock};
use crate::oauth::{GrantError, TokenResponse, grant};
use crate::paths::Paths;
use crate::redact::{ExposeSecret, Secret, with_causes};
use crate::server_uri::ServiceKey;
use crate::store::index::{Identity, LastError, State, UNSAVED_ROTATION};
use crate::store::{JournalEntry, Store};
use crate::{clock, failpoint};

/// How long another holder of the lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(12);
/// How long those who wait for the outcome do so. The answer is awaited beyond that: the refresh
/// token may be spent, and its successor is in that answer only.
const WAITERS_LIMIT: Duration = Duration::from_secs(8);
/// The pause before the one repetition of a request without a verdict: within the shortest grace
/// that authorization servers give to the previous refresh token.
const REPETITION_PAUSE: Duration = Duration::from_millis(250);
/// How long after a request it is repeated at most: the longest grace that is common.
const REPETITION_LIMIT: Duration = Duration::from_secs(60);
/// How long saving is tried. Until then nobody else may refresh: the old refresh token is spent.
const SAVE_PATIENCE: Duration = Duration::from_secs(600);
/// The shortest and the longest pause between two tries to save.
const SAVE_PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The code of a note that no refresh was begun.
const NOT_WRITTEN: &str = "credential_store";

/// What the login stands at after the renewal (`None`: nothing is stored), or why it failed.
pub(super) type Answer = Result<Option<Standing>, Failure>;

/// Where a renewal takes place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) paths: Paths,
    pub(super) store: Store,
    pub(super) key: ServiceKey,
    /// Who the service is, where the index does not say.
    pub(super) identity: Identity,
    pub(super) http: http::Client,
}

/// Renews the login and sends the outcome to `deliver` as soon as a request may use it; returns
/// when everything is saved and unlocked.
///
/// # Cancel safety
/// None: it must run to its end.
pub(super) async fn renew(place: Place, refused: Refused, deliver: oneshot::Sender<Answer>) {
    let mut delivery = Delivery(Some(deliver));
    let deadline = Instant::now() + LOCK_PATIENCE;
    let lock = match ServiceLock::acquire(&place.paths, &place.key, Purpose::Refresh, deadline).await {
        Ok(lock) => lock,
        Err(error) => {
            return delivery.send(Err(Failure::of_lock(&error)));
        }
    };
    let mut turn = Turn::new(place, lock);
    let answer = match advance(&mut turn, refused, &mut delivery).await {
        Ok(Advance::Stands(record)) => {
            let remark = turn.remark.take();
            Ok(record.as_ref().map(|record| Standing::of(record).remarking(remark)))
        }
        Ok(Advance::Renewed { base, kind }) => return keep(turn, base, kind, delivery).await,
        Err(failure) => {
            note_store(&turn, &failure);
            Err(failure)
        }
    };
    drop(turn);
    delivery.send(answer);
}

/// The one answer that those who wait get.
struct Delivery(Option<oneshot::Sender<Answer>>);

impl Delivery {
    /// Hands out the answer; those who have had one, or have gone, get none.
    fn send(&mut self, answer: Answer) {
        if let Some(waiting) = self.0.take() {
            let _ = waiting.send(answer);
        }
    }
}

/// How far a turn came.
enum Advance {
    /// The record, if there is one, needs no request.
    Stands(Option<Credential>),
    /// A new login, not yet saved, that succeeds the record of generation `base`.
    Renewed { base: Generation, kind: Kind },
}

/// Reads again, settles the journal, and asks for new tokens where that is due.
async fn advance(turn: &mut Turn, refused: Refused, delivery: &mut Delivery) -> Result<Advance, Failure> {
    let mut retry_at = None;
    match turn.entry().map_err(|error| Failure::of_index(&error))? {
        Some(entry) if entry.deleted => return Ok(Advance::Stands(None)),
        Some(entry) => (turn.place.identity, retry_at) = (entry.identity, entry.retry_at),
        None => {}
    }
    let (mut record, cut_off) = settle_journal(turn).await?;
    // Once more where the record changed under a refusal: somebody wrote it without the lock.
    for _ in 0..2 {
        let Some(due) = Due::find(record.as_ref(), refused) else {
            break;
        };
        if let Some(wait) = retry_at.and_then(left_until) {
            let error = GrantError::RateLimited { retry_after: Some(wait) };
            return Err(Failure::not_renewed(&with_causes(&error), Some(wait)));
        }
        let sent = JournalEntry::RequestSent { succeeds: Some(due.base.clone()), at: clock::now() };
        // A store that cannot take the journal would not take the answer either.
        turn.write_journal(sent).await?;
        failpoint::reached("before-send");
        let (verdict, lost) = ask(turn, &due, delivery).await;
        let error = match verdict {
            Ok(response) => {
                failpoint::reached("after-body");
                let kind = Kind::Oauth(Box::new(merged(&due.oauth, response, clock::now())));
                return Ok(Advance::Renewed { base: due.base, kind });
            }
            Err(error) => error,
        };
        if let Some(failure) = Failure::of_grant(&error) {
            let moved = relocation::look(turn, &due.oauth.binding, &error).await;
            postpone(turn, &error, moved.clone(), cut_off || lost).await;
            return Err(moved.map_or(failure, |reason| Failure::Moved { reason }));
        }
        record = turn.load().await?;
        if let Some(found) = record.take_if(|found| found.generation == due.base) {
            let kind = Kind::Oauth(Box::new(ended(&due.oauth, &error, cut_off || lost, clock::now())));
            let dead = bury(turn, Credential { kind, ..found }).await;
            return Ok(Advance::Stands(Some(dead)));
        }
    }
    if let Some(record) = &record {
        turn.repair(record);
    }
    Ok(Advance::Stands(record))
}

/// What is left of the wait that the token endpoint asked for, maybe in another process. One that no
/// server would be granted comes from another time of day.
fn left_until(retry_at: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(retry_at.duration_since(clock::now())).ok()?;
    (!left.is_zero() && left <= LONGEST_PAUSE).then_some(left)
}

/// A login whose refresh is due and possible.
struct Due {
    /// The record's generation.
    base: Generation,
    oauth: OauthCredential,
    token: Secret,
}

impl Due {
    fn find(record: Option<&Credential>, refused: Refused) -> Option<Self> {
        let credential = record?;
        let view = Standing::of(credential).view();
        if !matches!(decide(Some(&view), refused, clock::now()), Step::Renew { .. }) {
            return None;
        }
        let Kind::Oauth(oauth) = &credential.kind else {
            return None;
        };
        let token = oauth.refresh_token.clone()?;
        Some(Self { base: credential.generation.clone(), oauth: (**oauth).clone(), token })
    }
}

/// Reads the record, and settles what an earlier refresh left in the journal. An answer that was
/// held is promoted while the record is still the one that it succeeds; else it is worthless.
/// Returns the record, and whether an earlier refresh of it lost its answer.
async fn settle_journal(turn: &mut Turn) -> Result<(Option<Credential>, bool), Failure> {
    let record = turn.load().await?;
    match turn.journal(&record).await? {
        None => Ok((record, false)),
        Some(JournalEntry::RequestSent { succeeds, .. }) => {
            let cut_off = generation_of(&record) == succeeds.as_ref();
            Ok((record, cut_off))
        }
        Some(JournalEntry::AnswerHeld { succeeds, kind, .. }) => {
            let record = if generation_of(&record) == succeeds.as_ref() {
                tracing::info!(service = %turn.place.key, "saving the answer of an interrupted refresh");
                Some(turn.save(kind).await?)
            } else {
                record
            };
            turn.clear_journal().await;
            Ok((record, false))
        }
    }
}

/// Sends the refresh token to the bound token endpoint, once more where the connection broke before
/// a verdict and the server may still take it. Tells also whether an answer may have been lost on the
/// way to the verdict.
async fn ask(turn: &Turn, due: &Due, delivery: &mut Delivery) -> (Result<TokenResponse, GrantError>, bool) {
    let request = || grant::refresh(&turn.place.http, &due.oauth.binding, &due.oauth.client, &due.token);
    let begun = Instant::now();
    let mut first = std::pin::pin!(request());
    let verdict = match tokio::time::timeout(WAITERS_LIMIT, &mut first).await {
        Ok(verdict) => verdict,
        Err(_) => {
            let cause = "the authorization server has not answered yet, and is still listened to".to_owned();
            let silence = Failure::Unavailable { cause, retry_after: None };
            delivery.send(Err(relocation::known(turn).map_or(silence, |reason| Failure::Moved { reason })));
            // Whoever asks twice while the server thinks has spent the token twice.
            first.await
        }
    };
    let lost = matches!(verdict, Err(GrantError::Transient { .. }));
    if begun.elapsed() > REPETITION_LIMIT {
        return (verdict, lost);
    }
    if lost || matches!(verdict, Err(GrantError::NotSent { .. })) {
        tokio::time::sleep(REPETITION_PAUSE).await;
        return (request().await, lost);
    }
    (verdict, false)
}

/// Notes a refresh without a verdict, or where the verdict has `moved` to. An answer that was lost,
/// now or before, stays journalled: it explains a later refusal.
async fn postpone(turn: &mut Turn, error: &GrantError, moved: Option<String>, lost: bool) {
    let code = match error {
        GrantError::RateLimited { .. } => "rate_limited",
        GrantError::NotSent { .. } => "unreachable",
        GrantError::Unusable { .. } | GrantError::Malformed { .. } => "malformed_answer",
        _ => "no_verdict",
    };
    let (code, text) = moved.map_or_else(|| (code, with_causes(error)), |reason| (relocation::CODE, reason));
    let at = clock::now();
    let retry_at = match error {
        GrantError::RateLimited { retry_after: Some(wish) } => at.checked_add(*wish.min(&LONGEST_PAUSE)).ok(),
        _ => None,
    };
    turn.note_until(LastError { at, code: code.to_owned(), text }, retry_at);
    if !lost && !matches!(error, GrantError::Transient { .. } | GrantError::Unusable { .. }) {
        turn.clear_journal().await;
    }
}

/// Notes that no refresh was begun, for the store would not take its answer. What lasts is worth more.
fn note_store(turn: &Turn, failure: &Failure) {
    let Failure::Store { problem, .. } = failure else { return };
    let Some(entry) = turn.entry().ok().flatten() else { return };
    if entry.state == State::Valid && entry.last_error.is_none_or(|last| last.code != UNSAVED_ROTATION) {
        turn.note(LastError { at: clock::now(), code: NOT_WRITTEN.to_owned(), text: problem.clone() });
    }
}

/// Keeps a login that the server ended, marked as such. A mark that cannot be saved still holds
/// for the process that asked.
async fn bury(turn: &mut Turn, dead: Credential) -> Credential {
    match turn.save(dead.kind.clone()).await {
        Ok(saved) => {
            turn.clear_journal().await;
            saved
        }
        Err(failure) => {
            tracing::warn!(?failure, "cannot mark the login as ended");
            dead
        }
    }
}

/// Saves a new record and hands it out; what cannot be saved is handed out too, and saving is
/// tried again.
async fn keep(mut turn: Turn, base: Generation, kind: Kind, mut delivery: Delivery) {
    let (succeeds, at) = (Some(base.clone()), clock::now());
    let held = JournalEntry::AnswerHeld { succeeds, at, kind: kind.clone() };
    if let Err(failure) = turn.write_journal(held).await {
        tracing::warn!(?failure, "cannot journal the refreshed login");
    }
    failpoint::reached("after-journal");
    let saved = turn.save(kind.clone()).await;
    let remark = turn.remark.take();
    match saved {
        Ok(saved) => {
            delivery.send(Ok(Some(Standing::of(&saved).remarking(remark))));
        }
        Err(failure) => {
            tracing::error!(?failure, "the refreshed login is not saved; trying again");
            delivery.send(Ok(Some(Standing::unsaved(&kind, base.clone()).remarking(remark))));
            if !save_late(&mut turn, &base, kind).await {
                tracing::error!("the refreshed login could not be saved");
                return;
            }
        }
    }
    failpoint::reached("before-clear");
    turn.clear_journal().await;
}

/// Tries to save until it works, or until somebody else's record makes it pointless. `false` where
/// neither came about in time.
async fn save_late(turn: &mut Turn, base: &Generation, kind: Kind) -> bool {
    let deadline = Instant::now() + SAVE_PATIENCE;
    let mut pause = SAVE_PAUSE.0;
    let mut noted = false;
    while Instant::now() < deadline {
        tokio::time::sleep(pause).await;
        pause = SAVE_PAUSE.1.min(pause * 2);
        if !turn.regain(deadline).await {
            return false;
        }
        if !std::mem::replace(&mut noted, true) {
            turn.note(unsaved());
        }
        match turn.load().await {
            // A login, a `tokens set` or a `tokens delete` of a person wins.
            Ok(found) if generation_of(&found) != Some(base) => {
                if let Some(found) = found.filter(|found| is_same_login(&found.kind, &kind)) {
                    turn.repair(&found);
                }
                return true;
            }
            _ => {}
        }
        if turn.save(kind.clone()).await.is_ok() {
            return true;
        }
    }
    false
}

/// What the index says of a login whose new refresh token only this process and the journal have.
fn unsaved() -> LastError {
    LastError {
        at: clock::now(),
        code: UNSAVED_ROTATION.to_owned(),
        text: "the refreshed login could not be saved yet; saving is tried again for ten minutes".to_owned(),
    }
}

/// Whether a stalled write arrived after all. A server may answer with the same access token.
fn is_same_login(found: &Kind, meant: &Kind) -> bool {
    match (found, meant) {
        (Kind::Oauth(found), Kind::Oauth(meant)) => tokens(found) == tokens(meant),
        _ => false,
    }
}

fn tokens(login: &OauthCredential) -> (&str, Option<&str>) {
    let refresh_token = login.refresh_token.as_ref().map(ExposeSecret::expose_secret);
    (login.access_token.value.expose_secret(), refresh_token)
}
