//! One login under way: its events are shown, and what is pasted is handed to it.

use tokio::sync::mpsc;

use super::Keyboard;
use super::progress::Progress;
use crate::authorizer::login::{Config, EVENTS, Event, Interaction, LoginError, Outcome, login};
use crate::cli::Context;
use crate::cli::terminal::Hidden;

/// How many pastes may wait until the login has looked at the first.
const PASTES: usize = 8;

/// Makes the login that `config` describes.
///
/// # Errors
/// The login's.
///
/// # Cancel safety
/// Dropping the future ends the login and gives the terminal back as it was.
pub(super) async fn travel(
    config: &Config,
    context: &Context,
    keyboard: &mut Keyboard,
) -> Result<Outcome, LoginError> {
    // Outlives the spinner, which has to stand where it was drawn when it is cleared.
    let _keys = context.terminal.animated.then(Hidden::control_keys);
    let (events, mut happening) = mpsc::channel(EVENTS);
    let (paste, pasted) = mpsc::channel(PASTES);
    // Given up where nothing can be pasted any more: a login that cannot be heard either then ends.
    let mut paste = Some(paste).filter(|_| context.settings.input);
    let mut login = Box::pin(login(config, Interaction { events, pasted }));
    let mut progress = Progress::new(context.terminal, &config.name);
    let mut paper: Option<Paper> = None;
    let outcome = loop {
        tokio::select! {
            biased;
            Some(event) = happening.recv() => {
                if let Event::Authorize { browser, listening, .. } = &event {
                    let by_hand = !listening || !matches!(browser, Some(Ok(())));
                    paper = Paper::begin(context).filter(|_| by_hand);
                    paste = paste.filter(|_| paper.is_some());
                } else if matches!(event, Event::Exchanging) {
                    paper = None;
                }
                progress.show(&event, paper.is_some());
            }
            outcome = &mut login => break outcome,
            line = keyboard.next(), if paper.is_some() => match line {
                Some(Ok(text)) => {
                    if paste.as_ref().is_some_and(|paste| paste.try_send(text).is_err()) {
                        progress.refuse("too much was pasted");
                    }
                }
                Some(Err(problem)) => progress.refuse(problem),
                None => (paper, paste) = (None, None),
            },
            () = progress.turn() => {}
        }
    };
    while let Ok(event) = happening.try_recv() {
        progress.show(&event, false);
    }
    outcome
}

/// A place to paste to: stdin, silent where it is a terminal.
struct Paper {
    _silence: Option<Hidden>,
}

impl Paper {
    /// `None` where nothing may be asked, or stdin is a terminal that cannot be silenced.
    fn begin(context: &Context) -> Option<Self> {
        let silence = Hidden::begin().ok();
        let usable = context.settings.input && (silence.is_some() || !context.terminal.stdin);
        usable.then_some(Self { _silence: silence })
    }
}
