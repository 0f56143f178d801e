//! The pasted redirect: a code is taken from the redirect URI with this login's state and issuer and
//! from nothing else, and no refusal repeats what was pasted.

use mcp_front::oauth::{CallbackError, Code, Pending};
use mcp_front::redact::Secret;
use url::Url;

use super::login::{self, Verdict};
use super::{assert_printable, shown};

const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";
/// What no error may repeat, wherever in the input it stands.
const CANARY: &str = "canary-code";

/// The first byte says whether an issuer is promised; the others are what was pasted, where `STATE`
/// stands for the login's state and `REDIRECT` for its redirect URI.
pub fn check(data: &[u8]) {
    let Some((&control, pasted)) = data.split_first() else { return };
    let Ok(pasted) = std::str::from_utf8(pasted) else { return };
    thread_local! {
        static LOGINS: [Pending; 2] = {
            let redirect_uri = Url::parse(REDIRECT_URI).expect("a URL");
            [false, true].map(|requires_issuer| login::pending(&redirect_uri, requires_issuer))
        };
    }
    LOGINS.with(|logins| check_pasted(&logins[usize::from(control & 1)], control & 1 == 1, pasted));
}

fn check_pasted(pending: &Pending, requires_issuer: bool, pasted: &str) {
    let state = login::state(pending);
    let pasted = pasted.replace("STATE", &state).replace("REDIRECT", REDIRECT_URI);
    let answer = pending.check_pasted(&Secret::from(pasted.as_str()));
    assert_eq!(verdict(&answer), expected(&pasted, &state, requires_issuer), "{answer:?}");
    let debug = format!("{answer:?}");
    match &answer {
        Ok(_) => assert!(!debug.contains(&state) && !debug.contains(CANARY)),
        Err(error @ CallbackError::Denied { .. }) => assert_printable(&error.to_string()),
        Err(error) => {
            assert!(!shown(error).contains(CANARY) && !debug.contains(CANARY) && !debug.contains(&state));
            assert_printable(&error.to_string());
        }
    }
}

fn verdict(answer: &Result<Code, CallbackError>) -> Verdict {
    match answer {
        Ok(_) => Verdict::Accepted,
        Err(CallbackError::Denied { .. }) => Verdict::Denied,
        Err(CallbackError::Foreign { .. } | CallbackError::Issuer { .. }) => Verdict::PassedOver,
    }
}

fn expected(pasted: &str, state: &str, requires_issuer: bool) -> Verdict {
    let pasted = pasted.trim();
    let Ok(url) = Url::parse(pasted) else { return Verdict::PassedOver };
    let (address, query) =
        url[..url::Position::AfterQuery].split_once('?').unwrap_or((&url[..url::Position::AfterPath], ""));
    if address != REDIRECT_URI || pasted.len() > 20 * 1024 {
        return Verdict::PassedOver;
    }
    login::verdict(query, state, requires_issuer)
}
