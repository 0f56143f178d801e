//! The one loopback HTTP listener.
