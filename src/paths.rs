//! Where things live.
