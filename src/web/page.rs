//! The page that the browser ends on.

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
