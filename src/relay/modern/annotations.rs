//! `x-mcp-header`: which of a tool's parameters are repeated in headers (2026-07-28, server/tools,
//! "x-mcp-header"; Streamable HTTP, "Schema Extension").
//!
//! A tool with an annotation that breaks a rule is refused as a whole, as the specification
//! demands. Nothing but annotations is read of a schema, and no `$ref` is followed.

use memchr::memmem;
use serde_json::value::RawValue;

use crate::jsonrpc::cursor::Cursor;
use crate::jsonrpc::parts;

/// The keyword.
const KEYWORD: &str = "x-mcp-header";
/// How deep the schemas around an annotation may nest.
const DEPTH_MOST: usize = 64;
/// How many parameters of one tool may be annotated: servers bound what headers they take.
const COUNT_MOST: usize = 100;
/// How long a header's name and the names that lead to its parameter may be together, in bytes.
const LENGTH_MOST: usize = 4096;

/// One annotated parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Annotation {
    /// What follows `Mcp-Param-` in the header's name.
    pub(super) header: String,
    /// The names that lead to the parameter from the arguments on.
    pub(super) path: Vec<String>,
}

impl Annotation {
    /// How long its texts are together, in bytes.
    pub(super) fn length(&self) -> usize {
        self.header.len() + self.path.iter().map(String::len).sum::<usize>()
    }
}

/// The annotations of a tool, in their order.
///
/// # Errors
/// The rule that one of them breaks.
pub(super) fn of_tool(tool: &RawValue) -> Result<Vec<Annotation>, &'static str> {
    if !may_mention(tool.get().as_bytes()) {
        return Ok(Vec::new());
    }
    let Some(schema) = parts::member(tool, "inputSchema") else { return Ok(Vec::new()) };
    let mut walk = Walk { cursor: Cursor::new(schema), found: Vec::new(), path: Vec::new() };
    walk.schema(Chain::Unbroken, 0)?;
    Ok(walk.found)
}

/// Whether a text may hold an annotation, in whatever way the keyword is escaped: most texts are
/// read no further.
pub(super) fn may_mention(text: &[u8]) -> bool {
    memmem::find(text, KEYWORD.as_bytes()).is_some() || memmem::find(text, br"\u00").is_some()
}

/// Whether a schema is reached from the root through `properties` alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    Unbroken,
    Broken,
}

/// What a member of a schema holds.
enum Holds {
    Annotation,
    Type,
    /// Schemas by the names of parameters.
    Properties,
    /// Schemas by other names.
    Named,
    /// Values that schemas speak of.
    Data,
    /// A schema, or an array of such.
    Schemas,
}

impl Holds {
    fn of(keyword: &[u8]) -> Self {
        match keyword {
            b"x-mcp-header" => Self::Annotation,
            b"type" => Self::Type,
            b"properties" => Self::Properties,
            b"$defs" | b"definitions" | b"patternProperties" | b"dependentSchemas" | b"dependencies" => {
                Self::Named
            }
            b"default" | b"const" | b"enum" | b"examples" | b"required" | b"dependentRequired" => Self::Data,
            _ => Self::Schemas,
        }
    }
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    found: Vec<Annotation>,
    path: Vec<String>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, chain: Chain, depth: usize) -> Result<(), &'static str> {
        if depth == DEPTH_MOST {
            let is_mentioned = self.cursor.value().is_some_and(|below| may_mention(below.get().as_bytes()));
            return if is_mentioned { Err("its schema nests too deeply") } else { Ok(()) };
        }
        if self.cursor.enter(b'[') {
            while self.cursor.has_next() {
                self.schema(Chain::Broken, depth + 1)?;
            }
            return Ok(());
        }
        if !self.cursor.enter(b'{') {
            self.cursor.value();
            return Ok(());
        }
        let (mut annotation, mut kind) = (None, None);
        while self.cursor.has_next() {
            match Holds::of(&self.cursor.name().unwrap_or_default()) {
                Holds::Annotation => annotation = self.cursor.value(),
                Holds::Type => kind = self.cursor.value(),
                Holds::Properties => self.named(chain, depth)?,
                Holds::Named => self.named(Chain::Broken, depth)?,
                Holds::Data => {
                    self.cursor.value();
                }
                Holds::Schemas => self.schema(Chain::Broken, depth + 1)?,
            }
        }
        match annotation {
            Some(annotation) => self.annotation(annotation, kind, chain),
            None => Ok(()),
        }
    }

    fn named(&mut self, chain: Chain, depth: usize) -> Result<(), &'static str> {
        if !self.cursor.enter(b'{') {
            self.cursor.value();
            return Ok(());
        }
        while self.cursor.has_next() {
            let name = self.cursor.name().unwrap_or_default();
            self.path.push(String::from_utf8_lossy(&name).into_owned());
            self.schema(chain, depth + 1)?;
            self.path.pop();
        }
        Ok(())
    }

    fn annotation(
        &mut self,
        header: &RawValue,
        kind: Option<&RawValue>,
        chain: Chain,
    ) -> Result<(), &'static str> {
        if chain == Chain::Broken || self.path.is_empty() {
            return Err("x-mcp-header stands elsewhere than on a parameter");
        }
        let header = parts::text(header).ok_or("x-mcp-header is not a string")?;
        if header.is_empty() {
            return Err("x-mcp-header is empty");
        }
        if !header.bytes().all(is_token) {
            return Err("x-mcp-header is no part of a header's name");
        }
        if !kind.is_some_and(is_primitive) {
            return Err("x-mcp-header stands on another type than string, integer and boolean");
        }
        if self.found.iter().any(|found| found.header.eq_ignore_ascii_case(&header)) {
            return Err("two of its x-mcp-header are the same");
        }
        if self.found.len() == COUNT_MOST {
            return Err("it has too many x-mcp-header");
        }
        let annotation = Annotation { header, path: self.path.clone() };
        if annotation.length() > LENGTH_MOST {
            return Err("x-mcp-header and the names that lead to its parameter are too long");
        }
        self.found.push(annotation);
        Ok(())
    }
}

/// Whether a schema's `type` is one that a header can carry, or several such. Null may be among
/// them: it stands for no value (servers write optional parameters so), and has no header.
fn is_primitive(kind: &RawValue) -> bool {
    let names_one =
        |kind: &RawValue| matches!(parts::text(kind).as_deref(), Some("string" | "integer" | "boolean"));
    let (mut has_primitive, mut has_other) = (names_one(kind), false);
    parts::each_element(kind, |kind| match names_one(kind) {
        true => has_primitive = true,
        false => has_other |= parts::text(kind).as_deref() != Some("null"),
    });
    has_primitive && !has_other
}

/// A character of a field name (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: &str) -> Result<Vec<(String, String)>, &'static str> {
        let tool = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        let found = of_tool(serde_json::from_str(&tool).unwrap())?;
        Ok(found.into_iter().map(|found| (found.header, found.path.join("."))).collect())
    }

    fn parameter(schema: &str) -> String {
        format!(r#"{{"type":"object","properties":{{"a":{schema}}}}}"#)
    }

    #[test]
    fn annotated_parameters_are_found_through_properties() {
        for (schema, expected) in [
            ("{}", vec![]),
            ("true", vec![]),
            (
                r#"{"properties":{"a":{"type":"string","x-mcp-header":"Region"},"b":{"type":"integer"},"c":{"x-mcp-header":"X-1","type":"boolean"}}}"#,
                vec![("Region", "a"), ("X-1", "c")],
            ),
            (
                r#"{"properties":{"a":{"type":"object","properties":{"properties":{"type":"integer","x-mcp-header":"N"}}}}}"#,
                vec![("N", "a.properties")],
            ),
            (r#"{"properties":{"a":{"type":["integer","null"],"x-mcp-header":"R"}}}"#, vec![("R", "a")]),
            // A parameter of that name, and values that are no schemas.
            (r#"{"properties":{"x-mcp-header":{"type":"number"}}}"#, vec![]),
            (
                r#"{"properties":{"a":{"default":{"x-mcp-header":""},"enum":[{"x-mcp-header":1}]}},"examples":[{"x-mcp-header":""}]}"#,
                vec![],
            ),
            (
                r#"{"properties":{"a":{"type":"\u0073\u0074\u0072\u0069\u006e\u0067","x-mcp-he\u0061der":"R"}}}"#,
                vec![("R", "a")],
            ),
            (
                r#"{"properties":{"a":{"type":"integer","maximum":1e400,"x-mcp-header":"!#$%&'*+-.^_`|~"}}}"#,
                vec![("!#$%&'*+-.^_`|~", "a")],
            ),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(header, path)| (header.to_owned(), path.to_owned())).collect();
            assert_eq!(of(schema), Ok(expected), "{schema}");
        }
    }

    #[test]
    fn annotations_that_break_a_rule_are_refused() {
        let deep = (0..DEPTH_MOST).fold(r#"{"type":"string","x-mcp-header":"R"}"#.to_owned(), |schema, _| {
            format!(r#"{{"properties":{{"a":{schema}}}}}"#)
        });
        let many: Vec<_> = (0..=COUNT_MOST)
            .map(|number| format!(r#""p{number}":{{"type":"string","x-mcp-header":"P{number}"}}"#))
            .collect();
        for schema in [
            parameter(r#"{"type":"string","x-mcp-header":""}"#),
            parameter(r#"{"type":"string","x-mcp-header":"My Region"}"#),
            parameter(r#"{"type":"string","x-mcp-header":"Region:Primary"}"#),
            parameter(r#"{"type":"string","x-mcp-header":"Région"}"#),
            parameter(r#"{"type":"string","x-mcp-header":"Region\t1"}"#),
            parameter(r#"{"type":"string","x-mcp-header":"a\r\nb"}"#),
            parameter(r#"{"type":"string","x-mcp-header":7}"#),
            parameter(r#"{"type":"string","x-mcp-header":null}"#),
            parameter(r#"{"type":"number","x-mcp-header":"R"}"#),
            parameter(r#"{"type":"object","x-mcp-header":"R"}"#),
            parameter(r#"{"type":"array","items":{"type":"string"},"x-mcp-header":"R"}"#),
            parameter(r#"{"type":"null","x-mcp-header":"R"}"#),
            parameter(r#"{"type":["string","number"],"x-mcp-header":"R"}"#),
            parameter(r#"{"type":["null"],"x-mcp-header":"R"}"#),
            parameter(r#"{"type":[],"x-mcp-header":"R"}"#),
            parameter(r#"{"enum":["a"],"x-mcp-header":"R"}"#),
            parameter(r##"{"$ref":"#/$defs/a","x-mcp-header":"R"}"##),
            parameter(r#"{"type":"array","items":{"type":"string","x-mcp-header":"R"}}"#),
            parameter(
                r#"{"type":"array","items":{"properties":{"b":{"type":"string","x-mcp-header":"R"}}}}"#,
            ),
            parameter(r#"{"oneOf":[{"type":"string","x-mcp-header":"R"}]}"#),
            parameter(r#"{"not":{"type":"string","x-mcp-header":"R"}}"#),
            parameter(r#"{"additionalProperties":{"type":"string","x-mcp-header":"R"}}"#),
            r#"{"type":"string","x-mcp-header":"R"}"#.to_owned(),
            r#"{"$defs":{"a":{"type":"string","x-mcp-header":"R"}}}"#.to_owned(),
            r#"{"$defs":{"a":{"properties":{"b":{"type":"string","x-mcp-header":"R"}}}}}"#.to_owned(),
            r#"{"allOf":[{"properties":{"b":{"type":"string","x-mcp-header":"R"}}}]}"#.to_owned(),
            r#"{"if":{"properties":{"b":{"type":"string","x-mcp-header":"R"}}}}"#.to_owned(),
            r#"{"patternProperties":{"^a":{"type":"string","x-mcp-header":"R"}}}"#.to_owned(),
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"R"},"b":{"type":"string","x-mcp-header":"R"}}}"#.to_owned(),
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"MyField"},"b":{"properties":{"c":{"type":"string","x-mcp-header":"myfield"}}}}}"#.to_owned(),
            format!(r#"{{"properties":{{{}}}}}"#, many.join(",")),
            deep,
            parameter(&format!(r#"{{"type":"string","x-mcp-header":"{}"}}"#, "R".repeat(LENGTH_MOST))),
            format!(r#"{{"properties":{{"{}":{}}}}}"#, "a".repeat(LENGTH_MOST), parameter(r#"{"type":"string","x-mcp-header":"R"}"#)),
        ] {
            assert!(of(&schema).is_err(), "{schema} gave {:?}", of(&schema));
        }
    }
}
