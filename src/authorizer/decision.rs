//! What to do with the credential at hand: pure decisions, without clock, store or network.
//!
//! Everything that asks "is this token still good?" asks here: the bridge about what it holds in
//! memory, and whoever holds the lock about what the store holds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::authorization::TokenDigest;

/// A token is renewed this long before it expires, unless its life is short.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// The longest time without a renewal where an idle login is kept alive. The idle lives that servers
/// are known to have are half an hour, which they name, or weeks and months, and need no more than
/// this; but one that hands out its next refresh token only in the last day of the old one's life
/// is caught there by asking more often than daily.
const KEEP_ALIVE: SignedDuration = SignedDuration::from_hours(20);
/// A refresh token with less to live than this is not renewed for its own sake.
const SHORTEST_REFRESH: SignedDuration = SignedDuration::from_secs(10);
/// What a time must be worth to be believed.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// How much later than the first of them a process finds a token due. All processes hold the same
/// token: who comes later finds it renewed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stagger(u8);

impl Stagger {
    /// Draws one for a process.
    pub(super) fn draw() -> Self {
        let mut byte = [0];
        // Without entropy a process comes first, which is only a pity where all do.
        let _ = getrandom::fill(&mut byte);
        Self(byte[0])
    }

    /// This process's share of the quarter of `span` that the processes spread over.
    fn of(self, span: SignedDuration) -> SignedDuration {
        span * i32::from(self.0) / 1024
    }
}

/// What counts of a credential when deciding; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) digest: TokenDigest,
    pub(super) obtained_at: Timestamp,
    /// `None` where only a 401 tells.
    pub(super) expires_at: Option<Timestamp>,
    /// When the refresh token ends, where the server said so.
    pub(super) refresh_expires_at: Option<Timestamp>,
    pub(super) renewal: Renewal,
    /// None for whoever holds the lock: what is due to anybody is due to that one.
    pub(super) stagger: Stagger,
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

/// What to do about a token that no request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// Nothing, until a request uses another one.
    Rest,
    /// Looking again after so long.
    Wait(Duration),
    /// It is to be renewed now, and where that fails, again after `pause` at the earliest.
    Renew { pause: Duration },
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
        (life >= SECOND).then_some((life, expiry))
    }

    /// Whether the token may still be sent.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.life().is_none_or(|(_, expiry)| now < expiry)
    }

    /// What ends first: the token, or the refresh token that it is renewed with. Where that one's end stays
    /// where it is, renewing brings less each time: what is left of it at last is not worth it.
    fn term(&self, now: Timestamp) -> Option<(SignedDuration, Timestamp)> {
        let end = self.refresh_expires_at.filter(|end| self.renewal == Renewal::Refresh && now < *end);
        let refresh = end.map(|end| (end.duration_since(self.obtained_at), end));
        let refresh = refresh.filter(|(life, _)| *life >= SHORTEST_REFRESH);
        [self.life(), refresh].into_iter().flatten().min_by_key(|(_, end)| *end)
    }

    /// Whether the token need not be renewed yet.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.term(now).is_none_or(|(life, end)| end.duration_since(now) > self.margin(life))
    }

    /// How long before its end this process renews a token of this life.
    fn margin(&self, life: SignedDuration) -> SignedDuration {
        let margin = margin(life);
        margin - self.stagger.of(margin)
    }

    /// Decides about the token while no request waits for it. One that no request has used since it
    /// was obtained is left alone: an idle process fetches at most one token for nothing. So is one
    /// that is over, for whose renewal a request has to wait in any case.
    pub(super) fn ahead(&self, is_used: bool, now: Timestamp) -> Ahead {
        let Some((life, expiry)) = self.term(now) else { return Ahead::Rest };
        if !is_used || self.renewal != Renewal::Refresh || !self.is_valid(now) {
            return Ahead::Rest;
        }
        let margin = self.margin(life);
        let wait = expiry.duration_since(now) - margin;
        if wait.is_positive() {
            // Timers stand still while the machine is suspended: half of the margin passes at most
            // before the clock is looked at again.
            Ahead::Wait(wait.min(margin / 2).unsigned_abs())
        } else {
            Ahead::Renew { pause: SECOND.max(margin / 16).unsigned_abs() }
        }
    }
}

/// How long before its end a token of this life is renewed by the first process: the larger of a
/// minute and a tenth of its life. Of a short life it is two fifths, so that a token of ten seconds
/// is renewed in time by an authorization server that takes two, and no life is cut in half.
fn margin(life: SignedDuration) -> SignedDuration {
    AHEAD.max(life / 10).min(life / 5 * 2)
}

/// How long a login that was last renewed at `renewed_at` may go on unused before it is renewed to
/// keep its refresh token alive, which ends at `ends_at` where the server said so; and how long it
/// takes from one such renewal to the next. The first half of the time that is left is let pass.
pub(super) fn keep_alive(
    renewed_at: Timestamp,
    ends_at: Option<Timestamp>,
    stagger: Stagger,
    now: Timestamp,
) -> (Duration, Duration) {
    let life = ends_at.map(|end| end.duration_since(renewed_at)).filter(|life| *life >= SECOND);
    let interval = life.map_or(KEEP_ALIVE, |life| KEEP_ALIVE.min(life / 2));
    let age = now.duration_since(renewed_at);
    // By a clock that was far ahead of this one, it would not be due for years.
    let is_absurd = age < -KEEP_ALIVE;
    let wait = if is_absurd { SignedDuration::ZERO } else { interval - stagger.of(interval) - age };
    (wait.max(SignedDuration::ZERO).unsigned_abs(), interval.unsigned_abs())
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
        let (digest, stagger) = (digest("current"), Stagger::default());
        let expires_at = expires.map(at);
        View { digest, obtained_at: at(obtained), expires_at, refresh_expires_at: None, renewal, stagger }
    }

    #[test]
    fn a_token_is_renewed_shortly_before_its_end() {
        for (life, margin_seconds) in
            [(3600, 360), (7200, 720), (600, 60), (300, 60), (100, 40), (10, 4), (5, 2)]
        {
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
            ("five seconds, two left", -3, Some(2), Renewal::Refresh, Renew { usable: true }),
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

    /// A token is of no use beyond what it can be renewed with.
    #[test]
    fn a_refresh_token_that_ends_first_is_renewed_in_time() {
        use Step::{Renew, Use};
        for (what, obtained, expires, refresh_ends, step) in [
            ("an hour, half a year", -60, Some(3540), 15_000_000, Use),
            ("an hour, ten minutes, just begun", -60, Some(3540), 540, Use),
            ("an hour, ten minutes, one left", -540, Some(3060), 60, Renew { usable: true }),
            ("no expiry named, ten minutes, one left", -540, None, 60, Renew { usable: true }),
            ("both over", -3601, Some(-1), -1, Renew { usable: false }),
            ("its end is over", -601, Some(2999), -1, Use),
            ("its end is fixed, and near", -1, Some(3599), 8, Use),
        ] {
            let view = View {
                refresh_expires_at: Some(at(refresh_ends)),
                ..view(obtained, expires, Renewal::Refresh)
            };
            assert_eq!(decide(Some(&view), Refused::No, at(0)), step, "{what}");
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

    /// H12, I01: what is due before a request needs it, and by which clock.
    #[test]
    fn decisions_ahead_of_a_request() {
        let renew = |pause| Ahead::Renew { pause: Duration::from_millis(pause) };
        let wait = |seconds| Ahead::Wait(Duration::from_secs(seconds));
        let ended = || Renewal::Ended("over".to_owned());
        for (what, obtained, expires, used, renewal, ahead) in [
            ("an hour, just begun", 0, Some(3600), true, Renewal::Refresh, wait(180)),
            ("an hour, nearly due", -3200, Some(400), true, Renewal::Refresh, wait(40)),
            ("an hour, due", -3240, Some(360), true, Renewal::Refresh, renew(22_500)),
            ("an hour, due, and unused", -3240, Some(360), false, Renewal::Refresh, Ahead::Rest),
            ("an hour, over", -3600, Some(0), true, Renewal::Refresh, Ahead::Rest),
            ("no expiry named", -3600, None, true, Renewal::Refresh, Ahead::Rest),
            ("no refresh token", -3240, Some(360), true, Renewal::NoRefreshToken, Ahead::Rest),
            ("ended", -3240, Some(360), true, ended(), Ahead::Rest),
            ("ten seconds, just begun", 0, Some(10), true, Renewal::Refresh, wait(2)),
            ("ten seconds, due", -6, Some(4), true, Renewal::Refresh, renew(1000)),
            ("five seconds, due", -3, Some(2), true, Renewal::Refresh, renew(1000)),
        ] {
            let view = view(obtained, expires, renewal);
            assert_eq!(view.ahead(used, at(0)), ahead, "{what}");
            // A request finds the same token due at the same time.
            let is_due = decide(Some(&view), Refused::No, at(0)) == Step::Renew { usable: true };
            assert_eq!(is_due && used, matches!(ahead, Ahead::Renew { .. }), "{what}");
        }
    }

    /// The last of all processes still has time, and whoever holds the lock agrees with the first.
    #[test]
    fn processes_come_one_after_the_other() {
        for (stagger, due) in [(0, 360), (64, 337), (128, 315), (255, 270)] {
            let view = |left: i64| View {
                stagger: Stagger(stagger),
                ..view(left - 3600, Some(left), Renewal::Refresh)
            };
            assert_eq!(decide(Some(&view(due + 1)), Refused::No, at(0)), Step::Use, "{stagger}");
            let step = decide(Some(&view(due)), Refused::No, at(0));
            assert_eq!(step, Step::Renew { usable: true }, "{stagger}");
        }
    }

    #[test]
    fn an_idle_login_is_kept_alive() {
        const DAY: i64 = 86_400;
        for (what, renewed, ends, due, every) in [
            ("nothing is known of its end", 0, None, 72_000, 72_000),
            ("six months, named", 0, Some(180 * DAY), 72_000, 72_000),
            ("nobody was there for a week", -7 * DAY, None, 0, 72_000),
            ("half an hour, named", -60, Some(1740), 840, 900),
            ("the last day of a fixed end", -3600, Some(20 * 3600), 9 * 3600 + 1800, 10 * 3600 + 1800),
            ("over by what was named", -7200, Some(-3600), 0, 1800),
            ("an end that makes no sense", -3600, Some(-7200), 68_400, 72_000),
            ("our clock was set back a little", 30, None, 72_030, 72_000),
            ("our clock was years ahead", 900 * DAY, None, 0, 72_000),
        ] {
            let (wait, interval) = keep_alive(at(renewed), ends.map(at), Stagger::default(), at(0));
            let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
            assert_eq!((wait, interval), (seconds(due), seconds(every)), "{what}");
            let (sooner, _) = keep_alive(at(renewed), ends.map(at), Stagger(255), at(0));
            assert!(sooner <= wait && sooner + interval / 4 >= wait, "{what}: {sooner:?}");
        }
    }
}
