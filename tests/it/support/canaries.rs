//! Looking for planted secrets in everything that others can see: output, logs, files, argument
//! lists and environments, in clear and in the forms that a secret takes on the wire.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
use memchr::memmem;

use super::authorization_server::{AuthorizationServer, CLIENT_ID, TokenRequest};
use super::home::{BINARY, Home, Outcome};
use super::processes::{self, Seen};

/// A secret of the host's own, in the environment of what the host starts.
pub(crate) const HOST_SECRET: &str = "canary-host+secret/5c1e=";
/// The variable that holds it.
pub(crate) const HOST_VARIABLE: &str = "TESTERS_API_TOKEN";
/// Variables of the host's that sound like no secret, for headers; the second looks like one of ours.
pub(crate) const HEADER_VARIABLES: [&str; 2] = ["TESTERS_TEAM", "MCP_FRONT_OF_A_TEAM"];
/// The user's own key variable, the one place where a secret of ours may stand.
pub(crate) const KEY_VARIABLE: &str = "MCP_FRONT_ENCRYPTION_KEY";
/// A key of 32 bytes.
pub(crate) const KEY: &str = "canary-encryption+key/=0123456=%";

/// Everything that was seen of one run.
pub(crate) struct Evidence {
    home: PathBuf,
    pieces: Vec<(String, Vec<u8>)>,
}

impl Evidence {
    pub(crate) fn in_home(home: &Home) -> Self {
        Self { home: home.path().to_owned(), pieces: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str, bytes: impl Into<Vec<u8>>) {
        self.pieces.push((what.to_owned(), bytes.into()));
    }

    pub(crate) fn add_outcome(&mut self, what: &str, outcome: &Outcome) {
        self.add(&format!("stdout of {what}"), outcome.stdout.as_bytes());
        self.add(&format!("stderr of {what}"), outcome.stderr.as_bytes());
    }

    /// Takes down the arguments of every process that lives in this home now, and, for root, its
    /// environment.
    /// Returns their command lines.
    pub(crate) fn look_at_processes(&mut self) -> Vec<String> {
        let mark = format!("HOME={}", self.home.display());
        let mut found = Vec::new();
        for Seen { arguments, environment, .. } in processes::with_variable(&mark) {
            let environment = environment.unwrap_or_default();
            let variables = environment.split(|&byte| byte == 0);
            let line = String::from_utf8_lossy(&arguments).replace('\0', " ");
            let own = own_variables(&line);
            let foreign = variables.filter(|variable| {
                !own.iter().any(|name| variable.starts_with(format!("{name}=").as_bytes()))
            });
            let foreign: Vec<_> = foreign.collect();
            self.add(&format!("environment of {line}"), foreign.join(&b'\n'));
            self.add(&format!("arguments of {line}"), arguments);
            found.push(line);
        }
        found
    }

    /// Takes down every file below the home but those at `own`, which are the user's.
    pub(crate) fn look_at_files(&mut self, home: &Home, own: &[PathBuf]) {
        for (path, content) in home.files() {
            if !own.contains(&path) {
                self.add(&format!("file {}", path.display()), content);
            }
        }
    }

    /// Fails the test if one of `canaries` is anywhere, in any form.
    #[track_caller]
    pub(crate) fn assert_free_of(&self, canaries: &BTreeSet<String>) {
        assert!(canaries.iter().all(|canary| canary.len() >= 8), "a short canary is found by chance");
        let mut found = BTreeSet::new();
        for canary in canaries {
            for (form, pattern) in forms(canary) {
                let finder = memmem::Finder::new(&pattern);
                for (what, bytes) in &self.pieces {
                    if let Some(place) = finder.find(bytes) {
                        let around = &bytes[place.saturating_sub(160)..bytes.len().min(place + 200)];
                        found.insert(format!(
                            "{canary} ({form}) in {what}: … {} …",
                            String::from_utf8_lossy(around)
                        ));
                    }
                }
            }
        }
        assert!(found.is_empty(), "{} leaks: {found:#?}", found.len());
    }
}

/// The variables that a process of ours was given on purpose.
fn own_variables(line: &str) -> &'static [&'static str] {
    match line.strip_prefix(BINARY).map(str::trim) {
        None | Some("open-browser") => &[],
        Some("refresh-child" | "login-child") => &[KEY_VARIABLE],
        Some(_) => &[KEY_VARIABLE, HOST_VARIABLE, HEADER_VARIABLES[0], HEADER_VARIABLES[1]],
    }
}

/// Everything secret that passed through `authorization`: what it handed out, and what it was sent.
pub(crate) fn secrets_of(authorization: &AuthorizationServer) -> BTreeSet<String> {
    let sent = authorization.token_requests();
    authorization.secrets().into_iter().chain(sent.iter().flat_map(secrets_in)).collect()
}

/// Everything secret in one token request, but for the client's secret in its header.
pub(crate) fn secrets_in(request: &TokenRequest) -> Vec<String> {
    let names = ["code", "code_verifier", "refresh_token", "client_secret", "token"];
    names.into_iter().filter_map(|name| request.form.get(name).cloned()).collect()
}

/// What a careless server says: `secrets` as they are, as a form encodes them, and as Basic.
pub(crate) fn said_aloud(secrets: &[String]) -> String {
    let say = |secret: &String| {
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        format!("{secret} token={form} Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{secret}")))
    };
    secrets.iter().map(say).collect::<Vec<_>>().join(" ")
}

/// Every form in which `secret` is looked for, with its name.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let encoded = |keep: &dyn Fn(u8) -> bool, upper: bool| {
        let part = |byte: u8| match (keep(byte), upper) {
            (true, _) => (byte as char).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        };
        secret.bytes().map(part).collect::<String>()
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let form = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        ("as it is", secret.to_owned()),
        ("escaped for JSON", secret.replace('/', "\\/")),
        ("percent-encoded", encoded(&unreserved, true)),
        ("percent-encoded, small", encoded(&unreserved, false)),
        ("as a form encodes it", encoded(&form, true)),
        ("hexadecimal", hexadecimal.to_uppercase()),
        ("hexadecimal, small", hexadecimal),
    ];
    // Base64 depends on where the secret begins: `id:secret` shifts it by any of three places.
    for before in 0..3 {
        let shifted = [&b"\0\0"[..before], secret.as_bytes()].concat();
        let (first, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for (name, text) in [
            ("base64", BASE64_STANDARD.encode(&shifted)),
            ("base64 for URLs", BASE64_URL_SAFE.encode(&shifted)),
        ] {
            forms.push((name, text[first..end].to_owned()));
        }
    }
    let mut seen = BTreeSet::new();
    forms.retain(|(_, text)| seen.insert(text.clone()));
    forms.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found() {
        let secret = "canary+secret/of~some%length=";
        for shown in [
            secret.to_owned(),
            format!("Basic {}", BASE64_STANDARD.encode(format!("id:{secret}"))),
            format!("Basic {}", BASE64_STANDARD.encode(format!("an-id:{secret}"))),
            format!("Basic {}", BASE64_STANDARD.encode(format!("other-id:{secret}\n"))),
            BASE64_URL_SAFE.encode(format!("xy{secret}")),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            serde_json::to_string(secret).expect("text"),
        ] {
            let found = forms(secret)
                .iter()
                .any(|(_, pattern)| memmem::find(format!("a {shown} b").as_bytes(), pattern).is_some());
            assert!(found, "{shown}");
        }
    }
}
