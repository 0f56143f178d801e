//! The one configured HTTP client.
