//! What memory answers, as tables.

use super::*;
use crate::authorizer::rejection;
use crate::authorizer::trouble::LONGEST_PAUSE;
use crate::credential::{Credential, Kind};
use crate::store::samples;

fn now() -> Now {
    Now::read()
}

fn generation() -> Generation {
    Generation::draw().unwrap()
}

fn standing(credential: &Credential) -> Standing {
    Standing::of(credential)
}

/// A memory that holds what `credential` stands at, and the generation that it was seen at.
fn holding(credential: &Credential) -> (Memory, Option<Generation>) {
    let mut memory = Memory::default();
    let seen = Some(generation());
    memory.hold(seen.clone(), Some(&standing(credential)), now());
    (memory, seen)
}

/// An OAuth login whose access token has `left` seconds of an hour left.
fn oauth(left: i64) -> Credential {
    let mut credential = samples::oauth("access-canary", "refresh-canary");
    if let Kind::Oauth(oauth) = &mut credential.kind {
        let expiry = Timestamp::now() + SignedDuration::from_secs(left);
        oauth.access_token.obtained_at = expiry - SignedDuration::from_hours(1);
        oauth.access_token.expires_at = Some(expiry);
    }
    credential
}

fn unavailable() -> AuthorizerError {
    AuthorizerError::Unavailable { cause: "down".into(), retry_after: Duration::ZERO }
}

#[test]
fn the_store_is_asked_first_and_after_every_change() {
    let credential = samples::token("static");
    assert!(matches!(Memory::default().recall(Refused::No, None, now()), Recalled::Unknown { .. }));
    let (memory, seen) = holding(&credential);
    assert!(matches!(memory.recall(Refused::No, seen.as_ref(), now()), Recalled::Settled(Ok(_))));
    for other in [None, Some(generation())] {
        assert!(matches!(memory.recall(Refused::No, other.as_ref(), now()), Recalled::Unknown { .. }));
    }
}

#[test]
fn bare_until_a_login_is_demanded() {
    let mut memory = Memory::default();
    memory.hold(None, None, now());
    let Recalled::Settled(Ok(authorization)) = memory.recall(Refused::No, None, now()) else {
        panic!("a request goes out bare");
    };
    assert!(authorization.is_bare());
    assert!(matches!(memory.recall(Refused::Bare, None, now()), Recalled::Unknown { .. }));
    memory.demand(now());
    for refused in [Refused::No, Refused::Bare] {
        assert!(matches!(
            memory.recall(refused, None, now()),
            Recalled::Settled(Err(Problem::Person(Person::LogInFirst)))
        ));
    }
    memory.forget_demand();
    assert!(matches!(memory.recall(Refused::No, None, now()), Recalled::Settled(Ok(_))));
    memory.demand(now());
    memory.hold(None, Some(&standing(&samples::token("static"))), now());
    assert!(matches!(memory.recall(Refused::No, None, now()), Recalled::Settled(Ok(_))));
}

/// Where nobody waits for it, the service is asked again ever more seldom; the store is not.
#[test]
fn a_demand_lapses() {
    let mut memory = Memory::default();
    memory.hold(None, None, now());
    let mut at = now();
    for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
        memory.demand(at);
        let after = |seconds| Now { steady: at.steady + Duration::from_secs(seconds), ..at };
        assert!(memory.is_demanded(after(pause - 1)) && !memory.is_demanded(after(pause)), "{pause}");
        memory.demand(after(pause - 1));
        at = after(pause);
        assert!(matches!(memory.recall(Refused::No, None, at), Recalled::Settled(Ok(_))), "{pause}");
        assert!(matches!(memory.recall(Refused::Bare, None, at), Recalled::Settled(Err(_))), "{pause}");
    }
}

/// H04, F06: a failure holds attempts back, and a token that is still good goes on being used.
#[test]
fn trouble_is_answered_at_once() {
    let (mut memory, seen) = holding(&oauth(-10));
    let recall = |memory: &Memory| memory.recall(Refused::No, seen.as_ref(), now());
    assert!(matches!(recall(&memory), Recalled::Unknown { meanwhile: None }));
    memory.note_trouble(unavailable(), Some(Duration::from_secs(86_400)), now());
    let Recalled::Settled(Err(Problem::Other(AuthorizerError::Unavailable { retry_after, .. }))) =
        recall(&memory)
    else {
        panic!("no attempt is due");
    };
    assert!(retry_after <= LONGEST_PAUSE && retry_after > LONGEST_PAUSE - Duration::from_secs(5));
    memory.clear_trouble();
    memory.note_trouble(AuthorizerError::Busy { waited: Duration::ZERO }, None, now());
    assert!(matches!(recall(&memory), Recalled::Unknown { .. }), "a lock may be free at any moment");

    let (mut memory, seen) = holding(&oauth(120));
    let recall = |memory: &Memory| memory.recall(Refused::No, seen.as_ref(), now());
    assert!(matches!(recall(&memory), Recalled::Unknown { meanwhile: Some(_) }));
    memory.note_trouble(unavailable(), None, now());
    assert!(matches!(recall(&memory), Recalled::Settled(Ok(_))));
}

#[test]
fn pauses_grow_to_their_limit() {
    let mut memory = Memory::default();
    let pauses: Vec<u64> = (0..8)
        .map(|_| match memory.note_trouble(unavailable(), None, now()) {
            AuthorizerError::Unavailable { retry_after, .. } => retry_after.as_secs(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(pauses, [1, 2, 4, 5, 5, 5, 5, 5]);
}

/// H14: what was renewed and refused again is not renewed once more for a while.
#[test]
fn a_rejected_token_is_not_renewed_again() {
    let credential = oauth(3600);
    let (mut memory, seen) = holding(&credential);
    let digest = memory.token().unwrap();
    let recall = |memory: &Memory| memory.recall(Refused::Token(digest), seen.as_ref(), now());
    assert!(memory.has_just_got(digest, now()));
    assert!(matches!(recall(&memory), Recalled::Unknown { .. }));
    memory.note_rejection(digest, now());
    assert!(matches!(recall(&memory), Recalled::Settled(Err(Problem::Rejected))));
    // Other requests still go out: the service may have come to its senses.
    assert!(matches!(memory.recall(Refused::No, seen.as_ref(), now()), Recalled::Settled(Ok(_))));
    let later = Now { steady: Instant::now() + rejection::PAUSE * 2, ..now() };
    assert!(matches!(memory.recall(Refused::Token(digest), seen.as_ref(), later), Recalled::Unknown { .. }));
}

/// H14: nor is the token that another process renewed meanwhile, until the service takes one.
#[test]
fn a_rejection_holds_for_another_process_s_token_until_one_is_taken() {
    let credential = oauth(3600);
    let (mut memory, seen) = holding(&credential);
    let first = memory.token().unwrap();
    memory.note_rejection(first, now());
    let mut renewed = samples::oauth("access-2", "refresh-2");
    if let (Kind::Oauth(new), Kind::Oauth(old)) = (&mut renewed.kind, &credential.kind) {
        new.access_token.expires_at = old.access_token.expires_at;
        new.logged_in_at = new.access_token.obtained_at - SignedDuration::from_hours(1);
    }
    memory.hold(seen.clone(), Some(&standing(&renewed)), now());
    let second = memory.token().unwrap();
    assert_ne!(first, second);
    let recall = |memory: &Memory| memory.recall(Refused::Token(second), seen.as_ref(), now());
    assert!(matches!(recall(&memory), Recalled::Settled(Err(Problem::Rejected))));
    memory.end_rejection(first);
    assert!(matches!(recall(&memory), Recalled::Settled(Err(Problem::Rejected))), "it was taken before");
    memory.end_rejection(second);
    assert!(matches!(recall(&memory), Recalled::Unknown { .. }));

    // Nor of what a person brings, whatever kind it is.
    for brought in [samples::token("static"), samples::oauth("access-3", "refresh-3")] {
        memory.note_rejection(first, now());
        memory.hold(seen.clone(), Some(&standing(&brought)), now());
        let token = memory.token().unwrap();
        let recalled = memory.recall(Refused::Token(token), seen.as_ref(), now());
        assert!(!matches!(recalled, Recalled::Settled(Err(Problem::Rejected))), "{recalled:?}");
    }
}

/// A login that is listed may be back in its store, where a service without an entry has none.
#[test]
fn a_listed_login_that_was_away_is_looked_for_again() {
    let listed = Generation::draw().unwrap();
    for seen in [Some(listed), None] {
        let (mut memory, asked) = (Memory::default(), now());
        memory.hold(seen.clone(), None, now());
        memory.demand(asked);
        let recall = |memory: &Memory, now: Now| memory.recall(Refused::No, seen.as_ref(), now);
        assert!(matches!(
            recall(&memory, asked),
            Recalled::Settled(Err(Problem::Person(Person::LogInFirst)))
        ));
        let later = Now { steady: asked.steady + Duration::from_secs(6), ..asked };
        assert_eq!(matches!(recall(&memory, later), Recalled::Unknown { .. }), seen.is_some());
    }
}

/// B11: a static token that is refused stays, and a person is told which command helps.
#[test]
fn a_refused_static_token_is_kept() {
    let credential = samples::token("static");
    let (mut memory, seen) = holding(&credential);
    let token = memory.token().unwrap();
    let refused = Refused::Token(token);
    assert!(matches!(
        memory.recall(refused, seen.as_ref(), now()),
        Recalled::Settled(Err(Problem::Person(Person::SetToken)))
    ));
    assert!(matches!(memory.recall(Refused::No, seen.as_ref(), now()), Recalled::Settled(Ok(_))));

    // It is noted once a record, however often the record is read.
    assert_eq!(memory.note_refusal(token, false), Some(credential.generation.clone()));
    memory.hold(seen.clone(), Some(&standing(&credential)), now());
    assert_eq!(memory.note_refusal(token, false), None);
    memory.see_refusal();
    assert_eq!(memory.note_refusal(token, true), None);
    assert!(memory.note_refusal(token, false).is_some(), "another process took it back");
    assert_eq!(memory.note_refusal(token, false), None, "it is on its way");
    memory.hold(seen, Some(&standing(&samples::token("another"))), now());
    assert_eq!(memory.note_refusal(token, false), None);
    assert!(memory.note_refusal(memory.token().unwrap(), false).is_some());
}

#[test]
fn nothing_secret_is_shown() {
    let (memory, _) = holding(&samples::token("canary-value"));
    assert!(!format!("{memory:?}").contains("canary"));
    assert!(!format!("{:?}", standing(&samples::token("canary-value"))).contains("canary"));
}
