//! Where POSTs are redirected to within the endpoint's origin, so that not each pays for the detour.
//!
//! A redirect is for one request (RFC 9110 §15.4.8), and a permanent one may be mistaken too (a page for
//! maintenance, a path for people). So one is believed only while the address that it led to answers
//! well, only of the method whose messages need it, and never for long: then the endpoint is asked again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

/// For how long the endpoint is not asked again.
const BELIEVED: Duration = Duration::from_secs(60);

/// The address that the endpoint redirects POSTs to, where that is known. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Detour(Arc<Mutex<Option<Learnt>>>);

#[derive(Debug)]
struct Learnt {
    address: Url,
    at: Instant,
}

impl Detour {
    /// Where POSTs go for now; `None` for the endpoint itself.
    pub(super) fn address(&self, now: Instant) -> Option<Url> {
        let learnt = self.learnt();
        let learnt = learnt.as_ref().filter(|learnt| now.saturating_duration_since(learnt.at) < BELIEVED);
        learnt.map(|learnt| learnt.address.clone())
    }

    /// The endpoint redirected to this address, which answered well.
    pub(super) fn learn(&self, address: Option<Url>, now: Instant) {
        *self.learnt() = address.map(|address| Learnt { address, at: now });
    }

    /// This address did not answer well, or redirects in its turn.
    pub(super) fn forget(&self, address: &Url) {
        let _forgotten = self.learnt().take_if(|learnt| learnt.address == *address);
    }

    fn learnt(&self) -> MutexGuard<'_, Option<Learnt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detour_is_taken_until_it_fails_and_never_for_long() {
        let [one, other] = ["http://h/mcp/", "http://h/v2"].map(|text| Url::parse(text).unwrap());
        let (detour, now) = (Detour::default(), Instant::now());
        assert_eq!(detour.address(now), None);
        detour.learn(Some(one.clone()), now);
        let last = now + BELIEVED - Duration::from_millis(1);
        assert_eq!(detour.clone().address(last), Some(one.clone()));
        assert_eq!(detour.address(now + BELIEVED), None);
        // What fails late says nothing of what was learnt since.
        detour.learn(Some(other.clone()), now);
        detour.forget(&one);
        assert_eq!(detour.address(now), Some(other.clone()));
        detour.forget(&other);
        assert_eq!(detour.address(now), None);
    }
}
