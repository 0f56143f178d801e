//! Attacks over stdin and by the model (D).
