//! Logs on stderr: what is written, and what never can be.
//!
//! Other crates' targets may carry requests, bodies and codes in their debug lines, so whatever a
//! user asks for, theirs stay at `info`; only the product's own go deeper.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{ConfigError, LogFilter, LogFormat};
use crate::redact::printable;

/// The product's own target.
const OWN: &str = "mcp_front";

/// Starts logging for the rest of the process.
///
/// # Errors
/// [`ConfigError::Invalid`] for a directive that does not parse.
pub(super) fn start(filter: &LogFilter, format: LogFormat, color: bool) -> Result<(), ConfigError> {
    let targets = targets(filter)?;
    let registry = tracing_subscriber::registry();
    // A second start in one process (a test's) keeps the first.
    let _ = match format {
        LogFormat::Text => registry.with(text(color).with_filter(capped(targets))).try_init(),
        LogFormat::Json => registry.with(json().with_filter(capped(targets))).try_init(),
    };
    Ok(())
}

fn text<S: Subscriber + for<'a> LookupSpan<'a>>(color: bool) -> impl Layer<S> {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(color);
    // A person watching knows the time; a host's log file does not.
    if io::stderr().is_terminal() { layer.without_time().with_target(false).boxed() } else { layer.boxed() }
}

fn json<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr)
}

fn capped<S: Subscriber>(targets: Targets) -> impl tracing_subscriber::layer::Filter<S> {
    targets.and(filter_fn(is_permitted))
}

/// Whether an event may be written at all.
fn is_permitted(metadata: &Metadata<'_>) -> bool {
    is_own(metadata.target()) || *metadata.level() <= LevelFilter::INFO
}

fn is_own(target: &str) -> bool {
    target.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn targets(filter: &LogFilter) -> Result<Targets, ConfigError> {
    let verbosity = match filter {
        LogFilter::Verbosity(verbosity) => *verbosity,
        LogFilter::Directive(directive) => {
            return directive.parse().map_err(|_| ConfigError::Invalid {
                origin: "MCP_FRONT_LOG".to_owned(),
                value: printable(directive),
                expected: "a log filter such as `mcp_front=debug`".to_owned(),
            });
        }
    };
    let (own, others) = match verbosity {
        0 => (LevelFilter::WARN, LevelFilter::ERROR),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::INFO),
    };
    Ok(Targets::new().with_default(others).with_target(OWN, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn only_our_own_targets_go_below_info() {
        for (target, own) in [
            ("mcp_front", true),
            ("mcp_front::relay", true),
            ("mcp_front_impostor", false),
            ("rmcp::transport::auth", false),
            ("hyper::client", false),
            ("h2", false),
        ] {
            assert_eq!(is_own(target), own, "{target}");
        }
    }

    #[test]
    fn verbosity_and_directives_become_levels() {
        let at =
            |filter: LogFilter, target: &str, level| targets(&filter).unwrap().would_enable(target, &level);
        let verbosity = LogFilter::Verbosity;
        assert!(at(verbosity(0), "mcp_front::bridge", Level::WARN));
        assert!(!at(verbosity(0), "mcp_front::bridge", Level::INFO));
        assert!(at(verbosity(2), "mcp_front::bridge", Level::DEBUG));
        assert!(at(verbosity(9), "mcp_front::bridge", Level::TRACE));
        assert!(!at(verbosity(9), "rmcp", Level::DEBUG));
        assert!(at(LogFilter::Directive("mcp_front::relay=debug".into()), "mcp_front::relay", Level::DEBUG));
        assert!(targets(&LogFilter::Directive("mcp_front=loud".into())).is_err());
    }
}
