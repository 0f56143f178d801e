//! Edits at byte offsets: what is named changes, all other bytes stay, what was JSON is JSON again, and
//! a name that stands there twice is refused.

use std::borrow::Cow;

use mcp_front::jsonrpc::{edit, parts};
use serde_json::value::RawValue;

use super::json::{self, Part};

const NAMES: [&str; 4] = ["a", "b", "_meta", ""];
const VALUES: [&str; 4] = ["7", "[1, 2]", r#"{"a":1}"#, r#""\ud800""#];

/// What is done to the member of one name.
#[derive(Clone, Copy)]
enum Change {
    Set(&'static str),
    Remove,
}

/// The first byte says what is changed, the second to what; the others are the text.
pub fn check(data: &[u8]) {
    let &[what, how, ref rest @ ..] = data else { return };
    let Some(text) = json::valid(rest) else { return };
    let changes = NAMES.iter().enumerate().filter_map(|(place, name)| {
        let value = VALUES[usize::from(how >> (2 * place)) % VALUES.len()];
        let change = match (what >> (2 * place)) & 3 {
            0 => return None,
            1 => Change::Remove,
            _ => Change::Set(value),
        };
        Some((*name, change))
    });
    check_edit(text, &changes.collect::<Vec<_>>());
    check_reading(text);
    check_mapping(text, what);
    check_elements(text, what);
}

fn check_edit(text: &str, changes: &[(&'static str, Change)]) {
    let Some(mut editing) = edit::Edit::of(text) else {
        assert!(!text.starts_with('{') && text != "null");
        return;
    };
    let object = if text == "null" { "{}" } else { text };
    for (name, change) in changes {
        match change {
            Change::Set(value) => editing.set(name, *value),
            Change::Remove => editing.remove(name),
        };
    }
    let members = json::parts(object, b'{').expect("an object");
    let count =
        |name: &str| members.iter().filter(|part| name_of(object, part) == Some(name.to_owned())).count();
    let edited = editing.finish();
    if let Err(edit::Repeated(name)) = edited {
        assert!(count(name) > 1 && changes.iter().any(|(changed, _)| *changed == name));
        return;
    }
    assert!(changes.iter().all(|(name, _)| count(name) < 2), "a repeated member was edited");
    let edited = edited.expect("no member repeats");
    assert_eq!(edited, expected(object, &members, changes));
    assert_eq!(json::valid(edited.as_bytes()), Some(&*edited));
    for (name, change) in changes {
        let expected = match change {
            Change::Set(value) => Some(*value),
            Change::Remove => None,
        };
        assert_eq!(edit::member(&edited, name), Ok(expected));
    }
}

fn name_of(object: &str, part: &Part) -> Option<String> {
    json::decoded(&object[part.name.clone()])
}

/// The object with each change made where its member stands, or behind all others.
fn expected(object: &str, members: &[Part], changes: &[(&str, Change)]) -> String {
    let mut open: Vec<_> = changes.to_vec();
    let (mut kept, mut is_same) = (Vec::new(), true);
    for part in members {
        let name = name_of(object, part);
        let place = open.iter().position(|(changed, _)| name.as_deref() == Some(*changed));
        let segment = &object[part.segment.clone()];
        match place.map(|place| open.remove(place).1) {
            None => kept.push(segment.to_owned()),
            Some(change) => {
                is_same = false;
                let (before, behind) = (
                    &object[part.segment.start..part.value.start],
                    &object[part.value.end..part.segment.end],
                );
                if let Change::Set(value) = change {
                    kept.push(format!("{before}{value}{behind}"));
                }
            }
        }
    }
    for (name, change) in open {
        if let Change::Set(value) = change {
            is_same = false;
            kept.push(format!("\"{name}\":{value}"));
        }
    }
    if is_same { object.to_owned() } else { format!("{{{}}}", kept.join(",")) }
}

/// All readers find the same parts.
fn check_reading(text: &str) {
    let members = json::parts(text, b'{').unwrap_or_default();
    let written = members.iter().map(|part| (&text[part.name.clone()], &text[part.value.clone()]));
    let written: Vec<_> = written.collect();
    let mut found = Vec::new();
    edit::each_member(text, |name, value| found.push((name, value)));
    assert_eq!(found, written);
    let raw: &RawValue = serde_json::from_str(text).expect("it is valid");
    let mut at = 0;
    parts::each_member(raw, |name, value| {
        let (its_name, its_value) = written[at];
        assert_eq!(edit::decoded(its_name).as_deref(), Some(name));
        assert_eq!(value.get(), its_value);
        at += 1;
    });
    assert_eq!(at, written.len());
    for name in NAMES {
        let values = written.iter().filter(|(found, _)| json::decoded(found).as_deref() == Some(name));
        let values: Vec<_> = values.map(|(_, value)| *value).collect();
        assert_eq!(parts::member(raw, name).map(RawValue::get), values.last().copied());
        match edit::member(text, name) {
            Ok(value) => assert!(values.len() < 2 && values.first().copied() == value),
            Err(edit::Repeated(repeated)) => assert!(values.len() > 1 && repeated == name),
        }
        assert_eq!(edit::decoded(&edit::written(name)).as_deref(), Some(name.as_bytes()));
    }
}

/// What is replaced is an arbitrary part of all, and told by its length.
fn is_chosen(value: &str, what: u8) -> bool {
    value.len() % 3 == usize::from(what % 3)
}

fn check_mapping(text: &str, what: u8) {
    let change = |value: &str| is_chosen(value, what).then(|| "[9]".to_owned());
    for (opening, changed) in
        [(b'{', edit::map_values(text, change)), (b'[', edit::map_elements(text, change))]
    {
        let parts = json::parts(text, opening).unwrap_or_default();
        let mut expected = text.to_owned();
        for part in parts.iter().rev().filter(|part| is_chosen(&text[part.value.clone()], what)) {
            expected.replace_range(part.value.clone(), "[9]");
        }
        assert_eq!(changed, expected);
    }
}

fn check_elements(text: &str, what: u8) {
    let elements = json::parts(text, b'[').unwrap_or_default();
    let values = || elements.iter().map(|part| &text[part.value.clone()]);
    let retained = edit::retain_elements(text, |element| !is_chosen(element.get(), what));
    let mut left = Vec::new();
    edit::each_element(&retained, |element| left.push(element.get()));
    assert!(left.iter().copied().eq(values().filter(|value| !is_chosen(value, what))), "{retained}");
    assert_eq!(json::valid(retained.as_bytes()), Some(&*retained));
    if values().all(|value| !is_chosen(value, what)) {
        assert!(matches!(retained, Cow::Borrowed(same) if same == text));
    }
    let holds = values().any(|value| json::decoded(value).as_deref() == Some("a"));
    assert_eq!(edit::holds(text, "a"), holds);
}
