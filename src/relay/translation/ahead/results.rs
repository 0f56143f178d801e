//! A legacy server's answers and questions, as a modern host may read them (the `Result` types of
//! both schemas; 2026-07-28, multi round-trip requests and caching).

use std::borrow::Cow;

use crate::jsonrpc::edit::{self, Edit, Repeated};
use crate::jsonrpc::{Id, Message};
use crate::wire::{META_SERVER, WITHOUT_INITIALIZE};

/// What servers of the era before answer where there is no such resource, and what they answer now
/// (2026-07-28 changelog).
const NOT_FOUND: (&str, &str) = ("-32002", "-32602");

/// What servers of 2025-11-25 answer where a page is to be opened first, which no server may answer any
/// more (2026-07-28 basic, "Error Codes"), and what stands for it where the host is not asked.
pub(super) const URL_REQUIRED: (&str, &str) = ("-32042", "-32603");

/// The result of `server/discover`, from that of `initialize`.
pub(super) fn discovered(initialized: &str) -> Result<String, Repeated> {
    let [server, meta, capabilities] = edit::members(initialized, ["serverInfo", "_meta", "capabilities"])?;
    let mut result = Edit::of(initialized).unwrap_or_default();
    result.remove("protocolVersion").remove("serverInfo");
    if let Some(server) = server {
        let mut meta = meta.and_then(Edit::of).unwrap_or_default();
        result.set("_meta", meta.set(META_SERVER, server).finish()?);
    }
    if capabilities.is_none() {
        result.set("capabilities", "{}");
    }
    result
        .set("resultType", r#""complete""#)
        .set("supportedVersions", format!(r#"["{WITHOUT_INITIALIZE}"]"#));
    // What such a server says of itself may change with its next session.
    result.set("ttlMs", "0").set("cacheScope", r#""private""#);
    Ok(result.finish()?.into_owned())
}

/// Whether the result of a request says how long it may be kept.
fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" | "resources/read"
    )
}

/// The answer to the host's request `id` of `method`, with all that a modern result has to say.
pub(super) fn for_host<'a>(answer: &'a str, method: &str, id: &'a Id) -> Result<Cow<'a, str>, Repeated> {
    let [result, error] = edit::members(answer, ["result", "error"])?;
    let mut frame = Edit::of(answer).unwrap_or_default();
    frame.set("id", id.as_json());
    if let Some((text, mut edited)) = result.and_then(|text| Some((text, Edit::of(text)?))) {
        let [kept, shared] = edit::members(text, ["ttlMs", "cacheScope"])?;
        edited.set("resultType", r#""complete""#);
        for (member, found, value) in [("ttlMs", kept, "0"), ("cacheScope", shared, r#""private""#)] {
            if is_cacheable(method) && found.is_none() {
                edited.set(member, value);
            }
        }
        frame.set("result", edited.finish()?);
    }
    if let Some((text, mut edited)) = error.and_then(|text| Some((text, Edit::of(text)?))) {
        let found = edit::member(text, "code")?;
        for (is_it, (before, now)) in [(method == "resources/read", NOT_FOUND), (true, URL_REQUIRED)] {
            if is_it && found == Some(before) {
                frame.set("error", edited.set("code", now).finish()?);
            }
        }
    }
    frame.finish()
}

/// What the server needs before it can answer the host's request `id`, in the form of a result.
pub(super) fn input_required(
    id: &Id,
    questions: &[(String, Message)],
    state: &str,
) -> Result<String, Repeated> {
    let mut requests = Vec::new();
    for (key, question) in questions {
        let mut request = Edit::of(question.text()).unwrap_or_default();
        requests.push(format!("{}:{}", edit::written(key), request.remove("jsonrpc").remove("id").finish()?));
    }
    Ok(format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required","inputRequests":{{{}}},"requestState":{}}}}}"#,
        id.as_json(),
        requests.join(","),
        edit::written(state),
    ))
}
