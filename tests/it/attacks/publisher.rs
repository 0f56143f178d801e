//! An endpoint whose metadata documents a test writes itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::home::{Home, Outcome};
use crate::support::http_server::{Reply, Request, Responder, Server};
use crate::support::printed::assert_plain;

const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource/mcp";
/// Where the metadata of an authorization server without a path lie.
pub(super) const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";

/// Answers for a document, given the origin.
pub(super) type Answer = Box<dyn Fn(&str, &mut Responder) + Send + Sync>;

/// An endpoint at `/mcp` that is its own authorization server, whose documents a test writes itself.
pub(super) struct Publisher {
    server: Server,
    pub(super) home: Home,
    browser: Browser,
    /// Requests for anything but documents and the endpoint.
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    /// `resource` and `server` answer for the two documents, given the origin.
    pub(super) fn start(resource: Answer, server: Answer) -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let server = Server::start(move |request: &Request, responder: &mut Responder| {
            let origin = format!("http://{}", request.header("host").unwrap_or_default());
            match request.path() {
                RESOURCE_METADATA => resource(&origin, responder),
                SERVER_METADATA => server(&origin, responder),
                "/mcp" => {
                    let challenge = format!("Bearer resource_metadata=\"{origin}{RESOURCE_METADATA}\"");
                    responder.reply(&Reply::status(401).header("WWW-Authenticate", challenge));
                }
                path => {
                    let is_document = path.contains("/.well-known/");
                    counted.fetch_add(usize::from(!is_document), Ordering::SeqCst);
                    responder.reply(&Reply::status(404));
                }
            }
        });
        let browser = Browser::watching();
        let home = Home::with_file_store().with("BROWSER", browser.executable());
        Self { server, home, browser, asked }
    }

    fn login(&self, more: &[&str]) -> Outcome {
        let url = format!("{}/mcp", self.server.origin());
        self.home.run([&["login", &url], more].concat())
    }

    /// Fails the test unless the login is refused, and nobody was asked for anything.
    #[track_caller]
    pub(super) fn refuse(&self, what: &str, more: &[&str]) -> String {
        let outcome = self.login(more);
        assert_plain(what, &outcome.stderr);
        assert_eq!(outcome.code(), 3, "{what}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("error: "), "{what}: {}", outcome.stderr);
        assert_eq!((self.browser.tabs(), self.asked.load(Ordering::SeqCst)), (0, 0), "{what}");
        outcome.stderr
    }
}

/// Members that make a login go on.
pub(super) fn good_resource(origin: &str) -> Value {
    json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin]})
}

/// As [`good_resource`], of the authorization server.
pub(super) fn good_server(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "code_challenge_methods_supported": ["S256"],
    })
}

/// A whole document.
pub(super) fn document(text: fn(&str) -> Value) -> Answer {
    Box::new(move |origin, responder| responder.reply(&Reply::json(200, text(origin).to_string())))
}

/// A document in these words, in which `$` stands for the origin.
pub(super) fn words(text: &str) -> Answer {
    let text = text.to_owned();
    Box::new(move |origin, responder| responder.reply(&Reply::json(200, text.replace('$', origin))))
}
