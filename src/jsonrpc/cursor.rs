//! Reading a JSON text part by part, each byte a bounded number of times however deep it nests: to read
//! each part as a value of its own reads what lies within it again at every level.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::head::decode_string;

/// A place in a text.
#[derive(Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a value.
    pub fn new(value: &'a RawValue) -> Self {
        Self { text: value.get(), at: 0 }
    }

    /// Goes into the object or array that begins here with this bracket; false where none does.
    pub fn enter(&mut self, bracket: u8) -> bool {
        let enters = self.peek() == Some(bracket);
        self.at += usize::from(enters);
        enters
    }

    /// Whether another part follows in what was entered last; where none does, that is left.
    pub fn has_next(&mut self) -> bool {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(b'}' | b']') => {
                self.at += 1;
                return false;
            }
            next => return next.is_some(),
        }
        true
    }

    /// Takes the name of a member, decoded.
    pub fn name(&mut self) -> Option<Vec<u8>> {
        let name = self.value()?;
        self.at += usize::from(self.peek() == Some(b':'));
        decode_string(name.get())
    }

    /// Takes a whole value; `None` where the text is no JSON, and is left.
    pub fn value(&mut self) -> Option<&'a RawValue> {
        self.peek();
        let mut rest = serde_json::Deserializer::from_str(self.text.get(self.at..)?);
        let value = <&RawValue>::deserialize(&mut rest).ok();
        self.at = value.map_or(self.text.len(), |value| self.at + value.get().len());
        value
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_one_after_the_other() {
        let text = r#"{ "a" : [ 1e400 , {"x":[ ]} , "\ud800" ] ,"\u0062":{}, "c": "}" }"#;
        let mut cursor = Cursor::new(serde_json::from_str(text).unwrap());
        let value = |cursor: &mut Cursor<'_>| cursor.value().unwrap().get().to_owned();
        assert!(!cursor.enter(b'[') && cursor.enter(b'{'));
        assert!(cursor.has_next());
        assert_eq!(cursor.name().as_deref(), Some(&b"a"[..]));
        assert!(cursor.enter(b'['));
        for expected in ["1e400", r#"{"x":[ ]}"#, r#""\ud800""#] {
            assert!(cursor.has_next());
            assert_eq!(value(&mut cursor), expected);
        }
        assert!(!cursor.has_next() && cursor.has_next());
        assert_eq!(cursor.name().as_deref(), Some(&b"b"[..]));
        assert!(cursor.enter(b'{') && !cursor.has_next() && cursor.has_next());
        assert_eq!(cursor.name().as_deref(), Some(&b"c"[..]));
        assert_eq!(value(&mut cursor), r#""}""#);
        assert!(!cursor.has_next() && !cursor.has_next());
        assert!(cursor.value().is_none());
    }
}
