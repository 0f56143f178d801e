//! The attack matrix: each test is named after its case in `cases.txt`.

mod authorization;
mod discovery;
mod dumps;
mod files;
mod keychain;
mod log_files;
mod memory;
mod processes;
mod project;
mod stdio;
