//! Which redirects of the endpoint are followed, and what is said of the others (RFC 9110 §15.4).
//!
//! A 307 or 308 within the endpoint's origin is followed, for the one request that it answers: token
//! and body may go there, and nowhere else. The other statuses would make another request of it.

use http::StatusCode;
use http::header::LOCATION;
use url::Url;

use super::Response;
use crate::redact::{Known, printable};

/// How many redirects in a row are followed.
pub(super) const LIMIT: usize = 3;

/// A redirect that was not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// One after another, within the origin.
    Circle,
    /// To this address, whose user information, query and fragment are left out.
    Elsewhere(Url),
}

impl Redirect {
    /// The redirect that a response is; `None` where it is none, or names no address.
    pub fn of(response: &Response) -> Option<Self> {
        if within_origin(response).is_some() {
            return Some(Self::Circle);
        }
        match response.status().as_u16() {
            301..=303 | 307 | 308 => target(response).and_then(bare).map(Self::Elsewhere),
            _ => None,
        }
    }

    /// What happened and what to do, safe to print and without a full stop; `known` may be repeated by
    /// the server in the address.
    pub fn told(&self, known: &Known) -> String {
        match self {
            Self::Circle => "it redirects in circles".to_owned(),
            Self::Elsewhere(target) => format!(
                "it redirects to `{}`, which is not followed; where the service has moved there, name that \
                 address in place of this one",
                printable(&known.hide(target.as_str()))
            ),
        }
    }

    /// The same with the target's origin alone.
    pub fn with_origin_alone(self) -> Self {
        match self {
            Self::Circle => self,
            Self::Elsewhere(mut target) => {
                target.set_path("");
                Self::Elsewhere(target)
            }
        }
    }
}

/// Where a response redirects to, if that is to be followed.
pub(super) fn within_origin(response: &Response) -> Option<Url> {
    if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
        return None;
    }
    let target = target(response)?;
    // User information would become an `Authorization` of the server's choosing.
    let is_bare = target.username().is_empty() && target.password().is_none();
    (is_bare && target.origin() == response.url().origin()).then_some(target)
}

fn target(response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut target = response.url().join(location).ok()?;
    target.set_fragment(None);
    Some(target)
}

/// An address that a person may name; `None` where it is of another kind.
fn bare(mut target: Url) -> Option<Url> {
    matches!(target.scheme(), "https" | "http").then_some(())?;
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    target.set_query(None);
    Some(target)
}
