//! The authorization response (RFC 6749 §4.1.2, RFC 9207), from the listener or from a paste.
//!
//! Parameters are read once and strictly: one that repeats makes the whole response foreign
//! (RFC 6749 §3.1), so that two readers cannot disagree about it.

use std::fmt;

use crate::redact::{ExposeSecret, Secret};

/// The longest query of an authorization response, in bytes.
const QUERY_LIMIT: usize = 16 * 1024;

/// The parameters of an authorization response, not yet checked.
pub struct CallbackParameters {
    pub(super) code: Option<Secret>,
    pub(super) state: Option<Secret>,
    pub(super) issuer: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
}

impl fmt::Debug for CallbackParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CallbackParameters")
            .field("issuer", &self.issuer)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Why an authorization response brings no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// It does not belong to this login. The login goes on waiting.
    #[error("{reason}")]
    Foreign {
        /// What is wrong, safe to print; it holds nothing of the response itself.
        reason: String,
    },
    /// It belongs to this login and came from another authorization server than the one that was
    /// asked (a mix-up, RFC 9207 §2.4). The code goes nowhere and the login goes on waiting.
    #[error("the answer did not come from {expected}")]
    Issuer {
        /// The issuer that was asked.
        expected: String,
    },
    /// The authorization server, or the person, declined. The login is over.
    #[error("the authorization server declined ({error}{})", described(.description))]
    Denied {
        /// The error code of RFC 6749 §4.1.2.1, safe to print.
        error: String,
        /// The server's own words, safe to print.
        description: Option<String>,
    },
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl CallbackParameters {
    /// Reads a query, without its question mark.
    ///
    /// # Errors
    /// [`CallbackError::Foreign`] where it is too long or repeats a parameter.
    pub fn from_query(query: &str) -> Result<Self, CallbackError> {
        let foreign = |reason: &str| CallbackError::Foreign { reason: reason.to_owned() };
        if query.len() > QUERY_LIMIT {
            return Err(foreign("the query is too long"));
        }
        let mut found: [(&str, Option<Secret>); 5] =
            [("code", None), ("state", None), ("iss", None), ("error", None), ("error_description", None)];
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let Some((_, slot)) = found.iter_mut().find(|(known, _)| *known == name) else { continue };
            if slot.replace(Secret::from(value.into_owned())).is_some() {
                return Err(foreign("a parameter repeats"));
            }
        }
        let [(_, code), (_, state), (_, issuer), (_, error), (_, error_description)] = found;
        let open = |text: Option<Secret>| text.map(|text| text.expose_secret().to_owned());
        Ok(Self {
            code,
            state,
            issuer: open(issuer),
            error: open(error),
            error_description: open(error_description),
        })
    }
}
