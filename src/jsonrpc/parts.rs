//! The parts of objects and arrays, one after the other and as they were written.
//!
//! Nothing is collected, for an element may take two bytes where its reference takes sixteen. A
//! value of another kind has no parts.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::head::{Decoded, decode_string};

/// Hands each member of an object to `visit`: its name, decoded, and its value. Names may repeat.
pub fn each_member<'a>(object: &'a RawValue, visit: impl FnMut(&[u8], &'a RawValue)) {
    struct Members<'a, F>(F, PhantomData<&'a ()>);

    impl<'de, F: FnMut(&[u8], &'de RawValue)> Visitor<'de> for Members<'de, F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(Decoded(name)) = map.next_key()? {
                (self.0)(&name, map.next_value()?);
            }
            Ok(())
        }
    }

    if object.get().starts_with('{') {
        // A raw value has been read once: it is valid.
        let mut deserializer = serde_json::Deserializer::from_str(object.get());
        let _valid = deserializer.deserialize_map(Members(visit, PhantomData));
    }
}

/// Hands each element of an array to `visit`.
pub fn each_element<'a>(array: &'a RawValue, visit: impl FnMut(&'a RawValue)) {
    struct Elements<'a, F>(F, PhantomData<&'a ()>);

    impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<'de, F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
            while let Some(element) = sequence.next_element()? {
                (self.0)(element);
            }
            Ok(())
        }
    }

    if array.get().starts_with('[') {
        let mut deserializer = serde_json::Deserializer::from_str(array.get());
        let _valid = deserializer.deserialize_seq(Elements(visit, PhantomData));
    }
}

/// The member of an object with this name, the last where it repeats: so most parsers read it.
pub fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let mut found = None;
    each_member(object, |member, value| {
        if member == name.as_bytes() {
            found = Some(value);
        }
    });
    found
}

/// The text of a string, lone surrogates replaced; `None` where the value is no string.
pub fn text(value: &RawValue) -> Option<String> {
    let decoded = decode_string(value.get())?;
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn parts_are_handed_out_in_their_order_and_as_written() {
        let mut members = Vec::new();
        each_member(raw(r#"{ "a" : 1e400, "\u0062":[ ], "\ud800":{}, "a":"\ud800" }"#), |name, value| {
            members.push((name.to_vec(), value.get()));
        });
        let values: Vec<_> = members.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, ["1e400", "[ ]", "{}", r#""\ud800""#]);
        assert_eq!((&members[0].0[..], &members[1].0[..]), (&b"a"[..], &b"b"[..]));

        let mut elements = Vec::new();
        each_element(raw("[ 1.0 , {\"a\":1,\"a\":2},[ ]]"), |element| elements.push(element.get()));
        assert_eq!(elements, ["1.0", "{\"a\":1,\"a\":2}", "[ ]"]);
    }

    #[test]
    fn other_values_have_no_parts() {
        for text in ["1", "\"{\"", "null", "[]", "{}"] {
            each_member(raw(text), |name, _| panic!("{text} has {name:?}"));
            each_element(raw(text), |element| panic!("{text} has {element}"));
        }
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let object = raw(r#"{"a":1,"b":2,"a":3}"#);
        assert_eq!(member(object, "a").map(RawValue::get), Some("3"));
        assert!(member(object, "c").is_none());
        assert_eq!(text(raw(r#""caf\u00e9""#)).as_deref(), Some("café"));
        assert_eq!(text(raw("7")), None);
    }
}
