//! Newline-delimited messages on stdin and stdout.
