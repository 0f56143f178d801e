//! The cross-process lock.
