//! The keeper of a login, with the real stores, the real helper process and a scripted token
//! endpoint: what a request carries, what a refresh costs, and what a refusal leads to.

use futures_util::future::join_all;
use mcp_front::authorizer::AuthorizerError;
use mcp_front::challenge::Challenge;
use mcp_front::credential::{Kind, StaticToken};
use mcp_front::redact::Secret;
use mcp_front::store::StoreKind::{File, Memory};
use mcp_front::store::index::State;

use crate::support::authorization_server::Fault;
use crate::support::gate::Gate;
use crate::support::http_server::Reply;
use crate::support::kept_login::{KeptLogin, carried, login_required, run};

fn challenge() -> Challenge {
    Challenge::default()
}

/// F02: many requests of one process at expiry.
#[test]
fn requests_at_expiry_share_one_refresh() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::new(kind, -10).await;
            let authorizer = kept.authorizer();
            let outcomes = join_all((0..20).map(|_| authorizer.authorize())).await;
            for outcome in outcomes {
                assert_eq!(carried(&outcome.unwrap()), kept.access_token(1));
            }
            assert_eq!(kept.authorization.refreshes(), 1);
            assert_eq!(kept.stored_refresh_token().await, kept.refresh_token(1));
            assert!(kept.entry().last_refresh_at.is_some());
        }
    });
}

/// F01, F13: many processes at once; each authorizer here starts helpers and locks of its own.
#[test]
fn processes_at_expiry_share_one_refresh() {
    run(async {
        let kept = KeptLogin::new(File, -10).await;
        let authorizers: Vec<_> = (0..8).map(|_| kept.authorizer()).collect();
        let outcomes = join_all(authorizers.iter().map(|authorizer| authorizer.authorize())).await;
        for outcome in outcomes {
            assert_eq!(carried(&outcome.unwrap()), kept.access_token(1));
        }
        assert_eq!(kept.authorization.refreshes(), 1);
        assert!(kept.authorization.living_grants() == 1);
    });
}

/// A good token is used as it is; one near its end is renewed behind whoever comes first.
#[test]
fn a_token_is_renewed_before_its_end() {
    run(async {
        for kind in [Memory, File] {
            let kept = KeptLogin::new(kind, 3000).await;
            let authorizer = kept.authorizer();
            for _ in 0..3 {
                assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
            }
            assert_eq!(kept.authorization.refreshes(), 0);

            let kept = KeptLogin::new(kind, 200).await;
            let gate = Gate::default();
            kept.authorization.fault(Fault::Hold(gate.clone()));
            let authorizer = kept.authorizer();
            for _ in 0..3 {
                assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
            }
            gate.open();
            while carried(&authorizer.authorize().await.unwrap()) == kept.access_token(0) {
                tokio::task::yield_now().await;
            }
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(1));
            assert_eq!(kept.authorization.refreshes(), 1);
        }
    });
}

/// A refused token is renewed once; those who were refused with it adopt the new one, in this
/// process and in others. H14: a fresh one that is refused is reported, without a loop.
#[test]
fn a_refused_token_is_renewed_once() {
    run(async {
        let kept = KeptLogin::new(File, 3000).await;
        let (one, other) = (kept.authorizer(), kept.authorizer());
        let (first, second) = (one.authorize().await.unwrap(), other.authorize().await.unwrap());
        let challenge = challenge();
        let (a, b, c) = tokio::join!(
            one.refused(&first, &challenge),
            one.refused(&first, &challenge),
            other.refused(&second, &challenge),
        );
        let renewed = a.unwrap();
        for authorization in [&renewed, &b.unwrap(), &c.unwrap()] {
            assert_eq!(carried(authorization), kept.access_token(1));
        }
        assert_eq!(kept.authorization.refreshes(), 1);

        let rejected = one.refused(&renewed, &challenge).await.unwrap_err();
        assert!(matches!(rejected, AuthorizerError::Rejected { .. }), "{rejected}");
        assert!(rejected.to_string().contains("login service --force"), "{rejected}");
        for _ in 0..5 {
            let next = one.authorize().await.unwrap();
            assert!(matches!(one.refused(&next, &challenge).await, Err(AuthorizerError::Rejected { .. })));
        }
        assert_eq!(kept.authorization.refreshes(), 1);
    });
}

/// An early renewal that fails costs nothing: the token at hand is still good.
#[test]
fn a_good_token_outlives_a_failing_renewal() {
    run(async {
        let kept = KeptLogin::new(Memory, 200).await;
        for _ in 0..2 {
            kept.authorization.fault(Fault::Reply(Reply::html(503, "<html>down</html>")));
        }
        let authorizer = kept.authorizer();
        while kept.authorization.refreshes() < 2 {
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
            tokio::task::yield_now().await;
        }
        for _ in 0..5 {
            assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
        }
        assert_eq!(kept.authorization.refreshes(), 2, "one attempt, repeated once");
    });
}

/// Nothing stored: bare. A 401 makes it a required login for that request, and for what nobody waits
/// for; a login that is made elsewhere is noticed by the next one.
#[test]
fn requests_go_out_bare_where_nothing_is_stored() {
    run(async {
        let kept = KeptLogin::empty(File);
        let authorizer = kept.authorizer();
        let bare = authorizer.authorize().await.unwrap();
        assert!(bare.is_bare());
        let (_, command) = login_required(authorizer.refused(&bare, &challenge()).await);
        assert!(command.starts_with('/') && command.ends_with(" login service --store file"), "{command}");
        login_required(authorizer.unattended().authorize().await);
        let bare = authorizer.authorize().await.unwrap();
        assert!(bare.is_bare(), "the service judges every request that somebody waits for");
        authorizer.accepted(&bare);
        assert!(authorizer.unattended().authorize().await.unwrap().is_bare());
        kept.save(kept.oauth(3000)).await;
        assert_eq!(carried(&authorizer.authorize().await.unwrap()), kept.access_token(0));
    });
}

/// B11: a static token is sent as it is, is never deleted, and its refusal names the command.
#[test]
fn a_static_token_is_never_touched() {
    run(async {
        let kept = KeptLogin::empty(File);
        let value = Secret::from("canary-static".to_owned());
        let token = StaticToken { value, set_at: jiff::Timestamp::now() };
        kept.save(Kind::Token(token)).await;
        let authorizer = kept.authorizer();
        let authorization = authorizer.authorize().await.unwrap();
        assert_eq!(carried(&authorization), "canary-static");
        let (_, command) = login_required(authorizer.refused(&authorization, &challenge()).await);
        assert!(command.ends_with("tokens set service --store file"), "{command}");
        assert!(matches!(kept.entry().state, State::LoginRequired { .. }));
        assert_eq!(carried(&authorizer.authorize().await.unwrap()), "canary-static");
        assert!(kept.record().await.is_some());
    });
}

/// H15: missing scopes are not refreshed for; the command asks for the union.
#[test]
fn missing_scopes_name_the_command() {
    run(async {
        let kept = KeptLogin::new(Memory, 3000).await;
        let authorizer = kept.authorizer();
        let authorization = authorizer.authorize().await.unwrap();
        let wanted = Challenge { scope: Some("read write $(reboot)".to_owned()), ..challenge() };
        for _ in 0..3 {
            let error = authorizer.step_up(&authorization, &wanted).await.unwrap_err();
            let AuthorizerError::InsufficientScope { scopes, command } = error else {
                panic!("{error:?}");
            };
            assert_eq!(scopes, ["read", "write", "$(reboot)"]);
            assert!(
                command.as_str().ends_with("--force --scope=read --scope=write --scope='$(reboot)'"),
                "{command}"
            );
        }
        assert_eq!(kept.authorization.refreshes(), 0);
    });
}
