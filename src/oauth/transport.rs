//! The HTTP client in the terms of rmcp and oauth2.
