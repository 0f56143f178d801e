//! What answers to `tools/list` taught: the annotations of each tool, page by page. Tools whose
//! annotations break a rule are cut out of the answer; all else in it stays to the byte.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::annotations::{self, Annotation};
use crate::jsonrpc::parts;
use crate::redact::printable;

/// How many tools with annotations are remembered; of further ones the server refuses the calls
/// that want headers.
const TOOLS_MOST: usize = 10_000;

/// What is known of the server's tools.
#[derive(Default)]
pub(super) struct Tools(Mutex<Known>);

#[derive(Default)]
struct Known {
    annotated: HashMap<String, Arc<[Annotation]>>,
    /// How often the server has said that its list changed.
    changes: u64,
    /// The changes that the last whole list knew of.
    listed: u64,
}

/// The state of the list when a request for it went out.
#[derive(Debug, Clone, Copy)]
pub(in crate::relay) struct Asked(u64);

impl Tools {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The annotated parameters of a tool; `None` where it has none, or none is known.
    pub(super) fn annotations(&self, tool: &str) -> Option<Arc<[Annotation]>> {
        self.known().annotated.get(tool).cloned()
    }

    /// The server said that its list changed.
    pub(super) fn changed(&self) {
        self.known().changes += 1;
    }

    /// Whether annotations are known that may not hold any more.
    pub(super) fn is_stale(&self) -> bool {
        let known = self.known();
        known.listed != known.changes && !known.annotated.is_empty()
    }

    /// To be asked when a request for the list goes out, for [`learn`](Self::learn).
    pub(super) fn ask(&self) -> Asked {
        Asked(self.known().changes)
    }

    /// Learns from the answer to `tools/list`, and gives it without the tools that are refused. A
    /// page adds to what the pages before it said.
    pub(super) fn learn(&self, frame: Bytes, asked: Asked) -> Bytes {
        let mut known = self.known();
        // Most lists hold nothing to learn, and are not read.
        if known.annotated.is_empty() && !annotations::may_mention(&frame) {
            return frame;
        }
        let Some(result) = result(&frame) else { return frame };
        let mut cuts = Vec::new();
        parts::each_member(result, |name, tools| {
            if name == b"tools" {
                known.read(&frame, tools, &mut cuts);
            }
        });
        if next_cursor(&frame).is_none() {
            known.listed = known.listed.max(asked.0);
        }
        without(frame, &cuts)
    }
}

/// What asks for the next page behind the one in this frame, as it was written.
pub(super) fn next_cursor(frame: &Bytes) -> Option<&str> {
    let cursor = parts::member(result(frame)?, "nextCursor")?.get();
    (cursor != "null").then_some(cursor)
}

impl Known {
    /// Reads one array of tools, and finds what of it is to be cut out of the frame.
    fn read(&mut self, frame: &Bytes, tools: &RawValue, cuts: &mut Vec<Range<usize>>) {
        let mut previous: Option<(Range<usize>, bool)> = None;
        let mut leading: Option<usize> = None;
        parts::each_element(tools, |tool| {
            let place = place(frame, tool);
            let is_kept = self.keep(tool);
            // A tool is cut with the comma before it, or, where nothing before it stays, with the
            // one behind it.
            match (&previous, is_kept) {
                (Some((before, _)), false) if leading.is_none() => cuts.push(before.end..place.end),
                (None, false) => leading = Some(place.start),
                (_, true) => {
                    if let Some(start) = leading.take() {
                        cuts.push(start..place.start);
                    }
                }
                _ => {}
            }
            previous = Some((place, is_kept));
        });
        if let (Some(start), Some((last, _))) = (leading, previous) {
            cuts.push(start..last.end);
        }
    }

    /// Remembers a tool's annotations; false where they break a rule.
    fn keep(&mut self, tool: &RawValue) -> bool {
        let name = || parts::member(tool, "name").and_then(parts::text);
        let found = match annotations::of_tool(tool) {
            Ok(found) => found,
            Err(reason) => {
                let tool = printable(&name().unwrap_or_default());
                tracing::warn!(tool, reason, "a tool of the server's is left out");
                return false;
            }
        };
        if found.is_empty() && self.annotated.is_empty() {
            return true;
        }
        if let Some(name) = name() {
            match found.is_empty() {
                true => drop(self.annotated.remove(&name)),
                false if self.annotated.len() < TOOLS_MOST || self.annotated.contains_key(&name) => {
                    self.annotated.insert(name, found.into());
                }
                false => tracing::debug!("too many tools with annotations"),
            }
        }
        true
    }
}

fn result(frame: &Bytes) -> Option<&RawValue> {
    parts::member(serde_json::from_slice(frame).ok()?, "result")
}

/// Where in the frame a part of it stands.
fn place(frame: &Bytes, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr() as usize - frame.as_ptr() as usize;
    start..start + part.get().len()
}

/// The frame without what is cut, in the order of the cuts.
fn without(frame: Bytes, cuts: &[Range<usize>]) -> Bytes {
    if cuts.is_empty() {
        return frame;
    }
    let mut rest = BytesMut::with_capacity(frame.len());
    let mut from = 0;
    for cut in cuts {
        rest.extend_from_slice(&frame[from..cut.start]);
        from = cut.end;
    }
    rest.extend_from_slice(&frame[from..]);
    rest.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tool that stays, and one that goes.
    const GOOD: &str = r#"{ "name":"good", "inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}, "n":1e400 }"#;
    const PLAIN: &str = r#"{"inputSchema":{},"name":"plain"}"#;
    const BAD: &str =
        r#"{"name":"bad","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}"#;

    fn answer(tools: &str, rest: &str) -> Bytes {
        format!(r#"{{"id":1.0, "result" : {{"tools":{tools}{rest}}}, "jsonrpc":"2.0","x":1,"x":2}}"#).into()
    }

    fn learn(tools: &Tools, frame: Bytes) -> Bytes {
        tools.learn(frame, tools.ask())
    }

    #[test]
    fn tools_that_break_a_rule_are_cut_out_and_all_else_stays() {
        for (given, left) in [
            (format!("[{GOOD}]"), format!("[{GOOD}]")),
            (format!("[ {BAD} ]"), "[  ]".to_owned()),
            (format!("[{BAD}, {BAD} , {BAD}]"), "[]".to_owned()),
            (format!("[{BAD} , {GOOD}]"), format!("[{GOOD}]")),
            (format!("[{BAD},{BAD} ,\t{GOOD}]"), format!("[{GOOD}]")),
            (format!("[{GOOD} , {BAD} ]"), format!("[{GOOD} ]")),
            (format!("[{GOOD} , {BAD},{BAD} , {PLAIN}]"), format!("[{GOOD} , {PLAIN}]")),
            (format!("[{BAD}, {GOOD} , {BAD},\t{PLAIN},{BAD}]"), format!("[{GOOD},\t{PLAIN}]")),
            ("[1 ,null]".to_owned(), "[1 ,null]".to_owned()),
            ("{}".to_owned(), "{}".to_owned()),
        ] {
            for rest in ["", r#" , "nextCursor":"\u0041"  "#, r#","tools":[]"#] {
                let page = learn(&Tools::default(), answer(&given, rest));
                assert_eq!(page, answer(&left, rest));
                assert_eq!(next_cursor(&page), rest.contains("next").then_some(r#""\u0041""#));
            }
        }
        let doubled = format!(r#","tools":[{BAD},{GOOD}]"#);
        let page = learn(&Tools::default(), answer(&format!("[{BAD}]"), &doubled));
        assert_eq!(page, answer("[]", &format!(r#","tools":[{GOOD}]"#)));
    }

    #[test]
    fn what_is_no_list_stays_as_it_is() {
        for frame in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x-mcp-header"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":["x-mcp-header"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":null,"nextCursor":null,"x":"x-mcp-header"}}"#,
        ] {
            let page = learn(&Tools::default(), Bytes::from_static(frame.as_bytes()));
            assert_eq!((&page[..], next_cursor(&page)), (frame.as_bytes(), None));
        }
    }

    #[test]
    fn pages_add_up_and_a_tool_can_lose_its_annotations() {
        let tools = Tools::default();
        learn(&tools, answer(&format!("[{GOOD}]"), r#","nextCursor":"2""#));
        let other = GOOD.replace("good", "other").replace("\"A\"", "\"B\"");
        learn(&tools, answer(&format!("[{other},{PLAIN}]"), ""));
        let header = |tool: &str| tools.annotations(tool).map(|found| found[0].header.clone());
        assert_eq!(header("good").as_deref(), Some("A"));
        assert_eq!(header("other").as_deref(), Some("B"));
        assert_eq!(header("plain"), None);
        learn(&tools, answer(r#"[{"name":"good"}]"#, ""));
        assert_eq!((header("good"), header("other").as_deref()), (None, Some("B")));
    }

    #[test]
    fn a_change_makes_stale_until_a_whole_list_that_was_asked_for_later() {
        let tools = Tools::default();
        tools.changed();
        assert!(!tools.is_stale(), "nothing is known");
        learn(&tools, answer(&format!("[{GOOD}]"), ""));
        assert!(!tools.is_stale());
        let before = tools.ask();
        tools.changed();
        tools.learn(answer(&format!("[{GOOD}]"), ""), before);
        assert!(tools.is_stale(), "it was asked for before the change");
        learn(&tools, answer(&format!("[{GOOD}]"), r#","nextCursor":1"#));
        assert!(tools.is_stale(), "there is more");
        learn(&tools, answer("[]", ""));
        assert!(!tools.is_stale());
    }
}
