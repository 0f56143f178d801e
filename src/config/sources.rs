//! Which setting came from where, for `status`.

use super::{Environment, LogFilter, Settings, Source, network};
use crate::paths::Paths;
use crate::redact::printable;
use crate::store::KeySource;

/// What names proxies, and the variables that do.
const PROXIES: [(&str, &[&str]); 3] = [
    ("proxy for https", &network::HTTPS_PROXY),
    ("proxy for http", &network::HTTP_PROXY),
    ("without a proxy", &network::NO_PROXY),
];

/// A setting as it was decided. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What is set, for people.
    pub setting: &'static str,
    /// To what, safe to print.
    pub value: String,
    /// By whom.
    pub source: Source,
}

impl Settings {
    /// What was decided for this run and by whom; what is not set and has no default is left out.
    pub fn decided(&self, environment: &Environment, paths: &Paths) -> Vec<Decided> {
        let place = paths.state().display().to_string();
        let home = match &self.home {
            Some(_) => Source::Variable("MCP_FRONT_HOME"),
            None => Source::Default,
        };
        let (log, log_source) = match &self.log_filter {
            LogFilter::Verbosity(0) => ("warnings".to_owned(), Source::Default),
            LogFilter::Verbosity(times) => (format!("-v, {times} times"), Source::Flag("-v")),
            LogFilter::Directive(directive) => (directive.clone(), Source::Variable("MCP_FRONT_LOG")),
        };
        let always = [
            ("profile", self.profile.clone(), self.profile_source),
            ("store for new logins", self.store.to_string(), self.store_source),
            ("state directory", place, home),
            ("transport", self.transport.to_string(), self.transport_source),
            ("log", log, log_source),
        ];
        let proxies = PROXIES.into_iter().filter_map(|(setting, variables)| {
            let name = variables.iter().find(|name| environment.get(name).is_some())?;
            // Its address may hold a password.
            Some((setting, "set, not shown".to_owned(), Source::Variable(name)))
        });
        let decided =
            always.into_iter().chain(self.key_decided()).chain(self.network.decided()).chain(proxies);
        decided
            .map(|(setting, value, source)| Decided { setting, value: printable(&value), source })
            .collect()
    }

    fn key_decided(&self) -> Option<(&'static str, String, Source)> {
        let (value, source) = match self.encryption_key.as_ref()? {
            KeySource::File(path) => (path.display().to_string(), super::KEY_FILE),
            KeySource::Inline(_) => ("set, not shown".to_owned(), super::KEY),
            KeySource::Empty { variable } => ("empty".to_owned(), *variable),
        };
        Some(("encryption key", value, Source::Variable(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn each_setting_says_who_decided_and_no_secret() {
        let environment: Environment = [
            ("MCP_FRONT_STORE", "file"),
            ("MCP_FRONT_ENCRYPTION_KEY", "canary-key"),
            ("https_proxy", "http://user:canary-password@proxy:1"),
            ("MCP_FRONT_CA_FILE", "/ca.pem"),
        ]
        .into_iter()
        .collect();
        let flags = Flags { profile: Some("seat".to_owned()), ..Flags::default() };
        let settings = Settings::resolve(&flags, &environment).unwrap();
        let paths = Paths::resolve(Some(std::path::Path::new("/home"))).unwrap();
        let decided = settings.decided(&environment, &paths);
        let by = |setting: &str| {
            let found = decided.iter().find(|decided| decided.setting == setting);
            found.map(|decided| (decided.value.as_str(), decided.source))
        };
        for (setting, value, source) in [
            ("profile", "seat", Source::Flag("--profile")),
            ("store for new logins", "file", Source::Variable("MCP_FRONT_STORE")),
            ("transport", "auto", Source::Default),
            ("encryption key", "set, not shown", Source::Variable("MCP_FRONT_ENCRYPTION_KEY")),
            ("proxy for https", "set, not shown", Source::Variable("https_proxy")),
            ("root certificates", "/ca.pem", Source::Variable("MCP_FRONT_CA_FILE")),
        ] {
            assert_eq!(by(setting), Some((value, source)), "{setting}");
        }
        assert_eq!(by("client key"), None);
        assert!(!format!("{decided:?}").contains("canary"), "{decided:?}");
    }
}
