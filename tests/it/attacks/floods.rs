//! Attacks by documents that are too much: in size, in depth, in time (A).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::publisher::{Answer, Publisher, document, good_resource, good_server};
use crate::support::authorization_server::{CLIENT_ID, CLIENT_SECRET};
use crate::support::home::write_private;
use crate::support::http_server::{Reply, Responder};

/// One request of discovery may take 15 s; the rest is for a busy machine.
const SLOWNESS_LIMIT: Duration = Duration::from_secs(28);
/// What may be under way of a document when it turns out to be too large: the limit of 1 MiB, and what
/// both ends of a connection buffer.
const FLOOD_LIMIT: usize = 16 * 1024 * 1024;

/// A gzip stream (RFC 1951 §3.2.6, fixed codes) of 64 KiB that stands for ten megabytes of blanks.
fn gzip_bomb() -> Vec<u8> {
    let bits = |code: u16, count: u32| (0..count).rev().map(move |place| code >> place & 1 == 1);
    // The last block, a blank, and the 258 bytes that begin one byte before, over and over.
    let mut stream: Vec<bool> = [true, true, false].into_iter().chain(bits(0x50, 8)).collect();
    for _ in 0..40_000 {
        stream.extend(bits(0b1100_0101, 8).chain(bits(0, 5)));
    }
    stream.extend(bits(0, 7));
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    head.into_iter().chain(stream.chunks(8).map(byte)).collect()
}

/// What ends in an error at once, whichever of the two documents it is.
fn monsters() -> Vec<(&'static str, Answer)> {
    let sent = |body: Vec<u8>| -> Answer {
        Box::new(move |_, responder| responder.reply(&Reply::json(200, body.clone())))
    };
    let deep = |open: &str, close: &str| [open.repeat(200_000), close.repeat(200_000)].concat().into_bytes();
    let long = |length: usize| format!("{{\"issuer\":\"{}\"}}", "x".repeat(length)).into_bytes();
    vec![
        (
            "a length of 50 MB",
            Box::new(|_, responder: &mut Responder| {
                responder.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n");
                responder.wait_for_close();
            }),
        ),
        ("50 MB", sent(long(50 * 1024 * 1024))),
        ("just too much", sent(long(1024 * 1024))),
        ("deep arrays", sent(deep("[", "]"))),
        ("deep objects", sent(deep("{\"issuer\":", "}"))),
        ("no UTF-8", sent(b"{\"issuer\":\"\xff\xfe\",\"resource\":\"\xc3\x28\"}".to_vec())),
        ("a lone surrogate", sent(br#"{"issuer":"\ud800","resource":"\udfff"}"#.to_vec())),
        ("UTF-16", sent(b"\xff\xfe{\0\"\0i\0\"\0:\x001\0}\0".to_vec())),
        ("a number without end", sent([b"{\"issuer\":", &[b'9'; 500_000][..], b"}"].concat())),
        ("half a document", sent(b"{\"issuer\":\"".to_vec())),
        ("nothing", sent(Vec::new())),
        ("no object", sent(b"null".to_vec())),
        ("other members", sent(br#"{"issuer":{"a":1},"resource":[1],"token_endpoint":null}"#.to_vec())),
        (
            "compression that nobody asked for",
            Box::new(|_, responder: &mut Responder| {
                let reply = Reply::json(200, gzip_bomb()).header("Content-Encoding", "gzip");
                responder.reply(&reply);
            }),
        ),
        (
            "headers without end",
            Box::new(|_, responder: &mut Responder| {
                responder.raw(b"HTTP/1.1 200 OK\r\n");
                while responder.raw(&[b"X-Filler: ".as_slice(), &[b'x'; 4096], b"\r\n"].concat()) {}
            }),
        ),
        ("a cut answer", Box::new(|_, responder: &mut Responder| responder.reset())),
        (
            "a broken length",
            Box::new(|_, responder: &mut Responder| {
                responder.raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}");
            }),
        ),
    ]
}

/// Whatever a document is, the login ends soon, in bounds, and without asking for anything.
#[test]
fn a14_monstrous_documents_end_the_login() {
    for (what, answer) in monsters() {
        let publisher = Publisher::start(document(good_resource), answer);
        publisher.refuse(what, &[]);
    }
    for (what, answer) in monsters() {
        // Without a document of its own, the resource is what it always was: its own server.
        let unpublished: Answer = Box::new(|_, responder| responder.reply(&Reply::status(404)));
        let publisher = Publisher::start(answer, unpublished);
        let secret = publisher.home.path().join("client-secret");
        write_private(&secret, CLIENT_SECRET);
        let flags = ["--client-id", CLIENT_ID, "--client-secret-file", &secret.to_string_lossy()];
        publisher.refuse(what, &flags);
    }
}

/// An endless document is not read to its end.
#[test]
fn a14_an_endless_document_is_left_unread() {
    for (is_resource, prefix) in [(true, " "), (false, "{\"issuer\":\""), (false, "[")] {
        let sent = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&sent);
        let endless: Answer = Box::new(move |_, responder| {
            responder.start(200, &[("Content-Type", "application/json")]);
            responder.chunk(prefix);
            let chunk = [b' '; 64 * 1024];
            while responder.chunk(chunk) {
                counted.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        });
        let publisher = match is_resource {
            true => Publisher::start(endless, document(good_server)),
            false => Publisher::start(document(good_resource), endless),
        };
        publisher.refuse("endless", &[]);
        let sent = sent.load(Ordering::SeqCst);
        assert!(sent < FLOOD_LIMIT, "{sent} bytes were taken");
    }
}

/// An answer that trickles, in its head or in its body, holds a login up for a bounded time.
#[test]
fn a14_a_trickle_is_not_waited_for() {
    let trickle = |head: &'static str| -> Answer {
        Box::new(move |_, responder| {
            responder.give_up_writing_after(Duration::from_secs(1));
            let mut alive = responder.raw(head.as_bytes());
            while alive {
                // The pause is what this server does to its client.
                std::thread::sleep(Duration::from_millis(500));
                alive = responder.raw(b" ");
            }
        })
    };
    let heads = [
        "HTTP/1.1 200 OK\r\nX-Slow: ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{",
    ];
    std::thread::scope(|scope| {
        for head in heads {
            for of_resource in [true, false] {
                scope.spawn(move || {
                    let publisher = match of_resource {
                        true => Publisher::start(trickle(head), document(good_server)),
                        false => Publisher::start(document(good_resource), trickle(head)),
                    };
                    let start = Instant::now();
                    let said = publisher.refuse(head, &[]);
                    assert!(start.elapsed() < SLOWNESS_LIMIT, "{:?}", start.elapsed());
                    assert!(said.contains("did not answer in time"), "{said}");
                });
            }
        }
    });
}
