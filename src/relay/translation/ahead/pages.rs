//! A legacy server's word that somebody has to open a page before it can act on a request (2025-11-25
//! elicitation, "URL Elicitation Required Error"). That is an error, and one that no server of 2026-07-28
//! may give (basic, "Error Codes": −32042). There such a request is answered with the question itself, and
//! comes again once the host has agreed to it; whether anybody has been on the page, the server says in
//! answer to that (2026-07-28 elicitation, "URL Mode Elicitation Requests").
//!
//! So the host is asked to open the pages, and its next attempt goes to the server as a request like the
//! first. Where it does not agree, or offers to open none, it hears why the request fails.

use serde_json::json;

use super::super::rounds::Asks;
use super::results::URL_REQUIRED;
use super::{Out, QUESTIONS};
use crate::jsonrpc::edit::{self, Repeated};
use crate::jsonrpc::{ErrorResponse, Id, Message, code};

/// What the host is to be asked in place of this answer; `None` where the answer is none of these.
pub(super) fn asked_for(answer: &Message) -> Result<Option<Vec<Message>>, Repeated> {
    let Some(error) = edit::member(answer.text(), "error")? else { return Ok(None) };
    if edit::member(error, "code")? != Some(URL_REQUIRED.0) {
        return Ok(None);
    }
    let pages = edit::member_at(error, &["data", "elicitations"])?.unwrap_or("[]");
    let mut questions = Vec::new();
    edit::each_element(pages, |page| questions.push(question(page.get())));
    let is_whole = (1..=QUESTIONS).contains(&questions.len());
    Ok(questions.into_iter().collect::<Option<Vec<_>>>().filter(|_| is_whole))
}

/// The question that asks to open one page; `None` where it is none.
fn question(page: &str) -> Option<Message> {
    let question = format!(r#"{{"jsonrpc":"2.0","method":"elicitation/create","params":{page}}}"#);
    let question = Message::parse(question.into()).ok()?;
    matches!(Asks::of(question.text()), Ok(Asks::Url)).then_some(question)
}

/// Whether the host agreed to open a page.
pub(super) fn is_agreed(given: &str) -> Result<bool, Repeated> {
    Ok(edit::member(given, "action")? == Some(r#""accept""#))
}

/// The answer to a host that offers to open none (2026-07-28, `MissingRequiredClientCapabilityError`).
pub(super) fn not_offered(host: &Id) -> Out {
    let reason = "the server needs a page to be opened (elicitation, url)";
    let data = json!({"requiredCapabilities": {"elicitation": {"url": {}}}});
    Out::Host(ErrorResponse::new(host.clone(), code::MISSING_CAPABILITY, reason).with_data(data).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_names_pages_is_a_question_for_each() {
        const PAGE: &str =
            r#"{"mode":"url","url":"https://a.example/\u0061","message":"go","elicitationId":"e","n":1e400}"#;
        let form = r#"{"message":"?","requestedSchema":{}}"#;
        let many = vec![PAGE; QUESTIONS + 1].join(",");
        for (error, pages) in [
            (
                format!(r#"{{"code":-32042,"message":"","data":{{"elicitations":[{PAGE}, {PAGE}]}}}}"#),
                Some(2),
            ),
            (format!(r#"{{"code":-32042,"message":"","data":{{"elicitations":[{PAGE},{form}]}}}}"#), None),
            (format!(r#"{{"code":-32042,"message":"","data":{{"elicitations":[{many}]}}}}"#), None),
            (format!(r#"{{"code":-32000,"message":"","data":{{"elicitations":[{PAGE}]}}}}"#), None),
            (r#"{"code":-32042,"message":"","data":{"elicitations":[]}}"#.to_owned(), None),
            (r#"{"code":-32042,"message":""}"#.to_owned(), None),
        ] {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
            let found = asked_for(&Message::parse(answer.into()).unwrap()).unwrap();
            assert_eq!(found.as_ref().map(Vec::len), pages, "{error}");
            for question in found.iter().flatten() {
                assert_eq!(
                    question.text(),
                    format!(r#"{{"jsonrpc":"2.0","method":"elicitation/create","params":{PAGE}}}"#)
                );
            }
        }
        let twice = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"code":-32042,"message":""}}"#;
        assert!(asked_for(&Message::parse(twice.into()).unwrap()).is_err());
    }
}
