//! Values of any length in items of limited length.
//!
//! The head item says how its value is kept: in the head itself, or in parts, which are items of
//! their own named by a random stamp. Parts are written before the head that names them, so a
//! value is there whole or not at all; and every part that exists is named by the head item at any
//! time, so that none is ever left behind: Windows, where this matters, cannot list items by key.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credential::Generation;
use crate::store::StoreError;
use crate::store::items::{Bytes, ItemName, Items};

/// The newest layout that this version reads and writes.
const LAYOUT: u32 = 1;

/// No more room than this is made for a value before it is there.
const USUAL_BYTES: usize = 1 << 20;

/// A value with more parts than this is not ours.
const COUNT_LIMIT: usize = 1 << 10;

/// What a head may grow by while it stands: it comes to name its successor's parts.
const HEADROOM: usize = 128;

/// The first line of a head item; what follows the line is the value, where it is kept here.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    layout: u32,
    /// The item's own name: a head that was copied from another service's item is refused.
    item: String,
    body: Body,
    /// Parts that may exist and belong to no value any more, or not yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sweep: Vec<Parts>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// There is no value: one is being written for the first time, or erased.
    Nothing,
    Here,
    Parts(Parts),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parts {
    stamp: Generation,
    count: usize,
    bytes: usize,
}

/// An item as it was found.
pub(super) struct Found {
    head: Head,
    value: Option<Bytes>,
}

impl Found {
    /// No item at all.
    pub(super) fn nothing(name: &ItemName) -> Self {
        let head = Head { layout: LAYOUT, item: name.to_string(), body: Body::Nothing, sweep: Vec::new() };
        Self { head, value: None }
    }

    /// The value, if there is one.
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.value.as_ref().map(|value| value.as_slice())
    }
}

/// Reads an item whole.
///
/// # Errors
/// [`StoreError::Corrupt`] where it is not whole or not ours, [`StoreError::NewerSchema`] where
/// its layout is newer than this version.
pub(super) fn read(items: &dyn Items, name: &ItemName) -> Result<Found, StoreError> {
    let Some((head, rest)) = read_head(items, name)? else {
        return Ok(Found::nothing(name));
    };
    let value = match &head.body {
        Body::Nothing => None,
        Body::Here => Some(rest),
        Body::Parts(parts) => Some(gather(items, name, parts)?),
    };
    Ok(Found { head, value })
}

/// Replaces what was found by `value`. After a crash at any point the item holds one of the two.
pub(super) fn replace(
    items: &dyn Items,
    name: &ItemName,
    mut found: Found,
    value: &[u8],
) -> Result<(), StoreError> {
    for stale in std::mem::take(&mut found.head.sweep) {
        sweep(items, name, &stale)?;
    }
    let mut head = Found::nothing(name).head;
    let old = match &found.head.body {
        Body::Parts(parts) => Some(parts.clone()),
        Body::Nothing | Body::Here => None,
    };
    let fits = head_line(&head)?.len() + HEADROOM + value.len() <= items.limit();
    let rest = if fits {
        head.body = Body::Here;
        value
    } else {
        head.body = Body::Parts(scatter(items, name, found, value)?);
        &[]
    };
    head.sweep.extend(old.clone());
    put_head(items, name, &head, rest)?;
    old.map_or(Ok(()), |parts| sweep(items, name, &parts))
}

/// Erases an item with all its parts, and says whether it had a value.
pub(super) fn erase(items: &dyn Items, name: &ItemName) -> Result<bool, StoreError> {
    let mut head = match read_head(items, name) {
        Ok(Some((head, _))) => head,
        Ok(None) => return Ok(false),
        // What cannot be read can still be erased: the user asked for it.
        Err(StoreError::Corrupt { .. } | StoreError::Key(_)) => return items.erase(name),
        Err(error) => return Err(error),
    };
    let had_value = !matches!(head.body, Body::Nothing);
    if let Body::Parts(parts) = std::mem::replace(&mut head.body, Body::Nothing) {
        head.sweep.push(parts);
        put_head(items, name, &head, &[])?;
    }
    for parts in &head.sweep {
        sweep(items, name, parts)?;
    }
    items.erase(name)?;
    Ok(had_value)
}

fn read_head(items: &dyn Items, name: &ItemName) -> Result<Option<(Head, Bytes)>, StoreError> {
    let Some(bytes) = items.get(name)? else {
        return Ok(None);
    };
    // What the parser says may quote the value, so it is not passed on.
    let corrupt = |reason| corrupt(name, reason);
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| corrupt("it has no head line"))?;
    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
    let unreadable = |_| corrupt("its head line is not readable");
    let layout = serde_json::from_slice::<Layout>(line).map_err(unreadable)?.layout;
    if layout > LAYOUT {
        return Err(StoreError::NewerSchema { found: layout });
    }
    let head: Head = serde_json::from_slice(line).map_err(unreadable)?;
    if head.item != name.to_string() {
        return Err(corrupt("it is the value of another item"));
    }
    Ok(Some((head, Zeroizing::new(rest.to_vec()))))
}

/// What every layout has.
#[derive(Deserialize)]
struct Layout {
    layout: u32,
}

/// Puts a value together from its parts.
fn gather(items: &dyn Items, name: &ItemName, parts: &Parts) -> Result<Bytes, StoreError> {
    if parts.count > COUNT_LIMIT {
        return Err(corrupt(name, "it has too many parts"));
    }
    // Growing would leave copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(parts.bytes.min(USUAL_BYTES)));
    for number in 0..parts.count {
        let part = items.get(&name.part(parts.stamp.as_str(), number))?;
        value.extend_from_slice(&part.ok_or_else(|| corrupt(name, "a part is missing"))?);
    }
    if value.len() != parts.bytes {
        return Err(corrupt(name, "a part has another length"));
    }
    Ok(value)
}

/// Writes `value`'s parts, after the head that stands has been made to name them.
fn scatter(items: &dyn Items, name: &ItemName, found: Found, value: &[u8]) -> Result<Parts, StoreError> {
    let stamp = Generation::draw().map_err(|error| StoreError::platform("drawing a stamp", error))?;
    let length = items.limit();
    let parts = Parts { stamp, count: value.len().div_ceil(length), bytes: value.len() };
    let rest = if matches!(found.head.body, Body::Here) { found.value() } else { None };
    let standing = Head { sweep: vec![parts.clone()], ..found.head.clone() };
    put_head(items, name, &standing, rest.unwrap_or_default())?;
    for (number, part) in value.chunks(length).enumerate() {
        items.put(&name.part(parts.stamp.as_str(), number), part)?;
    }
    Ok(parts)
}

fn sweep(items: &dyn Items, name: &ItemName, parts: &Parts) -> Result<(), StoreError> {
    for number in 0..parts.count.min(COUNT_LIMIT) {
        items.erase(&name.part(parts.stamp.as_str(), number))?;
    }
    Ok(())
}

fn put_head(items: &dyn Items, name: &ItemName, head: &Head, rest: &[u8]) -> Result<(), StoreError> {
    let mut bytes = Zeroizing::new(head_line(head)?);
    bytes.reserve_exact(rest.len());
    bytes.extend_from_slice(rest);
    items.put(name, &bytes)
}

fn head_line(head: &Head) -> Result<Vec<u8>, StoreError> {
    let mut line =
        serde_json::to_vec(head).map_err(|error| StoreError::platform("writing a head line", error))?;
    line.push(b'\n');
    Ok(line)
}

fn corrupt(name: &ItemName, reason: &str) -> StoreError {
    StoreError::Corrupt { item: name.to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;
    use crate::server_uri::{ServerUri, ServiceKey};

    /// Items of limited length, where the platform dies after a number of writes.
    struct Short {
        held: RefCell<BTreeMap<String, Vec<u8>>>,
        limit: usize,
        writes_left: Cell<usize>,
    }

    impl Short {
        fn new(limit: usize) -> Self {
            Self { held: RefCell::default(), limit, writes_left: Cell::new(usize::MAX) }
        }

        fn write(&self) -> Result<(), StoreError> {
            let left = self.writes_left.get().checked_sub(1).ok_or(StoreError::Locked)?;
            self.writes_left.set(left);
            Ok(())
        }
    }

    impl Items for Short {
        fn get(&self, name: &ItemName) -> Result<Option<Bytes>, StoreError> {
            Ok(self.held.borrow().get(&name.to_string()).cloned().map(Zeroizing::new))
        }

        fn put(&self, name: &ItemName, value: &[u8]) -> Result<(), StoreError> {
            assert!(value.len() <= self.limit, "{} bytes", value.len());
            self.write()?;
            self.held.borrow_mut().insert(name.to_string(), value.to_vec());
            Ok(())
        }

        fn erase(&self, name: &ItemName) -> Result<bool, StoreError> {
            self.write()?;
            Ok(self.held.borrow_mut().remove(&name.to_string()).is_some())
        }

        fn limit(&self) -> usize {
            self.limit
        }
    }

    fn name() -> ItemName {
        let server = ServerUri::parse("https://mcp.example/", false).unwrap();
        ItemName::journal(&ServiceKey::new("default", &server))
    }

    fn value(byte: u8, length: usize) -> Vec<u8> {
        vec![byte; length]
    }

    fn save(items: &Short, value: &[u8]) -> Result<(), StoreError> {
        let found = read(items, &name())?;
        replace(items, &name(), found, value)
    }

    /// Lengths around every boundary of items that hold 600 bytes.
    const LENGTHS: [usize; 9] = [0, 1, 300, 330, 599, 600, 601, 1_200, 10_000];

    #[test]
    fn values_of_any_length_replace_each_other_and_leave_nothing() {
        let items = Short::new(600);
        for old in LENGTHS {
            for new in LENGTHS {
                save(&items, &value(b'o', old)).unwrap();
                save(&items, &value(b'n', new)).unwrap();
                assert_eq!(read(&items, &name()).unwrap().value(), Some(&*value(b'n', new)));
                assert!(items.held.borrow().len() <= 1 + new.div_ceil(600), "{old} then {new}");
                assert!(erase(&items, &name()).unwrap());
                assert!(!erase(&items, &name()).unwrap());
                assert!(items.held.borrow().is_empty());
            }
        }
    }

    #[test]
    fn a_crash_at_any_write_leaves_the_old_value_or_the_new_and_can_be_swept() {
        for old in LENGTHS {
            for new in LENGTHS {
                for writes in 0.. {
                    let items = Short::new(600);
                    save(&items, &value(b'o', old)).unwrap();
                    items.writes_left.set(writes);
                    let done = save(&items, &value(b'n', new)).is_ok();
                    items.writes_left.set(usize::MAX);
                    let found = read(&items, &name()).unwrap().value().map(<[u8]>::to_vec);
                    let is_new = found == Some(value(b'n', new));
                    assert!(is_new || (!done && found == Some(value(b'o', old))), "{old}, {new}, {writes}");
                    if writes % 2 == 0 {
                        save(&items, b"third").unwrap();
                        assert_eq!(items.held.borrow().len(), 1, "{old}, {new}, {writes}");
                    } else {
                        erase(&items, &name()).unwrap();
                        assert!(items.held.borrow().is_empty(), "{old}, {new}, {writes}");
                    }
                    if done {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_crash_while_erasing_can_be_finished() {
        for length in LENGTHS {
            for writes in 0.. {
                let items = Short::new(600);
                save(&items, &value(b'o', length)).unwrap();
                items.writes_left.set(writes);
                let done = erase(&items, &name()).is_ok();
                items.writes_left.set(usize::MAX);
                // Either still there, or gone; never damaged.
                read(&items, &name()).unwrap();
                erase(&items, &name()).unwrap();
                assert!(items.held.borrow().is_empty(), "{length}, {writes}");
                if done {
                    break;
                }
            }
        }
    }

    #[test]
    fn damage_is_told_and_newer_layouts_are_refused() {
        let head = |text: &str| text.replace("NAME", &name().to_string()).into_bytes();
        let parts = r#"{"layout":1,"item":"NAME","body":{"parts":{"stamp":"00112233445566778899aabbccddeeff","count":COUNT,"bytes":5}}}"#;
        for damaged in [
            Vec::new(),
            b"no head line".to_vec(),
            b"{}\n".to_vec(),
            head("{\"layout\":1,\"item\":\"NAME\"}\n"),
            head("{\"layout\":1,\"item\":\"another\",\"body\":\"here\"}\nvalue"),
            head(&format!("{}\n", parts.replace("COUNT", "1"))),
            head(&format!("{}\n", parts.replace("COUNT", "99999999"))),
        ] {
            let items = Short::new(600);
            items.held.borrow_mut().insert(name().to_string(), damaged.clone());
            assert!(matches!(read(&items, &name()), Err(StoreError::Corrupt { .. })), "{damaged:?}");
            erase(&items, &name()).unwrap();
            assert!(items.held.borrow().is_empty());
        }
        let items = Short::new(600);
        items.held.borrow_mut().insert(name().to_string(), b"{\"layout\":2,\"new\":true}\nx".to_vec());
        assert!(matches!(read(&items, &name()), Err(StoreError::NewerSchema { found: 2 })));
        assert!(erase(&items, &name()).is_err());
        assert_eq!(items.held.borrow().len(), 1);
    }
}
