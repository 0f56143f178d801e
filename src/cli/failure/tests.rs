//! Exit codes, hints and texts, as tables.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::authorizer::{Given, Program, Subject};
use crate::oauth::{CallbackError, Lacking};
use crate::store::StoreKind;
use crate::store::index::EntryKind;

fn denied() -> LoginError {
    let description = Some("\u{1b}[2Jno".to_owned());
    LoginError::Denied(CallbackError::Denied { error: "access_denied".into(), description })
}

fn commands() -> Commands {
    let subject = Subject {
        target: "front".to_owned(),
        name: None,
        profile: "default".to_owned(),
        store: StoreKind::Keyring,
        is_stored: true,
        kind: EntryKind::Oauth,
        given: Given::default(),
    };
    Commands::new(Program::new(OsStr::new("mcp-front"), [], false), subject)
}

fn login(error: LoginError) -> Failure {
    Failure::login(&commands())(error)
}

fn set(error: ChangeError) -> Failure {
    Failure::Set { error, commands: Box::new(commands()) }
}

#[test]
fn each_kind_has_its_exit_code() {
    let busy = || LockError::Busy { what: "refresh", waited: Duration::from_secs(60) };
    let taken = IndexError::NameTaken { name: "a".into(), url: "https://a.test/".into() };
    let newer = IndexError::NewerSchema { path: "entry".into(), found: 9 };
    let elsewhere = WebError::NotLoopback { redirect_uri: "http://a.test/".parse().unwrap() };
    let unusable = ConfigError::Unusable("no".into());
    for (failure, exit) in [
        (Failure::from(unusable), 2),
        (Failure::from(ConfigError::from(PathsError::Relative("here".into()))), 2),
        (Failure::from(ConfigError::from(newer)), 5),
        (login(LoginError::Listener(elsewhere)), 2),
        (login(LoginError::Unanswerable { redirect_uri: "https://a.test/".parse().unwrap() }), 2),
        (Failure::from(InputError::NotAsked { what: "a", instead: "b" }), 2),
        (Failure::from(InputError::Interrupted), 130),
        (Failure::from(DemoError::Interrupted), 130),
        (Failure::write(io::Error::other("full")), 1),
        (login(LoginError::Oauth(OauthError::Metadata { reason: String::new() })), 3),
        (login(LoginError::Oauth(OauthError::ClientRequired(Lacking::Id))), 2),
        (login(LoginError::Grant(GrantError::Transient { cause: "503".into() })), 3),
        (
            login(LoginError::Grant(GrantError::Refused {
                error: "invalid_grant".into(),
                description: None,
            })),
            4,
        ),
        (login(denied()), 4),
        (login(LoginError::Deadline { after: Duration::from_secs(300) }), 6),
        (login(LoginError::Store(StoreError::Locked)), 5),
        (login(LoginError::Lock(busy())), 6),
        (set(ChangeError::Index(taken)), 2),
        (set(ChangeError::Index(IndexError::Lock(Arc::new(busy())))), 6),
        (set(ChangeError::Store(StoreError::Locked)), 5),
    ] {
        assert_eq!(failure.exit_code(), exit, "{failure:?}");
    }
}

#[test]
fn the_text_has_causes_and_a_hint_and_nothing_that_moves_a_cursor() {
    let source = io::Error::other("disk full");
    let failure = Failure::from(ConfigError::File { path: "secret".into(), source });
    assert_eq!(failure.text(), "error: cannot read secret\ncaused by: disk full\n");
    let source: Arc<dyn Error + Send + Sync> = Arc::new(io::Error::other("no bus"));
    let text = login(LoginError::Store(StoreError::Absent { source })).text();
    assert_eq!(
        text,
        "error: no keychain is available here\ncaused by: no bus\nhint: start a keychain, or keep the \
         login in encrypted files: run `mcp-front login front --store file --force`\n"
    );
    let text = login(LoginError::Store(StoreError::Locked)).text();
    assert!(text.starts_with("error: the keychain is locked\nhint: unlock"), "{text}");
    assert!(!login(denied()).text().contains('\u{1b}'));
    assert_eq!(Failure::from(InputError::Interrupted).text(), "");
}
