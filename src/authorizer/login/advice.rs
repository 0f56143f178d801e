//! What a person can do where no login can be started.

use crate::authorizer::Commands;
use crate::http::{HttpError, ROOTS_REMEDY};
use crate::oauth::{Lacking, OauthError};

/// How a client's id is given where nobody can be asked.
pub const CLIENT_BY_FLAGS: &str =
    "create an OAuth client at the provider; give --client-id and --client-secret-file";
/// How its secret is.
pub const SECRET_BY_FLAGS: &str = "give it with --client-secret-file or --client-secret-stdin";

/// The next step behind a login that could not be started, as a clause.
pub fn next_step(error: &OauthError, commands: &Commands) -> String {
    match error {
        OauthError::ClientRequired(Lacking::Id) => CLIENT_BY_FLAGS.to_owned(),
        OauthError::ClientRequired(Lacking::Secret) => SECRET_BY_FLAGS.to_owned(),
        OauthError::Unreachable { source, .. } => match source.downcast_ref() {
            Some(HttpError::NotSent { proxy: Some(_), .. }) => {
                "check that the proxy is up; NO_PROXY names the hosts that need none".to_owned()
            }
            Some(HttpError::NoRoots(_)) => ROOTS_REMEDY.to_owned(),
            _ => format!("check the address and the network, then run {}", commands.login()),
        },
        OauthError::OtherResource(described) => {
            format!("if that is the address that the provider gives, run {}", commands.login_at(described))
        }
        OauthError::Refused { .. } => "check the address with the provider".to_owned(),
        OauthError::NoAuthorizationSupport => {
            format!("for a service with API tokens, run {}", commands.set_token())
        }
        OauthError::Metadata { .. } => format!(
            "the provider has to mend that; for a service with API tokens, run {}",
            commands.set_token()
        ),
        OauthError::ServerChanged { .. } => format!(
            "nothing was sent there; if the provider announced the change, run {} first, then log in",
            commands.delete()
        ),
        OauthError::RegistrationRefused { .. } => {
            "a client created at the provider may do: --client-id, --client-secret-file".to_owned()
        }
    }
}
