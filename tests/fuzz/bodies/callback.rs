//! The callback: whatever a connection brings, it gets at most one answer and ends; only a plain visit
//! to the redirect URI is looked at, only the right one is taken, and no answer repeats what came.

use std::time::Duration;

use mcp_front::oauth::{CallbackError, CallbackParameters, Pending};
use mcp_front::web::{CallbackListener, Page};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::login::{self, Verdict};
use super::wait;

/// What no answer may repeat, wherever in the input it stands.
const CANARY: &str = "canary-code";
/// Ends any request head that is open, and whatever would follow it.
const END: &[u8] = b"\r\n\r\n\0\r\n\r\n";
/// No connection takes longer than this to end.
const LIMIT: Duration = Duration::from_secs(20);

struct Door {
    listener: CallbackListener,
    pending: Pending,
    state: String,
    port: u16,
}

impl Door {
    fn open() -> Self {
        let listener = CallbackListener::bind(&Url::parse("http://127.0.0.1:0/callback").expect("a URL"))
            .expect("a port");
        let pending = login::pending(listener.redirect_uri(), false);
        let (state, port) = (login::state(&pending), listener.redirect_uri().port().expect("a port"));
        Self { listener, pending, state, port }
    }
}

/// The bytes are what a connection brings, where `STATE` stands for the login's state and `PORT` for
/// the port.
pub fn check(data: &[u8]) {
    thread_local! {
        static DOOR: std::cell::RefCell<Option<Door>> = const { std::cell::RefCell::new(None) };
    }
    DOOR.with_borrow_mut(|door| {
        wait(async {
            let door = door.get_or_insert_with(Door::open);
            let sent = replaced(data, b"STATE", door.state.as_bytes());
            let sent = replaced(&sent, b"PORT", door.port.to_string().as_bytes());
            tokio::time::timeout(LIMIT, visit(door, &sent)).await.expect("the connection ends");
        });
    });
}

async fn visit(door: &mut Door, sent: &[u8]) {
    let mut verdicts = Vec::new();
    let talk = talk(door.port, sent);
    tokio::pin!(talk);
    let answer = loop {
        tokio::select! {
            biased;
            visit = door.listener.next() => {
                let visit = visit.expect("it listens");
                assert!(is_visit(sent, visit.query(), door.port), "{:?}", visit.query());
                let checked = CallbackParameters::from_query(visit.query());
                let checked = checked.and_then(|found| door.pending.check(found));
                let verdict = match &checked {
                    Ok(_) => Verdict::Accepted,
                    Err(CallbackError::Denied { .. }) => Verdict::Denied,
                    Err(_) => Verdict::PassedOver,
                };
                assert_eq!(verdict, login::verdict(visit.query(), &door.state, false), "{checked:?}");
                visit.answer(match checked {
                    Ok(_) => Page::Success { service: "front".to_owned() },
                    Err(error) => Page::Failure { service: "front".to_owned(), reason: error.to_string() },
                });
                verdicts.push(verdict);
            }
            answer = &mut talk => break answer,
        }
    };
    let answer = String::from_utf8_lossy(&answer);
    assert!(verdicts.len() <= 1, "one connection made {verdicts:?}");
    assert!(answer.matches("\r\ncontent-security-policy:").count() <= 1, "{answer}");
    let status =
        answer.strip_prefix("HTTP/1.1 ").or_else(|| answer.strip_prefix("HTTP/1.0 ")).unwrap_or_default();
    let is_success = status.starts_with("200 ");
    // What is long may be cut off while it is sent, and the answer with it.
    let is_heard = !answer.is_empty() || sent.len() < 4096;
    assert_eq!(is_success, is_heard && verdicts == [Verdict::Accepted], "{answer}");
    assert!(is_success || answer.is_empty() || status.starts_with('4'), "{answer}");
    // A refusal of the server's own words may stand on the page.
    let may_repeat = verdicts == [Verdict::Denied];
    assert!(may_repeat || !answer.contains(CANARY) && !answer.contains(&door.state), "{answer}");
    assert!(!answer.contains("<script"), "{answer}");
}

/// Sends, and reads until the other side ends it.
async fn talk(port: u16, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    // It ends at once, so that millions of them leave no ports waiting.
    stream.set_zero_linger().expect("a socket's option");
    let whole = [sent, END].concat();
    // It may be answered and ended before all of it was read.
    let _ = stream.write_all(&whole).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// Whether what was sent begins with a plain visit that has this query: a GET for the path, to one host
/// that is this machine's, from no other page.
fn is_visit(sent: &[u8], query: &str, port: u16) -> bool {
    let text = String::from_utf8_lossy(sent);
    let mut lines = text.trim_start_matches(['\r', '\n']).split('\n').map(|line| line.trim_end_matches('\r'));
    let target = lines.next().and_then(|line| line.strip_prefix("GET /callback"));
    let is_target = match target.unwrap_or("!").strip_prefix('?') {
        Some(rest) => rest.starts_with(query),
        None => query.is_empty() && target.is_some_and(|rest| rest.starts_with([' ', '#'])),
    };
    let fields: Vec<_> =
        lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':')).collect();
    let all = |wanted: &str| -> Vec<&str> {
        fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
            .collect()
    };
    let hosts = all("host");
    let is_here = |host: &&str| {
        let url = Url::parse(&format!("http://{host}")).expect("a host");
        url.port_or_known_default() == Some(port) && mcp_front::server_uri::is_loopback(&url)
    };
    is_target && hosts.len() == 1 && hosts.iter().all(is_here) && all("origin").is_empty()
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    result.extend_from_slice(rest);
    result
}
