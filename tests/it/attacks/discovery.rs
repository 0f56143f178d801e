//! Attacks by what a malicious service's metadata name for a person's browser and for requests (A).

use serde_json::{Value, json};
use url::Url;

use super::refusal::refused;
use crate::support::home::Home;
use crate::support::internet::{Internet, PUBLIC};
use crate::support::service::Service;

/// What shells and launchers would run, or read as words of their own.
const SHELL_WORDS: [&str; 12] = [
    "$(touch pwn)",
    "`touch pwn`",
    ";touch pwn;",
    "|touch pwn|",
    "&&touch pwn&",
    "\"&calc\"&touch pwn",
    "'; touch pwn; '",
    "$(New-Item pwn)",
    "${IFS}touch${IFS}pwn",
    "%0atouch%20pwn",
    "\ttouch pwn",
    " --new-window pwn %s $HOME ~/pwn *",
];

/// Fails the test where a shell ran what stands in [`SHELL_WORDS`].
#[track_caller]
fn assert_nothing_ran(home: &Home) {
    let here = std::env::current_dir().expect("a directory");
    assert!(!home.path().join("pwn").exists() && !here.join("pwn").exists());
}

/// The address reaches the browser as one argument and goes through no shell, whatever the variable
/// that names the browser looks like.
#[test]
fn a01_a_shells_words_reach_the_browser_as_one_argument() {
    for template in ["", " %s"] {
        let mut service = Service::new();
        let launcher = service.browser.executable() + template;
        service.home = service.home.with("BROWSER", launcher);
        for words in SHELL_WORDS {
            let place = format!("{}/authorize?a={words}", service.authorization.issuer());
            service.authorization.set_metadata(json!({"authorization_endpoint": place}));
            service.login(&["--force"]).expect(0);
            let opened = service.browser.opened();
            let place = Url::parse(&place).expect("a URL");
            assert!(opened.as_str().starts_with(place.as_str()), "{opened}");
            let seen = service.browser.seen();
            let (_, argument) = seen.trim_end().rsplit_once("/browser ").expect("the launcher's own words");
            assert_eq!(argument, opened.as_str(), "{words}");
            assert_nothing_ran(&service.home);
        }
    }
}

/// Plain http elsewhere is refused before the words matter.
#[test]
fn a01_a_shells_words_at_a_refused_address_start_nothing() {
    let service = Service::new();
    for words in SHELL_WORDS {
        service.authorization.set_metadata(json!({"authorization_endpoint": format!("http://x/?a={words}")}));
        refused(words, &service, service.login(&[]));
        assert_nothing_ran(&service.home);
    }
}

#[test]
fn a02_other_schemes_are_refused_by_name_before_a_browser() {
    let service = Service::new();
    for (address, scheme) in [
        ("javascript:alert(1)", "javascript"),
        ("JaVaScRiPt:alert(1)//https://as.example", "javascript"),
        ("java\tscript:alert(1)", "javascript"),
        (" javascript:alert(1)", "javascript"),
        ("data:text/html,<script>alert(1)</script>", "data"),
        ("file:///etc/passwd", "file"),
        ("file://server/share/x.exe", "file"),
        ("vbscript:msgbox(1)", "vbscript"),
        ("ssh://-oProxyCommand=touch%20pwn/x", "ssh"),
        ("ms-msdt:/id PCWDiagnostic /skip force", "ms-msdt"),
        ("search-ms:query=x&crumb=location:evil", "search-ms"),
        ("smb://server/share", "smb"),
        ("ftp://as.example/authorize", "ftp"),
        ("blob:https://as.example/1", "blob"),
        ("view-source:https://as.example/", "view-source"),
        ("intent://as.example/#Intent;scheme=https;end", "intent"),
        ("about:blank", "about"),
        ("mailto:person@as.example", "mailto"),
        ("x-custom+evil.1://as.example/authorize", "x-custom+evil.1"),
    ] {
        service.authorization.set_metadata(json!({"authorization_endpoint": address}));
        let said = refused(address, &service, service.login(&[]));
        assert!(said.contains(&format!("its scheme is `{scheme}`")), "{address}: {said}");
    }
}

/// Hosts that are not loopback.
const HOSTS: [&str; 9] = [
    "as.example",
    "127.0.0.1.as.example",
    "localhost.as.example",
    "127.0.0.1@as.example",
    "as.example:80",
    "10.0.0.1",
    "[fd00::1]",
    "0.0.0.0",
    "localhost.",
];

/// Beyond loopback nothing is plain http, whatever it looks like, and `--allow-http` is for the
/// endpoint's own origin.
#[test]
fn a03_plain_http_elsewhere_is_refused() {
    let service = Service::new();
    for host in HOSTS {
        for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
            let allowing = ["--allow-http", "--allow-private-network"];
            // Without the flags, one host stands for all.
            for flags in [&allowing[..], &[]].into_iter().take(if host == HOSTS[0] { 2 } else { 1 }) {
                service.authorization.set_metadata(json!({member: format!("http://{host}/place")}));
                let said = refused(host, &service, service.login(flags));
                assert!(said.contains("https") || said.contains("user name"), "{member} {host}: {said}");
            }
        }
    }
}

/// A plain http endpoint of the user's own choice: without the flag there is no login, and with it the
/// token endpoint beside it is still refused.
#[test]
fn a03_allow_http_never_reaches_the_token_endpoint() {
    let Some(internet) = Internet::start(&[("mcp.test", &[PUBLIC[0]])]) else { return };
    let mut service = Service::new();
    let port = service.server.address().port();
    let origin = format!("http://mcp.test:{port}");
    service.home = internet.around(service.home);
    service.server.call_itself(&origin);
    let url = format!("{origin}/mcp");
    let refusal = service.home.run(["login", &url]).expect(2);
    assert!(refusal.stderr.contains("unencrypted"), "{}", refusal.stderr);
    assert!(internet.dialled().is_empty());

    let beside = format!("http://mcp.test:{}", service.authorization.address().port());
    let own = service.authorization.issuer();
    for (issuer, members, word) in [
        (&beside, Value::Null, "it is not https"),
        (&own, json!({"token_endpoint": format!("{beside}/token")}), "it is not https"),
        (&own, json!({"token_endpoint": format!("{origin}/token")}), "the token endpoint is not https"),
    ] {
        service.server.name_authorization_server(issuer);
        service.authorization.call_itself(issuer);
        service.authorization.set_metadata(members);
        let arguments = ["login", &url, "--allow-http", "--allow-private-network"];
        let said = refused(issuer, &service, service.home.run(arguments));
        assert!(said.contains(word), "{said}");
    }
}
