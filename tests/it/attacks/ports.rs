//! Attacks on the port of the callback (B): who else may hold it, and who may reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::Signal;

use crate::support::bridge::Bridge;
use crate::support::browser::redirect_of;
use crate::support::fetch;
use crate::support::service::{NAME, Service};

/// How another process holds a port.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hold {
    /// As most do.
    Plainly,
    /// With every option that lets it share the port with others.
    Sharing,
    /// The same, without listening yet.
    Waiting,
}

/// Takes a port as another process would; `None` where the system refuses.
fn seize(address: SocketAddr, hold: Hold) -> Option<(OwnedFd, u16)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None).ok()?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false).expect("an option");
    }
    if hold != Hold::Plainly {
        sockopt::set_socket_reuseaddr(&socket, true).expect("an option");
        sockopt::set_socket_reuseport(&socket, true).expect("an option");
    }
    rustix::net::bind(&socket, &address).ok()?;
    if hold != Hold::Waiting {
        rustix::net::listen(&socket, 16).ok()?;
    }
    let name = SocketAddr::try_from(rustix::net::getsockname(&socket).ok()?).ok()?;
    Some((socket, name.port()))
}

/// Whether this machine has a loopback of the newer family.
fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

const LOCAL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const EVERY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// Whoever holds the port would get the code: the login ends, opens nothing, and moves nowhere.
#[test]
fn b08_a_pinned_port_that_another_process_holds_ends_the_login() {
    for (host, holders) in [
        ("127.0.0.1", &[LOCAL[0], EVERY[0], EVERY[1]][..]),
        ("[::1]", &[LOCAL[1], EVERY[1]]),
        // A browser may choose either family.
        ("localhost", &[LOCAL[0], LOCAL[1], EVERY[0], EVERY[1]]),
    ] {
        for &holder in holders {
            for hold in [Hold::Plainly, Hold::Sharing] {
                let what = format!("{host}, held on {holder} {hold:?}");
                let held = seize((holder, 0).into(), hold);
                if !has_ipv6() && (holder.is_ipv6() || host == "[::1]") {
                    continue;
                }
                let (_held, port) = held.unwrap_or_else(|| panic!("{what}: no port is free"));
                let service = Service::new();
                let redirect = format!("http://{host}:{port}/callback");
                let refused = service.login(&["--redirect-uri", &redirect]).expect(1);
                let said = format!("port {port} is taken by another program");
                assert!(refused.stderr.contains(&said), "{what}: {}", refused.stderr);
                assert!(refused.stderr.contains("hint: end the program"), "{what}: {}", refused.stderr);
                if host == "127.0.0.1" {
                    service.login(&["--callback-port", &port.to_string()]).expect(1);
                }
                assert_eq!(service.browser.tabs(), 0, "{what}");
                assert_eq!(service.authorization.authorizations().len(), 0, "{what}");
            }
        }
    }
}

/// The same before the login begins that a bridge starts by itself.
#[test]
fn b08_a_bridge_finds_the_port_taken_too() {
    let (_held, port) = seize((LOCAL[0], 0).into(), Hold::Sharing).expect("a free port");
    let (service, port) = (Service::new(), port.to_string());
    let url = service.server.url();
    let arguments = [&url, "--login", "--strict", "--name", NAME, "--callback-port", &port];
    let mut bridge = Bridge::start(&service.home, &arguments);
    let error = bridge.refusal();
    assert!(error["message"].as_str().is_some_and(|text| text.contains("is taken by another")), "{error}");
    assert_eq!((service.browser.tabs(), service.authorization.authorizations().len()), (0, 0));
}

/// Nobody takes the port from the login either while it waits, nor has done so a moment before.
#[test]
fn b08_a_port_that_the_login_holds_is_its_own() {
    for host in ["127.0.0.1", "localhost"] {
        let (waiting, port) = seize((LOCAL[0], 0).into(), Hold::Waiting).expect("a free port");
        let service = Service::new().watched();
        let redirect = format!("http://{host}:{port}/callback");
        let (mut login, page) = service.waiting_login(&["--redirect-uri", &redirect]);
        assert!(rustix::net::listen(&waiting, 16).is_err(), "{host}: two listen on one port");
        drop(waiting);
        for hold in [Hold::Plainly, Hold::Sharing] {
            for address in [LOCAL[0], EVERY[0], EVERY[1], LOCAL[1]] {
                // What a browser does not ask may be anybody's.
                if address == LOCAL[1] && host != "localhost" {
                    continue;
                }
                let seized = seize((address, port).into(), hold);
                assert!(seized.is_none(), "{host}: {address} is given away {hold:?}");
            }
        }
        assert_eq!(fetch::get(&redirect_of(&page)).expect("the page").status, 200);
        assert!(login.wait().success(), "{}", login.stderr.text());
    }
}

/// The addresses on which somebody listens to `port`, as the system's table writes them.
fn listened_on(port: u16) -> Vec<String> {
    let tables = ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/self/net/{table}")));
    let rows = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    let rows = rows.map(|row| row.split_whitespace().collect::<Vec<_>>());
    // State 0A is a socket that listens.
    let ours = rows.filter(|row| row[3] == "0A" && row[1].ends_with(&format!(":{port:04X}")));
    ours.map(|row| row[1].split(':').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn b09_nothing_but_loopback_is_listened_on() {
    for host in [
        "0.0.0.0",
        "0",
        "[::]",
        "[::ffff:0.0.0.0]",
        "[::ffff:127.0.0.1]",
        "192.168.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "example.com",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "localhost.",
    ] {
        let service = Service::new();
        let redirect = format!("http://{host}:41788/callback");
        let refused = service.login(&["--redirect-uri", &redirect]).expect(2);
        assert!(refused.stderr.contains("does not lead to this machine"), "{host}: {}", refused.stderr);
        assert!(refused.stderr.contains("hint: "), "{host}: {}", refused.stderr);
        assert_eq!(service.browser.tabs(), 0, "{host}");
        assert_eq!(service.authorization.authorizations().len(), 0, "{host}");
    }
    let (v4, v6) = ("0100007F", "00000000000000000000000001000000");
    let both = [v4, v6];
    for (host, addresses) in
        [("127.0.0.1", &both[..1]), ("localhost", &both[..if has_ipv6() { 2 } else { 1 }])]
    {
        let service = Service::new().watched();
        let port =
            TcpListener::bind((LOCAL[0], 0)).and_then(|held| held.local_addr()).expect("a port").port();
        let redirect = format!("http://{host}:{port}/callback");
        let (mut login, _) = service.waiting_login(&["--redirect-uri", &redirect]);
        assert_eq!(listened_on(port), addresses, "{host}");
        login.signal(Signal::INT);
        login.wait();
    }
}
