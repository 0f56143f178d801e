//! The JSON-RPC 2.0 message envelope: the routing head of a frame that is never rewritten.
