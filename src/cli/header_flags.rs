//! The flags that add headers, of the commands that hold a session.

use std::path::PathBuf;

use ::http::HeaderMap;
use clap::Args;
use zeroize::Zeroizing;

use crate::authorizer::Children;
use crate::config::headers::Headers;
use crate::config::{ConfigError, Environment};

/// Headers of the user's own.
#[derive(Debug, Args)]
pub(super) struct HeaderFlags {
    /// Add a header to each request; `${NAME}` in the value is read from the environment
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Read such headers from a file, one a line, `#` for comments
    #[arg(long, value_name = "PATH")]
    header_file: Vec<PathBuf>,
}

impl HeaderFlags {
    /// Reads the files, and the variables that are named; no helper process gets these from then on.
    ///
    /// # Errors
    /// [`ConfigError::File`] and [`ConfigError::Header`].
    pub(super) fn read(&self, environment: &mut Environment) -> Result<HeaderMap, ConfigError> {
        let mut headers = Headers::default();
        for path in &self.header_file {
            let text = std::fs::read_to_string(path)
                .map(Zeroizing::new)
                .map_err(|source| ConfigError::File { path: path.clone(), source })?;
            headers.add_file(&text, &path.display().to_string(), environment)?;
        }
        for header in &self.header {
            headers.add(header, "--header", environment)?;
        }
        let (headers, variables) = headers.into_parts();
        // What stands in a header is a secret for all that is known, and no helper's business.
        environment.forget(variables.iter().map(String::as_str).filter(|name| !Children::need(name)));
        Ok(headers)
    }
}
