//! What would end a login, and how that looks.

use serde::Serialize;

use crate::cli::standing::Standing;

/// One way in which a login ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Ending {
    /// For programs.
    pub(super) cause: &'static str,
    /// For people: what happens, and how it looks then.
    pub(super) text: &'static str,
}

const REVOKED: Ending = Ending {
    cause: "revoked",
    text: "it is revoked at the provider: the next refresh is refused (invalid_grant)",
};
const EXPIRED: Ending = Ending {
    cause: "expired",
    text: "nothing refreshes it before it ends, or for longer than the server allows (invalid_grant)",
};
const CLIENT_CHANGED: Ending = Ending {
    cause: "client_changed",
    text: "the OAuth client's secret is changed, or the client removed (invalid_client)",
};
const ROTATED_ELSEWHERE: Ending = Ending {
    cause: "rotated_elsewhere",
    text: "a copy of it is refreshed elsewhere: another machine, a restored backup (invalid_grant)",
};
const ACCESS_TOKEN_EXPIRED: Ending = Ending {
    cause: "access_token_expired",
    text: "its access token expires, and no refresh token renews it",
};
const REFUSED: Ending = Ending {
    cause: "refused",
    text: "the service takes the token no longer: a request is answered with 401",
};

/// What would end what stands at `standing`; nothing ends what has ended, or is not there.
pub(super) fn of(standing: &Standing) -> Vec<Ending> {
    match standing {
        Standing::Renews => vec![REVOKED, EXPIRED, CLIENT_CHANGED, ROTATED_ELSEWHERE],
        Standing::Valid => vec![ACCESS_TOKEN_EXPIRED, REVOKED],
        Standing::Static => vec![REFUSED],
        Standing::NotStored | Standing::LoginRequired { .. } => Vec::new(),
    }
}
