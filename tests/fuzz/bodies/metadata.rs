//! Metadata of a protected resource and of an authorization server: what discovery makes of it names
//! addresses that may be asked and no others, belongs to the endpoint, is bounded, and what is refused
//! is told in words that are safe to print.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use mcp_front::challenge::Challenge;
use mcp_front::http::AddressPolicy;
use mcp_front::oauth::{Discovery, Exchange, OauthError, Pending, Source, discover_by};
use mcp_front::server_uri::ServerUri;
use serde_json::Value;
use url::Url;

use super::{assert_printable, login, parts, shown, wait};

/// A public endpoint, one in a private network, and one on this machine.
const ENDPOINTS: [&str; 3] =
    ["https://mcp.example/team/mcp", "https://10.0.0.5/mcp", "http://127.0.0.1:3000/mcp"];
/// More requests than any discovery may make of two documents.
const REQUEST_LIMIT: usize = 40;
/// What the names end in that the discovery gives to addresses, which never leave it.
const DISGUISE: &str = ".address.invalid";

/// The first byte says which endpoint; then come, in four parts, the challenge of its 401, the protected
/// resource metadata, the authorization server metadata, and where the former moves to.
pub fn check(data: &[u8]) {
    let Some((&control, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let [challenge, resource, authorization, moved] = parts(text);
    let server = ServerUri::parse(ENDPOINTS[usize::from(control) % ENDPOINTS.len()], false).expect("a URL");
    let policy = AddressPolicy::for_endpoint(&server, None);
    let challenge = HeaderValue::from_str(challenge).ok();
    let headers = challenge.iter().map(|value| (WWW_AUTHENTICATE, value.clone()));
    let named = Challenge::from_headers(&HeaderMap::from_iter(headers));
    let web = Web {
        server: server.clone(),
        policy: policy.clone(),
        resource_at: named.resource_metadata.clone(),
        challenge,
        resource: resource.to_owned(),
        authorization: authorization.to_owned(),
        moved: Some(moved).filter(|moved| !moved.is_empty()).map(str::to_owned),
    };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let found = wait(discover_by(web.exchange(Arc::clone(&asked)), &server, policy.clone(), &named, None));
    for url in asked.lock().expect("nothing panicked").iter() {
        assert!(keeps_disguises(url.as_str(), text), "{url}");
    }
    match found {
        Ok(discovery) => check_found(&discovery, &server, &policy, [authorization, resource], text),
        Err(error) => check_refusal(&error, text),
    }
}

/// The documents, where a server would have them.
struct Web {
    server: ServerUri,
    policy: AddressPolicy,
    resource_at: Option<String>,
    challenge: Option<HeaderValue>,
    resource: String,
    authorization: String,
    moved: Option<String>,
}

impl Web {
    fn exchange(self, asked: Arc<Mutex<Vec<Url>>>) -> Exchange {
        Exchange::by(move |request, _| {
            let answer = self.policy.check(request.uri()).map(|()| {
                let url = Url::parse(&request.uri().to_string()).expect("the policy admits URLs alone");
                let mut asked = asked.lock().expect("nothing panicked");
                asked.push(url.clone());
                assert!(asked.len() < REQUEST_LIMIT, "it asks without end: {asked:?}");
                self.answer(&request, &url)
            });
            async { answer }.boxed()
        })
    }

    fn answer(&self, request: &Request<Vec<u8>>, url: &Url) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        if url == self.server.as_url() {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response
                .headers_mut()
                .extend(self.challenge.iter().map(|value| (WWW_AUTHENTICATE, value.clone())));
            return response;
        }
        assert!(request.body().is_empty(), "discovery sends nothing");
        let is_resource = url.path().contains("/oauth-protected-resource")
            || self.resource_at.as_deref().is_some_and(|at| url.as_str() == at);
        let is_authorization = url.path().contains("/.well-known/");
        let document = match (is_resource, is_authorization) {
            (true, _) => &self.resource,
            (false, true) => &self.authorization,
            (false, false) => "",
        };
        let location = self.moved.as_deref().and_then(|moved| HeaderValue::from_str(moved).ok());
        match location.filter(|_| is_resource) {
            Some(location) => {
                *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                response.headers_mut().insert(LOCATION, location);
            }
            None if document.is_empty() => *response.status_mut() = StatusCode::NOT_FOUND,
            None => *response.body_mut() = document.as_bytes().to_vec(),
        }
        response
    }
}

fn check_found(
    discovery: &Discovery,
    server: &ServerUri,
    policy: &AddressPolicy,
    documents: [&str; 2],
    text: &str,
) {
    let Discovery { issuer, authorization_endpoint, token_endpoint, resource, scopes, .. } = discovery;
    let optional = [&discovery.registration_endpoint, &discovery.revocation_endpoint];
    for url in optional.into_iter().flatten().chain([authorization_endpoint, token_endpoint]) {
        let uri = url.as_str().parse().expect("it is a URI, too");
        assert!(policy.check(&uri).is_ok() && matches!(url.scheme(), "http" | "https"), "{url}");
        assert!(url.username().is_empty() && url.password().is_none(), "{url}");
        assert!(keeps_disguises(url.as_str(), text), "{url}");
    }
    assert!(token_endpoint.scheme() == "https" || mcp_front::server_uri::is_loopback(token_endpoint));
    assert!(scopes.len() <= 257 && scopes.iter().all(|scope| scope.len() <= 256));
    assert!(scopes.iter().all(|scope| keeps_disguises(scope, text)), "{scopes:?}");
    let resource_url = Url::parse(resource).expect("the resource is a URL");
    assert_eq!(resource_url.origin(), server.as_url().origin(), "{resource}");
    if discovery.source == Source::Metadata {
        // A relative address of an authorization server may lead to the other document.
        let is_published = documents.iter().any(|document| publishes(document, issuer.as_deref()));
        assert!(is_published, "{issuer:?}");
    }
    let redirect_uri = Url::parse("http://127.0.0.1:7777/callback").expect("a URL");
    let pending =
        Pending::new(discovery.clone(), login::client(&redirect_uri), scopes.clone()).expect("a request");
    assert_eq!(pending.authorization_url().origin(), authorization_endpoint.origin());
    let debug = format!("{discovery:?} {pending:?}");
    assert!(!debug.contains(login::CLIENT_SECRET) || text.contains(login::CLIENT_SECRET), "{debug}");
    assert!(!debug.contains(&login::state(&pending)), "{debug}");
}

/// Whether a document names this issuer, and PKCE with S256. A name that only this program gives, and anybody
/// may write, means the address it stands for.
fn publishes(document: &str, issuer: Option<&str>) -> bool {
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let Ok(published) = serde_json::from_str::<Value>(document) else { return false };
    let named = published["issuer"].as_str();
    let mut methods = published["code_challenge_methods_supported"].as_array().into_iter().flatten();
    (issuer == named || named.is_some_and(|named| named.contains(DISGUISE)))
        && methods.any(|method| method == "S256")
}

fn check_refusal(error: &OauthError, text: &str) {
    let shown = shown(error);
    assert_printable(&shown);
    assert_printable(&error.to_string());
    assert!(error.to_string().len() < 16 * 1024, "{} bytes are no sentence", error.to_string().len());
    assert!(keeps_disguises(&shown, text), "{shown}");
}

/// Whether no name of an address is shown that the input did not write itself: none that stands for an address
/// of the input's or the endpoint's own, unless the input has the words of such a name as well. It may have
/// written them in capital letters, and with signs and escapes in between that no URL keeps.
fn keeps_disguises(shown: &str, text: &str) -> bool {
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    if ["address", "invalid"].iter().all(|word| letters.contains(word)) {
        return true;
    }
    let is_written = |address: IpAddr| {
        let address = address.to_string();
        text.contains(&address) || ENDPOINTS.iter().any(|endpoint| endpoint.contains(&address))
    };
    let is_label = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    !shown.match_indices(DISGUISE).any(|(end, _)| {
        let label = shown.as_bytes()[..end].rsplit(|byte| !is_label(byte)).next().unwrap_or_default();
        let label = String::from_utf8_lossy(label);
        [".", ":"].iter().filter_map(|mark| label.replace('-', mark).parse().ok()).any(is_written)
    })
}
