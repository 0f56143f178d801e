//! One message out, replies back.
