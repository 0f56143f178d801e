//! Credential stores.
