//! Documents that name a member twice.
//!
//! Readers differ about which of the two counts (RFC 8259 §4), and whoever checks one reading while
//! another one is used is deceived. Metadata that leaves a choice is not used at all.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Whether `document` is a JSON object that names one of its own members twice, escapes decoded.
pub(super) fn are_repeated(document: &[u8]) -> bool {
    serde_json::from_slice::<Members>(document).is_ok_and(|members| members.are_repeated)
}

struct Members {
    are_repeated: bool,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut names = HashSet::new();
        let mut members = Members { are_repeated: false };
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            members.are_repeated |= !names.insert(name);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_objects_own_members_count() {
        for (document, repeated) in [
            (r#"{"issuer":"a","issuer":"b"}"#, true),
            (r#"{"issuer":"a","token_endpoint":"t","issuer":"a"}"#, true),
            (r#"{"issuer":"a","\u0069ssuer":"b"}"#, true),
            (r#"{"issuer":"a","Issuer":"b","ISSUER":"c"}"#, false),
            (r#"{"a":{"issuer":"a"},"b":{"issuer":"b"}}"#, false),
            (r#"[{"issuer":"a","issuer":"b"}]"#, false),
            (r#"{"issuer":"a","issuer""#, false),
            ("<html>", false),
        ] {
            assert_eq!(are_repeated(document.as_bytes()), repeated, "{document}");
        }
    }
}
