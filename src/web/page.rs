//! The page that the browser ends on.
//!
//! It makes no request of its own and holds no script; the policy that comes with it (Content
//! Security Policy Level 3) would let neither through. All text is escaped, whoever wrote it.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::redact::printable;

const STYLE: &str = include_str!("page.css");

const CHECK_MARK: &str = r#"<path d="M7.5 12.5l3 3 6-6.5"/>"#;
const EXCLAMATION_MARK: &str = r#"<path d="M12 7v6.5"/><path d="M12 17v.01"/>"#;

/// What the browser shows when a login has ended.
#[derive(Debug, Clone)]
pub enum Page {
    /// It worked.
    Success {
        /// The service's name.
        service: String,
    },
    /// It did not.
    Failure {
        /// The service's name.
        service: String,
        /// Why, as a sentence.
        reason: String,
    },
}

impl Page {
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Success { service } => respond(
                StatusCode::OK,
                &format!("Logged in to {}", printable(&service)),
                "The login is stored on this computer, and programs that use it can go on.",
            ),
            Self::Failure { service, reason } => respond(
                StatusCode::BAD_REQUEST,
                &format!("Not logged in to {}", printable(&service)),
                &printable(&reason),
            ),
        }
    }
}

/// The answer to a request that is not for us.
pub(super) fn refusal(reason: &str) -> Response {
    respond(StatusCode::BAD_REQUEST, "This page is not for you", reason)
}

fn respond(status: StatusCode, title: &str, text: &str) -> Response {
    let policy = Policy { style: STYLE, form_action: "'none'", referrer: "no-referrer" };
    let mut response = policy.respond(status, html(status.is_success(), title, text));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What a page may do: show its own style, and no script; send a form where that is said.
pub struct Policy<'a> {
    /// The one style sheet, which the page holds; allowed by its hash.
    pub style: &'a str,
    /// Where forms may go, in the terms of Content Security Policy.
    pub form_action: &'a str,
    /// What the page's requests tell of its address (Referrer Policy).
    pub referrer: &'static str,
}

impl Policy<'_> {
    /// Answers with a page under this policy, for no cache to keep.
    pub fn respond(&self, status: StatusCode, html: String) -> Response {
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, self.referrer),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; form-action {}; base-uri 'none'; frame-ancestors 'none'",
            STANDARD.encode(Sha256::digest(self.style)),
            self.form_action
        );
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

fn html(success: bool, title: &str, text: &str) -> String {
    let (kind, mark, next) = if success {
        ("good", CHECK_MARK, "You can close this tab.")
    } else {
        ("bad", EXCLAMATION_MARK, "You can close this tab and go back to where the login was started.")
    };
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n\
         <style>{STYLE}</style>\n\
         <main class=\"{kind}\">\n\
         <svg viewBox=\"0 0 24 24\" width=\"56\" height=\"56\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"11\"/>{mark}</svg>\n\
         <h1>{title}</h1>\n\
         <p>{text}</p>\n\
         <p class=\"next\">{next}</p>\n\
         <footer>mcp-front</footer>\n\
         </main>\n\
         </html>\n",
        title = escape(title),
        text = escape(text),
    )
}

/// Escapes text for HTML, in content and in quoted attributes alike.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped() {
        let page = html(false, "Not logged in to <b>x</b>", "<script>alert(\"1\")</script> & 'more'");
        assert!(!page.contains("<script") && !page.contains("<b>"));
        assert!(page.contains("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;more&#39;"));
    }

    #[test]
    fn a_page_asks_for_nothing_and_allows_nothing() {
        for page in [
            Page::Success { service: "Front".to_owned() },
            Page::Failure { service: "Front".to_owned(), reason: "No.".to_owned() },
        ] {
            let response = page.into_response();
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
        let page = html(true, "title", "text");
        for fetch in ["src=", "href=", "url(", "@import", "style=\"", "<script"] {
            assert!(!page.contains(fetch), "{fetch}");
        }
    }
}
