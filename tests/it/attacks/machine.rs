//! Attacks from the same machine: storage, processes, environment (C).
