//! Attacks on this machine's own network: a public service names addresses that nobody may be sent to
//! (A). The network is the test's own, and every address that is dialled is looked at.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::refusal::{ended_without_tokens, refused};
use crate::support::authorization_server::Fault;
use crate::support::http_server::{Reply, Request, Responder, Server};
use crate::support::internet::{Internet, PUBLIC};
use crate::support::service::NAME;
use crate::support::tls::TlsFront;
use crate::support::tls_service::TlsService;

const ENDPOINT: &str = "mcp.test";
const ISSUER: &str = "auth.test";
/// Stands for loopback.
const INSIDE: &str = "inside.test";

/// What listens on loopback, where nobody may connect to.
struct Inside(TcpListener);

impl Inside {
    fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("its address").port()
    }

    /// Fails the test where anything but public addresses was dialled, or somebody came.
    #[track_caller]
    fn assert_untouched(&self, what: &str, internet: &Internet) {
        let is_public = |address: &SocketAddr| PUBLIC.contains(&address.ip().to_string().as_str());
        let dialled = internet.dialled();
        assert!(!dialled.is_empty() && dialled.iter().all(is_public), "{what}: {dialled:?}");
        let came = self.0.accept().expect_err("nobody comes");
        assert_eq!(came.kind(), ErrorKind::WouldBlock, "{what}");
    }

    /// The same machine, its network and the metadata service of clouds, in every spelling.
    fn forbidden(&self) -> Vec<String> {
        let port = self.port();
        let loopback = [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            "LOCALHOST",
            "any.localhost",
            "%6cocalhost",
            "１２７.0.0.1",
            "127。0。0。1",
            "user@127.0.0.1",
            "mcp.test@127.0.0.1",
            "0.0.0.0",
            "0",
            "[::]",
            INSIDE,
            "INSIDE.test",
        ];
        let elsewhere = [
            "169.254.169.254/latest/meta-data/",
            "0xa9fea9fe/",
            "[::ffff:169.254.169.254]/",
            "[fd00:ec2::254]/",
            "100.100.100.200/",
            "cloud.test/",
            "[::ffff:10.0.0.1]/",
            "[64:ff9b::a00:1]/",
            "[2002:a00:1::]/",
            "10.0.0.1:6379/",
            "172.16.0.1/",
            "192.168.1.1/",
            "[fe80::1]/",
            "[fec0::1]/",
            "224.0.0.1/",
            "255.255.255.255/",
        ];
        let loopback = loopback.iter().map(|host| format!("{host}:{port}/metadata"));
        let hosts = loopback.chain(elsewhere.map(str::to_owned));
        let secure: Vec<_> = hosts.map(|host| format!("https://{host}")).collect();
        // The scheme makes no difference but for who refuses.
        let plain = secure.iter().step_by(5).map(|url| url.replacen("https", "http", 1));
        secure.iter().cloned().chain(plain).collect()
    }
}

/// A public service on its network, where these names have other answers than the usual ones, or more.
fn public(names: &[(&str, &[&str])]) -> Option<(Internet, TlsService)> {
    let usual: [(&str, &[&str]); 5] = [
        (ENDPOINT, &[PUBLIC[0]]),
        (ISSUER, &[PUBLIC[1]]),
        ("hops.test", &[PUBLIC[1]]),
        (INSIDE, &["127.0.0.1"]),
        ("cloud.test", &["169.254.169.254"]),
    ];
    let stays = usual.iter().filter(|(name, _)| !names.iter().any(|(other, _)| other == name));
    let internet = Internet::start(&stays.chain(names).copied().collect::<Vec<_>>())?;
    let mut service = TlsService::on_ports(ENDPOINT, ISSUER);
    service.home = internet.around(service.home);
    Some((internet, service))
}

/// The pointer is not followed; what lies at the well-known place is good, so the login goes on.
#[test]
fn a04_a_challenge_leads_to_no_private_address() {
    let Some((internet, service)) = public(&[]) else { return };
    let inside = Inside::listen();
    for address in inside.forbidden() {
        service.server.point_to(&address);
        let outcome = service.home.run(service.login_arguments(&["--force"]));
        assert!(matches!(outcome.code(), 0 | 3), "{address}: {outcome:?}");
        inside.assert_untouched(&address, &internet);
    }
    for address in inside.forbidden().iter().step_by(9) {
        service.server.point_to(address);
        service.home.run(["doctor", &service.url]);
        inside.assert_untouched(address, &internet);
    }
}

#[test]
fn a05_no_authorization_server_is_at_a_private_address() {
    let Some((internet, service)) = public(&[]) else { return };
    let inside = Inside::listen();
    for address in inside.forbidden() {
        service.server.name_authorization_server(&address);
        refused(&address, &service, service.home.run(service.login_arguments(&[])));
        inside.assert_untouched(&address, &internet);
    }
}

/// What public metadata name is judged as well: an address at once, a name when it is dialled.
#[test]
fn a05_no_endpoint_of_a_public_server_is_at_a_private_address() {
    let Some((internet, service)) = public(&[]) else { return };
    let inside = Inside::listen();
    let by_name = format!("https://{INSIDE}:{}/metadata", inside.port());
    for member in ["token_endpoint", "registration_endpoint", "authorization_endpoint"] {
        let literal =
            inside.forbidden().into_iter().filter(|address| !address.to_lowercase().contains(".test"));
        // They are judged alike.
        for address in &literal.step_by(if member == "token_endpoint" { 1 } else { 7 }).collect::<Vec<_>>() {
            service.authorization.set_metadata(json!({member: address}));
            refused(address, &service, service.home.run(service.login_arguments(&[])));
            inside.assert_untouched(address, &internet);
        }
    }
    service.authorization.set_metadata(json!({"registration_endpoint": by_name}));
    refused(&by_name, &service, service.home.run(service.login_arguments(&[])));
    inside.assert_untouched(&by_name, &internet);
    service.authorization.set_metadata(json!({"token_endpoint": by_name}));
    ended_without_tokens(&by_name, &service, service.home.run(service.login_arguments(&[])));
    inside.assert_untouched(&by_name, &internet);
    for address in [by_name.as_str(), "https://127.0.0.1/revoke", "https://cloud.test/revoke"] {
        service.authorization.set_metadata(json!({"revocation_endpoint": address}));
        service.home.run(service.login_arguments(&[])).expect(0);
        let outcome = service.home.run(["logout", NAME]);
        assert!(matches!(outcome.code(), 0 | 3), "{address}: {outcome:?}");
        inside.assert_untouched(address, &internet);
        assert_eq!(service.authorization.revocations().len(), 0);
    }
}

/// A public server that redirects by its path: `/hops/4` to `/hops/3`, and `/hops/0` to what the test
/// says, to which well-known places lead in four hops.
struct Hops {
    _server: Server,
    origin: String,
    target: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
}

impl Hops {
    fn start(service: &TlsService) -> Self {
        let target = Arc::<Mutex<String>>::default();
        let requests = Arc::<AtomicUsize>::default();
        let (leads_to, counted) = (Arc::clone(&target), Arc::clone(&requests));
        let server = Server::start(move |request: &Request, responder: &mut Responder| {
            counted.fetch_add(1, Ordering::SeqCst);
            let left = request.path().strip_prefix("/hops/").map_or(Ok(5), str::parse::<u32>);
            let location = match left {
                Ok(0) | Err(_) => leads_to.lock().unwrap().clone(),
                Ok(left) => format!("/hops/{}", left - 1),
            };
            let status = [301, 302, 303, 307, 308][left.unwrap_or_default() as usize % 5];
            responder.reply(&Reply::status(status).header("Location", location));
        });
        let front = TlsFront::start("hops.test", server.address(), &service.authority, None);
        let origin = format!("https://hops.test:{}", front.address().port());
        Self { _server: server, origin, target, requests }
    }

    fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap());
        self.requests.store(0, Ordering::SeqCst);
    }
}

/// Redirects stay within their origin, each hop is judged, and they end.
#[test]
fn a06_redirects_of_metadata_reach_no_private_address_and_end() {
    let Some((internet, service)) = public(&[]) else { return };
    let (inside, hops) = (Inside::listen(), Hops::start(&service));
    let circle = format!("{}/hops/5", hops.origin);
    let elsewhere = format!("{}/.well-known/oauth-protected-resource", service.url);
    let private = inside.forbidden().into_iter().step_by(6);
    let targets = private.chain([circle.clone(), "/hops/5".to_owned(), elsewhere]);
    for target in targets {
        hops.lead_to(&target);
        service.server.point_to(&format!("{}/hops/0", hops.origin));
        refused(&target, &service, service.home.run(service.login_arguments(&[])));
        service.server.point_to(&circle);
        refused(&target, &service, service.home.run(service.login_arguments(&[])));
        service.server.point_to("");
        service.server.name_authorization_server(&hops.origin);
        refused(&target, &service, service.home.run(service.login_arguments(&[])));
        inside.assert_untouched(&target, &internet);
        let requests = hops.requests.load(Ordering::SeqCst);
        assert!(requests <= 40, "{requests} requests for {target}");
    }
}

/// What carries secrets is redirected nowhere.
#[test]
fn a06_a_token_request_is_redirected_nowhere() {
    let Some((internet, service)) = public(&[]) else { return };
    let inside = Inside::listen();
    for status in [301, 302, 303, 307, 308] {
        let targets = [format!("https://127.0.0.1:{}/", inside.port()), format!("{}?again", service.url)];
        for target in targets {
            let reply = Reply::status(status).header("Location", target.as_str());
            service.authorization.fault(Fault::Reply(reply));
            let before = (service.authorization.token_requests().len(), service.server.requests().len());
            let outcome = service.home.run(service.login_arguments(&[])).expect(3);
            assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
            inside.assert_untouched(&target, &internet);
            assert_eq!(service.authorization.token_requests().len(), before.0 + 1);
            let new = service.server.requests().split_off(before.1);
            assert!(new.iter().all(|request| !request.target.contains("again")), "{new:?}");
        }
    }
}

/// Each request is judged by the address that it dials, whatever the name stood for before.
#[test]
fn a07_a_name_that_turns_private_is_not_dialled() {
    let inside = Inside::listen();
    for private in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"] {
        for name in [ENDPOINT, ISSUER] {
            let first = if name == ENDPOINT { PUBLIC[0] } else { PUBLIC[1] };
            let Some((internet, service)) = public(&[(name, &[first, private])]) else { return };
            let what = format!("{name}: {first}, then {private}");
            refused(&what, &service, service.home.run(service.login_arguments(&[])));
            inside.assert_untouched(&what, &internet);
        }
    }
    // By then the person has agreed; the code goes nowhere.
    let answers: &[&str] = &[PUBLIC[1], PUBLIC[1], "127.0.0.1"];
    let Some((internet, service)) = public(&[(ISSUER, answers)]) else { return };
    ended_without_tokens("the third", &service, service.home.run(service.login_arguments(&[])));
    inside.assert_untouched("the third", &internet);
}

/// Of several addresses the public ones serve.
#[test]
fn a07_private_addresses_among_public_ones_are_passed_over() {
    let inside = Inside::listen();
    for others in ["127.0.0.1", "10.0.0.1,169.254.169.254", "::1,::ffff:10.0.0.1"] {
        for mixed in [format!("{others},{}", PUBLIC[1]), format!("{},{others}", PUBLIC[1])] {
            let Some((internet, service)) = public(&[(ISSUER, &[mixed.as_str()])]) else { return };
            service.home.run(service.login_arguments(&[])).expect(0);
            inside.assert_untouched(&mixed, &internet);
        }
    }
}
