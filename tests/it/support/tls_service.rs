//! A hosted service behind TLS of a private authority: the endpoint and its authorization server,
//! each under a name of its own, and a person who consents.

use std::net::SocketAddr;

use url::Url;

use super::authorization_server::AuthorizationServer;
use super::browser::{Browser, follow};
use super::connect_proxy::ConnectProxy;
use super::home::Home;
use super::mcp_server::McpServer;
use super::service::NAME;
use super::tls::{Authority, TlsFront};

/// The service.
pub(crate) struct TlsService {
    pub(crate) authority: Authority,
    pub(crate) authorization: AuthorizationServer,
    pub(crate) server: McpServer,
    /// TLS before the endpoint.
    pub(crate) endpoint: TlsFront,
    /// TLS before the authorization server.
    pub(crate) issuer: TlsFront,
    pub(crate) url: String,
    pub(crate) home: Home,
    pub(crate) browser: Browser,
}

impl TlsService {
    /// Endpoint and authorization server under hosts that only a proxy knows.
    pub(crate) fn at(endpoint: &str, issuer: &str) -> Self {
        Self::start(endpoint, issuer, None, |name, _| format!("https://{name}"))
    }

    /// The same, and the proxy that knows them.
    pub(crate) fn behind_a_proxy(endpoint: &str, issuer: &str) -> (Self, ConnectProxy) {
        let mut service = Self::at(endpoint, issuer);
        let places = [(endpoint, service.endpoint.address()), (issuer, service.issuer.address())];
        let proxy = ConnectProxy::start(places);
        service.home = service.home.with("MCP_FRONT_CA_FILE", service.authority.roots());
        (service, proxy)
    }

    /// The same under ports of their own, for a network that knows the names.
    pub(crate) fn on_ports(endpoint: &str, issuer: &str) -> Self {
        let origin = |name: &str, front: SocketAddr| format!("https://{name}:{}", front.port());
        let mut service = Self::start(endpoint, issuer, None, origin);
        service.home = service.home.with("MCP_FRONT_CA_FILE", service.authority.roots());
        service
    }

    /// Under `https://localhost`; the endpoint asks for a certificate of `clients`.
    pub(crate) fn on_loopback(clients: Option<&Authority>) -> Self {
        Self::start("localhost", "localhost", clients, |name, front| {
            format!("https://{name}:{}", front.port())
        })
    }

    fn start(
        endpoint_name: &str,
        issuer_name: &str,
        clients: Option<&Authority>,
        origin: fn(&str, SocketAddr) -> String,
    ) -> Self {
        let authority = Authority::new();
        let authorization = AuthorizationServer::start();
        let server = McpServer::guarded_by(&authorization);
        let endpoint = TlsFront::start(endpoint_name, server.address(), &authority, clients);
        let issuer = TlsFront::start(issuer_name, authorization.address(), &authority, None);
        let inside = authorization.issuer();
        let outside = origin(issuer_name, issuer.address());
        authorization.call_itself(&outside);
        server.name_authorization_server(&outside);
        let origin = origin(endpoint_name, endpoint.address());
        server.call_itself(&origin);
        let browser = Browser::start(move |url| {
            // The person's browser trusts the authority; the fake one goes around it.
            let url = url.as_str().replacen(&outside, &inside, 1);
            let followed = follow(&Url::parse(&url).expect("a URL"));
            assert!(followed.is_ok(), "{url} leads nowhere: {followed:?}");
        });
        let home = Home::with_file_store().with("BROWSER", browser.executable());
        let url = format!("{origin}/mcp");
        Self { authority, authorization, server, endpoint, issuer, url, home, browser }
    }

    /// The arguments of a login.
    pub(crate) fn login_arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        ["login", &self.url, "--name", NAME].into_iter().chain(more.iter().copied()).collect()
    }
}
