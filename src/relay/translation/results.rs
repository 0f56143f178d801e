//! A modern server's results, as a legacy host may read them (the `Result` types of both schemas).

use std::borrow::Cow;

use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Head, Message};

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// All there is to say: a complete result, or an error.
    All,
    /// The server needs something of the client first; the text of the result.
    InputRequired(&'a str),
    /// Something that an extension defines.
    Other,
}

/// Reads what an answer says (2026-07-28 basic, "ResultType"); a result without a type is complete.
pub(super) fn said(answer: &Message) -> Result<Said<'_>, Repeated> {
    let Head::Response { successful: true, .. } = answer.head() else { return Ok(Said::All) };
    let Some(result) = edit::member(answer.text(), "result")? else { return Ok(Said::All) };
    let kind = edit::member(result, "resultType")?;
    // The types have no letter that is written in two ways, unless somebody wants to confuse.
    Ok(match kind.map(|text| serde_json::from_str::<String>(text).unwrap_or_default()).as_deref() {
        None | Some("complete") => Said::All,
        Some("input_required") => Said::InputRequired(result),
        Some(_) => Said::Other,
    })
}

/// An answer to a request of `method`, with the id of the host's request where it is another, and
/// without what a legacy schema has no room for.
pub(super) fn for_host<'a>(
    answer: &'a str,
    method: &str,
    id: Option<&'a str>,
) -> Result<Cow<'a, str>, Repeated> {
    let mut frame = Edit::of(answer).unwrap_or_default();
    if let Some(id) = id {
        frame.set("id", id);
    }
    let result = edit::member(answer, "result")?.unwrap_or_default();
    let legible = match method {
        "tools/list" => legible_tools(result)?,
        "tools/call" => legible_call(result)?,
        _ => None,
    };
    if let Some(legible) = legible {
        frame.set("result", legible);
    }
    frame.finish()
}

/// The result of a call without `structuredContent` that is no object; `None` where nothing changes.
fn legible_call(result: &str) -> Result<Option<String>, Repeated> {
    match edit::member(result, "structuredContent")? {
        Some(structured) if !structured.starts_with('{') => {
            Ok(Some(Edit::of(result).unwrap_or_default().remove("structuredContent").finish()?.into_owned()))
        }
        _ => Ok(None),
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
