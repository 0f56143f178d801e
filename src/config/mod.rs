//! Settings, environment and flags, resolved once.
