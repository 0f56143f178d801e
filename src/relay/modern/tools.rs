//! What answers to `tools/list` taught: the annotations of each tool, page by page. Tools whose
//! annotations break a rule are cut out of the answer; all else in it stays to the byte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::annotations::{self, Annotation};
use crate::jsonrpc::{Message, edit, parts};

/// How much is remembered of tools with annotations, in bytes; of further ones the server refuses
/// the calls that want headers.
const SIZE_MOST: usize = 16 * 1024 * 1024;
/// What an annotation takes beside its texts, about.
const OVERHEAD: usize = 128;

/// What is known of the server's tools.
#[derive(Default)]
pub(super) struct Tools(Mutex<Known>);

#[derive(Default)]
struct Known {
    annotated: HashMap<String, Arc<[Annotation]>>,
    /// How much these take.
    size: usize,
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

    /// The list was asked for by us, and came or not. It is not asked for again before every call: where
    /// headers do not fit, the server says so.
    pub(super) fn tried(&self, asked: Asked) {
        let mut known = self.known();
        known.listed = known.listed.max(asked.0);
    }

    /// Learns from the answer to `tools/list`, and gives it without the tools that are refused. A
    /// page adds to what the pages before it said. `shown` makes a name that the server chose safe to print.
    pub(super) fn learn(&self, answer: Message, asked: Asked, shown: impl Fn(&str) -> String) -> Bytes {
        let mut known = self.known();
        // Most lists hold nothing to learn, and are not read.
        if known.annotated.is_empty() && !annotations::may_mention(answer.bytes()) {
            return answer.into_bytes();
        }
        let left = edit::map_members(answer.text(), |name, result| {
            (name == b"result").then(|| known.read(result, &shown)).flatten()
        });
        let is_last = next_cursor(&answer).is_none();
        let left = changed(left);
        drop(known);
        if is_last {
            self.tried(asked);
        }
        left.map_or_else(|| answer.into_bytes(), Bytes::from)
    }
}

/// What asks for the next page behind the one in this answer, as it was written.
pub(super) fn next_cursor(answer: &Message) -> Option<&str> {
    let cursor = edit::member_at(answer.text(), &["result", "nextCursor"]).ok()??;
    (cursor != "null").then_some(cursor)
}

impl Known {
    /// Reads one page; gives it without the tools that are refused, where there are any.
    fn read(&mut self, result: &str, shown: &impl Fn(&str) -> String) -> Option<String> {
        let left = edit::map_members(result, |name, tools| match name {
            b"tools" => changed(edit::retain_elements(tools, |tool| self.keep(tool, shown))),
            _ => None,
        });
        changed(left)
    }

    /// Remembers a tool's annotations; false where they break a rule.
    fn keep(&mut self, tool: &RawValue, shown: &impl Fn(&str) -> String) -> bool {
        let name = || parts::member(tool, "name").and_then(parts::text);
        let found = match annotations::of_tool(tool) {
            Ok(found) => found,
            Err(reason) => {
                let tool = shown(&name().unwrap_or_default());
                tracing::warn!(tool, reason, "a tool of the server's is left out");
                return false;
            }
        };
        let may_be_known = !found.is_empty() || !self.annotated.is_empty();
        if may_be_known && let Some(name) = name() {
            self.remember(name, found);
        }
        true
    }

    fn remember(&mut self, name: String, found: Vec<Annotation>) {
        if let Some(former) = self.annotated.remove(&name) {
            self.size -= size(&name, &former);
        }
        let size = size(&name, &found);
        if found.is_empty() {
            return;
        }
        if self.size + size > SIZE_MOST {
            return tracing::debug!("too many tools with annotations");
        }
        self.size += size;
        self.annotated.insert(name, found.into());
    }
}

/// How much the annotations of a tool take, about.
fn size(tool: &str, annotations: &[Annotation]) -> usize {
    let takes = |one: &Annotation| OVERHEAD * (1 + one.path.len()) + one.length();
    tool.len() + annotations.iter().map(takes).sum::<usize>()
}

fn changed(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Owned(text) => Some(text),
        Cow::Borrowed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tool that stays, and one that goes.
    const GOOD: &str = r#"{ "name":"good", "inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}, "n":1e400 }"#;
    const PLAIN: &str = r#"{"inputSchema":{},"name":"plain"}"#;
    const BAD: &str =
        r#"{"name":"bad","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}"#;

    fn answer(tools: &str, rest: &str) -> Message {
        message(&format!(
            r#"{{"id":1.0, "result" : {{"tools":{tools}{rest}}}, "jsonrpc":"2.0","x":1,"x":2}}"#
        ))
    }

    fn message(frame: &str) -> Message {
        Message::parse(frame.to_owned().into()).unwrap()
    }

    fn learn(tools: &Tools, answer: Message) -> Bytes {
        tools.learn(answer, tools.ask(), str::to_owned)
    }

    #[test]
    fn tools_that_break_a_rule_are_cut_out_and_all_else_stays() {
        for (given, left) in [
            (format!("[{GOOD}]"), format!("[{GOOD}]")),
            (format!("[ {BAD} ]"), "[  ]".to_owned()),
            (format!("[{BAD}, {GOOD} , {BAD},\t{PLAIN},{BAD}]"), format!("[{GOOD},\t{PLAIN}]")),
            ("[1 ,null]".to_owned(), "[1 ,null]".to_owned()),
            ("{}".to_owned(), "{}".to_owned()),
        ] {
            for rest in ["", r#" , "nextCursor":"\u0041"  "#, r#","tools":[]"#] {
                let page = learn(&Tools::default(), answer(&given, rest));
                assert_eq!(page, answer(&left, rest).bytes());
                let page = message(std::str::from_utf8(&page).unwrap());
                assert_eq!(next_cursor(&page), rest.contains("next").then_some(r#""\u0041""#));
            }
        }
        let doubled = format!(r#","tools":[{BAD},{GOOD}]"#);
        let page = learn(&Tools::default(), answer(&format!("[{BAD}]"), &doubled));
        assert_eq!(page, answer("[]", &format!(r#","tools":[{GOOD}]"#)).bytes());
    }

    #[test]
    fn what_is_no_list_stays_as_it_is() {
        for frame in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x-mcp-header"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":["x-mcp-header"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":null,"nextCursor":null,"x":"x-mcp-header"}}"#,
        ] {
            assert_eq!(next_cursor(&message(frame)), None);
            assert_eq!(learn(&Tools::default(), message(frame)), frame);
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
    fn what_is_remembered_is_bounded_and_what_is_forgotten_makes_room() {
        let tools = Tools::default();
        let annotated = GOOD.replace("\"a\"", &format!("\"{}\"", "a".repeat(4000)));
        let page = |from: usize, tool: &str| {
            let tools = (from..from + 5000).map(|number| tool.replace("good", &number.to_string()));
            answer(&format!("[{}]", tools.collect::<Vec<_>>().join(",")), "")
        };
        learn(&tools, page(0, &annotated));
        assert!(tools.known().size <= SIZE_MOST && tools.annotations("4999").is_none());
        learn(&tools, page(0, r#"{"name":"good"}"#));
        assert_eq!(tools.known().size, 0);
        learn(&tools, page(4000, &annotated));
        assert!(tools.annotations("4999").is_some());
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
        tools.learn(answer(&format!("[{GOOD}]"), ""), before, str::to_owned);
        assert!(tools.is_stale(), "it was asked for before the change");
        learn(&tools, answer(&format!("[{GOOD}]"), r#","nextCursor":1"#));
        assert!(tools.is_stale(), "there is more");
        learn(&tools, answer("[]", ""));
        assert!(!tools.is_stale());
        tools.changed();
        tools.tried(before);
        assert!(tools.is_stale(), "that was before the change");
        tools.tried(tools.ask());
        assert!(!tools.is_stale(), "it was asked for, and did not come");
    }
}
