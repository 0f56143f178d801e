//! One stdio host around a relay session.
