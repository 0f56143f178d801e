//! Attacks on the authorization response and the callback listener (B).
