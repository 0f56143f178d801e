//! The record that follows from a token endpoint's answer: pure.

use jiff::{SignedDuration, Timestamp};

use crate::clock;
use crate::credential::{AccessToken, Ended, OauthCredential};
use crate::oauth::{GrantError, TokenResponse, granted};
use crate::redact::ExposeSecret;

/// The login after a refresh. What the response omits stays (RFC 6749 §6): the refresh token, and
/// the scopes. So does the end of a token that stays, unless that is over: then the refresh disproves it;
/// or unless a clock gave it that was wrong.
pub(super) fn merged(old: &OauthCredential, response: TokenResponse, now: Timestamp) -> OauthCredential {
    let is_rotated = response.refresh_token.as_ref().is_some_and(|new| {
        old.refresh_token.as_ref().is_none_or(|old| old.expose_secret() != new.expose_secret())
    });
    let obtained_at = old.refresh_token_obtained_at.unwrap_or(old.logged_in_at);
    let is_believed = !clock::was_ahead(obtained_at, now);
    // A login comes before its refresh, whatever the clock said then.
    let before = now.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(now);
    let same_token_expiry =
        old.refresh_token_expires_at.filter(|end| !is_rotated && is_believed && *end > now);
    OauthCredential {
        scopes: granted(response.scopes, &old.scopes, true),
        access_token: AccessToken {
            value: response.access_token,
            obtained_at: now,
            expires_at: response.expires_at,
        },
        refresh_token_obtained_at: match is_rotated || !is_believed {
            true => Some(now),
            false => old.refresh_token_obtained_at,
        },
        logged_in_at: old.logged_in_at.min(before),
        refresh_token_expires_at: response.refresh_token_expires_at.or(same_token_expiry),
        refresh_token: response.refresh_token.or_else(|| old.refresh_token.clone()),
        ended: None,
        ..old.clone()
    }
}

/// The login after a refusal for good: all of it is kept, and marked. `cut_off` tells that an
/// earlier refresh lost its answer.
pub(super) fn ended(
    old: &OauthCredential,
    error: &GrantError,
    cut_off: bool,
    now: Timestamp,
) -> OauthCredential {
    let (code, description, reason) = match error {
        GrantError::ClientRefused { error, description } => (
            error.as_str(),
            description,
            "the authorization server refuses the OAuth client: its secret was changed, or its \
             registration has ended",
        ),
        GrantError::Refused { error, description } if cut_off => (
            error.as_str(),
            description,
            "the authorization server ended the login: an earlier refresh was cut off before its answer was \
             saved, or its answer could not be used, and the refresh token is spent; or it was revoked or has \
             expired, its account was disabled, or a copy of it (another machine, a restored backup) is in use",
        ),
        GrantError::Refused { error, description } => (
            error.as_str(),
            description,
            "the authorization server ended the login: it was revoked or has expired, its account was \
             disabled, or a copy of it (another machine, a restored backup) is in use",
        ),
        _ => ("refused", &None, "the authorization server ended the login"),
    };
    let detail = description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    let reason = format!("{reason} ({code}{detail})");
    OauthCredential { ended: Some(Ended { at: now, error: code.to_owned(), reason }), ..old.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Binding, Client, ClientAuthentication, Registration};
    use crate::redact::Secret;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn secret(value: &str) -> Secret {
        Secret::from(value.to_owned())
    }

    fn login() -> OauthCredential {
        OauthCredential {
            binding: Binding {
                issuer: Some("https://as.example".into()),
                token_endpoint: "https://as.example/token".parse().unwrap(),
                revocation_endpoint: None,
                resource: None,
            },
            client: Client {
                id: "client".into(),
                secret: None,
                authentication: ClientAuthentication::None,
                registration: Registration::Dynamic,
                redirect_uri: "http://127.0.0.1/callback".into(),
            },
            scopes: vec!["a".into(), "b".into()],
            access_token: AccessToken {
                value: secret("access-1"),
                obtained_at: at(1000),
                expires_at: Some(at(2000)),
            },
            refresh_token: Some(secret("refresh-1")),
            refresh_token_obtained_at: Some(at(1000)),
            refresh_token_expires_at: Some(at(9000)),
            logged_in_at: at(1000),
            ended: None,
        }
    }

    fn response(refresh_token: Option<&str>) -> TokenResponse {
        TokenResponse {
            access_token: secret("access-2"),
            refresh_token: refresh_token.map(secret),
            expires_at: Some(at(5000)),
            refresh_token_expires_at: None,
            scopes: None,
        }
    }

    /// H06–H08: an omitted, a repeated and a rotated refresh token.
    #[test]
    fn refresh_tokens_are_kept_until_they_are_rotated() {
        for (given, token, obtained, expires) in [
            (None, "refresh-1", 1000, Some(9000)),
            (Some("refresh-1"), "refresh-1", 1000, Some(9000)),
            (Some("refresh-2"), "refresh-2", 4000, None),
        ] {
            let new = merged(&login(), response(given), at(4000));
            assert_eq!(new.refresh_token.unwrap().expose_secret(), token);
            assert_eq!(new.refresh_token_obtained_at, Some(at(obtained)));
            assert_eq!(new.refresh_token_expires_at, expires.map(at));
            assert_eq!(new.access_token.value.expose_secret(), "access-2");
            assert_eq!(new.access_token.obtained_at, at(4000));
        }
    }

    /// A server that lets one refresh token live on at each use may tell its life but once.
    #[test]
    fn a_refresh_disproves_an_end_that_is_over() {
        let renewed = |at_second| merged(&login(), response(None), at(at_second)).refresh_token_expires_at;
        assert_eq!(renewed(8999), Some(at(9000)));
        assert_eq!(renewed(9000), None);
        let told = TokenResponse { refresh_token_expires_at: Some(at(9500)), ..response(None) };
        assert_eq!(merged(&login(), told, at(9001)).refresh_token_expires_at, Some(at(9500)));
    }

    /// Times that a clock gave which was far ahead end with the first refresh by the right one.
    #[test]
    fn a_wrong_clock_s_times_are_put_right() {
        let day = 24 * 60 * 60;
        for (now_second, obtained) in [(1000 - day, 1000), (999 - day, 999 - day)] {
            let new = merged(&login(), response(None), at(now_second));
            assert_eq!(new.refresh_token_obtained_at, Some(at(obtained)));
            assert_eq!(new.refresh_token_expires_at.is_some(), obtained == 1000);
            assert!(new.logged_in_at < at(now_second) && new.logged_in_at > at(now_second - 1));
        }
    }

    /// H13: a narrowed scope is recorded; an omitted one means no change.
    #[test]
    fn scopes_follow_the_answer() {
        let narrowed = TokenResponse { scopes: Some(vec!["a".into()]), ..response(None) };
        assert_eq!(merged(&login(), narrowed, at(4000)).scopes, ["a"]);
        assert_eq!(merged(&login(), response(None), at(4000)).scopes, ["a", "b"]);
        let narrowed = TokenResponse { scopes: Some(vec!["a".into()]), ..response(None) };
        let offline = OauthCredential { scopes: vec!["a".into(), "offline_access".into()], ..login() };
        assert_eq!(merged(&offline, narrowed, at(4000)).scopes, ["a", "offline_access"]);
    }

    /// G11, G12, H16: the end keeps everything and says what it may come from.
    #[test]
    fn an_ended_login_keeps_its_tokens() {
        let refused = |code: &str| GrantError::Refused { error: code.into(), description: Some("d".into()) };
        let client = GrantError::ClientRefused { error: "invalid_client".into(), description: None };
        for (error, cut_off, word) in [
            (refused("invalid_grant"), false, "restored backup"),
            (refused("invalid_grant"), true, "cut off"),
            (refused("invalid_grant"), true, "revoked"),
            (client, false, "OAuth client"),
        ] {
            let dead = ended(&login(), &error, cut_off, at(7000));
            assert_eq!(dead.refresh_token.unwrap().expose_secret(), "refresh-1");
            let mark = dead.ended.unwrap();
            assert_eq!(mark.at, at(7000));
            assert!(mark.reason.contains(word) && mark.reason.contains(&mark.error), "{}", mark.reason);
        }
    }
}
