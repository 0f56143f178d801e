//! Changing an object within a frame: members are set and removed at byte offsets, and all that is
//! not named stays as it was written.
//!
//! This is the only place where the text of a frame is changed; what is changed is decided by
//! whoever stands between two revisions of MCP. A member that is named and stands there twice is
//! refused, as it is where a frame is read. Nothing is collected of an object but what is named, for
//! a member may take five bytes where its reference takes many more.

mod elements;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::head::{Decoded, decode_string};
pub use elements::{each_element, holds, map_elements, map_members, map_values, retain_elements};

/// A member that is to be read or changed stands there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the member `{0}` is repeated")]
pub struct Repeated(pub &'static str);

/// Changes to the members of one object, not made yet.
#[derive(Debug)]
pub struct Edit<'a> {
    object: &'a str,
    changes: Vec<Change<'a>>,
}

#[derive(Debug)]
struct Change<'a> {
    name: &'static str,
    /// The JSON text of the new value; `None` removes the member.
    value: Option<Cow<'a, str>>,
}

/// One member as it stands in its object's text.
struct Part<'a> {
    name: &'a [u8],
    /// From behind the brace or comma before it, to the comma or brace behind it.
    segment: Range<usize>,
    value: Range<usize>,
}

/// The JSON texts of the members `names`, each `None` where it is absent; all are where `object` is
/// none.
///
/// # Errors
/// [`Repeated`] where one stands there twice.
pub fn members<'a, const N: usize>(
    object: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a str>; N], Repeated> {
    let (mut found, mut repeated) = ([None; N], None);
    scan(object, |part| {
        if let Some(place) = names.iter().position(|name| name.as_bytes() == part.name)
            && found[place].replace(&object[part.value]).is_some()
        {
            repeated = Some(Repeated(names[place]));
        }
    });
    repeated.map_or(Ok(found), Err)
}

/// The JSON text of the member `name`; `None` where it is absent, or where `object` is none.
///
/// # Errors
/// As [`members`].
pub fn member<'a>(object: &'a str, name: &'static str) -> Result<Option<&'a str>, Repeated> {
    members(object, [name]).map(|[member]| member)
}

/// The same along a path of members.
///
/// # Errors
/// [`Repeated`] where a step stands there twice.
pub fn member_at<'a>(object: &'a str, path: &[&'static str]) -> Result<Option<&'a str>, Repeated> {
    let mut at = object;
    for step in path {
        match member(at, step)? {
            Some(value) => at = value,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Hands each member to `visit`: its name as it was written, with its quotes, and the JSON text of
/// its value. Names may repeat.
pub fn each_member<'a>(object: &'a str, mut visit: impl FnMut(&'a str, &'a str)) {
    scan(object, |part| {
        let before = object[part.segment.start..part.value.start].trim_ascii();
        let name = before.strip_suffix(':').unwrap_or(before).trim_ascii_end();
        visit(name, &object[part.value]);
    });
}

/// An empty object.
impl Default for Edit<'_> {
    fn default() -> Self {
        Self { object: "{}", changes: Vec::new() }
    }
}

impl<'a> Edit<'a> {
    /// Starts with an object's JSON text; a null counts as an empty object. `None` where it is no
    /// object.
    pub fn of(object: &'a str) -> Option<Self> {
        let object = if object == "null" { "{}" } else { object.trim_ascii() };
        object.starts_with('{').then(|| Self { object, changes: Vec::new() })
    }

    /// Gives the member `name` the JSON text `value`: in the place where it stands, or behind all
    /// others.
    pub fn set(&mut self, name: &'static str, value: impl Into<Cow<'a, str>>) -> &mut Self {
        self.change(Change { name, value: Some(value.into()) })
    }

    /// Removes the member `name`, if it is there.
    pub fn remove(&mut self, name: &'static str) -> &mut Self {
        self.change(Change { name, value: None })
    }

    /// The last change of a member is the one that is made.
    fn change(&mut self, change: Change<'a>) -> &mut Self {
        self.changes.retain(|earlier| earlier.name != change.name);
        self.changes.push(change);
        self
    }

    /// The object with the changes made; borrowed where there were none to make.
    ///
    /// # Errors
    /// [`Repeated`] where a member that is named stands there twice.
    pub fn finish(&self) -> Result<Cow<'a, str>, Repeated> {
        let object = self.object;
        if self.changes.is_empty() {
            return Ok(Cow::Borrowed(object));
        }
        let mut seen = vec![false; self.changes.len()];
        let (mut text, mut repeated) = (String::with_capacity(object.len() + self.grows_by()), None);
        let mut unchanged = true;
        text.push('{');
        scan(object, |part| {
            let place = self.changes.iter().position(|change| change.name.as_bytes() == part.name);
            let change = place.map(|place| {
                if std::mem::replace(&mut seen[place], true) {
                    repeated = Some(Repeated(self.changes[place].name));
                }
                unchanged = false;
                &self.changes[place]
            });
            if let Some(Change { value: None, .. }) = change {
                return;
            }
            if text.len() > 1 {
                text.push(',');
            }
            match change {
                Some(Change { value: Some(value), .. }) => {
                    text.push_str(&object[part.segment.start..part.value.start]);
                    text.push_str(value);
                    text.push_str(&object[part.value.end..part.segment.end]);
                }
                _ => text.push_str(&object[part.segment]),
            }
        });
        for (change, _) in self.changes.iter().zip(&seen).filter(|(_, seen)| !**seen) {
            if let Some(value) = &change.value {
                unchanged = false;
                let comma = if text.len() > 1 { "," } else { "" };
                text.push_str(&format!("{comma}{}:{value}", written(change.name)));
            }
        }
        text.push('}');
        match repeated {
            Some(repeated) => Err(repeated),
            None if unchanged => Ok(Cow::Borrowed(object)),
            None => Ok(Cow::Owned(text)),
        }
    }

    fn grows_by(&self) -> usize {
        let of =
            |change: &Change<'_>| change.name.len() + change.value.as_ref().map_or(0, |text| text.len()) + 8;
        self.changes.iter().map(of).sum()
    }
}

/// Where `part`, which is a part of `whole`, stands in it.
fn range_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// A text as a JSON string.
pub fn written(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The bytes that a JSON string's text stands for; `None` where it is no string.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    decode_string(text)
}

/// Hands each member of an object to `visit`; nothing where `object` is none.
fn scan(object: &str, visit: impl FnMut(Part<'_>)) {
    struct Parts<'a, F> {
        object: &'a str,
        visit: F,
    }

    impl<'de, F: FnMut(Part<'_>)> Visitor<'de> for Parts<'de, F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            let mut start = 1;
            while let Some(Decoded(name)) = map.next_key()? {
                let value = map.next_value::<&'de RawValue>()?.get();
                let value = range_in(self.object, value);
                let rest = &self.object[value.end..];
                let end = value.end + (rest.len() - rest.trim_ascii_start().len());
                (self.visit)(Part { name: &name, segment: start..end, value });
                start = end + 1;
            }
            Ok(())
        }
    }

    if object.starts_with('{') {
        // Whoever has an object's text has read it once: it is valid.
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let _valid = deserializer.deserialize_map(Parts { object, visit });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_change_and_all_else_stays() {
        for (object, name, value, expected) in [
            (r#"{"a":1,"b":2}"#, "a", Some("[3]"), r#"{"a":[3],"b":2}"#),
            (r#"{"a":1,"b":2}"#, "c", Some("3"), r#"{"a":1,"b":2,"c":3}"#),
            (r#"{"a":1,"b":2}"#, "a", None, r#"{"b":2}"#),
            (r#"{"a":1,"b":2}"#, "b", None, r#"{"a":1}"#),
            (r#"{"a":1}"#, "a", None, "{}"),
            ("{}", "a", Some("1"), r#"{"a":1}"#),
            ("{  }", "a", None, "{  }"),
            (r#"{"a":1}"#, "b", None, r#"{"a":1}"#),
            (r#"{ "a" : 1e400 , "b" : { "a" : 2 } }"#, "a", Some("7"), r#"{ "a" : 7 , "b" : { "a" : 2 } }"#),
            (r#"{ "a" : 1 , "b" : 2 , "c":3}"#, "b", None, r#"{ "a" : 1 , "c":3}"#),
            (r#"{"\u0061":1,"b":",}"}"#, "a", Some("2"), r#"{"\u0061":2,"b":",}"}"#),
            (r#"{"b":1,"b":2,"\ud800":3}"#, "a", Some("4"), r#"{"b":1,"b":2,"\ud800":3,"a":4}"#),
            (r#"{"b":{"a":1,"a":2}}"#, "a", Some("3"), r#"{"b":{"a":1,"a":2},"a":3}"#),
            ("null", "a", Some("1"), r#"{"a":1}"#),
        ] {
            let mut edit = Edit::of(object).unwrap();
            match value {
                Some(value) => edit.set(name, value),
                None => edit.remove(name),
            };
            assert_eq!(edit.finish().unwrap(), expected, "{object}");
        }
    }

    #[test]
    fn changes_are_made_together() {
        let mut edit = Edit::of(r#"{"a":1, "b":2, "c":3, "d":4}"#).unwrap();
        edit.remove("a").set("x", "9").remove("c").set("d", "null").remove("y");
        assert_eq!(edit.finish().unwrap(), r#"{ "b":2, "d":null,"x":9}"#);
        edit.set("x", "8").set("a", "7").remove("b");
        assert_eq!(edit.finish().unwrap(), r#"{"a":7, "d":null,"x":8}"#);
        assert!(matches!(Edit::of(r#"{"a":1}"#).unwrap().remove("b").finish(), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn what_is_no_object_is_not_edited() {
        for text in ["[]", "1", "\"{\"", "true"] {
            assert!(Edit::of(text).is_none(), "{text}");
            assert_eq!(member(text, "a"), Ok(None), "{text}");
        }
    }

    #[test]
    fn repeated_members_are_refused_where_they_are_named() {
        let object = r#"{"a":1,"b":2,"\u0061":3}"#;
        assert_eq!(Edit::of(object).unwrap().remove("a").finish(), Err(Repeated("a")));
        assert_eq!(Edit::of(object).unwrap().set("a", "1").finish(), Err(Repeated("a")));
        assert_eq!(member(object, "a"), Err(Repeated("a")));
        assert_eq!(member(object, "b"), Ok(Some("2")));
        assert_eq!(Edit::of(object).unwrap().remove("b").finish().unwrap(), r#"{"a":1,"\u0061":3}"#);
    }

    #[test]
    fn members_are_found_along_a_path_and_as_they_are_written() {
        let object = r#"{"params": {"_meta" : { "n" : 1.0 } , "list":[1]}}"#;
        assert_eq!(member_at(object, &["params", "_meta", "n"]), Ok(Some("1.0")));
        assert_eq!(member_at(object, &["params", "list", "n"]), Ok(None));
        assert_eq!(members(r#"{"a":1,"b":2,"c":3,"c":4}"#, ["b", "x"]), Ok([Some("2"), None]));
        assert_eq!(members(r#"{"a":1,"b":2,"c":3,"c":4}"#, ["b", "c"]), Err(Repeated("c")));
        assert_eq!(member_at(r#"{"a":{"b":1,"b":2}}"#, &["a", "b"]), Err(Repeated("b")));
        let mut members = Vec::new();
        each_member(r#"{ "\ud800" : [ 1 ],"a:":2}"#, |name, value| members.push((name, value)));
        assert_eq!(members, [(r#""\ud800""#, "[ 1 ]"), (r#""a:""#, "2")]);
    }

    #[test]
    fn deep_and_wide_objects_are_no_trouble() {
        let deep = format!(r#"{{"a":{}{},"b":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(member(&deep, "b"), Ok(Some("1")));
        let wide = format!(r#"{{{}"b":1}}"#, r#""":0,"#.repeat(100_000));
        let edited = Edit::of(&wide).unwrap().remove("b").finish().unwrap().into_owned();
        assert_eq!(edited.len(), wide.len() - r#","b":1"#.len());
    }
}
