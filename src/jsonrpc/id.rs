//! Request ids, which keep their type and their spelling.

use std::hash::{Hash, Hasher};

use serde_json::value::RawValue;

/// The id of a request: as it was written, and as it is compared.
///
/// Two ids are equal where their type and value are: `"1"` is not `1`, but `1.0` is, as is
/// `"\u0031"` for `"1"`; integers of any length stay apart.
#[derive(Debug, Clone)]
pub enum Id {
    /// `null`: MCP forbids it in requests, JSON-RPC uses it in answers to unreadable ones.
    Null,
    /// A number of any size.
    Number {
        /// The text as it was written.
        written: String,
        /// Sign, digits and exponent without superfluous zeros.
        value: String,
    },
    /// A string.
    String {
        /// The text as it was written, with its quotes and escapes.
        written: String,
        /// The decoded bytes; lone surrogates stay as they are.
        value: Vec<u8>,
    },
}

impl Id {
    /// Reads an id; `None` where the value is an array, an object or a boolean.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        let written = raw.get();
        match written.as_bytes().first()? {
            b'n' => Some(Self::Null),
            b'"' => {
                let value = super::head::decode_string(written)?;
                Some(Self::String { written: written.to_owned(), value })
            }
            b'-' | b'0'..=b'9' => {
                Some(Self::Number { written: written.to_owned(), value: canonical_number(written) })
            }
            _ => None,
        }
    }

    /// An id of our own.
    pub fn of_text(text: &str) -> Self {
        Self::String { written: super::edit::written(text), value: text.as_bytes().to_vec() }
    }

    /// The id's JSON text, as it was written.
    pub fn as_json(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Number { written, .. } | Self::String { written, .. } => written,
        }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Number { value: one, .. }, Self::Number { value: two, .. }) => one == two,
            (Self::String { value: one, .. }, Self::String { value: two, .. }) => one == two,
            _ => false,
        }
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Null => 0.hash(state),
            Self::Number { value, .. } => (1, value).hash(state),
            Self::String { value, .. } => (2, value).hash(state),
        }
    }
}

/// Brings a JSON number into one form for each value: sign, digits without outer zeros, exponent.
/// An exponent beyond 64 bits leaves the number as it was written.
fn canonical_number(written: &str) -> String {
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let Ok(exponent) = exponent.parse::<i64>() else { return written.to_owned() };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let shift = i64::try_from(trailing).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    match exponent.checked_add(shift) {
        Some(exponent) => format!("{sign}{significant}e{exponent}"),
        None => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        Id::read(serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn ids_are_equal_where_type_and_value_are() {
        for (one, two) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("-5", "-50e-1"),
            ("0", "-0"),
            (r#""a""#, r#""\u0061""#),
            ("12345678901234567890", "12345678901234567890"),
        ] {
            assert_eq!(id(one), id(two));
        }
        for (one, two) in [
            ("1", "\"1\""),
            ("9007199254740993", "9007199254740992"),
            ("1", "-1"),
            ("null", "0"),
            ("1e400", "1e401"),
            (r#""\ud800""#, r#""\ud801""#),
        ] {
            assert_ne!(id(one), id(two));
        }
    }

    #[test]
    fn ids_are_written_as_they_came() {
        for text in ["1.0", "1e400", r#""\u0061""#, "null", "-0"] {
            assert_eq!(id(text).as_json(), text);
        }
    }

    #[test]
    fn other_values_are_no_ids() {
        for text in ["[1]", "{}", "true"] {
            assert!(Id::read(serde_json::from_str(text).unwrap()).is_none());
        }
    }
}
