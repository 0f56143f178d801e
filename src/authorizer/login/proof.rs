//! Whether a stored login is still good: by its times, and by what the service says to its token.
//!
//! A token may end before its time, where somebody revoked it; nothing but the service tells. One
//! that it refuses is renewed, as a request's would be, and what it refuses again is no login. The
//! refresh token is not touched while the access token does.

use super::journey::Journey;
use super::probe::{self, Verdict};
use super::{LoginError, Outcome, Scope};
use crate::authorizer::authorization::TokenDigest;
use crate::authorizer::decision::{Refused, Step, decide};
use crate::authorizer::failure::Failure;
use crate::authorizer::refresh_child::renew_in_child;
use crate::authorizer::standing::Standing;
use crate::clock;
use crate::credential::{Credential, Kind};
use crate::store::StoreKind;

/// What is known of a stored login.
enum Proof {
    /// It is not what is asked for, or does not do.
    Fails,
    /// The service takes it.
    Holds,
    /// The service could not be asked, or the token not be renewed for now, for this reason.
    Unchecked(String),
}

impl Journey<'_> {
    /// What to end with where `stored` makes a login unnecessary.
    ///
    /// # Errors
    /// [`LoginError::Store`] and [`LoginError::Index`], for what is taken over.
    pub(super) async fn without_login(
        &self,
        stored: Option<&Credential>,
    ) -> Result<Option<Outcome>, LoginError> {
        let proof = match stored.filter(|credential| self.suits(credential)) {
            Some(credential) if !self.home.is_deleted()? => self.prove(credential).await,
            _ => Proof::Fails,
        };
        Ok(match proof {
            Proof::Fails => None,
            Proof::Holds => Some(Outcome::StillGood(self.take_over(true).await?)),
            Proof::Unchecked(why) => Some(Outcome::Unchecked { summary: self.take_over(false).await?, why }),
        })
    }

    /// Whether a stored login is what the options ask for, as far as the record tells.
    pub(super) fn suits(&self, stored: &Credential) -> bool {
        let Kind::Oauth(oauth) = &stored.kind else { return false };
        let client = self.options().client.as_ref();
        let scopes = match &self.options().scope {
            Scope::Exactly(scopes) => scopes.as_slice(),
            Scope::Automatic | Scope::None => &[],
        };
        oauth.ended.is_none()
            && oauth.refresh_token_expires_at.is_none_or(|end| end > clock::now())
            && client.is_none_or(|client| client.id == oauth.client.id)
            && scopes.iter().all(|scope| oauth.scopes.contains(scope))
    }

    async fn prove(&self, stored: &Credential) -> Proof {
        let (config, identity) = (self.config, &self.home.identity);
        let (mut standing, mut refused) = (Standing::of(stored), Refused::No);
        let mut renewed = false;
        loop {
            match decide(Some(&standing.view()), refused, clock::now()) {
                Step::Use => {}
                // A refresh in this process would not outlive Ctrl-C; the memory store has no other.
                Step::Renew { usable: true } if identity.store == StoreKind::Memory => {}
                Step::Renew { .. } if identity.store != StoreKind::Memory && !renewed => {
                    renewed = true;
                    match renew_in_child(&config.children, identity.clone(), refused).await {
                        Ok(Some(newer)) => standing = newer,
                        Ok(None) => return Proof::Fails,
                        // It can be renewed nowhere: the person logs in where the server is by now.
                        Err(Failure::Moved { .. }) => return Proof::Fails,
                        // No verdict on the grant: a browser would end a login that may live.
                        Err(failure) => return Proof::Unchecked(failure.reason()),
                    }
                    continue;
                }
                Step::Renew { .. } | Step::Nothing | Step::Dead => return Proof::Fails,
            }
            match probe::show(&self.http, &config.server, &standing.token).await {
                Verdict::Taken => return Proof::Holds,
                Verdict::Refused => refused = Refused::Token(TokenDigest::of(&standing.token)),
                Verdict::Unclear(why) => return Proof::Unchecked(why),
            }
        }
    }
}
