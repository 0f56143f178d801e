//! The elements of an array and the values of an object, one after the other: some are replaced or cut
//! out, and all else stays as it was written.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::{decoded, range_in, scan};
use crate::jsonrpc::parts;

/// Hands each element of an array to `visit`, as it was written; nothing where `array` is none.
pub fn each_element<'a>(array: &'a str, visit: impl FnMut(&'a RawValue)) {
    if let Ok(raw) = serde_json::from_str(array) {
        parts::each_element(raw, visit);
    }
}

/// Whether an array of strings holds this one.
pub fn holds(array: &str, text: &str) -> bool {
    let mut found = false;
    each_element(array, |element| {
        found = found || decoded(element.get()).as_deref() == Some(text.as_bytes());
    });
    found
}

/// An array with each element as `change` wants it; `None` leaves one as it is. Borrowed where all
/// stay, and where `array` is none.
pub fn map_elements<'a>(array: &'a str, mut change: impl FnMut(&'a str) -> Option<String>) -> Cow<'a, str> {
    let mut splices = Splices::of(array);
    each_element(array, |element| {
        if let Some(changed) = change(element.get()) {
            splices.replace(range_in(array, element.get()), &changed);
        }
    });
    splices.finish()
}

/// An array without the elements that are not to be kept. Each is cut with the comma before it, or,
/// where nothing before it stays, with the one behind it. Borrowed where all stay, and where `array`
/// is none.
pub fn retain_elements<'a>(array: &'a str, mut keep: impl FnMut(&'a RawValue) -> bool) -> Cow<'a, str> {
    let mut splices = Splices::of(array);
    // Where the elements that lead the array, and go, begin; where the last one of all ends.
    let (mut leading, mut has_kept, mut end) = (None, false, 0);
    each_element(array, |element| {
        let place = range_in(array, element.get());
        if keep(element) {
            has_kept = true;
            if let Some(start) = leading.take() {
                splices.replace(start..place.start, "");
            }
        } else if has_kept {
            splices.replace(end..place.end, "");
        } else {
            leading.get_or_insert(place.start);
        }
        end = place.end;
    });
    if let Some(start) = leading {
        splices.replace(start..end, "");
    }
    splices.finish()
}

/// An object with the value of each member as `change` wants it, which gets its name, decoded, too;
/// `None` leaves one as it is. Borrowed where all stay, and where `object` is none.
pub fn map_members<'a>(
    object: &'a str,
    mut change: impl FnMut(&[u8], &'a str) -> Option<String>,
) -> Cow<'a, str> {
    let mut splices = Splices::of(object);
    scan(object, |part| {
        if let Some(changed) = change(part.name, &object[part.value.clone()]) {
            splices.replace(part.value, &changed);
        }
    });
    splices.finish()
}

/// The same, whatever the names.
pub fn map_values<'a>(object: &'a str, mut change: impl FnMut(&'a str) -> Option<String>) -> Cow<'a, str> {
    map_members(object, |_, value| change(value))
}

/// A text with parts of it replaced, from its start to its end.
struct Splices<'a> {
    text: &'a str,
    spliced: String,
    copied: usize,
}

impl<'a> Splices<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, spliced: String::new(), copied: 0 }
    }

    fn replace(&mut self, range: Range<usize>, with: &str) {
        self.spliced.push_str(&self.text[self.copied..range.start]);
        self.spliced.push_str(with);
        self.copied = range.end;
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.spliced.push_str(&self.text[self.copied..]);
        Cow::Owned(self.spliced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_values_change_in_their_places() {
        let twos = |text: &str| (text == "2").then(|| "[9]".to_owned());
        for (array, expected) in [
            ("[1,2,3]", "[1,[9],3]"),
            ("[ 2 , 2 ]", "[ [9] , [9] ]"),
            ("[{\"2\":2}]", "[{\"2\":2}]"),
            ("[]", "[]"),
            ("2", "2"),
        ] {
            assert_eq!(map_elements(array, twos), expected);
        }
        for (object, expected) in
            [(r#"{"a": 2 ,"a":2,"b":[2]}"#, r#"{"a": [9] ,"a":[9],"b":[2]}"#), ("{}", "{}"), ("2", "2")]
        {
            assert_eq!(map_values(object, twos), expected);
        }
    }

    #[test]
    fn elements_are_cut_with_one_comma_each() {
        for (array, left) in [
            ("[1]", "[1]"),
            ("[ 0 ]", "[  ]"),
            ("[0, 0 , 0]", "[]"),
            ("[0 , 1]", "[1]"),
            ("[0,0 ,\t1]", "[1]"),
            ("[1 , 0 ]", "[1 ]"),
            ("[1 , 0,0 , 2]", "[1 , 2]"),
            ("[0, 1 , 0,\t2,0]", "[1,\t2]"),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            assert_eq!(retain_elements(array, |element| element.get() != "0"), left, "{array}");
        }
        assert!(matches!(retain_elements("[1 ,2]", |_| true), Cow::Borrowed("[1 ,2]")));
    }

    #[test]
    fn members_change_by_their_names_and_strings_are_found() {
        let named = |name: &[u8], value: &str| (name == b"a").then(|| format!("[{value}]"));
        let object = r#"{"b":1, "\u0061": 2 ,"a":3}"#;
        assert_eq!(map_members(object, named), r#"{"b":1, "\u0061": [2] ,"a":[3]}"#);
        for (array, found) in
            [(r#"["b","\u0061"]"#, true), (r#"["b",1,["a"]]"#, false), ("[]", false), (r#""a""#, false)]
        {
            assert_eq!(holds(array, "a"), found, "{array}");
        }
    }
}
