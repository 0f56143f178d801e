//! Keeps a service's login.
