//! Logs on stderr, and in a file where one is named: what is written, and what never can be.
//!
//! Other crates' targets may carry requests, bodies and codes in their debug lines, so whatever a
//! user asks for, theirs stay at `info`; only the product's own go deeper. The MCP SDK's warnings hold
//! addresses whole, with a key in their query too: of its lines, errors alone are written.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_file::LogFile;
use crate::config::{ConfigError, LogFilter, LogFormat, Settings};
use crate::redact::printable;

/// The product's own target.
const OWN: &str = "mcp_front";
/// The target of what discovers and registers.
const SDK: &str = "rmcp";

/// Starts logging for the rest of the process.
///
/// # Errors
/// [`ConfigError::Invalid`] for a directive that does not parse.
pub(super) fn start(settings: &Settings, color: bool) -> Result<(), ConfigError> {
    let (filter, format) = (&settings.log_filter, settings.log_format);
    let shown = capped(targets(filter)?);
    let kept = capped(targets(&at_least_informative(filter))?);
    let opened = settings.log_file.as_deref().map(LogFile::at).transpose();
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![match format {
        LogFormat::Text => text(color).with_filter(shown).boxed(),
        LogFormat::Json => json().with_filter(shown).boxed(),
    }];
    let failure = match opened {
        Ok(file) => {
            layers.extend(file.map(|file| in_file(file, format).with_filter(kept).boxed()));
            None
        }
        Err(error) => Some(error),
    };
    // A second start in one process (a test's) keeps the first.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    if let (Some(error), Some(path)) = (failure, &settings.log_file) {
        // A bridge that serves without a log is better than none.
        tracing::warn!(path = %path.display(), %error, "nothing is logged to the file");
    }
    Ok(())
}

/// Who names a file wants to find something in it.
fn at_least_informative(filter: &LogFilter) -> LogFilter {
    match filter {
        LogFilter::Verbosity(verbosity) => LogFilter::Verbosity((*verbosity).max(1)),
        directive => directive.clone(),
    }
}

fn in_file(file: LogFile, format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(move || file.clone()).with_ansi(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
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
    *metadata.level() <= deepest(metadata.target())
}

/// How deep a target's lines may go.
fn deepest(target: &str) -> LevelFilter {
    let is_of =
        |name: &str| target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    match target {
        _ if is_of(OWN) => LevelFilter::TRACE,
        _ if is_of(SDK) => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
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
        for (target, deepest_level) in [
            ("mcp_front", LevelFilter::TRACE),
            ("mcp_front::relay", LevelFilter::TRACE),
            ("mcp_front_impostor", LevelFilter::INFO),
            ("rmcp::transport::auth", LevelFilter::ERROR),
            ("hyper::client", LevelFilter::INFO),
            ("h2", LevelFilter::INFO),
        ] {
            assert_eq!(deepest(target), deepest_level, "{target}");
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
