//! A modern server's results, as a legacy host may read them (the `Result` types of both schemas).

use std::borrow::Cow;

use crate::jsonrpc::Message;
use crate::jsonrpc::edit::{self, Edit, Repeated};

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// All there is to say: a complete result, or an error.
    All(Answer<'a>),
    /// The server needs something of the client first; the text of the result.
    InputRequired(&'a str),
    /// Something that an extension defines.
    Other(Answer<'a>),
}

/// An answer that may go to the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    frame: &'a str,
    /// The text of the result; `None` in an error.
    result: Option<&'a str>,
    structured: Option<&'a str>,
}

/// Reads what an answer says (2026-07-28 basic, "ResultType"); a result without a type is complete.
pub(super) fn said(answer: &Message) -> Result<Said<'_>, Repeated> {
    let frame = answer.text();
    let Some(result) = edit::member(frame, "result")? else {
        return Ok(Said::All(Answer { frame, result: None, structured: None }));
    };
    let [kind, structured] = edit::members(result, ["resultType", "structuredContent"])?;
    let answer = Answer { frame, result: Some(result), structured };
    Ok(match kind.map(|text| serde_json::from_str::<String>(text).unwrap_or_default()).as_deref() {
        None | Some("complete") => Said::All(answer),
        Some("input_required") => Said::InputRequired(result),
        Some(_) => Said::Other(answer),
    })
}

impl<'a> Answer<'a> {
    /// The answer to a request of `method`, with the id of the host's request where it is another,
    /// and without what a legacy schema has no room for.
    pub(super) fn for_host(&self, method: &str, id: Option<&'a str>) -> Result<Cow<'a, str>, Repeated> {
        let mut frame = Edit::of(self.frame).unwrap_or_default();
        if let Some(id) = id {
            frame.set("id", id);
        }
        let legible = match (method, self.result) {
            ("tools/list", Some(result)) => legible_tools(result)?,
            ("tools/call", Some(result)) if self.structured.is_some_and(|text| !text.starts_with('{')) => {
                let mut result = Edit::of(result).unwrap_or_default();
                Some(result.remove("structuredContent").finish()?.into_owned())
            }
            _ => None,
        };
        if let Some(legible) = legible {
            frame.set("result", legible);
        }
        frame.finish()
    }
}

/// A list whose tools a legacy host can take; `None` where nothing changes. One tool that it cannot
/// take costs such a host the whole list.
fn legible_tools(result: &str) -> Result<Option<String>, Repeated> {
    let Some(tools) = edit::member(result, "tools")? else { return Ok(None) };
    // What a tool says twice stays the host's to judge.
    match edit::map_elements(tools, |tool| legible_tool(tool).unwrap_or_default()) {
        Cow::Borrowed(_) => Ok(None),
        Cow::Owned(tools) => {
            Ok(Some(Edit::of(result).unwrap_or_default().set("tools", tools).finish()?.into_owned()))
        }
    }
}

fn legible_tool(tool: &str) -> Result<Option<String>, Repeated> {
    let Some(mut edited) = Edit::of(tool) else { return Ok(None) };
    if let Some(schema) = edit::member(tool, "inputSchema")?
        && let Some(schema) = legible_schema(schema)?
    {
        edited.set("inputSchema", schema);
    }
    if let Some(schema) = edit::member(tool, "outputSchema")? {
        if edit::member(schema, "type")? != Some(r#""object""#) {
            edited.remove("outputSchema");
        } else if let Some(schema) = legible_schema(schema)? {
            edited.set("outputSchema", schema);
        }
    }
    match edited.finish()? {
        Cow::Borrowed(_) => Ok(None),
        Cow::Owned(tool) => Ok(Some(tool)),
    }
}

/// A schema whose properties are objects all; `None` where nothing changes.
fn legible_schema(schema: &str) -> Result<Option<String>, Repeated> {
    let Some(properties) = edit::member(schema, "properties")? else { return Ok(None) };
    let legible = edit::map_values(properties, |property| match property {
        "true" => Some("{}".to_owned()),
        "false" => Some(r#"{"not":{}}"#.to_owned()),
        _ => None,
    });
    match legible {
        Cow::Borrowed(_) => Ok(None),
        Cow::Owned(properties) => {
            let mut schema = Edit::of(schema).unwrap_or_default();
            Ok(Some(schema.set("properties", properties).finish()?.into_owned()))
        }
    }
}
