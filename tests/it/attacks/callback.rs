//! Attacks on the listener that waits for the browser (B): who may speak to it, what it says, and how
//! long it stays.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mcp_front::authorizer::Children;
use mcp_front::authorizer::login::{Config, EVENTS, Event, Interaction, LoginError, Options, login};
use mcp_front::http;
use mcp_front::server_uri::ServerUri;
use mcp_front::store::{KeySource, StoreConfig, StoreKind};
use rustix::process::Signal;
use tokio::sync::mpsc;
use url::Url;

use crate::support::authorization_server::Fault;
use crate::support::browser::{altered, redirect_of};
use crate::support::fetch;
use crate::support::gate::Gate;
use crate::support::home::BINARY;
use crate::support::http_server::Reply;
use crate::support::kept_login::run;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};

/// How long a port may stay open behind its login.
const CLOSING_LIMIT: Duration = Duration::from_secs(1);

/// A GET for `target` with these lines of header.
fn get(target: &str, header: &[&str]) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{}\r\n\r\n", header.join("\r\n")).into_bytes()
}

/// Methods, hosts and origins of no browser that comes back from a login, each with the right answer.
fn strange_senders(right: &Url) -> Vec<(&'static str, Vec<u8>)> {
    let target = &right[url::Position::BeforePath..];
    let query = right.query().unwrap_or_default();
    let port = right.port().unwrap();
    let (authority, host) = (format!("127.0.0.1:{port}"), format!("Host: 127.0.0.1:{port}"));
    let from = |header: &str| get(target, &[&host, header]);
    let of = |value: &str| get(target, &[&format!("Host: {value}")]);
    let with =
        |method: &str, more: &str| format!("{method} {target} HTTP/1.1\r\n{host}\r\n{more}").into_bytes();
    vec![
        ("POST", with("POST", &format!("Content-Length: {}\r\n\r\n{query}", query.len()))),
        ("POST in chunks", with("POST", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("HEAD", with("HEAD", "\r\n")),
        ("OPTIONS", with("OPTIONS", "\r\n")),
        ("TRACE", with("TRACE", "\r\n")),
        ("CONNECT", format!("CONNECT {authority} HTTP/1.1\r\n{host}\r\n\r\n").into_bytes()),
        ("an absurd method", with("BREW", "\r\n")),
        ("a method in small letters", with("get", "\r\n")),
        ("a method of 64 KiB", with(&"X".repeat(64 * 1024), "\r\n")),
        ("a foreign Host", of("evil.example")),
        ("a foreign Host with the port", of(&format!("evil.example:{port}"))),
        ("a Host that begins as ours", of(&format!("127.0.0.1.evil.example:{port}"))),
        ("a Host with ours as user information", of(&format!("{authority}@evil.example:{port}"))),
        ("a foreign user at our Host", of(&format!("evil.example@{authority}"))),
        ("a Host of another port", of("127.0.0.1:1")),
        ("a Host without the port", of("127.0.0.1")),
        ("an address of the network", of(&format!("192.168.0.1:{port}"))),
        ("every address", of(&format!("0.0.0.0:{port}"))),
        ("an empty Host", of("")),
        ("no Host", get(target, &[])),
        ("two Hosts", get(target, &[&host, "Host: evil.example"])),
        ("HTTP/1.0 without a Host", format!("GET {target} HTTP/1.0\r\n\r\n").into_bytes()),
        ("HTTP/0.9", format!("GET {target}\r\n\r\n").into_bytes()),
        ("another page's Origin", from("Origin: https://evil.example")),
        ("an opaque Origin", from("Origin: null")),
        ("our own Origin", from(&format!("Origin: http://{authority}"))),
    ]
}

/// Targets, sizes and protocols likewise.
fn strange_requests(right: &Url) -> Vec<(&'static str, Vec<u8>)> {
    let target = &right[url::Position::BeforePath..];
    let (path, query) = (right.path(), right.query().unwrap_or_default());
    let authority = format!("127.0.0.1:{}", right.port().unwrap());
    let host = format!("Host: {authority}");
    let from = |header: &str| get(target, &[&host, header]);
    let at = |target: &str| get(target, &[&host]);
    let post = |header: &str, body: &str| {
        format!("POST {target} HTTP/1.1\r\n{host}\r\n{header}\r\n\r\n{body}").into_bytes()
    };
    vec![
        ("another path", at(&format!("/other?{query}"))),
        ("the path with a slash", at(&format!("{path}/?{query}"))),
        ("the path in another case", at(&format!("{}?{query}", path.to_ascii_uppercase()))),
        ("a path that goes up", at(&format!("/..{path}?{query}"))),
        ("a path that goes down and up", at(&format!("/x/..{path}?{query}"))),
        ("an encoded way up", at(&format!("/%2e%2e{path}?{query}"))),
        ("two slashes", at(&format!("/{path}?{query}"))),
        ("an encoded letter", at(&format!("{}?{query}", path.replace('c', "%63")))),
        ("an encoded question mark", at(&format!("{path}%3F{query}"))),
        ("a whole URL", at(&format!("http://{authority}{target}"))),
        ("a whole URL of another's", at(&format!("http://evil.example{target}"))),
        ("a fragment", at(&format!("{path}#{query}"))),
        ("a query of 100 KB", at(&format!("{target}&x={}", "x".repeat(100 * 1024)))),
        ("a path of 100 KB", at(&format!("{path}{}?{query}", "/x".repeat(50 * 1024)))),
        ("a header of a megabyte", from(&format!("X: {}", "x".repeat(1024 * 1024)))),
        ("headers without end", from(&"X: y\r\n".repeat(20_000))),
        ("two lengths", post("Content-Length: 1\r\nContent-Length: 2", "x")),
        ("a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        ("a line break in the target", at(&format!("{path}?\r\nX: y&{query}"))),
        ("a zero byte", at(&format!("{path}?\0{query}"))),
        ("a space before the colon", get(target, &[&host.replace(':', " :")])),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec()),
        ("nonsense", b"\0\xff\xfe\r\n\r\n".to_vec()),
    ]
}

#[test]
fn b06_what_no_browser_sends_is_refused_and_the_login_goes_on() {
    let service = Service::new().watched();
    let (mut login, page) = service.waiting_login(&[]);
    let right = redirect_of(&page);
    for (what, request) in strange_senders(&right).into_iter().chain(strange_requests(&right)) {
        let answer = fetch::raw(&right, &request).expect("a connection");
        let is_refused =
            answer.is_empty() || ["HTTP/1.1 4", "HTTP/1.0 4"].iter().any(|start| answer.starts_with(start));
        assert!(is_refused, "{what}: {answer:.300}");
        assert!(!login.has_ended(), "{what}: {}", login.stderr.text());
    }
    // What is pipelined behind a refusal is not heard.
    let target = &right[url::Position::BeforePath..];
    let host = format!("Host: 127.0.0.1:{}", right.port().unwrap());
    for first in [get("/other", &[&host]), get(target, &["Host: evil.example"])] {
        let answer = fetch::raw(&right, &[first, get(target, &[&host])].concat()).expect("a connection");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
    assert_eq!(service.authorization.token_requests().len(), 0);
    let page = fetch::get(&right).expect("the page");
    assert_eq!(page.status, 200);
    assert!(login.wait().success(), "{}", login.stderr.text());
    assert_eq!(service.authorization.token_requests().len(), 1);
}

/// Markup, entities, encodings that a browser may guess, and escapes for the terminal.
const MARKUP: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</h1></main></title></style><script src=//evil.example></script>",
    "<!--<svg/onload=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "\u{202e}<b>gnp\u{2028}<i>",
    "\u{1b}]8;;https://evil.example\u{7}<a>\u{1b}]8;;\u{7}",
    "\0<\0s\0c\0r\0i\0p\0t\0>",
];

/// What every page says to the browser besides its text.
fn is_harmless(page: &fetch::Response, what: &str) {
    let policy = page.header("Content-Security-Policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{what}: {policy}");
    for part in ["form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part) && !policy.contains("unsafe"), "{what}: {policy}");
    }
    for (header, value) in [
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(header), Some(value), "{what}: {header}");
    }
    assert_eq!(page.header("Access-Control-Allow-Origin"), None, "{what}");
    assert!(!page.text().contains("<script") && !page.text().contains("alert(1)<"), "{what}");
}

/// The characters of a page that a browser reads as markup.
fn markup(page: &fetch::Response) -> Vec<char> {
    page.text().chars().filter(|character| "<>\"'".contains(*character)).collect()
}

#[test]
fn b07_what_a_server_says_is_text_on_the_page() {
    let refused = |description: &str| {
        let service = Service::new().watched();
        let (mut login, opened) = service.waiting_login(&[]);
        let right = redirect_of(&opened);
        // What is no answer to this login is not repeated at all.
        let foreign = altered(&right, &[("state", Some(description)), ("error", Some(description))]);
        let page = fetch::get(&foreign).expect("the page");
        is_harmless(&page, description);
        let shown = page.text();
        assert!(page.status == 400 && !shown.contains("alert") && !shown.contains("evil"), "{shown}");
        let refusal =
            [("code", None), ("error", Some(description)), ("error_description", Some(description))];
        let page = fetch::get(&altered(&right, &refusal)).expect("the page");
        let (code, said) = login.outcome();
        assert_eq!((page.status, code), (400, 4), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{7}', '\0', '\u{202e}', '\u{2028}']), "{said:?}");
        is_harmless(&page, description);
        page
    };
    let plain = markup(&refused("a plain word"));
    for description in MARKUP {
        let page = refused(description);
        assert_eq!(markup(&page), plain, "{description}: {}", page.text());
        assert!(!page.text().contains(['\u{1b}', '\u{7}', '\0', '\u{202e}']), "{description}");
    }
}

/// The same of the page of a login that went well, and of what is refused before anybody reads it.
#[test]
fn b07_every_page_is_harmless() {
    let service = Service::new().watched();
    let (mut login, opened) = service.waiting_login(&[]);
    let right = redirect_of(&opened);
    let elsewhere =
        Url::parse(&format!("{}/<script>alert(1)</script>", right.origin().ascii_serialization()));
    let page = fetch::get(&elsewhere.unwrap()).expect("a page");
    assert_eq!(page.status, 400);
    is_harmless(&page, "another path");
    let page =
        fetch::get(&altered(&right, &[("\"><script>alert(1)</script>", Some("x"))])).expect("the page");
    is_harmless(&page, "the page of a success");
    assert!(page.status == 200 && page.text().contains(NAME), "{}", page.text());
    assert!(login.wait().success());
}

/// Fails the test unless nobody listens any more within a second from now.
fn closes(redirect: &Url, what: &str) {
    let begun = Instant::now();
    while fetch::connect(redirect).is_ok() {
        assert!(begun.elapsed() < CLOSING_LIMIT, "{what}: the port is open after {:?}", begun.elapsed());
        std::thread::yield_now();
    }
}

#[test]
fn b10_the_port_is_closed_however_the_login_ends() {
    type End<'a> = (&'a str, i32, &'a dyn Fn(&Service, &mut Process, &Url));
    let ends: [End<'_>; 6] = [
        ("a success", 0, &|_, _, right| {
            fetch::get(right).expect("the page");
        }),
        ("a refusal", 4, &|_, _, right| {
            fetch::get(&altered(right, &[("code", None), ("error", Some("access_denied"))]))
                .expect("the page");
        }),
        ("an exchange that fails", 3, &|service, _, right| {
            for _ in 0..2 {
                service.authorization.fault(Fault::Reply(Reply::status(500)));
            }
            fetch::get(right).expect("the page");
        }),
        ("Ctrl-C", 130, &|_, login, _| login.signal(Signal::INT)),
        ("SIGTERM", 130, &|_, login, _| login.signal(Signal::TERM)),
        ("SIGKILL", -1, &|_, login, _| login.signal(Signal::KILL)),
    ];
    for (what, code, end) in ends {
        let service = Service::new().watched();
        let (mut login, page) = service.waiting_login(&[]);
        let right = redirect_of(&page);
        // Whoever stays connected keeps nothing open.
        let idle = fetch::connect(&right).expect("a connection");
        end(&service, &mut login, &right);
        closes(&right, what);
        assert_eq!(login.wait().code().unwrap_or(-1), code, "{what}: {}", login.stderr.text());
        assert!(fetch::connect(&right).is_err(), "{what}");
        drop(idle);
    }
}

/// From the moment on when the code is there, nobody is heard any more.
#[test]
fn b10_the_port_is_closed_while_the_code_is_exchanged() {
    let service = Service::new().watched();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let (mut login, page) = service.waiting_login(&[]);
    let right = redirect_of(&page);
    let visited = right.clone();
    let visit = std::thread::spawn(move || fetch::get(&visited).expect("the page").status);
    gate.wait_for_arrivals(1);
    closes(&right, "an exchange under way");
    gate.open();
    assert_eq!(visit.join().expect("a visitor"), 200);
    assert!(login.wait().success());
}

/// Nobody came.
#[test]
fn b10_the_port_is_closed_when_the_time_is_over() {
    run(async {
        let service = Service::new();
        let config = Config {
            server: ServerUri::parse(&service.server.url(), false).expect("a URL"),
            profile: "default".to_owned(),
            name: NAME.to_owned(),
            store: StoreConfig {
                kind: StoreKind::File,
                paths: service.kept().0,
                encryption_key: Some(KeySource::File(service.home.key_file())),
            },
            http: http::Config::default(),
            children: Children::new(PathBuf::from(BINARY), []),
            options: Options { browser: false, patience: Duration::from_millis(500), ..Options::default() },
        };
        let (events, mut happening) = mpsc::channel(EVENTS);
        let (_paste, pasted) = mpsc::channel(1);
        let watching = async {
            while let Some(event) = happening.recv().await {
                if let Event::Authorize { redirect_uri, .. } = event {
                    assert!(fetch::connect(&redirect_uri).is_ok(), "somebody listens");
                    return Some(redirect_uri);
                }
            }
            None
        };
        let (outcome, redirect) = tokio::join!(login(&config, Interaction { events, pasted }), watching);
        assert!(matches!(outcome, Err(LoginError::Deadline { .. })), "{outcome:?}");
        let redirect = redirect.expect("the login waited for the person");
        closes(&redirect, "the end of the time");
        assert!(service.authorization.token_requests().is_empty());
    });
}
