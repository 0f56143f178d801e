//! What a person can do where no login can be started.

use crate::authorizer::Commands;
use crate::http::{HttpError, ROOTS_REMEDY};
use crate::oauth::OauthError;

/// The next step behind a login that could not be started, as a clause.
pub fn next_step(error: &OauthError, commands: &Commands) -> String {
    match error {
        OauthError::ClientRequired => {
            "create an OAuth client at the provider, and give --client-id and --client-secret-file".to_owned()
        }
        OauthError::SecretRequired => "give it with --client-secret-file or --client-secret-stdin".to_owned(),
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
        OauthError::Metadata { .. } | OauthError::PkceUnsupported => {
            format!(
                "the provider has to mend that; for a service with API tokens, run {}",
                commands.set_token()
            )
        }
        OauthError::ServerChanged { .. } => format!(
            "nothing was sent there; if the provider announced the change, run {} first, then log in",
            commands.delete()
        ),
        OauthError::RegistrationRefused { .. } => {
            "a client created at the provider may do: --client-id, --client-secret-file".to_owned()
        }
    }
}
