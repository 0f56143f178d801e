//! What to do with the credential at hand: pure decisions, without clock, store or network.
//!
//! Everything that asks "is this token still good?" asks here: the bridge about what it holds in
//! memory, and whoever holds the lock about what the store holds.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::authorization::TokenDigest;
/// A token is renewed this long before it expires, unless its life is short.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// What counts of a credential when deciding; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) digest: TokenDigest,
    pub(super) obtained_at: Timestamp,
    /// `None` where only a 401 tells.
    pub(super) expires_at: Option<Timestamp>,
    pub(super) renewal: Renewal,
}

/// Where the next access token would come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Renewal {
    /// The refresh grant.
    Refresh,
    /// Nowhere: the server issued no refresh token.
    NoRefreshToken,
    /// Nowhere: the authorization server ended the grant, for this reason.
    Ended(String),
    /// A person: it is a static token.
    Static,
}

/// What a request was refused with, if it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refused {
    /// It was not refused.
    No,
    /// It carried nothing.
    Bare,
    /// It carried this token.
    Token(TokenDigest),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is stored.
    Nothing,
    /// The token at hand is good.
    Use,
    /// It needs renewing; where `usable`, it does until the renewal is there.
    Renew { usable: bool },
    /// It is of no use, and only a person can change that.
    Dead,
}

impl View {
    /// The token's life, where it is worth believing. A life that was over when it began (a zero
    /// or negative `expires_in`, or an absolute time by a clock far from ours) says nothing: acting
    /// on it would mean a refresh for every request.
    fn life(&self) -> Option<(SignedDuration, Timestamp)> {
        let expiry = self.expires_at?;
        let life = expiry.duration_since(self.obtained_at);
        (life >= SignedDuration::from_secs(1)).then_some((life, expiry))
    }

    /// Whether the token may still be sent.
    fn is_valid(&self, now: Timestamp) -> bool {
        self.life().is_none_or(|(_, expiry)| now < expiry)
    }

    /// Whether the token need not be renewed yet.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.life().is_none_or(|(life, expiry)| expiry.duration_since(now) > margin(life))
    }
}

/// How long before its end a token of this life is renewed: the larger of a minute and a tenth of
/// its life, yet at most a fifth, so that a short life is lived nearly to its end.
fn margin(life: SignedDuration) -> SignedDuration {
    AHEAD.max(life / 10).min(life / 5)
}

/// Decides what becomes of a request that wants to carry what is stored.
pub(super) fn decide(stored: Option<&View>, refused: Refused, now: Timestamp) -> Step {
    let Some(view) = stored else {
        return Step::Nothing;
    };
    let is_refused = refused == Refused::Token(view.digest);
    if !is_refused && view.is_fresh(now) {
        return Step::Use;
    }
    let usable = !is_refused && view.is_valid(now);
    match view.renewal {
        Renewal::Refresh => Step::Renew { usable },
        _ if usable => Step::Use,
        _ => Step::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Secret;

    const NOW: i64 = 1_800_000_000;

    fn at(offset: i64) -> Timestamp {
        Timestamp::from_second(NOW + offset).unwrap()
    }

    fn digest(token: &str) -> TokenDigest {
        TokenDigest::of(&Secret::from(token.to_owned()))
    }

    fn view(obtained: i64, expires: Option<i64>, renewal: Renewal) -> View {
        View { digest: digest("current"), obtained_at: at(obtained), expires_at: expires.map(at), renewal }
    }

    #[test]
    fn a_token_is_renewed_shortly_before_its_end() {
        for (life, margin_seconds) in [(3600, 360), (7200, 720), (600, 60), (300, 60), (100, 20), (5, 1)] {
            assert_eq!(margin(SignedDuration::from_secs(life)), SignedDuration::from_secs(margin_seconds));
        }
    }

    /// H09–H12: what the server said of the life, and when that makes a refresh due.
    #[test]
    fn decisions_about_an_unrefused_token() {
        use Step::{Dead, Renew, Use};
        let ended = || Renewal::Ended("over".to_owned());
        for (what, obtained, expires, renewal, step) in [
            ("an hour, fresh", -60, Some(3540), Renewal::Refresh, Use),
            ("an hour, in its margin", -3300, Some(300), Renewal::Refresh, Renew { usable: true }),
            ("an hour, over", -3601, Some(-1), Renewal::Refresh, Renew { usable: false }),
            ("no expiry named", -90_000, None, Renewal::Refresh, Use),
            ("expires_in 0", -10, Some(-10), Renewal::Refresh, Use),
            ("expires_at by a clock behind ours", -10, Some(-7200), Renewal::Refresh, Use),
            ("five seconds, three left", -2, Some(3), Renewal::Refresh, Use),
            ("five seconds, one left", -4, Some(1), Renewal::Refresh, Renew { usable: true }),
            ("our clock was set back", 7200, Some(10_800), Renewal::Refresh, Use),
            ("ended, still valid", -3300, Some(300), ended(), Use),
            ("ended and over", -3601, Some(-1), ended(), Dead),
            ("no refresh token, still valid", -3590, Some(10), Renewal::NoRefreshToken, Use),
            ("no refresh token, over", -3601, Some(-1), Renewal::NoRefreshToken, Dead),
            ("static", -1_000_000, None, Renewal::Static, Use),
        ] {
            let view = view(obtained, expires, renewal);
            assert_eq!(decide(Some(&view), Refused::No, at(0)), step, "{what}");
            let other = Refused::Token(digest("an older one"));
            assert_eq!(decide(Some(&view), other, at(0)), step, "{what}, an older one was refused");
        }
    }

    #[test]
    fn decisions_about_a_refused_token() {
        use Step::{Dead, Renew};
        let refused = Refused::Token(digest("current"));
        for (renewal, step) in [
            (Renewal::Refresh, Renew { usable: false }),
            (Renewal::NoRefreshToken, Dead),
            (Renewal::Ended("over".to_owned()), Dead),
            (Renewal::Static, Dead),
        ] {
            for expires in [None, Some(3500), Some(-5)] {
                let view = view(-100, expires, renewal.clone());
                assert_eq!(decide(Some(&view), refused, at(0)), step, "{renewal:?} {expires:?}");
            }
        }
        assert_eq!(decide(None, Refused::Bare, at(0)), Step::Nothing);
    }
}
