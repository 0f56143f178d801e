//! One message out, replies back.
//!
//! This room knows a transport and nothing of sessions on top of it: it sends what it is given,
//! once, and says what came back. Whether anything is sent again is the relay's decision.

pub mod legacy_sse;
pub mod streamable_http;

use std::fmt;
use std::str::FromStr;

/// Which transport a service is spoken to over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Streamable HTTP, and HTTP+SSE where the service turns out to speak that.
    #[default]
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of the revision 2024-11-05.
    Sse,
}

/// A text that names no transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no transport has this name")]
pub struct UnknownTransport;

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Http => "http",
            Self::Sse => "sse",
        })
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, UnknownTransport> {
        match text {
            "auto" => Ok(Self::Auto),
            "http" => Ok(Self::Http),
            "sse" => Ok(Self::Sse),
            _ => Err(UnknownTransport),
        }
    }
}
