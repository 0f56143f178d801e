//! One message out, replies back.
//!
//! This room knows a transport and nothing of sessions on top of it: it sends what it is given,
//! once, and says what came back. Whether anything is sent again is the relay's decision.

pub mod streamable_http;
