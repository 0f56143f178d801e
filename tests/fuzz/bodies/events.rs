//! Event streams: whatever pieces the bytes come in, the same events come out, and those that carry a
//! message are the ones that the standard's algorithm dispatches (WHATWG HTML §9.2.6).

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use mcp_front::upstream::streamable_http::{EventStream, EventStreamError};

#[derive(Debug, PartialEq)]
enum Found {
    Event { id: Option<String>, retry: Option<Duration>, message: Option<Bytes>, endpoint: Option<String> },
    Unreadable,
}

/// The first byte says how long the pieces are, the others are the body.
pub fn check(data: &[u8]) {
    let Some((&control, body)) = data.split_first() else { return };
    let whole = read(body, usize::MAX, 0);
    for length in [1, usize::from(control) % 61 + 1] {
        assert_eq!(read(body, length, 0), whole);
    }
    // What was looked at stays to be read.
    assert_eq!(read(body, 7, usize::from(control) % 3 + 1), whole);
    if let Ok(text) = std::str::from_utf8(body) {
        let found: Vec<_> = whole.iter().filter_map(dispatched).collect();
        assert_eq!(found, expected(text));
    }
}

fn read(body: &[u8], length: usize, looks: usize) -> Vec<Found> {
    let pieces: Vec<_> =
        body.chunks(length.min(body.len().max(1))).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut events = EventStream::of(stream::iter(pieces));
    let mut found = Vec::new();
    for _ in 0..looks {
        events.peek().now_or_never().expect("all of it is there");
    }
    while let Some(event) = events.next().now_or_never().expect("all of it is there") {
        found.push(match event {
            Ok(event) => {
                assert!(event.message.is_none() || event.endpoint.is_none());
                assert!(event.message.as_ref().is_none_or(|message| !message.is_empty()));
                let id = event.id.inspect(|id| assert!(!id.contains(['\0', '\r', '\n']), "{id:?}"));
                Found::Event { id, retry: event.retry, message: event.message, endpoint: event.endpoint }
            }
            Err(EventStreamError::Unreadable(_)) => Found::Unreadable,
            Err(EventStreamError::Broken(reason)) => panic!("nothing broke: {reason}"),
        });
        let is_over = found.last() == Some(&Found::Unreadable);
        assert!(!is_over || events.next().now_or_never().is_some_and(|next| next.is_none()));
        assert!(found.len() <= body.len());
    }
    found
}

/// What an event that says something says: whether it is a message, its data and its own id.
type Said = (bool, String, Option<String>);

fn dispatched(found: &Found) -> Option<Said> {
    let Found::Event { id, message, endpoint, .. } = found else { panic!("text that is unreadable") };
    let message = message.as_ref().map(|data| (true, String::from_utf8_lossy(data).into_owned(), id.clone()));
    message.or_else(|| Some((false, endpoint.clone()?, id.clone())))
}

/// The standard's algorithm, line by line. The id is the block's own: who remembers the last one is the
/// reader of the events.
fn expected(text: &str) -> Vec<Said> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut said = Vec::new();
    let (mut data, mut kind, mut id) = (String::new(), "", None);
    let mut lines: Vec<_> = text.split('\n').collect();
    // What is not ended is not processed.
    lines.pop();
    for line in lines {
        if line.is_empty() {
            let data = std::mem::take(&mut data);
            let (kind, id) = (std::mem::take(&mut kind), id.take());
            if let Some(data) = data.strip_suffix('\n').filter(|data| !data.is_empty())
                && matches!(kind, "" | "message" | "endpoint")
            {
                said.push((kind != "endpoint", data.to_owned(), id));
            }
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data.extend([value, "\n"]),
            "event" => kind = value,
            "id" if !value.contains('\0') => id = Some(value.to_owned()),
            _ => {}
        }
    }
    said
}
