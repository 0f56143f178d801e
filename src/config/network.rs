//! How requests leave this machine: proxies, certificates, and whether private addresses may be
//! named.
//!
//! What decides is pure; files are read when a client is to be described, and what is wrong with
//! one is told with its path before anything is sent. A proxy that is named and cannot be used is an
//! error too: going out without it is not what was asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{ConfigError, Environment, Source};
use crate::http::{self, CertificateError, ClientCertificate, Proxies, Proxy, RootCertificates};

const CA_FILE: (&str, &str) = ("--ca-file", "MCP_FRONT_CA_FILE");
const CLIENT_CERT: (&str, &str) = ("--client-cert", "MCP_FRONT_CLIENT_CERT");
const CLIENT_KEY: (&str, &str) = ("--client-key", "MCP_FRONT_CLIENT_KEY");
/// The variables that name proxies, of which the first that is set holds.
pub(super) const HTTPS_PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
pub(super) const HTTP_PROXY: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
/// The variables that name what needs no proxy.
pub(super) const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
const ALLOW_PRIVATE: &str = "MCP_FRONT_ALLOW_PRIVATE_NETWORK";

/// What the commands that reach the network take, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct NetworkFlags {
    /// `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--client-cert`.
    pub client_cert: Option<PathBuf>,
    /// `--client-key`.
    pub client_key: Option<PathBuf>,
    /// `--allow-private-network`.
    pub allow_private_network: bool,
}

/// A file that was named, and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    path: PathBuf,
    source: Source,
    /// The variable that names it to other processes.
    variable: &'static str,
}

/// How requests leave this machine, as far as flags and environment decide.
#[derive(Debug, Clone, Default)]
pub struct Network {
    ca_file: Option<Named>,
    client_cert: Option<Named>,
    client_key: Option<Named>,
    /// Who allowed it, where anybody did.
    allow_private: Option<Source>,
}

impl Network {
    /// Decides each setting: flag, then environment. Touches nothing.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a variable that is neither yes nor no, and
    /// [`ConfigError::Unusable`] for a key without its certificate.
    pub(super) fn resolve(flags: &NetworkFlags, environment: &Environment) -> Result<Self, ConfigError> {
        let named = |flag: &Option<PathBuf>, (name, variable): (&'static str, &'static str)| {
            let typed = flag.clone().map(|path| (path, Source::Flag(name)));
            let set = || Some((PathBuf::from(environment.get(variable)?), Source::Variable(variable)));
            typed.or_else(set).map(|(path, source)| Named { path, source, variable })
        };
        let allow_private = match flags.allow_private_network {
            true => Some(Source::Flag("--allow-private-network")),
            false => is_on(environment, ALLOW_PRIVATE)?.then_some(Source::Variable(ALLOW_PRIVATE)),
        };
        let network = Self {
            ca_file: named(&flags.ca_file, CA_FILE),
            client_cert: named(&flags.client_cert, CLIENT_CERT),
            client_key: named(&flags.client_key, CLIENT_KEY),
            allow_private,
        };
        match (&network.client_cert, &network.client_key) {
            (None, Some(key)) => Err(ConfigError::Unusable(format!(
                "{} names a key, and nothing its certificate: give {} as well",
                key.source, CLIENT_CERT.0
            ))),
            _ => Ok(network),
        }
    }

    /// The files that were named and that another process needs too, by variable.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [&self.ca_file, &self.client_cert, &self.client_key];
        files.into_iter().flatten().map(|named| (named.variable, named.path.as_path()))
    }

    /// What was decided, for whoever asks who did it: a setting, its value and its source.
    pub(super) fn decided(&self) -> impl Iterator<Item = (&'static str, String, Source)> {
        let files = [
            ("root certificates", &self.ca_file),
            ("client certificate", &self.client_cert),
            ("client key", &self.client_key),
        ];
        let shown = |named: &Named| named.path.display().to_string();
        let files = files.into_iter().filter_map(move |(setting, file)| {
            file.as_ref().map(|named| (setting, shown(named), named.source))
        });
        let private = self.allow_private.map(|source| ("private addresses", "allowed".to_owned(), source));
        files.chain(private)
    }

    /// The permission for private addresses, as its variable gives it.
    pub(super) fn permission(&self) -> Option<(&'static str, String)> {
        self.allow_private.map(|_| (ALLOW_PRIVATE, "1".to_owned()))
    }

    /// What flags decided, as variables for a helper process: paths, and no file's content.
    pub fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let private = self.permission().map(|(name, value)| (name.into(), value.into()));
        self.places().map(|(name, path)| (name.into(), path.into())).chain(private)
    }

    /// Describes how the client goes out, and reads the files that were named.
    ///
    /// # Errors
    /// [`ConfigError::File`] and [`ConfigError::Unusable`], each with the file's path, or with the
    /// variable of a proxy.
    pub fn http_config(&self, environment: &Environment) -> Result<http::Config, ConfigError> {
        Ok(http::Config {
            proxies: proxies(environment)?,
            roots: self.ca_file.as_ref().map(roots).transpose()?,
            certificate: self.client_certificate()?,
            private_network: self.allow_private.is_some(),
        })
    }

    fn client_certificate(&self) -> Result<Option<ClientCertificate>, ConfigError> {
        let Some(chain) = &self.client_cert else { return Ok(None) };
        // One file may hold both.
        let key = self.client_key.as_ref().unwrap_or(chain);
        let read = ClientCertificate::from_pem(&chain.read()?, &key.read()?);
        read.map(Some).map_err(|error| match error {
            CertificateError::NoCertificate | CertificateError::BadCertificate => chain.unusable(error),
            CertificateError::NoKey | CertificateError::OtherKey => key.unusable(error),
        })
    }
}

impl Named {
    fn read(&self) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        let read = std::fs::read(&self.path).map(Zeroizing::new);
        read.map_err(|source| ConfigError::File { path: self.path.clone(), source })
    }

    fn unusable(&self, error: CertificateError) -> ConfigError {
        ConfigError::Unusable(format!("{}: {} {error}", self.source, self.path.display()))
    }
}

fn roots(named: &Named) -> Result<RootCertificates, ConfigError> {
    RootCertificates::from_pem(&named.read()?).map_err(|error| named.unusable(error))
}

fn is_on(environment: &Environment, name: &'static str) -> Result<bool, ConfigError> {
    match super::text(environment, name)? {
        None | Some("0" | "false" | "no") => Ok(false),
        Some("1" | "true" | "yes") => Ok(true),
        Some(other) => Err(ConfigError::Invalid {
            origin: name.to_owned(),
            value: crate::redact::printable(other),
            expected: "1 or 0".to_owned(),
        }),
    }
}

/// The proxies that the environment names, as other programs read it: `HTTPS_PROXY` and
/// `HTTP_PROXY`, else `ALL_PROXY`, and `NO_PROXY`, each in capitals or not. What is empty counts as
/// not set.
fn proxies(environment: &Environment) -> Result<Proxies, ConfigError> {
    let proxy = |names: [&'static str; 4]| {
        let Some(name) = names.into_iter().find(|name| environment.get(name).is_some()) else {
            return Ok(None);
        };
        match super::text(environment, name)?.and_then(Proxy::parse) {
            Some(proxy) => Ok(Some(proxy.named_by(name))),
            // Its address may hold a password.
            None => Err(ConfigError::Unusable(format!(
                "{name} names no proxy that can be used: http, https, socks5, socks5h, socks4 and socks4a are"
            ))),
        }
    };
    let exceptions = NO_PROXY.into_iter().find(|name| environment.get(name).is_some());
    Ok(Proxies {
        https: proxy(HTTPS_PROXY)?,
        http: proxy(HTTP_PROXY)?,
        exceptions: match exceptions {
            Some(name) => super::text(environment, name)?.unwrap_or_default().to_owned(),
            None => String::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: NetworkFlags, variables: &[(&str, &str)]) -> Result<Network, String> {
        let environment = variables.iter().copied().collect();
        Network::resolve(&flags, &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        type Choose = fn(&mut NetworkFlags) -> &mut Option<PathBuf>;
        let table: [(Choose, (&str, &str)); 3] = [
            (|flags| &mut flags.ca_file, CA_FILE),
            (|flags| &mut flags.client_cert, CLIENT_CERT),
            (|flags| &mut flags.client_key, CLIENT_KEY),
        ];
        for (choose, (flag, variable)) in table {
            for (typed, set, expected) in [
                (None, "", None),
                (None, "/set", Some(("/set", Source::Variable(variable)))),
                (Some("/typed"), "", Some(("/typed", Source::Flag(flag)))),
                (Some("/typed"), "/set", Some(("/typed", Source::Flag(flag)))),
            ] {
                let mut flags = NetworkFlags { client_cert: Some("/c".into()), ..NetworkFlags::default() };
                *choose(&mut flags) = typed.map(PathBuf::from);
                let network = resolve(flags, &[(variable, set), ("MCP_FRONT_CLIENT_CERT_", "/other")]);
                let network = network.unwrap();
                let files = [&network.ca_file, &network.client_cert, &network.client_key];
                let found = files.into_iter().flatten().find(|named| named.variable == variable);
                let found = found.map(|named| (named.path.to_str().unwrap(), named.source));
                assert_eq!(found, expected, "{flag} {typed:?} {set}");
            }
        }
        for (flag, variable, expected) in [
            (false, "", Ok(false)),
            (false, "0", Ok(false)),
            (false, "1", Ok(true)),
            (false, "true", Ok(true)),
            (true, "0", Ok(true)),
            (false, "perhaps", Err("MCP_FRONT_ALLOW_PRIVATE_NETWORK: `perhaps` is not 1 or 0".to_owned())),
        ] {
            let flags = NetworkFlags { allow_private_network: flag, ..NetworkFlags::default() };
            let allowed =
                resolve(flags, &[(ALLOW_PRIVATE, variable)]).map(|network| network.allow_private.is_some());
            assert_eq!(allowed, expected, "{flag} {variable}");
        }
    }

    #[test]
    fn a_key_needs_its_certificate() {
        let error = resolve(NetworkFlags::default(), &[(CLIENT_KEY.1, "/key")]).unwrap_err();
        assert!(error.contains("MCP_FRONT_CLIENT_KEY") && error.contains("--client-cert"), "{error}");
    }

    #[test]
    fn what_flags_say_is_handed_on_as_variables() {
        let flags = NetworkFlags {
            ca_file: Some("/ca".into()),
            client_cert: Some("/cert".into()),
            client_key: None,
            allow_private_network: true,
        };
        let network = resolve(flags, &[(CLIENT_KEY.1, "/key")]).unwrap();
        let variables: Vec<_> = network.variables().collect();
        let expected =
            [(CA_FILE.1, "/ca"), (CLIENT_CERT.1, "/cert"), (CLIENT_KEY.1, "/key"), (ALLOW_PRIVATE, "1")];
        assert_eq!(variables, expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn proxies_are_read_as_other_programs_read_them() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>, &'a str);
        let table: &[Row<'_>] = &[
            (&[], None, None, ""),
            (&[("HTTPS_PROXY", "http://user:pass@a:3128")], Some("a"), None, ""),
            (&[("https_proxy", "a:1"), ("ALL_PROXY", "socks5://b")], Some("a"), Some("b"), ""),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "a")], Some("a"), None, ""),
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "b")], Some("a"), None, ""),
            (&[("http_proxy", "a"), ("NO_PROXY", ".corp,10.0.0.0/8")], None, Some("a"), ".corp,10.0.0.0/8"),
            (&[("all_proxy", "a"), ("no_proxy", "*")], Some("a"), Some("a"), "*"),
        ];
        for (variables, https, http, exceptions) in table {
            let found = proxies(&variables.iter().copied().collect()).unwrap();
            let hosts = [&found.https, &found.http].map(|proxy| proxy.as_ref().map(Proxy::host));
            assert_eq!((hosts, found.exceptions.as_str()), ([*https, *http], *exceptions), "{variables:?}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_address() {
        for (name, value) in [
            ("HTTPS_PROXY", "quic://user:canary@proxy.corp"),
            ("http_proxy", ":::canary"),
            ("ALL_PROXY", "ftp://canary"),
        ] {
            let error = proxies(&[(name, value)].into_iter().collect()).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("canary"), "{error}");
        }
    }
}
