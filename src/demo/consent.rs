//! The demo's consent page: says who asks for what, and takes the person's answer.
//!
//! It loads nothing and runs no script: the policy allows its own style sheet, by hash, and a form
//! that may go to this server and on to the client that asked. What a client chose is escaped.

use axum::response::Response;
use http::StatusCode;

use super::grants::SCOPE;
use super::protocol::Question;
use crate::redact::printable;
use crate::web::{Policy, escape};

const PAGE: &str = include_str!("consent.html");
const STYLE: &str = include_str!("consent.css");

/// Where the page keeps the ticket; whoever follows the page by hand looks for it.
const TICKET_FIELD: &str = "name=\"ticket\" value=\"";

/// The page that asks `question` about `resource`.
pub(super) fn page(question: &Question, resource: &str) -> Response {
    let client = shown(&question.client_name);
    let target = shown(&question.redirect_uri.origin().ascii_serialization());
    let body = format!(
        "<h1>Let <strong>{client}</strong> use this server?</h1>\n\
         <dl>\n\
         <dt>Server</dt><dd><code>{resource}</code></dd>\n\
         <dt>It may</dt><dd>list and call the tools (<code>{SCOPE}</code>)</dd>\n\
         <dt>For</dt><dd>as long as the demo runs; access renews by itself</dd>\n\
         <dt>Then</dt><dd>back to <code>{target}</code></dd>\n\
         </dl>\n\
         <form method=\"post\" action=\"/consent\">\n\
         <input type=\"hidden\" {TICKET_FIELD}{ticket}\">\n\
         <button name=\"decision\" value=\"allow\" class=\"allow\">Allow</button>\n\
         <button name=\"decision\" value=\"deny\">Deny</button>\n\
         </form>",
        resource = shown(resource),
        ticket = shown(&question.ticket),
    );
    respond(StatusCode::OK, "Allow access?", &body, &format!("'self' {target}"))
}

/// The page for a request that cannot be taken and names no client that could be told.
pub(super) fn refused(problem: &str) -> Response {
    let body = format!("<h1>This request cannot be taken</h1>\n<p>{}.</p>", shown(problem));
    respond(StatusCode::BAD_REQUEST, "Request refused", &body, "'none'")
}

/// Reads the ticket off the page, as a person's browser would send it.
pub(super) fn ticket(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(TICKET_FIELD)?;
    rest.split_once('"').map(|(ticket, _)| ticket)
}

fn respond(status: StatusCode, title: &str, body: &str, form_action: &str) -> Response {
    let html = PAGE.replace("{{title}}", title).replace("{{style}}", STYLE).replace("{{body}}", body);
    // Not `no-referrer`: the form's own origin would be sent as `null` and refused.
    Policy { style: STYLE, form_action, referrer: "same-origin" }.respond(status, html)
}

/// Foreign text, safe to show.
fn shown(text: &str) -> String {
    escape(&printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chose_is_escaped() {
        for (given, expected) in [
            ("mcp-front", "mcp-front"),
            ("<script>a('b')</script>", "&#60;script&#62;a(&#39;b&#39;)&#60;/script&#62;"),
            ("\" onload=\"x & y", "&#34; onload=&#34;x &#38; y"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(shown(given), expected);
        }
    }

    #[test]
    fn the_ticket_is_found_on_the_page() {
        assert_eq!(ticket("<input type=\"hidden\" name=\"ticket\" value=\"t-1\">"), Some("t-1"));
        assert_eq!(ticket("<p>nothing to answer</p>"), None);
    }
}
