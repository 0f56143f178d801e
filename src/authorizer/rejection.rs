//! A renewed token that was refused again: how long a renewal is not tried once more.

use std::time::{Duration, Instant};

use super::authorization::TokenDigest;
use super::memory::Now;

/// How long the first one holds renewals back; each later one twice as long as the one before it.
pub(super) const PAUSE: Duration = Duration::from_secs(60);
/// The longest of them.
const LONGEST: Duration = PAUSE.saturating_mul(16);

/// The service refuses what the authorization server issues. It is the service's word, not one token's:
/// another process's renewal would fare no better.
#[derive(Debug)]
pub(super) struct Rejection {
    token: TokenDigest,
    until: Instant,
    pause: Duration,
}

impl Rejection {
    /// Another one, of `token`, behind `former`.
    pub(super) fn again(former: Option<Self>, token: TokenDigest, now: Now) -> Self {
        let pause = former.map_or(PAUSE, |former| (former.pause * 2).min(LONGEST));
        Self { token, until: now.steady + pause, pause }
    }

    /// Whether a refused token is not renewed yet.
    pub(super) fn holds(&self, now: Now) -> bool {
        now.steady < self.until
    }

    /// Whether it was `token` that was refused.
    pub(super) fn is_of(&self, token: TokenDigest) -> bool {
        self.token == token
    }
}
