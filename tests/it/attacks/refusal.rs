//! A login that an attack must not get anywhere with.

use crate::support::authorization_server::AuthorizationServer;
use crate::support::browser::Browser;
use crate::support::home::{Home, Outcome};
use crate::support::printed::assert_plain;
use crate::support::service::Service;
use crate::support::tls_service::TlsService;

/// Who can be asked for something during a login.
pub(super) trait Watched {
    fn watched(&self) -> (&AuthorizationServer, &Browser, &Home);
}

impl Watched for Service {
    fn watched(&self) -> (&AuthorizationServer, &Browser, &Home) {
        (&self.authorization, &self.browser, &self.home)
    }
}

impl Watched for TlsService {
    fn watched(&self) -> (&AuthorizationServer, &Browser, &Home) {
        (&self.authorization, &self.browser, &self.home)
    }
}

/// Fails the test unless a login was refused before anybody was asked for anything: no tab, no code, no
/// token, nothing stored. Returns what it said.
#[track_caller]
pub(super) fn refused(what: &str, service: &impl Watched, outcome: Outcome) -> String {
    let said = ended_without_tokens(what, service, outcome);
    let (authorization, browser, _) = service.watched();
    assert_eq!(browser.tabs(), 0, "{what}");
    assert!(authorization.authorizations().is_empty(), "{what}");
    said
}

/// The same, where a tab may have been opened.
#[track_caller]
pub(super) fn ended_without_tokens(what: &str, service: &impl Watched, outcome: Outcome) -> String {
    let Outcome { stdout, stderr, .. } = outcome.expect(3);
    let (authorization, _, home) = service.watched();
    assert!(stderr.contains("error: "), "{what}: {stderr}");
    assert_plain(what, &stderr);
    assert_plain(what, &stdout);
    assert!(authorization.token_requests().is_empty(), "{what}");
    let listed = home.run(["tokens", "list", "--json"]).expect(0).stdout;
    assert!(!listed.contains("http"), "{what}: {listed}");
    stderr
}
