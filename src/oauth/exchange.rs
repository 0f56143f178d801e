//! How a request of this room leaves: one at a time, small, with the whole answer back.
//!
//! That is the one HTTP client under an address policy. What the answers mean is decided without it,
//! and holds for answers that come by any other way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};

use crate::http::{AddressPolicy, Client, HttpError};

/// What one exchange brought.
pub type Answer = Result<Response<Vec<u8>>, HttpError>;

type Carry = dyn Fn(Request<Vec<u8>>, Duration) -> BoxFuture<'static, Answer> + Send + Sync;

/// Carries one small request out, and its whole answer back. Clones share the way.
#[derive(Clone)]
pub struct Exchange(Arc<Carry>);

impl Exchange {
    /// Over the network, to addresses that `policy` admits.
    pub fn over(http: &Client, policy: &AddressPolicy) -> Self {
        let (http, policy) = (http.clone(), policy.clone());
        Self::by(move |request, limit| {
            let (http, policy) = (http.clone(), policy.clone());
            async move { http.exchange(request, &policy, limit).await }.boxed()
        })
    }

    /// By a way of the caller's, which keeps to the time that it is given.
    pub fn by(
        carry: impl Fn(Request<Vec<u8>>, Duration) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(carry))
    }

    /// Sends one request; the answer is there within `limit`.
    pub(super) async fn send(&self, request: Request<Vec<u8>>, limit: Duration) -> Answer {
        (self.0)(request, limit).await
    }
}
