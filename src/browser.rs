//! Opening an address.
