//! Waiting for the person: the callback or the paste, whichever comes first.

use tokio::time::Instant;
use url::Url;

use super::{Event, Interaction, LoginError};
use crate::oauth::{CallbackError, CallbackParameters, Code, Pending};
use crate::web::{CallbackListener, Page, Visit};

/// The right answer, and the browser that waits for a page.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) code: Code,
    /// `None` where the answer was pasted.
    pub(super) visit: Option<Visit>,
}

/// Waits until the answer to `pending` comes; what does not belong to it is told and passed over.
/// The listener is closed to new visitors by then.
///
/// # Errors
/// [`LoginError::Denied`], [`LoginError::Unanswerable`] and [`LoginError::Deadline`].
///
/// # Cancel safety
/// Dropping the future loses nothing.
pub(super) async fn wait(
    pending: &Pending,
    listener: &mut Option<CallbackListener>,
    interaction: &mut Interaction,
    service: &str,
    deadline: Instant,
) -> Result<Answered, LoginError> {
    let begun = Instant::now();
    let mut pasting = true;
    loop {
        let (verdict, visit) = tokio::select! {
            visit = next(listener) => {
                let verdict = CallbackParameters::from_query(visit.query()).and_then(|found| pending.check(found));
                (verdict, Some(visit))
            }
            pasted = interaction.pasted.recv(), if pasting => match pasted {
                Some(pasted) => (pending.check_pasted(&pasted), None),
                None if listener.is_none() => return Err(unanswerable(pending.redirect_uri())),
                None => {
                    pasting = false;
                    continue;
                }
            },
            () = tokio::time::sleep_until(deadline) => {
                return Err(LoginError::Deadline { after: begun.elapsed() });
            }
        };
        match verdict {
            Ok(code) => {
                if let Some(listener) = listener {
                    listener.settle();
                }
                return Ok(Answered { code, visit });
            }
            Err(error) => {
                let page = Page::Failure { service: service.to_owned(), reason: sentence(&error) };
                if let Some(visit) = visit {
                    visit.answer(page);
                }
                if matches!(error, CallbackError::Denied { .. }) {
                    return Err(LoginError::Denied(error));
                }
                // Nobody may be watching, and who sees so many misses nothing by one.
                let _ = interaction.events.try_send(Event::Refused(error));
            }
        }
    }
}

/// What a login ends with that nobody can answer.
pub(super) fn unanswerable(redirect_uri: &Url) -> LoginError {
    LoginError::Unanswerable { redirect_uri: redirect_uri.clone() }
}

/// The next visit; never where nobody can come.
async fn next(listener: &mut Option<CallbackListener>) -> Visit {
    if let Some(listener) = listener
        && let Some(visit) = listener.next().await
    {
        return visit;
    }
    std::future::pending().await
}

/// An error as a sentence for the browser's page.
pub(super) fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
