//! Keeps a service's login.

pub mod login;
