//! What a request cannot carry, and what a person can do about it.
//!
//! Every variant is a decision of the caller's: who has to act, and whether trying again helps.
//! The codes lie in JSON-RPC's server-error range, apart from those that MCP and its SDKs use.
//! No text here ever holds a secret.

use std::time::Duration;

use serde_json::{Value, json};

use super::command::CommandLine;
use crate::redact::printable;

/// Why a request does not go out, or why its refusal stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizerError {
    /// A person has to log in, or to store another token.
    #[error("{reason}. Run {command}; the next request then works, without restarting anything")]
    LoginRequired {
        /// Why the login at hand cannot be used, without a full stop.
        reason: String,
        /// The command that ends this state.
        command: CommandLine,
    },
    /// The access token has run out and no new one could be fetched for now; the login is kept.
    #[error("{cause}. The login is kept; try again in {} s", retry_after.as_secs().max(1))]
    Unavailable {
        /// What went wrong, without a full stop.
        cause: String,
        /// When another attempt makes sense.
        retry_after: Duration,
    },
    /// The credential store gives no access.
    #[error("{problem}. {remedy}")]
    Store {
        /// What is wrong with the store, without a full stop.
        problem: String,
        /// What a person can do, as whole sentences.
        remedy: String,
        /// The command that is part of it, where one helps.
        command: Option<CommandLine>,
    },
    /// A refresh, here or in another process that holds the service's lock, takes too long.
    #[error("the login is still being refreshed after {} s, maybe by another process; try again", waited.as_secs())]
    Busy {
        /// How long this process waited.
        waited: Duration,
    },
    /// The authorization server issued a fresh token, and the service refused that one too.
    #[error("{reason}. Should the service have moved to another authorization server, run {command}")]
    Rejected {
        /// What was seen, without a full stop.
        reason: String,
        /// The command that logs in anew.
        command: CommandLine,
    },
    /// The service wants scopes that the login does not have (RFC 6750 §3.1).
    #[error("the service wants more scopes than the login has ({}). Run {command}", printable(&scopes.join(" ")))]
    InsufficientScope {
        /// The union of the scopes at hand and those wanted.
        scopes: Vec<String>,
        /// The command that logs in with that union.
        command: CommandLine,
    },
}

impl AuthorizerError {
    /// The same error, where trying again makes sense in `pause`.
    pub(super) fn retrying_in(self, pause: Duration) -> Self {
        match self {
            Self::Unavailable { cause, .. } => Self::Unavailable { cause, retry_after: pause },
            other => other,
        }
    }

    /// Whether it holds off further token requests for a while: the last one came to nothing.
    pub(super) fn holds_off(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::LoginRequired { .. })
    }

    /// The JSON-RPC error code. MCP and its SDKs own −32000 … −32002, −32020 … −32022 and −32042.
    pub fn code(&self) -> i32 {
        match self {
            Self::LoginRequired { .. } => -32011,
            Self::Unavailable { .. } => -32012,
            Self::Store { .. } => -32013,
            Self::Busy { .. } => -32014,
            Self::Rejected { .. } => -32015,
            Self::InsufficientScope { .. } => -32016,
        }
    }

    /// The JSON-RPC error message.
    pub fn message(&self) -> String {
        format!("mcp-front: {self}")
    }

    /// The JSON-RPC error data: `reason` for programs, and what else they need to go on.
    pub fn data(&self) -> Value {
        match self {
            Self::LoginRequired { command, .. } => {
                json!({"reason": "login_required", "command": command.as_str()})
            }
            Self::Unavailable { retry_after, .. } => {
                json!({"reason": "unavailable", "retryAfterSeconds": retry_after.as_secs().max(1)})
            }
            Self::Store { command: None, .. } => json!({"reason": "credential_store"}),
            Self::Store { command: Some(command), .. } => {
                json!({"reason": "credential_store", "command": command.as_str()})
            }
            Self::Busy { .. } => json!({"reason": "busy", "retryAfterSeconds": 1}),
            Self::Rejected { command, .. } => {
                json!({"reason": "token_rejected", "command": command.as_str()})
            }
            Self::InsufficientScope { scopes, command } => {
                json!({"reason": "insufficient_scope", "scopes": scopes, "command": command.as_str()})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::authorizer::Program;

    #[test]
    fn every_error_says_what_to_do() {
        let command = || Program::new(OsStr::new("/opt/mcp-front"), [], false).list();
        let errors = [
            AuthorizerError::LoginRequired { reason: "no login is stored".into(), command: command() },
            AuthorizerError::Unavailable { cause: "down".into(), retry_after: Duration::from_millis(200) },
            AuthorizerError::Store {
                problem: "it is locked".into(),
                remedy: "Unlock it.".into(),
                command: None,
            },
            AuthorizerError::Busy { waited: Duration::from_secs(9) },
            AuthorizerError::Rejected { reason: "refused twice".into(), command: command() },
            AuthorizerError::InsufficientScope { scopes: vec!["a".into(), "b".into()], command: command() },
        ];
        let mut codes: Vec<i32> = errors.iter().map(AuthorizerError::code).collect();
        for error in &errors {
            let (message, data) = (error.message(), error.data());
            assert!(message.starts_with("mcp-front: "), "{message}");
            assert!(data["reason"].is_string());
            if let Some(command) = data["command"].as_str() {
                assert!(message.contains(command), "{message}");
            }
            assert!(data.get("retryAfterSeconds").is_none_or(|seconds| seconds.as_u64() > Some(0)));
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), errors.len());
        assert!(codes.iter().all(|code| (-32099..=-32000).contains(code)));
    }
}
